//! Authentication by NTS: a server that lacks something, and what is left without authenticated sources.

use super::Lint;
use crate::config::diagnostic::Severity;
use crate::config::model::{AuthSelection, Kind};

impl Lint<'_> {
    pub(super) fn nts(&mut self) {
        self.nts_server();
        self.required();
    }

    /// `nts enable` needs a certificate and its key, and they need it.
    fn nts_server(&mut self) {
        let (places, nts) = (self.places, &self.config.nts);
        let lacks = match (&nts.certificate, &nts.key) {
            (Some(_), Some(_)) => None,
            (None, Some(_)) => Some("nts cert FILE"),
            (Some(_), None) => Some("nts key FILE"),
            (None, None) => Some("nts cert FILE and nts key FILE"),
        };
        let spot = |name| places.nts.get(name);
        if let Some((spot, lacks)) = spot("enable").filter(|_| nts.serves).zip(lacks) {
            let message = format!("nts enable needs {lacks}");
            let effect = "no keys are exchanged with clients".to_owned();
            self.say(Severity::Error, spot, message, effect);
        } else if let Some(spot) = spot("cert").or(spot("key")).filter(|_| !nts.serves) {
            let message = "a certificate without nts enable".to_owned();
            let effect = "NTS is not served: add nts enable".to_owned();
            self.say(Severity::Note, spot, message, effect);
        }
    }

    /// `tos auth require` where no line asks for authentication.
    fn required(&mut self) {
        let Some(spot) = self.places.tos.get("auth") else { return };
        let mut servers = self.config.servers.iter().filter(|server| server.kind != Kind::Broadcast);
        if self.config.tos.auth != Some(AuthSelection::Require)
            || self.config.hears_broadcasts()
            || servers
                .any(|server| server.nts.is_some() || server.key.is_some() || server.target.clock().is_some())
        {
            return;
        }
        let message = "tos auth require, and no server line has nts or key".to_owned();
        let effect = "the clock is never adjusted: only authenticated servers are used".to_owned();
        self.nothing_is_useful();
        self.say(Severity::Warning, spot, message, effect);
    }
}
