//! Giving up root, keeping only what adjusts the clock and binds port 123; priority and memory.

use super::capabilities::{self, Capability};
use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Group, Uid, User, chdir, chroot, getgrouplist, setgid, setgroups, setuid};
use std::ffi::{CString, NulError};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::fchown;
use std::path::{Path, PathBuf};

/// What the process that disciplines the clock keeps when it gives up root.
const KEPT: [Capability; 2] = [Capability::SYS_TIME, Capability::NET_BIND_SERVICE];

/// The user, group and supplementary groups to change to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

/// Why there is no such account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AccountError {
    /// No user has this name or number.
    NoUser(String),
    /// No group has this name.
    NoGroup(String),
    /// The list of users cannot be read.
    UserLookup(String, Errno),
    /// The list of groups cannot be read.
    GroupLookup(String, Errno),
    /// The user's supplementary groups cannot be listed.
    Groups(String, Errno),
    /// The name holds a zero byte.
    Name(NulError),
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUser(user) => write!(f, "cannot find user `{user}'"),
            Self::NoGroup(group) => write!(f, "cannot find group `{group}'"),
            Self::UserLookup(user, why) => write!(f, "cannot look up user `{user}': {why}"),
            Self::GroupLookup(group, why) => write!(f, "cannot look up group `{group}': {why}"),
            Self::Groups(user, why) => write!(f, "cannot list the groups of `{user}': {why}"),
            Self::Name(why) => write!(f, "{why}"),
        }
    }
}

impl Account {
    /// Looks up `USER` or `USER:GROUP`, names or numbers, with the user's supplementary groups.
    ///
    /// # Errors
    /// [`AccountError`] where there is no such user or group.
    pub fn find(spec: &str) -> Result<Self, AccountError> {
        let (user, group) = match spec.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (spec, None),
        };
        let group = group.filter(|g| !g.is_empty()).map(find_group).transpose()?;
        let Some(entry) = find_user(user)? else {
            // A number without an entry names the user by itself, but no group.
            return match (user.parse(), group) {
                (Ok(uid), Some(gid)) => Ok(Self { uid: Uid::from_raw(uid), gid, groups: vec![gid] }),
                _ => Err(AccountError::NoUser(user.to_owned())),
            };
        };
        let gid = group.unwrap_or(entry.gid);
        let name = CString::new(entry.name).map_err(AccountError::Name)?;
        let groups = getgrouplist(&name, gid).map_err(|why| AccountError::Groups(user.to_owned(), why))?;
        Ok(Self { uid: entry.uid, gid, groups })
    }
}

impl Account {
    /// The user's number.
    #[must_use]
    pub const fn uid(&self) -> u32 {
        self.uid.as_raw()
    }

    /// Whether the account may make and replace files in a directory with this owner, group and mode.
    #[must_use]
    pub fn may_change(&self, owner: u32, group: u32, mode: u32) -> bool {
        const WRITE_AND_ENTER: u32 = 0o3;
        let uid = self.uid.as_raw();
        let member = self.gid.as_raw() == group || self.groups.iter().any(|gid| gid.as_raw() == group);
        // As the kernel does: the first class that fits counts, and no other.
        let class = if uid == owner {
            mode >> 6
        } else if member {
            mode >> 3
        } else {
            mode
        };
        uid == 0 || class & WRITE_AND_ENTER == WRITE_AND_ENTER
    }

    /// Makes an open file the account's.
    ///
    /// # Errors
    /// Of fchown.
    pub fn give(&self, file: &File) -> io::Result<()> {
        fchown(file, Some(self.uid.as_raw()), Some(self.gid.as_raw()))
    }
}

fn find_user(user: &str) -> Result<Option<User>, AccountError> {
    let found = match user.parse() {
        Ok(uid) => User::from_uid(Uid::from_raw(uid)),
        Err(_) => User::from_name(user),
    };
    found.or_else(without_file).map_err(|why| AccountError::UserLookup(user.to_owned(), why))
}

/// Where there is no /etc/passwd or /etc/group there is no such entry, which is no failure:
/// a number needs none.
fn without_file<T>(error: Errno) -> Result<Option<T>, Errno> {
    if error == Errno::ENOENT { Ok(None) } else { Err(error) }
}

fn find_group(group: &str) -> Result<Gid, AccountError> {
    if let Ok(gid) = group.parse() {
        return Ok(Gid::from_raw(gid));
    }
    match Group::from_name(group).or_else(without_file) {
        Ok(Some(entry)) => Ok(entry.gid),
        Ok(None) => Err(AccountError::NoGroup(group.to_owned())),
        Err(why) => Err(AccountError::GroupLookup(group.to_owned(), why)),
    }
}

/// The effective user id of this process.
#[must_use]
pub fn effective_uid() -> u32 {
    Uid::effective().as_raw()
}

/// Whether this process, which is not root's, has what makes it of use as a daemon: the right to set the clock or to bind port 123.
#[must_use]
pub fn may_do_its_duty() -> bool {
    capabilities::has_any(&KEPT).unwrap_or(false)
}

/// What a process is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Duty {
    /// It disciplines the clock, and binds port 123 of addresses that appear later.
    Clock,
    /// It replies on the sockets that it has.
    Answers,
}

/// A step of giving up root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// chdir to the new root directory.
    EnterRoot,
    /// PR_SET_KEEPCAPS.
    KeepCapabilities,
    /// The supplementary groups.
    SetGroups,
    /// setgid.
    SetGroup,
    /// setuid.
    SetUser,
    /// PR_SET_KEEPCAPS off again.
    StopKeeping,
    /// Capabilities but those that are kept.
    LimitCapabilities,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EnterRoot => "enter the new root directory",
            Self::KeepCapabilities => "keep capabilities",
            Self::SetGroups => "set the supplementary groups",
            Self::SetGroup => "set the group",
            Self::SetUser => "set the user",
            Self::StopKeeping => "stop keeping capabilities",
            Self::LimitCapabilities => "limit the capabilities",
        })
    }
}

/// Which step of giving up root failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DropError {
    /// The new root directory cannot be had.
    Chroot(PathBuf, Errno),
    /// Another step failed.
    Step(Step, Errno),
}

impl fmt::Display for DropError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chroot(root, why) => write!(f, "cannot chroot to `{}': {why}", root.display()),
            Self::Step(step, why) => write!(f, "cannot {step}: {why}"),
        }
    }
}

/// Changes root directory, where one is given, becomes `account`, where one is given, and keeps no
/// capability but those that its duty needs, for the clock and for port 123 — of these what the
/// process has: where CAP_SYS_TIME is withheld (a container), the rest goes on. No later program
/// can gain any.
///
/// Capabilities belong to a thread: call this before any other thread runs.
///
/// # Errors
/// Which step failed; nothing was kept back by then that root would need.
pub fn drop_root(duty: Duty, account: Option<&Account>, root: Option<&Path>) -> Result<(), DropError> {
    let failed = |step: Step| move |why: Errno| DropError::Step(step, why);
    if let Some(root) = root {
        chroot(root).map_err(|why| DropError::Chroot(root.to_owned(), why))?;
        chdir("/").map_err(failed(Step::EnterRoot))?;
    }
    // For kernels before 3.5, which have no other way to rule out that a program gains capabilities.
    capabilities::empty_bounding_set();
    if let Some(account) = account {
        prctl::set_keepcaps(true).map_err(failed(Step::KeepCapabilities))?;
        setgroups(&account.groups).map_err(failed(Step::SetGroups))?;
        setgid(account.gid).map_err(failed(Step::SetGroup))?;
        setuid(account.uid).map_err(failed(Step::SetUser))?;
        prctl::set_keepcaps(false).map_err(failed(Step::StopKeeping))?;
    }
    let kept: &[Capability] = if duty == Duty::Clock { &KEPT } else { &[] };
    capabilities::keep_only(kept).map_err(failed(Step::LimitCapabilities))?;
    // Kernels before 3.5 have no such switch; there the limited capabilities must do.
    let _unsupported = prctl::set_no_new_privs();
    Ok(())
}

/// Keeps what is in memory, keys among it, from core files and from other processes of the same user. Call it after the last
/// change of user.
///
/// # Errors
/// What the kernel says.
pub fn keep_memory_private() -> io::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    Ok(prctl::set_dumpable(false)?)
}

/// No memory becomes code from now on, where the kernel can see to that (6.3).
#[allow(unsafe_code)]
pub fn refuse_new_code() {
    const SET_MDWE: libc::c_int = 65;
    const REFUSE_EXEC_GAIN: libc::c_ulong = 1;
    let none: libc::c_ulong = 0;
    // SAFETY: numbers only.
    let _unsupported = unsafe { libc::prctl(SET_MDWE, REFUSE_EXEC_GAIN, none, none, none) };
}

/// Runs the process under SCHED_FIFO at `priority`, limited to the kernel's range; `None`: the
/// highest.
///
/// # Errors
/// What the kernel says: `PermissionDenied` without CAP_SYS_NICE.
#[allow(unsafe_code)]
pub fn set_real_time(priority: Option<i32>) -> io::Result<()> {
    // SAFETY: both calls take a number and return one.
    let (low, high) = unsafe {
        (libc::sched_get_priority_min(libc::SCHED_FIFO), libc::sched_get_priority_max(libc::SCHED_FIFO))
    };
    // The kernel's sched_param is this one integer. musl's own wrapper always fails (it cannot
    // give POSIX process semantics), so the system call is made directly.
    let wanted: libc::c_int = priority.unwrap_or(high).clamp(low, high.max(low));
    // SAFETY: process 0 is ourselves; the pointer is to a live integer, which is only read.
    let result =
        unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, libc::SCHED_FIFO, &raw const wanted) };
    Errno::result(result)?;
    Ok(())
}

/// Gives up what [`set_real_time`] gave.
#[allow(unsafe_code)]
pub fn set_ordinary() {
    let none: libc::c_int = 0;
    // SAFETY: as above.
    let _was_ordinary =
        unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, libc::SCHED_OTHER, &raw const none) };
}

/// Lets short sleeps of this thread end on time, not up to 50 µs later.
pub fn set_sharp_timers() {
    // Where the kernel refuses, sleeps are a little longer: nothing depends on it.
    let _as_before = nix::sys::prctl::set_timerslack(1000);
}

/// Lets the process open as many files as it may; returns how many.
///
/// # Errors
/// Of getrlimit; where the limit cannot be raised, the one that there is counts.
pub fn raise_open_files() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let raised = soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
    Ok(if raised { hard } else { soft })
}

/// Keeps the process, as it is and as it grows, out of swap.
///
/// # Errors
/// What the kernel says: without root there is little memory one may lock.
pub fn lock_memory() -> io::Result<()> {
    // What is allocated after root is given up counts against this limit.
    setrlimit(Resource::RLIMIT_MEMLOCK, libc::RLIM_INFINITY, libc::RLIM_INFINITY)?;
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_by_name_and_number() {
        let root = Account::find("root").unwrap();
        assert_eq!((root.uid, root.gid), (Uid::from_raw(0), Gid::from_raw(0)));
        assert_eq!(Account::find("0:0").unwrap(), root);
        assert_eq!(Account::find("root:").unwrap(), root);
        let numbers = Account::find("54321:54322").unwrap();
        assert_eq!((numbers.uid.as_raw(), numbers.gid.as_raw()), (54321, 54322));
        assert_eq!(numbers.groups, [Gid::from_raw(54322)]);
    }

    #[test]
    fn unknown_accounts_are_named() {
        assert!(Account::find("no-such-user").unwrap_err().to_string().contains("no-such-user"));
        assert!(Account::find("root:no-such-group").unwrap_err().to_string().contains("no-such-group"));
        assert!(Account::find("54321").unwrap_err().to_string().contains("54321"));
        assert!(Account::find("").is_err());
    }
}
