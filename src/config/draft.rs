//! A configuration while it is read: what lines say, and what applies at the end whatever their order.

use super::clocks::{self, FudgeLine};
use super::diagnostic::{Diagnostic, Severity};
use super::line::{Advice, Dropped, Line};
use super::lint::Places;
use super::model::{Config, Kind, Server, Target};
use super::servers::{Named, Placed};
use super::settings::{self, Switched, Turn};
use super::{idle, servers, statistics};
use crate::units::AssocId;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// An association that there is, for `unpeer`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Known {
    /// Its identifier.
    pub id: AssocId,
    /// Its address, once known.
    pub address: Option<IpAddr>,
    /// What its line says.
    pub target: Target,
}

/// What the lines read so far say.
pub(super) struct Draft<'r> {
    pub(super) config: Config,
    pub(super) switches: Vec<Switched>,
    pub(super) fudges: Vec<FudgeLine>,
    pub(super) filegens: Vec<statistics::FilegenLine>,
    /// The last such line.
    pub(super) trusted: Option<Vec<settings::KeyRange>>,
    pub(super) unpeers: Vec<Target>,
    /// Associations without a line that `unpeer` names at run time.
    pub(super) unpeered: Vec<AssocId>,
    /// The associations of a running daemon.
    pub(super) running: Option<&'r [Known]>,
    pub(super) places: Places,
    /// Which servers there are, to find a second line for the same one.
    known: BTreeSet<(u8, String)>,
    pub(super) marks: Vec<(&'static str, Diagnostic)>,
    /// Behind `end`, nothing is read.
    pub(super) ended: bool,
}

/// What the lines amount to.
pub(super) struct Finished {
    pub(super) config: Config,
    pub(super) places: Places,
    pub(super) marks: Vec<(&'static str, Diagnostic)>,
    pub(super) unpeered: Vec<AssocId>,
}

impl Draft<'_> {
    /// What holds before the first line.
    pub(super) fn new(config: Config) -> Self {
        Self {
            switches: Vec::new(),
            fudges: Vec::new(),
            filegens: Vec::new(),
            trusted: None,
            unpeers: Vec::new(),
            unpeered: Vec::new(),
            running: None,
            places: Places::behind(&config),
            known: config.servers.iter().filter_map(identity).collect(),
            marks: Vec::new(),
            ended: false,
            config,
        }
    }

    /// Remembers where the last line of a command, or setting of `nts`, stands that names a file.
    pub(super) fn mark(&mut self, name: &'static str, mark: Diagnostic) {
        self.marks.retain(|(other, _)| *other != name);
        self.marks.push((name, mark));
    }

    /// A second line for the same address and kind is dropped, as ntpd does.
    pub(super) fn add_server(&mut self, line: &mut Line<'_>, found: Option<Placed>) {
        let Some(Placed { server, spot }) = found else { return };
        if let Some(identity) = identity(&server)
            && !self.known.insert(identity)
        {
            let message = "this server has a line already".to_owned();
            line.say(Severity::Note, spot.span, message, Advice::default(), "the first line is used");
            return;
        }
        self.places.servers.push(spot);
        self.config.servers.push(server);
    }

    /// `unpeer ADDRESS`, `unpeer NAME` or `unpeer ID`, at run time: its line is taken out. An association that a packet made has none.
    pub(super) fn unpeer_now(
        &mut self,
        line: &mut Line<'_>,
        command: &str,
        known: &[Known],
    ) -> Result<(), Dropped> {
        let span = line.next_span();
        let named = servers::named(line, command)?;
        let association = match &named {
            Named::Id(id) => known.iter().find(|k| k.id.0 == *id),
            Named::Target(Target::Address(address)) => known.iter().find(|k| k.address == Some(*address)),
            Named::Target(_) => None,
        };
        let target = match (association, named) {
            (Some(association), _) => Some(association.target.clone()),
            (None, Named::Target(target)) => Some(target),
            (None, Named::Id(_)) => None,
        };
        let gone = |server: &Server| Some(&server.target) == target.as_ref();
        let before = self.config.servers.len();
        self.drop_servers(gone);
        if self.config.servers.len() < before {
            // The engine sees that the line is gone.
        } else if let Some(association) = association {
            self.unpeered.push(association.id);
        } else {
            let message = "there is no such association".to_owned();
            line.say(Severity::Error, span, message, Advice::default(), "the line is ignored");
        }
        line.done(command);
        Ok(())
    }

    /// Takes out servers, and forgets where their lines were.
    fn drop_servers(&mut self, gone: impl Fn(&Server) -> bool) {
        let keep: Vec<bool> = self.config.servers.iter().map(|server| !gone(server)).collect();
        let mut kept = keep.iter().copied();
        self.config.servers.retain(|_| kept.next().unwrap_or(true));
        let mut kept = keep.iter().copied().skip(self.places.skip);
        self.places.servers.retain(|_| kept.next().unwrap_or(true));
        self.places.skip = keep.iter().take(self.places.skip).filter(|kept| **kept).count();
        self.known = self.config.servers.iter().filter_map(identity).collect();
    }

    /// What applies at the end, whatever the order of lines: all enables before all disables,
    /// `unpeer` after the servers, fudge factors to their clocks.
    pub(super) fn finish(mut self) -> Finished {
        for wanted in [Turn::On, Turn::Off] {
            for switched in self.switches.iter().filter(|switched| switched.turn == wanted) {
                settings::switch(switched.row, wanted, &mut self.config.enable);
            }
        }
        for filegen in std::mem::take(&mut self.filegens) {
            filegen.apply(&mut self.config.statistics);
        }
        if let Some(trusted) = self.trusted.take() {
            let mut keys = settings::keys_of(trusted);
            if self.running.is_some() {
                // As with ntpd: whoever configures it must not lock out the control key by the way.
                keys.extend(&self.config.auth.trusted);
                keys.sort_unstable();
                keys.dedup();
            }
            self.config.auth.trusted = keys;
        }
        self.unpeer();
        self.fudge();
        idle::sort(&mut self.config);
        Finished { config: self.config, places: self.places, marks: self.marks, unpeered: self.unpeered }
    }

    /// Gives the factors of `fudge` lines to their clocks.
    fn fudge(&mut self) {
        for FudgeLine { clock, factors, spot } in std::mem::take(&mut self.fudges) {
            let mut any = false;
            for server in &mut self.config.servers {
                if server.target.clock() == Some(clock) {
                    any = true;
                    factors.iter().for_each(|factor| clocks::apply(factor, &mut server.fudge));
                }
            }
            if !any {
                self.places.no_clock(clock, spot);
            }
        }
    }

    /// Takes back what `unpeer` lines name.
    fn unpeer(&mut self) {
        if self.unpeers.is_empty() {
            return;
        }
        let unpeers = std::mem::take(&mut self.unpeers);
        let gone = |server: &Server| unpeers.contains(&server.target) && server.kind != Kind::Broadcast;
        self.drop_servers(gone);
    }
}

/// What makes two lines the same server; a name may stand for several.
fn identity(server: &Server) -> Option<(u8, String)> {
    let named = matches!(server.target, Target::Name(_));
    (!named).then(|| (server.kind as u8, format!("{:?}", server.target)))
}
