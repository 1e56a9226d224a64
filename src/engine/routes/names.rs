//! Names and their addresses: what the resolver is asked, and what becomes of its results.

use crate::config::model::{RestrictTarget, Target};
use crate::engine::Engine;
use crate::engine::contract::{LookupError, LookupId, Now};
use crate::engine::report::event::Event;
use crate::engine::sources::Source;
use crate::engine::sources::names::Purpose;
use crate::units::{AssocId, Host};
use crate::wire::Mode;
use std::net::IpAddr;

/// Why none of the addresses of a name can be used.
enum Unusable {
    /// None is of the wanted family.
    Family,
    /// None is a server's; this is the first one.
    NoServer(Host),
}

impl Unusable {
    fn text(&self) -> String {
        match self {
            Self::Family => "no address of the wanted family".to_owned(),
            Self::NoServer(host) => Event::InvalidAddress(*host).text(),
        }
    }
}

impl Engine {
    /// Has the names in restrict lines looked up.
    pub(in crate::engine) fn add_restrict_names(&mut self, now: Now) {
        for line in self.setup.config.restrict.clone() {
            if let RestrictTarget::Name(name, family) | RestrictTarget::Around { name, family, .. } =
                &line.target
            {
                let purpose = Purpose::Restrict(Box::new(line.clone()));
                self.names.add(now.mono, name.clone(), *family, purpose, &mut self.timers);
            }
        }
    }

    /// A lookup ended.
    pub(in crate::engine) fn lookup_ended(
        &mut self,
        now: Now,
        id: LookupId,
        result: Result<Vec<Host>, LookupError>,
    ) {
        let reason = match result {
            Ok(hosts) => match self.name_resolved(now, id, hosts) {
                Ok(()) => return,
                Err(reason) => reason.text(),
            },
            Err(error) => error.text,
        };
        // One that has an address goes on with it, and asks again in its time.
        if let Some(Purpose::Association(wanting)) = self.names.find(id).map(|lookup| &lookup.purpose)
            && self
                .sources
                .get(*wanting)
                .is_some_and(|source| source.address().is_some() || source.is_polled())
        {
            self.names.resolved(id, &mut self.timers);
        } else if let Some((name, retry)) = self.names.failed(now.mono, id, &mut self.timers) {
            self.event(Event::NameFailed { name, reason, retry });
        }
    }

    /// Takes the addresses of a name.
    ///
    /// # Errors
    /// Why none of them can be used; the name goes on waiting.
    fn name_resolved(&mut self, now: Now, id: LookupId, mut hosts: Vec<Host>) -> Result<(), Unusable> {
        let Some(lookup) = self.names.find(id) else { return Ok(()) };
        let for_server = matches!(lookup.purpose, Purpose::Association(_));
        hosts.retain(|host| lookup.family.admits(host.ip));
        let Some(first) = hosts.first().copied() else { return Err(Unusable::Family) };
        hosts.retain(|host| !(for_server && host.is_no_server()));
        if hosts.is_empty() {
            return Err(Unusable::NoServer(first));
        }
        let Some(lookup) = self.names.resolved(id, &mut self.timers) else { return Ok(()) };
        match lookup.purpose {
            Purpose::Restrict(line) => {
                let addresses: Vec<IpAddr> = hosts.iter().map(|host| host.ip).collect();
                self.server.access_mut().insert_resolved(&self.setup.config.restrict, &line, &addresses);
            }
            Purpose::Association(id) => self.give_address(now, id, &lookup.name, &hosts),
        }
        Ok(())
    }

    /// Gives an association the first address that no other one has; a pool takes all of them. Where others have all
    /// of them, there is nothing left to poll.
    pub(super) fn give_address(&mut self, now: Now, id: AssocId, name: &str, hosts: &[Host]) {
        if self.sources.get(id).is_some_and(|source| source.config().solicits()) {
            self.pool_resolved(now, id, hosts);
            return;
        }
        let mode = self.sources.get(id).map_or(Mode::Client, Source::own_mode);
        let taken = |host: &Host| {
            let holder = self.sources.holder(*host, mode, Some(id));
            holder.is_some_and(|source| source.made_by().is_none())
        };
        let free: Vec<Host> = hosts.iter().copied().filter(|host| !taken(host)).collect();
        let first_poll = now.mono + self.first_poll();
        let Some(source) = self.sources.get(id) else { return };
        if source.address().is_some() {
            self.next_address(now, id, name, &free);
            return;
        }
        let line = source.config().clone();
        let Some(address) = free.first().copied() else {
            if let Some(address) = hosts.first().copied() {
                self.event(Event::DuplicateAddress { name: name.to_owned(), address });
            }
            self.sources.note_duplicate(line);
            self.demobilize(id);
            return;
        };
        self.make_way(address);
        if let Some(source) = self.sources.get_mut(id) {
            source.resolved(address, first_poll, &mut self.timers);
        }
        self.event(Event::NameResolved { name: name.to_owned(), address });
        self.sources_changed();
    }

    /// The name of an association that gets no response has these free addresses now: another one than it has, and
    /// one that was not tried in this round, if there is one.
    pub(super) fn next_address(&mut self, now: Now, id: AssocId, name: &str, free: &[Host]) {
        let first_poll = now.mono + self.first_poll();
        let estimator = self.clock.new_estimator();
        let Some(source) = self.sources.get_mut(id) else { return };
        let Some(address) = source.move_on(free, estimator, first_poll, &mut self.timers) else { return };
        self.event(Event::NameResolved { name: name.to_owned(), address });
        self.sources_changed();
    }

    /// Has the name of an association that gets no response looked up again.
    pub(super) fn look_again(&mut self, now: Now, id: AssocId) {
        let Some(source) = self.sources.get(id) else { return };
        // With NTS the server's address comes from the key exchange, and a server that is silent gets another one.
        if let Target::Name(name) = &source.config().target
            && source.nts().is_none()
            && !self.names.waits(id)
        {
            let (name, family) = (name.clone(), source.config().family);
            self.names.add(now.mono, name, family, Purpose::Association(id), &mut self.timers);
        }
    }
}
