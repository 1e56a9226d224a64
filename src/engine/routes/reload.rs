//! A new configuration while running: only what differs changes, synchronisation stays.

use crate::config::model::Server;
use crate::engine::Engine;
use crate::engine::contract::{Now, Setup};
use crate::engine::report::event::Event;
use crate::engine::sources::{Source, Sources};

/// Whether two lines ask for the same association, perhaps with other options.
fn same_association(a: &Server, b: &Server) -> bool {
    (a.kind, &a.target, a.family) == (b.kind, &b.target, b.family)
}

/// Whether a clock's device is another one, or is read otherwise.
fn other_device(a: &Server, b: &Server) -> bool {
    (&a.device, a.fudge.flags, a.fudge.time2) != (&b.device, b.fudge.flags, b.fudge.time2)
}

/// The associations that lines made.
fn lines(sources: &Sources) -> impl Iterator<Item = &Source> {
    sources.iter().filter(|source| source.is_configured())
}

impl Engine {
    pub(in crate::engine) fn reload(&mut self, now: Now, setup: Setup) {
        let wanted = setup.config.servers.clone();
        let gone: Vec<_> = lines(&self.sources)
            .filter(|source| !wanted.iter().any(|w| same_association(w, source.config())))
            .map(Source::id)
            .collect();
        // While nothing goes, a line whose address another one has still has nothing to poll.
        self.sources.keep_duplicates(|line| gone.is_empty() && wanted.contains(line));
        let added: Vec<Server> = wanted
            .iter()
            .filter(|w| !lines(&self.sources).any(|source| same_association(w, source.config())))
            .filter(|w| !self.sources.is_duplicate(w))
            .cloned()
            .collect();
        let (mut pools, mut devices) = (Vec::new(), Vec::new());
        for source in self.sources.iter_mut().filter(|source| source.is_configured()) {
            if let Some(new) = wanted.iter().find(|w| same_association(w, source.config()))
                && (new != source.config() || source.lacks_device())
            {
                if source.lacks_device() || other_device(new, source.config()) {
                    devices.push(source.id());
                }
                source.reconfigure(new.clone());
                pools.push((new.clone(), source.id()));
            }
        }
        devices.into_iter().for_each(|id| self.open_device(id));
        for (line, id) in pools {
            self.reconfigure_members(&line, id);
        }
        self.names.forget_restrict_lines(&mut self.timers);
        self.server.reconfigure(&setup);
        self.reports.reconfigure(&setup.config);
        let new_leap_table = self.setup.leap_table != setup.leap_table;
        self.setup = Setup {
            allow_panic_once: self.setup.allow_panic_once,
            quit_after_set: self.setup.quit_after_set,
            ..setup
        };
        let unpeered = std::mem::take(&mut self.setup.unpeered);
        let removed = gone.into_iter().chain(unpeered).filter(|id| self.demobilize(*id)).count();
        let count = added.len();
        for server in added {
            self.mobilize(now, server);
        }
        self.add_restrict_names(now);
        self.sources_changed();
        self.orphan_mode_changed(now);
        if new_leap_table {
            self.leap_file_read(now);
        }
        debug_assert!(self.setup.unpeered.is_empty(), "what is to be ended once is ended once");
        self.event(Event::Reloaded { added: count, removed });
        self.update_clock(now);
    }
}
