//! A new configuration while running: only what differs changes, synchronisation stays.

use crate::config::model::Server;
use crate::engine::Engine;
use crate::engine::contract::{Now, Setup};
use crate::engine::report::event::Event;
use crate::engine::server::access::AccessList;
use crate::engine::sources::names::Purpose;

/// Whether two lines ask for the same association, perhaps with other options.
fn same_association(a: &Server, b: &Server) -> bool {
    (a.kind, &a.target, a.family) == (b.kind, &b.target, b.family)
}

impl Engine {
    pub(super) fn reload(&mut self, now: Now, setup: Setup) {
        let wanted = setup.config.servers.clone();
        let gone: Vec<_> = self
            .associations
            .iter()
            .filter(|a| !wanted.iter().any(|w| same_association(w, &a.config)))
            .map(|a| a.id)
            .collect();
        // While nothing goes, a line whose address another one has still has nothing to ask.
        self.duplicates.retain(|d| gone.is_empty() && wanted.contains(d));
        let added: Vec<Server> = wanted
            .iter()
            .filter(|w| !self.associations.iter().any(|a| same_association(w, &a.config)))
            .filter(|w| !self.duplicates.contains(w))
            .cloned()
            .collect();
        for association in &mut self.associations {
            if let Some(new) = wanted.iter().find(|w| same_association(w, &association.config))
                && *new != association.config
            {
                association.config = new.clone();
                association.version = new.version;
                let poll = association.poll;
                association.adapt_poll(poll);
                if association.is_local_clock() {
                    association.fudge_local();
                }
            }
        }
        self.names.retain(|purpose| matches!(purpose, Purpose::Association(_)));
        let mut access = AccessList::build(&setup.config.restrict);
        access.carry_names(&self.access, &setup.config.restrict);
        access.carry_hits(&self.access);
        self.access = access;
        self.keys.replace(&setup.keys, &setup.config.auth.trusted);
        self.clients.configure(&setup.config);
        let new_leap_table = self.setup.leap_table != setup.leap_table;
        self.setup = Setup {
            allow_panic_once: self.setup.allow_panic_once,
            quit_after_set: self.setup.quit_after_set,
            ..setup
        };
        let removed = gone.into_iter().filter(|id| self.demobilize(*id)).count();
        let count = added.len();
        for server in added {
            self.mobilize(now, server);
        }
        self.add_restrict_names(now);
        self.set_interfaces(self.interfaces.clone());
        self.sources_changed();
        if new_leap_table {
            self.leap_file_read(now);
        }
        self.event(Event::Reloaded { added: count, removed });
        self.update_clock(now);
    }
}
