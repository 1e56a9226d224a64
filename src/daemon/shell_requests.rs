//! What control requests need of the shell: counters of the sockets and the kernel, a file written.

use super::perform::Shell;
use super::saveconfig;
use crate::config::Known;
use crate::config::model::Config;
use crate::engine::control::shell_request::{Brought, Survey, Traffic};
use crate::engine::report::event::Level;
use crate::engine::{Association, Engine};
use crate::sys::clock;
use std::net::IpAddr;

/// The associations that `unpeer` may name.
pub(super) fn known(engine: &Engine) -> Vec<Known> {
    let known = |one: Association<'_>| Known { id: one.id, address: one.address, target: one.target.clone() };
    engine.associations().map(known).collect()
}

impl Shell {
    /// The counters of the kernel and of the sockets.
    pub(super) fn survey(&self) -> Survey {
        let (traffic, endpoints) = self.sockets.survey();
        let (wakeups, useful_wakeups) = self.wakeups;
        // A system-call filter may forbid to look; then there are zeros to show.
        let kernel = clock::state().ok();
        Survey { kernel, traffic: Traffic { wakeups, useful_wakeups, ..traffic }, endpoints }
    }

    /// Writes the configuration to a new file and logs it.
    pub(super) fn save(&mut self, config: &Config, name: &[u8], from: IpAddr, text: &[u8]) -> Brought {
        let saved = saveconfig::save(config.saveconfigdir.as_deref(), name, text);
        let level = if saved.file.is_some() { Level::Notice } else { Level::Warning };
        self.log.write(level, &format!("saveconfig from {from}: {}", saved.reply));
        Brought::Saved { reply: saved.reply, file: saved.file }
    }
}
