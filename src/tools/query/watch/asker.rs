//! Queries the server repeatedly, in a thread of its own, and sends the results.

use super::Event;
use super::state::{Answers, Client, Clients, News, Row, State};
use crate::tools::link::{Ask, Link, Sign, Trouble};
use crate::tools::query::console::Console;
use crate::tools::query::fetch::{self, Source, Which};
use crate::tools::query::{mru, nts, ordered};
use crate::wire::status::SystemStatus;
use crate::wire::varlist::VarList;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// Response timeout.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long reading the list of clients may take: then what came is shown.
const CLIENTS_PATIENCE: Duration = Duration::from_secs(4);
/// How often that list is read: it may be long.
const CLIENTS_EVERY: Duration = Duration::from_secs(6);
/// Clients shown.
const CLIENTS_MAX: usize = 2000;

/// Whether the list of clients is looked at, and so worth asking for.
pub(super) struct Wanted(Arc<AtomicBool>);

impl Wanted {
    pub(super) fn follow(&self, state: &State) {
        self.0.store(state.shows_clients(), Ordering::Relaxed);
    }
}

/// Starts the thread, which ends when the receiver is gone.
pub(super) fn start(console: Console, interval: Duration, events: Sender<Event>) -> Wanted {
    let wanted = Arc::new(AtomicBool::new(false));
    let mut asker = Asker { console, wanted: wanted.clone(), timers: true, clients_read: None };
    std::thread::spawn(move || {
        while events.send(Event::News(Box::new(asker.round()))).is_ok() {
            let end = Instant::now() + interval;
            // Changing to the page of clients does not wait for a long interval.
            while Instant::now() < end && !asker.clients_due() {
                std::thread::sleep(Duration::from_millis(100).min(interval));
            }
        }
    });
    Wanted(wanted)
}

struct Asker {
    console: Console,
    wanted: Arc<AtomicBool>,
    /// Whether this server has the time of the next poll.
    timers: bool,
    clients_read: Option<Instant>,
}

impl Asker {
    fn clients_due(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
            && self.clients_read.is_none_or(|read| read.elapsed() >= CLIENTS_EVERY)
    }

    fn round(&mut self) -> News {
        self.console.timeout = PATIENCE;
        let answers = self.ask();
        let clients = (answers.is_ok() && self.clients_due()).then(|| {
            self.clients_read = Some(Instant::now());
            self.clients()
        });
        News { at: Instant::now(), answers, clients }
    }

    fn ask(&mut self) -> Result<Answers, Trouble> {
        let now = self.console.now();
        let system = fetch::variables(self.console.link()?, 0, "")?;
        let uptime = fetch::variables(self.console.link()?, 0, "ss_uptime");
        let uptime = uptime.ok().and_then(|found| found.list.number("ss_uptime"));
        let mut rows = Vec::new();
        let mut sources = fetch::sources(self.console.link()?, Which::InUse)?;
        nts::add_details(self.console.link()?, &mut sources)?;
        for source in sources {
            let next = self.next_poll(&source)?;
            let name = nts::name(&mut self.console, &source);
            rows.push(Row { when: source.when(now), name, next, source });
        }
        Ok(Answers { status: SystemStatus(system.status), system: system.list, uptime, rows })
    }

    /// Seconds to the next poll: the server's variable, or estimated from the last response.
    fn next_poll(&mut self, source: &Source) -> Result<Option<i64>, Trouble> {
        if self.timers {
            match fetch::variables(self.console.link()?, source.listed.id, "timer") {
                Ok(found) => return Ok(found.list.integer("timer")),
                Err(Trouble::Server(_)) => self.timers = false,
                Err(other) => return Err(other),
            }
        }
        let since = source.when(self.console.now());
        Ok(since.map(|since| source.poll - since).filter(|left| *left >= 0))
    }

    /// The clients and whether the list is complete; the restrictions if we may read them.
    fn clients(&mut self) -> Result<Clients, Trouble> {
        let end = Instant::now() + CLIENTS_PATIENCE;
        let table = mru::read(self.console.link()?, "", &|| Instant::now() >= end)?;
        let now = table.now.unwrap_or_else(|| self.console.now());
        let clients = table.latest_first().into_iter().take(CLIENTS_MAX);
        let clients = clients.map(|entry| Client::new(entry, now)).collect();
        let signer = if self.console.key.is_some() { self.console.signer().ok() } else { None };
        let entries = restrictions(self.console.link()?, signer.as_ref().map(|s| s as &dyn Sign));
        Ok((clients, table.now.is_some(), entries))
    }
}

/// The access list; few clients may read it, and it is no error if we may not.
fn restrictions(link: &mut Link, sign: Option<&dyn Sign>) -> Option<Vec<super::explain::Entry>> {
    let ask = Ask {
        opcode: crate::wire::control::opcode::READ_ORDERED_LIST,
        association: 0,
        data: b"addr_restrictions",
        sign,
    };
    let reply = link.ask(&ask).ok()?;
    let rows = ordered::rows(&VarList::parse(&reply.data));
    Some(rows.into_values().filter_map(|row| super::explain::Entry::new(&row)).collect())
}
