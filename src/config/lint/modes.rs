//! Findings about the lines of other associations than servers: peers, manycast clients, and what goes to a group.

use super::Lint;
use super::sources::name;
use crate::config::diagnostic::Severity;
use crate::config::findings::Spot;
use crate::config::model::{Kind, Server};

impl Lint<'_> {
    /// Who answers a beacon is a stranger.
    pub(super) fn manycast(&mut self, index: usize, server: &Server, spot: &Spot) {
        if server.kind != Kind::ManycastClient || server.key.is_some() || !self.config.enable.auth {
            return;
        }
        self.outlook.useless.insert(index);
        let message = format!("manycastclient {} has no key", name(&server.target));
        let effect = "no server that answers is used: use key, or disable auth, which lets every host of the network answer";
        self.say(Severity::Warning, spot, message, effect.to_owned());
    }

    /// `ttl` is no number of hops.
    pub(super) fn entry(&mut self, server: &Server, spot: &Spot) {
        let Some(entry) = server.ttl else { return };
        let message = format!("ttl {entry} is no number of hops, but an entry of the ttl table");
        let (severity, effect) = match self.config.hop_limit(server) {
            Some(hops) => (Severity::Note, format!("packets to a group leave with TTL {hops}, as in ntpd")),
            None => {
                let last = self.config.hop_limits().len() - 1;
                let effect = format!(
                    "there is none: packets to a group leave with TTL 1; use 0 to {last}, or a ttl line"
                );
                (Severity::Warning, effect)
            }
        };
        self.say(severity, spot, message, effect);
    }

    /// A peer: its packets contain the time, so there is nothing in them that a forger could not know.
    pub(super) fn partner(&mut self, server: &Server, spot: &Spot) {
        if server.kind != Kind::Peer {
            return;
        }
        let name = name(&server.target);
        if server.key.is_none() {
            let message = format!("peer {name} has no key");
            let effect = "who can guess when packets are sent can forge them, and the other side makes no association for \
                          this machine, it only answers: use a key on both sides, or a server line";
            self.say(Severity::Warning, spot, message, effect.to_owned());
        }
    }
}
