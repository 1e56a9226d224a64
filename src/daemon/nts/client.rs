//! The key exchanges of the daemon's sources: a few at a time, in the event loop. Nothing is decided here: the engine asks for one
//! and gets its result.

use super::dump;
use super::session::{Around, Session, Step, is_ours};
use super::verify::Known;
use crate::config::model::Config;
use crate::daemon::net::resolver::{Answer, Resolver};
use crate::engine::contract::{
    CookieSource, Established, FailureClass, Kept, KeyFailure, KeyRequest, LookupId,
};
use crate::engine::report::event::Level;
use crate::sys::clock;
use crate::units::{AssocId, MonoTime};
use mio::{Registry, Token};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::UNIX_EPOCH;

/// First token of a connection in the event loop: below are the sockets', and from twice as many on devices'.
const FIRST_TOKEN: usize = 1 << (usize::BITS - 2);
/// Most key exchanges at a time; the others wait.
const AT_A_TIME: usize = 4;

/// How a key exchange ends.
type Outcome = Result<Box<Established>, KeyFailure>;

/// The key exchanges.
#[derive(Debug, Default)]
pub struct KeyClient {
    /// Where connections are watched; none before the event loop is built.
    registry: Option<Rc<Registry>>,
    /// Where cookies are kept, if anywhere.
    folder: Option<PathBuf>,
    driftfile: Option<PathBuf>,
    /// When the cookies were made that have been kept: it is later now.
    cookies_made: Option<i64>,
    running: BTreeMap<AssocId, Session>,
    waiting: VecDeque<(AssocId, KeyRequest)>,
    results: VecDeque<(AssocId, Outcome)>,
    notices: Vec<(Level, String)>,
    lookups: u64,
}

impl KeyClient {
    /// With the files that this configuration names.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let mut this = Self::default();
        this.take_over(config);
        this
    }

    /// Watches connections from now on.
    pub fn watch(&mut self, registry: Rc<Registry>) {
        self.registry = Some(registry);
    }

    /// A new configuration is in force.
    pub fn take_over(&mut self, config: &Config) {
        self.folder.clone_from(&config.nts.dump);
        self.driftfile.clone_from(&config.driftfile);
    }

    /// Begins a key exchange, or lets it wait for others; an earlier one of the same association is given up.
    pub fn establish(&mut self, id: AssocId, request: KeyRequest, resolver: &mut Resolver) {
        self.running.remove(&id);
        self.waiting.retain(|(other, _)| *other != id);
        self.results.retain(|(other, _)| *other != id);
        if let Some(found) = self.kept(&request) {
            self.results.push_back((id, Ok(Box::new(found))));
            return;
        }
        self.waiting.push_back((id, request));
        self.go_on(resolver);
    }

    /// Keeps cookies for the next process.
    pub fn keep(&mut self, kept: &Kept) {
        if let Some(folder) = &self.folder
            && let Err(why) = dump::keep(folder, kept)
        {
            self.notices.push((Level::Error, why.to_string()));
        }
    }

    /// Takes the answer to a lookup; gives it back if it is not one of key exchanges.
    pub fn resolved(&mut self, id: LookupId, answer: Answer, resolver: &mut Resolver) -> Option<Answer> {
        if !is_ours(id) {
            return Some(answer);
        }
        // It may have been given up since.
        let waits = self.running.iter().find(|(_, session)| session.waits_for(id)).map(|(id, _)| *id);
        if let Some(id) = waits {
            self.step(id, resolver, |session, around| session.resolved(answer, around));
            self.go_on(resolver);
        }
        None
    }

    /// Whether the token is that of a connection, which then goes on.
    pub fn ready(&mut self, token: Token, resolver: &mut Resolver) -> bool {
        let Some(number) = token.0.checked_sub(FIRST_TOKEN).and_then(|number| u16::try_from(number).ok())
        else {
            return false;
        };
        self.step(AssocId(number), resolver, Session::ready);
        self.go_on(resolver);
        true
    }

    /// When [`KeyClient::work`] is to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<MonoTime> {
        self.running.values().map(Session::deadline).min()
    }

    /// Gives up what has taken too long.
    pub fn work(&mut self, now: MonoTime, resolver: &mut Resolver) {
        let due = |(id, session): (&AssocId, &Session)| (session.deadline() <= now).then_some(*id);
        let due: Vec<AssocId> = self.running.iter().filter_map(due).collect();
        for id in due {
            self.step_at(now, id, resolver, Session::due);
        }
        self.go_on(resolver);
    }

    /// The next result for the engine.
    pub fn next_result(&mut self) -> Option<(AssocId, Outcome)> {
        self.results.pop_front()
    }

    /// Lines for the log since the last call.
    pub fn take_notices(&mut self) -> Vec<(Level, String)> {
        std::mem::take(&mut self.notices)
    }

    fn kept(&mut self, request: &KeyRequest) -> Option<Established> {
        let folder = self.folder.as_ref().filter(|_| request.from == CookieSource::DiskFirst)?;
        match dump::take(folder, &request.server, request.port) {
            Ok(found) => {
                let found = found?;
                self.cookies_made = self.cookies_made.max(Some(found.made));
                // The configuration may have changed since.
                let fits = request.aeads.contains(&found.aead) && request.family.admits(found.host.ip);
                fits.then_some(found)
            }
            Err(why) => {
                self.notices.push((Level::Warning, why.to_string()));
                None
            }
        }
    }

    /// Begins those that wait, as far as there is room.
    fn go_on(&mut self, resolver: &mut Resolver) {
        while self.running.len() < AT_A_TIME
            && let Some((id, request)) = self.waiting.pop_front()
        {
            self.running.insert(id, Session::new(request, clock::mono()));
            self.step(id, resolver, Session::begin);
        }
    }

    fn step(
        &mut self,
        id: AssocId,
        resolver: &mut Resolver,
        step: impl FnOnce(&mut Session, &mut Around<'_>) -> Step,
    ) {
        self.step_at(clock::mono(), id, resolver, step);
    }

    fn step_at(
        &mut self,
        now: MonoTime,
        id: AssocId,
        resolver: &mut Resolver,
        step: impl FnOnce(&mut Session, &mut Around<'_>) -> Step,
    ) {
        let known =
            Known::latest(clock::unix().0, self.driftfile.as_deref().and_then(written), self.cookies_made);
        let Some(session) = self.running.get_mut(&id) else { return };
        let outcome = match &self.registry {
            Some(registry) => {
                let token = Token(FIRST_TOKEN + usize::from(id.0));
                step(
                    session,
                    &mut Around { registry, resolver, now, token, lookups: &mut self.lookups, known },
                )
            }
            None => {
                let text = "the event loop does not run yet".to_owned();
                Err(KeyFailure { class: FailureClass::Connection, text })
            }
        };
        if let Some(outcome) = outcome.transpose() {
            self.running.remove(&id);
            self.results.push_back((id, outcome));
        }
    }
}

/// When a file was written, seconds since 1970.
fn written(path: &Path) -> Option<i64> {
    let written = path.metadata().and_then(|found| found.modified()).ok()?;
    i64::try_from(written.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

#[cfg(test)]
mod tests;
