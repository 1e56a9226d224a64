//! Findings about broadcasts: whether any can be used, and who may send them.

use super::Lint;
use crate::config::diagnostic::Severity;

impl Lint<'_> {
    pub(super) fn reception(&mut self) {
        self.heard_in_vain();
        self.auth_off();
        self.delay_of_nothing();
    }

    /// Without a trusted key no broadcast is used, unless `disable auth` lets anybody's be.
    fn heard_in_vain(&mut self) {
        let signed = self.has_trusted_key() && self.config.auth.keys.is_some();
        if !self.config.hears_broadcasts() || !self.config.enable.auth || signed {
            return;
        }
        let Some(spot) = self.places.reception.clone() else { return };
        let message = "broadcasts are heard, but none can be used".to_owned();
        let effect = "a server without a line of its own must sign its packets with a key that is trusted here: add keys and trustedkey \
                      lines (or disable auth, which lets every host of the network set the clock)";
        self.say(Severity::Warning, &spot, message, effect.to_owned());
    }

    fn auth_off(&mut self) {
        if self.config.enable.auth {
            return;
        }
        let Some(spot) = self.places.auth.clone() else { return };
        let message = "disable auth lets hosts without a key be time sources".to_owned();
        let who = if self.config.hears_broadcasts() { "broadcast server or a peer" } else { "peer" };
        let effect = format!(
            "each host that restrict lines do not keep off may make itself a {who} of this machine; ntpq's changes need a key all the \
             same"
        );
        self.say(Severity::Warning, &spot, message, effect);
    }

    fn delay_of_nothing(&mut self) {
        if self.config.hears_broadcasts() {
            return;
        }
        let Some(spot) = self.places.broadcastdelay.clone() else { return };
        let message = "broadcastdelay without broadcastclient or multicastclient".to_owned();
        self.say(Severity::Note, &spot, message, "no broadcasts are heard: it has no effect".to_owned());
    }
}
