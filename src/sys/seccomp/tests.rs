#![cfg(target_arch = "x86_64")] // as the lists

use super::*;
use nix::libc::c_long;
use std::collections::BTreeMap;
use std::process::{Command, ExitStatus};

/// Runs a filter as the kernel does.
fn run(program: &[sock_filter], number: u32, arguments: [u64; 3]) -> u32 {
    let mut data = [0; 64];
    data[..4].copy_from_slice(&number.to_ne_bytes());
    data[4..8].copy_from_slice(&ARCHITECTURE.to_ne_bytes());
    for (index, argument) in arguments.iter().enumerate() {
        data[16 + 8 * index..24 + 8 * index].copy_from_slice(&argument.to_ne_bytes());
    }
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let step = program[at];
        at += 1;
        match u32::from(step.code) {
            code if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS => {
                let from = step.k as usize;
                accumulator = u32::from_ne_bytes(data[from..from + 4].try_into().unwrap());
            }
            code if code == libc::BPF_RET | libc::BPF_K => return step.k,
            code => {
                let holds = if code & 0xf0 == libc::BPF_JEQ {
                    accumulator == step.k
                } else {
                    assert_eq!(code & 0xf0, libc::BPF_JSET);
                    accumulator & step.k != 0
                };
                at += usize::from(if holds { step.jt } else { step.jf });
            }
        }
    }
}

fn filter(process: Process, whose: Libc) -> Vec<sock_filter> {
    program(calls::rules(process, whose), calls::others(whose), libc::SECCOMP_RET_TRAP)
}

const ALLOWED: u32 = libc::SECCOMP_RET_ALLOW;
const TRAPPED: u32 = libc::SECCOMP_RET_TRAP;

const fn refused(errno: c_int) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno as u32
}

#[test]
fn what_the_static_program_may_do_depends_on_the_process_and_the_arguments() {
    let n = |value: c_int| u64::from(value.unsigned_abs());
    let append = n(libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND);
    let rows: &[(i64, [u64; 3], [u32; 3])] = &[
        (libc::SYS_recvmmsg, [0; 3], [ALLOWED; 3]),
        (libc::SYS_execve, [0; 3], [TRAPPED; 3]),
        (libc::SYS_fork, [0; 3], [TRAPPED; 3]),
        (libc::SYS_ptrace, [0; 3], [TRAPPED; 3]),
        (libc::SYS_setuid, [0; 3], [TRAPPED; 3]),
        (libc::SYS_mlockall, [0; 3], [TRAPPED; 3]),
        (libc::SYS_seccomp, [0; 3], [TRAPPED; 3]),
        (999, [0; 3], [TRAPPED; 3]),
        (libc::SYS_adjtimex, [0; 3], [ALLOWED, refused(libc::EPERM), refused(libc::EPERM)]),
        (libc::SYS_clock_settime, [0; 3], [ALLOWED, refused(libc::EPERM), refused(libc::EPERM)]),
        (libc::SYS_clock_settime, [1, 0, 0], [TRAPPED, refused(libc::EPERM), refused(libc::EPERM)]),
        (libc::SYS_open, [0, 0, 0], [ALLOWED; 3]),
        (libc::SYS_open, [0, n(libc::O_WRONLY), 0], [ALLOWED, refused(libc::EACCES), refused(libc::EACCES)]),
        (libc::SYS_open, [0, append, 0], [ALLOWED; 3]),
        (
            libc::SYS_openat,
            [n(-1), 0, n(libc::O_RDWR)],
            [ALLOWED, refused(libc::EACCES), refused(libc::EACCES)],
        ),
        (
            libc::SYS_openat,
            [0, 0, append | n(libc::O_TRUNC)],
            [ALLOWED, refused(libc::EACCES), refused(libc::EACCES)],
        ),
        (libc::SYS_rename, [0; 3], [ALLOWED, TRAPPED, TRAPPED]),
        (libc::SYS_shmat, [0; 3], [ALLOWED, TRAPPED, TRAPPED]),
        (libc::SYS_accept4, [0; 3], [ALLOWED, TRAPPED, ALLOWED]),
        (libc::SYS_clone, [n(libc::CLONE_THREAD | libc::CLONE_VM), 0, 0], [ALLOWED, TRAPPED, TRAPPED]),
        (libc::SYS_clone, [n(libc::SIGCHLD), 0, 0], [TRAPPED; 3]),
        (libc::SYS_clone3, [0; 3], [refused(libc::ENOSYS); 3]),
        (libc::SYS_kill, [1, n(libc::SIGHUP), 0], [ALLOWED, TRAPPED, TRAPPED]),
        (libc::SYS_kill, [1, n(libc::SIGKILL), 0], [TRAPPED; 3]),
        (libc::SYS_socket, [n(libc::AF_INET6), 2, 0], [ALLOWED, ALLOWED, refused(libc::EAFNOSUPPORT)]),
        (libc::SYS_socket, [n(libc::AF_UNIX), 2, 0], [ALLOWED; 3]),
        (libc::SYS_socket, [n(libc::AF_PACKET), 2, 0], [refused(libc::EAFNOSUPPORT); 3]),
        (libc::SYS_mmap, [0, 4096, n(libc::PROT_READ | libc::PROT_WRITE)], [ALLOWED; 3]),
        (libc::SYS_mmap, [0, 4096, n(libc::PROT_READ | libc::PROT_EXEC)], [TRAPPED; 3]),
        (libc::SYS_mprotect, [0, 4096, n(libc::PROT_EXEC)], [TRAPPED; 3]),
        (libc::SYS_fcntl, [3, n(libc::F_GETFL), 0], [ALLOWED; 3]),
        (libc::SYS_fcntl, [3, n(libc::F_SETOWN), 0], [TRAPPED; 3]),
        (libc::SYS_ioctl, [3, libc::FIONBIO, 0], [ALLOWED; 3]),
        (libc::SYS_ioctl, [3, libc::PTP_SYS_OFFSET, 0], [ALLOWED, TRAPPED, TRAPPED]),
        (libc::SYS_ioctl, [3, libc::TIOCSTI, 0], [TRAPPED; 3]),
        (libc::SYS_prctl, [n(libc::PR_SET_NAME), 0, 0], [ALLOWED; 3]),
        (libc::SYS_prctl, [n(libc::PR_SET_DUMPABLE), 1, 0], [TRAPPED; 3]),
        (libc::SYS_prlimit64, [0, 7, 0], [ALLOWED; 3]),
        (libc::SYS_prlimit64, [0, 7, 1 << 32], [TRAPPED; 3]),
    ];
    let filters =
        [Process::Main, Process::Worker, Process::KeyExchange].map(|process| filter(process, Libc::Own));
    for (call, arguments, expected) in rows {
        let found = filters.each_ref().map(|filter| run(filter, *call as u32, *arguments));
        assert_eq!(found, *expected, "call {call} {arguments:x?}");
        // The second interface of 64-bit kernels has numbers of its own.
        assert_eq!(run(&filters[0], *call as u32 | X32, *arguments), TRAPPED);
    }
}

#[test]
fn where_the_c_library_is_the_machines_only_what_is_never_needed_is_forbidden() {
    let main = filter(Process::Main, Libc::Foreign);
    assert_eq!(run(&main, 999, [0; 3]), ALLOWED);
    assert_eq!(run(&main, libc::SYS_mmap as u32, [0, 0, libc::PROT_EXEC as u64]), ALLOWED, "name services");
    assert_eq!(run(&main, libc::SYS_open as u32, [0, libc::O_RDWR as u64, 0]), ALLOWED);
    for call in [libc::SYS_execve, libc::SYS_ptrace, libc::SYS_bpf, libc::SYS_setuid, libc::SYS_fork] {
        assert_eq!(run(&main, call as u32, [0; 3]), TRAPPED);
    }
    let worker = filter(Process::Worker, Libc::Foreign);
    assert_eq!(run(&worker, libc::SYS_adjtimex as u32, [0; 3]), refused(libc::EPERM));
    assert_eq!(run(&worker, libc::SYS_rename as u32, [0; 3]), ALLOWED);
}

#[test]
fn filters_are_within_the_kernels_bounds_and_name_no_call_twice() {
    const LONGEST: usize = 4096;
    for process in [Process::Main, Process::Worker, Process::KeyExchange] {
        for whose in [Libc::Own, Libc::Foreign] {
            assert!(filter(process, whose).len() < LONGEST);
            let mut times = BTreeMap::new();
            calls::rules(process, whose).for_each(|rule| *times.entry(rule.call).or_insert(0) += 1);
            // The own rules of a process come before those of all.
            let own = [libc::SYS_ioctl, libc::SYS_socket];
            times.retain(|call, times| *times > 1 && !own.contains(call));
            assert!(times.is_empty(), "{process:?}: {times:?}");
        }
    }
}

/// What the child of a test does under the filter of a static program's process.
const TASK: &str = "RSNTPD_TEST_SECCOMP";

/// Does nothing by itself: the next test runs it in a process of its own.
#[test]
fn child() {
    let Ok(task) = std::env::var(TASK) else { return };
    nix::sys::prctl::set_no_new_privs().unwrap();
    let action = if task == "log" { Action::Log } else { Action::Trap };
    install_list(Process::Main, action, Libc::Own).unwrap();
    // SAFETY: calls with numbers for arguments, and null where a pointer may be.
    let ended = unsafe {
        match task.as_str() {
            "never" | "log" => libc::syscall(libc::SYS_getpgid, 0, 0),
            "family" => {
                let result = libc::syscall(libc::SYS_socket, libc::AF_PACKET, 3, 0);
                c_long::from(result != -1 || Errno::last() != Errno::EAFNOSUPPORT)
            }
            _ => {
                libc::syscall(libc::SYS_clock_gettime, 0, std::ptr::null_mut::<c_void>());
                libc::syscall(libc::SYS_getpid).min(0)
            }
        }
    };
    let ended = if task == "log" { 0 } else { ended };
    // SAFETY: the process ends here.
    unsafe { libc::_exit(ended as c_int) };
}

fn status_of(task: &str) -> (ExitStatus, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sys::seccomp::tests::child", "--nocapture"])
        .env(TASK, task)
        .output()
        .unwrap();
    (output.status, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn the_kernel_traps_what_is_never_called_and_lets_the_rest_pass() {
    use std::os::unix::process::ExitStatusExt as _;
    let allowed = status_of("allowed");
    assert_eq!(allowed.0.code(), Some(0), "{allowed:?}");
    let family = status_of("family");
    assert_eq!(family.0.code(), Some(0), "{family:?}");
    let never = status_of("never");
    assert_eq!(never.0.signal(), Some(libc::SIGABRT), "{never:?}");
    let wanted = format!("system call {} (0x0, 0x0,", libc::SYS_getpgid);
    assert!(never.1.contains(&wanted), "{never:?}");
    let log = status_of("log");
    assert_eq!(log.0.code(), Some(0), "{log:?}");
}
