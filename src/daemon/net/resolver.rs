//! Names to addresses, off the loop: a few threads that are started only when there is a name.
//!
//! The threads are made after the daemon has dropped its privileges and so never have any. The
//! system's resolver is asked, with all that nsswitch and `/etc/hosts` say; in a jail it needs
//! `etc/resolv.conf` (and what else it reads) there.

use crate::config::model::Family;
use crate::engine::contract::{LookupError, LookupId};
use crate::sys::signals;
use crate::units::{Host, NTP_PORT};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::ToSocketAddrs;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Most lookups at a time: as many names may hang before another has to wait.
const THREADS: usize = 4;
/// Most lookups that wait; more are refused, and the engine asks again later.
const QUEUE_MAX: usize = 256;
/// Most addresses of a name that are kept, so that no DNS answer can fill the memory.
pub const ADDRESSES_MAX: usize = 32;

/// How a lookup ends.
pub type Answer = Result<Vec<Host>, LookupError>;

type Lookup = dyn Fn(&str) -> io::Result<Vec<Host>> + Send + Sync;
type Wake = dyn Fn() + Send;

/// The worker threads and what they share with the loop.
pub struct Resolver {
    shared: Arc<Shared>,
    started: usize,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("threads", &self.started).finish_non_exhaustive()
    }
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
    lookup: Box<Lookup>,
}

struct State {
    waiting: VecDeque<(LookupId, String, Family)>,
    /// Threads with nothing to do.
    idle: usize,
    answers: VecDeque<(LookupId, Answer)>,
    closed: bool,
    wake: Box<Wake>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the queues whole: each change is one call.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver {
    /// A resolver without threads yet. `wake` is called, from another thread, when [`Resolver::poll`] has an
    /// answer; it must not block.
    #[must_use]
    pub fn start(wake: Box<dyn Fn() + Send>) -> Self {
        Self::with_lookup(wake, Box::new(system_lookup))
    }

    fn with_lookup(wake: Box<Wake>, lookup: Box<Lookup>) -> Self {
        let state =
            State { waiting: VecDeque::new(), idle: 0, answers: VecDeque::new(), closed: false, wake };
        Self {
            shared: Arc::new(Shared { state: Mutex::new(state), work: Condvar::new(), lookup }),
            started: 0,
        }
    }

    /// Asks for the addresses of `name`. Returns at once; every request gets exactly one answer.
    pub fn request(&mut self, id: LookupId, name: String, family: Family) {
        let mut state = self.shared.lock();
        if state.waiting.len() >= QUEUE_MAX {
            refuse(&mut state, id, "too many names are being looked up");
            return;
        }
        state.waiting.push_back((id, name, family));
        let another_is_needed = state.waiting.len() > state.idle && self.started < THREADS;
        drop(state);
        if another_is_needed && self.add_thread().is_ok() {
            self.started += 1;
        } else if self.started == 0 {
            let mut state = self.shared.lock();
            state.waiting.retain(|(waiting, ..)| *waiting != id);
            refuse(&mut state, id, "no thread can be started for lookups");
        }
        self.shared.work.notify_one();
    }

    /// The next answer, if there is one: addresses in the resolver's order, without repeats, of the family
    /// asked for, at least one and at most [`ADDRESSES_MAX`].
    pub fn poll(&mut self) -> Option<(LookupId, Answer)> {
        self.shared.lock().answers.pop_front()
    }

    fn add_thread(&self) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        thread::Builder::new().name("lookup".to_owned()).spawn(move || work(&shared)).map(drop)
    }
}

impl Drop for Resolver {
    /// Idle threads end; one that hangs in a lookup is left to the end of the process.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
    }
}

fn refuse(state: &mut State, id: LookupId, why: &str) {
    state.answers.push_back((id, Err(LookupError { text: why.to_owned() })));
    (state.wake)();
}

fn work(shared: &Shared) {
    signals::leave_to_the_loop();
    loop {
        let mut state = shared.lock();
        state.idle += 1;
        while state.waiting.is_empty() && !state.closed {
            state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.idle -= 1;
        if state.closed {
            return;
        }
        let Some((id, name, family)) = state.waiting.pop_front() else { continue };
        drop(state);
        let answer = tidy((shared.lookup)(&name), family);
        let mut state = shared.lock();
        state.answers.push_back((id, answer));
        (state.wake)();
    }
}

fn system_lookup(name: &str) -> io::Result<Vec<Host>> {
    Ok((name, NTP_PORT).to_socket_addrs()?.map(Host::from).collect())
}

/// Of the family asked for, each once, not too many; an empty answer is an error.
fn tidy(found: io::Result<Vec<Host>>, family: Family) -> Answer {
    let found = found.map_err(|why| {
        let text = why.to_string();
        // Rust's preface says nothing that the log line does not.
        let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
        LookupError { text: text.to_owned() }
    })?;
    let mut kept: Vec<Host> = Vec::new();
    for address in found.into_iter().filter(|address| family.admits(address.ip)) {
        if kept.len() < ADDRESSES_MAX && !kept.contains(&address) {
            kept.push(address);
        }
    }
    if kept.is_empty() {
        let text = match family {
            Family::Any => "it has no address",
            Family::V4 => "it has no IPv4 address",
            Family::V6 => "it has no IPv6 address",
        };
        return Err(LookupError { text: text.to_owned() });
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    fn localhost() -> Host {
        IpAddr::V4(Ipv4Addr::LOCALHOST).into()
    }

    fn started(lookup: Box<Lookup>) -> (Resolver, Receiver<()>) {
        let (sender, receiver) = channel();
        let wake = Box::new(move || {
            let _ = sender.send(());
        });
        (Resolver::with_lookup(wake, lookup), receiver)
    }

    fn next(resolver: &mut Resolver, woken: &Receiver<()>) -> (LookupId, Answer) {
        woken.recv_timeout(Duration::from_secs(10)).unwrap();
        resolver.poll().unwrap()
    }

    #[test]
    fn no_name_no_thread() {
        let (resolver, _woken) = started(Box::new(system_lookup));
        assert_eq!(resolver.started, 0);
    }

    #[test]
    fn the_system_is_asked() {
        let (mut resolver, woken) = started(Box::new(system_lookup));
        resolver.request(LookupId(1), "127.0.0.1".to_owned(), Family::Any);
        assert_eq!(next(&mut resolver, &woken), (LookupId(1), Ok(vec![localhost()])));
        resolver.request(LookupId(2), "a\0b".to_owned(), Family::Any);
        assert!(next(&mut resolver, &woken).1.is_err());
        assert_eq!(resolver.poll(), None);
    }

    #[test]
    fn a_hanging_name_delays_no_other() {
        let (release, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let (mut resolver, woken) = started(Box::new(move |name| {
            if name == "hangs" {
                let _ = gate.lock().unwrap().recv();
            }
            Ok(vec![localhost()])
        }));
        resolver.request(LookupId(1), "hangs".to_owned(), Family::Any);
        for n in 2..20 {
            resolver.request(LookupId(n), "quick".to_owned(), Family::Any);
        }
        let mut ids: Vec<_> = (2..20).map(|_| next(&mut resolver, &woken).0.0).collect();
        ids.sort_unstable();
        assert_eq!(ids, (2..20).collect::<Vec<_>>());
        assert!(resolver.started <= THREADS);
        release.send(()).unwrap();
        assert_eq!(next(&mut resolver, &woken).0, LookupId(1));
    }

    #[test]
    fn the_queue_is_bounded_and_every_request_is_answered() {
        let (release, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let (mut resolver, woken) = started(Box::new(move |_| {
            let _ = gate.lock().unwrap().recv();
            Ok(vec![localhost()])
        }));
        let total = QUEUE_MAX as u64 + 100;
        for n in 0..total {
            resolver.request(LookupId(n), "x".to_owned(), Family::Any);
        }
        drop(release);
        let answers: Vec<_> = (0..total).map(|_| next(&mut resolver, &woken)).collect();
        let refused = answers.iter().filter(|(_, answer)| answer.is_err()).count();
        assert!((96..=100).contains(&refused), "{refused}");
        let ids: std::collections::BTreeSet<_> = answers.iter().map(|(id, _)| id.0).collect();
        assert_eq!(ids.len() as u64, total);
    }

    #[test]
    fn answers_are_of_the_family_without_repeats_and_bounded() {
        let v4 = |n: u32| Host::from(IpAddr::V4(Ipv4Addr::from_bits(n)));
        let v6 = Host::from(IpAddr::V6(Ipv6Addr::LOCALHOST));
        let many = |_: ()| Ok(vec![v4(1), v6, v4(1), v4(2)]);
        assert_eq!(tidy(many(()), Family::Any), Ok(vec![v4(1), v6, v4(2)]));
        assert_eq!(tidy(many(()), Family::V6), Ok(vec![v6]));
        assert_eq!(tidy(Ok((0..100).map(v4).collect()), Family::V4).unwrap().len(), ADDRESSES_MAX);
        assert_eq!(tidy(Ok(vec![v6]), Family::V4).unwrap_err().text, "it has no IPv4 address");
        let why = io::Error::other("failed to lookup address information: Name or service not known");
        assert_eq!(tidy(Err(why), Family::Any).unwrap_err().text, "Name or service not known");
    }
}
