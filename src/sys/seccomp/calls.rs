//! The lists: what a process of ours calls, and what no process of an NTP daemon ever does.
//!
//! Who adds a call to a list says in the commit what makes it. A call that lacks aborts the daemon in the test that makes it
//! (tests/system/world, `verdict` of `lib.sh`).

use super::{Libc, Process};
use crate::sys::pps;
use nix::libc::{self, c_int, c_long};

/// What becomes of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Allow,
    /// It fails with this error: what is expected, and the caller knows what to do then.
    Refuse(c_int),
    Forbid,
}
use Verdict::{Allow, Forbid, Refuse};

/// How the word is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Test {
    Is,
    IsNot,
    /// It has any of these bits.
    HasAny,
}
use Test::{HasAny, Is, IsNot};

/// One look at the arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// The low half of an argument is looked at: all that the kernel takes of an int.
    Low(usize),
    High(usize),
    If(Test, u32, Verdict),
}
use Step::{High, If, Low};

/// A call and what becomes of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) call: c_long,
    pub(super) steps: &'static [Step],
    /// `None`: the next rule of the call decides.
    pub(super) otherwise: Option<Verdict>,
}

const fn rule(call: c_long, steps: &'static [Step], otherwise: Verdict) -> Rule {
    Rule { call, steps, otherwise: Some(otherwise) }
}

/// Cases of a call beside those that a rule for all processes has.
const fn also(call: c_long, steps: &'static [Step]) -> Rule {
    Rule { call, steps, otherwise: None }
}

/// Calls that every process of ours makes, with any arguments. The first ones are those that packets make.
const EVERYWHERE: &[c_long] = &[
    libc::SYS_recvmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmsg,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_wait,
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_time,
    libc::SYS_timerfd_settime,
    libc::SYS_futex,
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_epoll_ctl,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    // Waiting and time.
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_restart_syscall,
    libc::SYS_sched_yield,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_gettime,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_create,
    libc::SYS_eventfd2,
    // Memory.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    // Files that are read, and what is open.
    libc::SYS_close,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_access,
    libc::SYS_faccessat,
    libc::SYS_readlink,
    libc::SYS_readlinkat,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_getrandom,
    libc::SYS_fadvise64,
    // Sockets: which families there are, socket() decides.
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    // Signals, threads and the end.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigpending,
    libc::SYS_sigaltstack,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getppid,
    libc::SYS_set_tid_address,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_membarrier,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Who and where we are.
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getcpu,
    libc::SYS_getrlimit,
    libc::SYS_getrusage,
    libc::SYS_sched_getaffinity,
];

/// Calls of the process that keeps time.
const MAIN: &[c_long] = &[
    // The clock. Where the vDSO is no use, it is read by calls as well, above.
    libc::SYS_adjtimex,
    libc::SYS_settimeofday,
    // The drift file, statistics, cookies, sockets of reference clocks.
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    libc::SYS_link,
    libc::SYS_linkat,
    libc::SYS_ftruncate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_umask,
    libc::SYS_chmod,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    // The thread that reads a hardware clock wakes the loop by a pipe.
    libc::SYS_pipe2,
    // `--reload` asks by a socket.
    libc::SYS_accept,
    libc::SYS_accept4,
    // Reference clocks in shared memory.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmdt,
    libc::SYS_shmctl,
    // Workers and the key exchange, when they end.
    libc::SYS_wait4,
];

/// Calls of the process that exchanges keys.
const KEY_EXCHANGE: &[c_long] = &[libc::SYS_accept, libc::SYS_accept4];

const SOCKETS: Rule = rule(
    libc::SYS_socket,
    &[
        Low(0),
        If(Is, libc::AF_INET as u32, Allow),
        If(Is, libc::AF_INET6 as u32, Allow),
        If(Is, libc::AF_UNIX as u32, Allow),
        If(Is, libc::AF_NETLINK as u32, Allow),
    ],
    Refuse(libc::EAFNOSUPPORT),
);

/// Calls that every process of ours makes in some ways and not in others.
const EVERYWHERE_SO: &[Rule] = &[
    rule(libc::SYS_mmap, &[Low(2), If(HasAny, libc::PROT_EXEC as u32, Forbid)], Allow),
    rule(libc::SYS_mprotect, &[Low(2), If(HasAny, libc::PROT_EXEC as u32, Forbid)], Allow),
    rule(
        libc::SYS_fcntl,
        &[
            Low(1),
            If(Is, libc::F_GETFL as u32, Allow),
            If(Is, libc::F_SETFL as u32, Allow),
            If(Is, libc::F_GETFD as u32, Allow),
            If(Is, libc::F_SETFD as u32, Allow),
            If(Is, libc::F_DUPFD_CLOEXEC as u32, Allow),
        ],
        Forbid,
    ),
    // What std, mio and the C library ask of sockets and of standard error.
    rule(
        libc::SYS_ioctl,
        &[
            Low(1),
            If(Is, libc::FIONBIO as u32, Allow),
            If(Is, libc::FIONREAD as u32, Allow),
            If(Is, libc::FIOCLEX as u32, Allow),
            If(Is, libc::TCGETS as u32, Allow),
            If(Is, libc::TIOCGWINSZ as u32, Allow),
            If(Is, SIOCGIFNAME, Allow),
            If(Is, SIOCGIFINDEX, Allow),
            If(Is, SIOCGIFFLAGS, Allow),
        ],
        Forbid,
    ),
    rule(libc::SYS_socketpair, &[Low(0), If(Is, libc::AF_UNIX as u32, Allow)], Forbid),
    // Only asked.
    rule(libc::SYS_prlimit64, &[Low(2), If(IsNot, 0, Forbid), High(2), If(IsNot, 0, Forbid)], Allow),
    rule(libc::SYS_prctl, &[Low(0), If(Is, libc::PR_SET_NAME as u32, Allow)], Forbid),
    CLONE3,
];

const SIOCGIFNAME: u32 = 0x8910;
const SIOCGIFFLAGS: u32 = 0x8913;
const SIOCGIFINDEX: u32 = 0x8933;

/// The C library then makes the thread by clone, whose flags can be looked at.
const CLONE3: Rule = rule(libc::SYS_clone3, &[], Refuse(libc::ENOSYS));
const THREADS: Rule = rule(libc::SYS_clone, &[Low(0), If(HasAny, libc::CLONE_THREAD as u32, Allow)], Forbid);

/// The same of the process that keeps time. It comes before the others.
const MAIN_SO: &[Rule] = &[
    rule(libc::SYS_open, &[], Allow),
    rule(libc::SYS_openat, &[], Allow),
    SOCKETS,
    rule(libc::SYS_clock_adjtime, &[Low(0), If(Is, libc::CLOCK_REALTIME as u32, Allow)], Forbid),
    rule(libc::SYS_clock_settime, &[Low(0), If(Is, libc::CLOCK_REALTIME as u32, Allow)], Forbid),
    THREADS,
    // To the other processes of ours.
    rule(
        libc::SYS_kill,
        &[Low(1), If(Is, libc::SIGTERM as u32, Allow), If(Is, libc::SIGHUP as u32, Allow)],
        Forbid,
    ),
    // Reference clocks: serial lines, pulses, hardware clocks.
    also(
        libc::SYS_ioctl,
        &[
            Low(1),
            If(Is, libc::TCSETS as u32, Allow),
            If(Is, libc::TCFLSH as u32, Allow),
            If(Is, libc::TIOCSETD as u32, Allow),
            If(Is, pps::GETPARAMS as u32, Allow),
            If(Is, pps::SETPARAMS as u32, Allow),
            If(Is, pps::GETCAP as u32, Allow),
            If(Is, pps::FETCH as u32, Allow),
            If(Is, libc::SIOCETHTOOL as u32, Allow),
            If(Is, libc::PTP_CLOCK_GETCAPS as u32, Allow),
            If(Is, libc::PTP_SYS_OFFSET as u32, Allow),
            If(Is, libc::PTP_SYS_OFFSET_PRECISE as u32, Allow),
            If(Is, libc::PTP_SYS_OFFSET_EXTENDED as u32, Allow),
        ],
    ),
];

/// Files are read, and the log is added to; `open` and `openat` have their flags in different places.
const fn reading(flags: usize) -> [Step; 4] {
    let creating = (libc::O_ACCMODE | libc::O_CREAT) as u32;
    [
        Low(flags),
        If(HasAny, libc::O_TRUNC as u32, Refuse(libc::EACCES)),
        If(HasAny, libc::O_APPEND as u32, Allow),
        If(HasAny, creating, Refuse(libc::EACCES)),
    ]
}

/// What processes that do not keep time fail to do; a request that asks for it is none of theirs, and ends none of them.
const NOT_MAIN_SO: &[Rule] = &[
    rule(libc::SYS_open, &reading(1), Allow),
    rule(libc::SYS_openat, &reading(2), Allow),
    rule(libc::SYS_adjtimex, &[], Refuse(libc::EPERM)),
    rule(libc::SYS_clock_adjtime, &[], Refuse(libc::EPERM)),
    rule(libc::SYS_clock_settime, &[], Refuse(libc::EPERM)),
    rule(libc::SYS_settimeofday, &[], Refuse(libc::EPERM)),
];

const WORKER_SO: &[Rule] = &[SOCKETS];

/// It calls no other machine.
const KEY_EXCHANGE_SO: &[Rule] =
    &[rule(libc::SYS_socket, &[Low(0), If(Is, libc::AF_UNIX as u32, Allow)], Refuse(libc::EAFNOSUPPORT))];

/// Calls that no NTP daemon makes, whatever C library and name services it runs with.
const NEVER: &[c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_setup,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_personality,
    libc::SYS_modify_ldt,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_mknod,
    libc::SYS_mknodat,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
];

/// The same, as far as arguments are looked at.
const NEVER_SO: &[Rule] = &[SOCKETS, THREADS, CLONE3];

/// The rules of a process; the first of a call counts.
pub(super) fn rules(process: Process, whose: Libc) -> impl Iterator<Item = Rule> {
    let (calls, own): (&[c_long], [&[Rule]; 2]) = match process {
        Process::Main => (MAIN, [MAIN_SO, &[]]),
        Process::Worker => (&[], [NOT_MAIN_SO, WORKER_SO]),
        Process::KeyExchange => (KEY_EXCHANGE, [NOT_MAIN_SO, KEY_EXCHANGE_SO]),
    };
    let (allowed, own, general, never): ([&[c_long]; 2], _, &[Rule], &[c_long]) = match (whose, process) {
        (Libc::Own, _) => ([EVERYWHERE, calls], own, EVERYWHERE_SO, &[]),
        // Its own rules are of things that are allowed.
        (Libc::Foreign, Process::Main) => ([&[]; 2], [&[] as &[Rule]; 2], NEVER_SO, NEVER),
        (Libc::Foreign, _) => ([&[]; 2], own, NEVER_SO, NEVER),
    };
    let plain = |calls: &'static [c_long], verdict| calls.iter().map(move |call| rule(*call, &[], verdict));
    let looked_at = own.into_iter().chain([general]).flatten().copied();
    allowed
        .into_iter()
        .flat_map(move |calls| plain(calls, Allow))
        .chain(looked_at)
        .chain(plain(never, Forbid))
}

/// What becomes of calls without a rule.
pub(super) const fn others(whose: Libc) -> Verdict {
    match whose {
        Libc::Own => Forbid,
        Libc::Foreign => Allow,
    }
}
