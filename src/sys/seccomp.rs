//! A filter of system calls, seccomp(2): what a process of ours never calls, no code that takes it over may call.
//!
//! The lists are in `calls`. A static program of musl is the one case in which a list of what is allowed stays right: no library of
//! the machine can change its calls. Where the C library and the name services are the machine's, a list of what is
//! never needed must do.

mod calls;

use self::calls::{Rule, Step, Test, Verdict};
use nix::errno::Errno;
use nix::libc::{self, c_int, c_void, sock_filter, sock_fprog};
use std::fmt::{self, Write as _};
use std::io;
use std::mem::{offset_of, zeroed};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// Set in the numbers of calls of the x32 interface.
const X32: u32 = 0x4000_0000;
/// `AUDIT_ARCH_X86_64`.
const ARCHITECTURE: u32 = 0xc000_003e;

/// Whose list counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Process {
    /// The one that keeps time.
    Main,
    /// A worker, which only answers.
    Worker,
    /// The key exchange of NTS.
    KeyExchange,
}

/// What happens at a call that is not allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Its number is written to the log, and the process aborts.
    Trap,
    /// The kernel logs it.
    Log,
}

/// Whose C library and name services the program runs with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Libc {
    /// Its own: a static program of musl. The list names what is allowed.
    Own,
    /// The machine's. The list names what is forbidden.
    Foreign,
}

impl Libc {
    /// This program's.
    pub const OF_PROGRAM: Self =
        if cfg!(all(target_env = "musl", target_feature = "crt-static")) { Self::Own } else { Self::Foreign };
}

/// Filters the calls of this process from now on: of this thread and all that it makes, and of those that there are.
/// `no_new_privs` must be set.
///
/// # Errors
/// Where the kernel has no filters (before 3.5), or cannot log (before 4.14); where the processor has no list of ours.
pub fn install(process: Process, action: Action) -> io::Result<()> {
    install_list(process, action, Libc::OF_PROGRAM)
}

fn install_list(process: Process, action: Action, whose: Libc) -> io::Result<()> {
    if !cfg!(target_arch = "x86_64") {
        return Err(io::Error::other("there is no list for this processor"));
    }
    let forbidden = match action {
        Action::Trap => {
            catch()?;
            libc::SECCOMP_RET_TRAP
        }
        Action::Log => {
            can_log()?;
            libc::SECCOMP_RET_LOG
        }
    };
    put(&program(calls::rules(process, whose), calls::others(whose), forbidden))
}

fn put(program: &[sock_filter]) -> io::Result<()> {
    let value = sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // Without the second flag kernels of 4.17 to 5.15 slow the whole process down.
    let all = libc::SECCOMP_FILTER_FLAG_TSYNC;
    for flags in [all | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW, all] {
        // SAFETY: the kernel copies the program, of which pointer and length are right, during the call.
        let result = unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const value)
        };
        if result == 0 {
            return Ok(());
        }
    }
    // Before 3.17.
    // SAFETY: as above.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const value) };
    Ok(Errno::result(result).map(drop)?)
}

/// Whether the kernel knows the action: one that it does not know kills.
fn can_log() -> io::Result<()> {
    let action = libc::SECCOMP_RET_LOG;
    // SAFETY: the kernel reads one number.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) };
    Ok(Errno::result(result).map(drop)?)
}

/// The bytes of the kernel's `struct seccomp_data`.
#[repr(C)]
struct Data {
    number: c_int,
    architecture: u32,
    instruction: u64,
    arguments: [u64; 6],
}

const fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

const fn jump(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: (libc::BPF_JMP | code | libc::BPF_K) as u16, jt, jf, k }
}

const fn load(at: usize) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at as u32)
}

const fn verdict(verdict: Verdict, forbidden: u32) -> sock_filter {
    let value = match verdict {
        Verdict::Allow => libc::SECCOMP_RET_ALLOW,
        Verdict::Refuse(errno) => libc::SECCOMP_RET_ERRNO | errno as u32,
        Verdict::Forbid => forbidden,
    };
    statement(libc::BPF_RET | libc::BPF_K, value)
}

/// The rules one behind the other, each by two instructions where it says nothing of arguments.
fn program(rules: impl Iterator<Item = Rule>, others: Verdict, forbidden: u32) -> Vec<sock_filter> {
    let mut all = vec![
        load(offset_of!(Data, architecture)),
        jump(libc::BPF_JEQ, ARCHITECTURE, 1, 0),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_KILL_PROCESS),
        load(offset_of!(Data, number)),
        jump(libc::BPF_JSET, X32, 0, 1),
        verdict(Verdict::Forbid, forbidden),
    ];
    for rule in rules {
        let mut body = Vec::new();
        for step in rule.steps {
            match *step {
                Step::Low(argument) => body.push(load(offset_of!(Data, arguments) + 8 * argument)),
                Step::High(argument) => body.push(load(offset_of!(Data, arguments) + 8 * argument + 4)),
                Step::If(test, value, then) => {
                    body.push(match test {
                        Test::Is => jump(libc::BPF_JEQ, value, 0, 1),
                        Test::IsNot => jump(libc::BPF_JEQ, value, 1, 0),
                        Test::HasAny => jump(libc::BPF_JSET, value, 0, 1),
                    });
                    body.push(verdict(then, forbidden));
                }
            }
        }
        // The rules behind compare the number again.
        body.push(rule.otherwise.map_or(load(offset_of!(Data, number)), |end| verdict(end, forbidden)));
        debug_assert!(u8::try_from(body.len()).is_ok(), "a rule can be jumped over: {rule:?}");
        all.push(jump(libc::BPF_JEQ, rule.call as u32, 0, body.len() as u8));
        all.extend(body);
    }
    all.push(verdict(others, forbidden));
    all
}

/// Where the handler writes besides standard error; none: -1.
static LOG: AtomicI32 = AtomicI32::new(-1);
/// Whether that is a connection to syslog.
static IS_SYSLOG: AtomicBool = AtomicBool::new(false);

/// Where a process that aborts writes why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LastWords {
    /// An open file.
    File(RawFd),
    /// A connection to syslog.
    Syslog(RawFd),
}

/// The log is there now; it is written to besides standard error.
pub fn log_to(log: Option<LastWords>) {
    let (fd, is_syslog) = match log {
        None => (-1, false),
        Some(LastWords::File(fd)) => (fd, false),
        Some(LastWords::Syslog(fd)) => (fd, true),
    };
    LOG.store(fd, Ordering::Relaxed);
    IS_SYSLOG.store(is_syslog, Ordering::Relaxed);
}

/// What comes with SIGSYS.
#[repr(C)]
struct Trapped {
    signal: c_int,
    errno: c_int,
    code: c_int,
    instruction: usize,
    call: c_int,
    architecture: u32,
}

/// The signal belongs to the thread that made the call, whatever it blocks otherwise.
fn catch() -> io::Result<()> {
    // SAFETY: any bits are valid; what counts is set below, and the handler does only what a handler may.
    let result = unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = trapped as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut())
    };
    Ok(Errno::result(result).map(drop)?)
}

extern "C" fn trapped(_signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel has put both there for this signal. write, getpid and abort may be called in a handler.
    unsafe {
        let (call, arguments) = ((*info.cast::<Trapped>()).call, arguments(context));
        let mut line = Line::default();
        let [first, second, third] = arguments;
        let _room = writeln!(
            line,
            "<27>rsntpd[{}]: system call {call} ({first:#x}, {second:#x}, {third:#x}) is not one of ours: aborting, see `seccomp' in rsntp.conf(5)",
            libc::getpid()
        );
        let priority = b"<27>".len();
        let (text, log) = (&line.text[..line.length], LOG.load(Ordering::Relaxed));
        let from = if IS_SYSLOG.load(Ordering::Relaxed) { 0 } else { priority };
        for (fd, from) in [(libc::STDERR_FILENO, priority), (log, from)] {
            let _lost = libc::write(fd, text[from..].as_ptr().cast(), text.len() - from);
        }
        libc::abort();
    }
}

/// The first three arguments of the call, as far as an int holds them: addresses stay ours.
#[cfg(target_arch = "x86_64")]
unsafe fn arguments(context: *mut c_void) -> [u32; 3] {
    // SAFETY: the caller's promise.
    let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX].map(|register| registers[register as usize] as u32)
}

#[cfg(not(target_arch = "x86_64"))]
unsafe fn arguments(_context: *mut c_void) -> [u32; 3] {
    [0; 3]
}

/// Text without an allocation.
struct Line {
    text: [u8; 256],
    length: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self { text: [0; 256], length: 0 }
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = self.text.len() - self.length;
        let taken = more.len().min(room);
        self.text[self.length..self.length + taken].copy_from_slice(&more.as_bytes()[..taken]);
        self.length += taken;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
