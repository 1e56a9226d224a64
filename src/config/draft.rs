//! A configuration while it is read: what lines say, and what applies at the end whatever their order.

use super::diagnostic::{Diagnostic, Severity};
use super::findings::Spot;
use super::language::{Context, Row, Standing};
use super::lexer::Token;
use super::line::{Advice, Dropped, Line};
use super::lint::Places;
use super::model::{Config, Kind, Server, Target};
use super::reader::Found;
use super::servers::Whom;
use super::{idle, restrict, servers, settings, statistics};
use crate::units::AssocId;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Commands whose files somebody may want to look at, and tell what is wrong with them.
const MARKED: [&str; 7] = ["controlkey", "driftfile", "filegen", "keys", "leapfile", "logfile", "statsdir"];

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
    switches: Vec<(&'static Row, bool)>,
    fudges: Vec<((u8, u8), Vec<Found>, Spot)>,
    filegens: Vec<statistics::FilegenLine>,
    /// The last such line.
    trusted: Option<Vec<settings::KeyRange>>,
    unpeers: Vec<Target>,
    /// The associations of a running daemon.
    pub(super) running: Option<&'r [Known]>,
    places: Places,
    /// Which servers there are, to find a second line for the same one.
    known: BTreeSet<(u8, String)>,
    marks: Vec<(&'static str, Diagnostic)>,
    /// Behind `end`, nothing is read.
    pub(super) ended: bool,
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
            running: None,
            places: Places::behind(&config),
            known: config.servers.iter().filter_map(identity).collect(),
            marks: Vec::new(),
            ended: false,
            config,
        }
    }

    /// Runs the command of `row`, whose keyword is `first`.
    pub(super) fn run(
        &mut self,
        line: &mut Line<'_>,
        row: &'static Row,
        first: &Token,
    ) -> Result<(), Dropped> {
        let config = &mut self.config;
        let mark = MARKED.contains(&row.name).then(|| line.mark(line.whole(first)));
        match row.name {
            "server" | "pool" | "peer" | "broadcast" | "manycastclient" => {
                let found = servers::association(line, row.name)?;
                self.add_server(line, found);
            }
            "refclock" => {
                let found = servers::refclock(line)?;
                self.add_server(line, found);
            }
            "fudge" => {
                let spot = line.spot(line.whole(first));
                let (clock, factors) = servers::fudge(line)?;
                self.fudges.push((clock, factors, spot));
            }
            "unpeer" | "unconfig" => match self.running {
                Some(known) => self.unpeer_now(line, row.name, known)?,
                None => self.unpeers.extend(servers::unpeer(line, row.name)?),
            },
            "restrict" => config.restrict.push(restrict::restrict(line)?),
            "tinker" => settings::settings(line, Context::Tinker, row.name, config)?,
            "tos" => {
                let (spot, before) = (line.spot(line.whole(first)), config.tos);
                settings::settings(line, Context::Tos, row.name, config)?;
                self.places.tos(&before, &config.tos, &spot);
            }
            "discard" => settings::settings(line, Context::Discard, row.name, config)?,
            "mru" => settings::settings(line, Context::Mru, row.name, config)?,
            "enable" | "disable" => {
                let on = row.name == "enable";
                let spot = line.spot(first.span.clone());
                let found = settings::switches(line, row.name)?;
                self.places.monitor_off(&found, on, spot);
                self.switches.extend(found.into_iter().map(|switch| (switch, on)));
            }
            "statistics" => statistics::statistics(line, &mut config.statistics)?,
            "filegen" => self.filegens.push(statistics::filegen(line)?),
            "interface" | "nic" => {
                self.places.interface = Some(line.spot(line.whole(first)));
                statistics::interface(line, config, row.name)?;
            }
            "logconfig" => statistics::logconfig(line, config)?,
            "setvar" => settings::setvar(line, config)?,
            "trustedkey" => self.trusted = Some(settings::trusted_keys(line)?),
            "driftfile" => settings::driftfile(line, config),
            "end" => {
                self.ended = true;
                line.done("end");
            }
            _ if row.standing == Standing::Honoured || idle::has_field(row.name) => {
                idle::set(line, row, first, config)?;
            }
            _ => idle::keep_command(line, row, first, &mut config.idle)?,
        }
        if let Some(mark) = mark {
            self.marks.retain(|(name, _)| *name != row.name);
            self.marks.push((row.name, mark));
        }
        Ok(())
    }

    /// A second line for the same address and kind is dropped, as ntpd does.
    fn add_server(&mut self, line: &mut Line<'_>, found: Option<(Server, Spot)>) {
        let Some((server, spot)) = found else { return };
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

    /// `unpeer ADDRESS`, `unpeer NAME` or `unpeer ID`, at run time: its line is taken out.
    fn unpeer_now(&mut self, line: &mut Line<'_>, command: &str, known: &[Known]) -> Result<(), Dropped> {
        let span = line.next_span();
        let target = match servers::whom(line, command)? {
            Whom::Id(id) => known.iter().find(|k| k.id.0 == id).map(|k| k.target.clone()),
            Whom::Target(Target::Address(address)) => {
                let resolved = known.iter().find(|k| k.address == Some(address));
                Some(resolved.map_or(Target::Address(address), |k| k.target.clone()))
            }
            Whom::Target(target) => Some(target),
        };
        let gone = |server: &Server| Some(&server.target) == target.as_ref();
        let before = self.config.servers.len();
        self.drop_servers(gone);
        if self.config.servers.len() == before {
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
    pub(super) fn finish(mut self) -> (Config, Places, Vec<(&'static str, Diagnostic)>) {
        for wanted in [true, false] {
            for (switch, on) in self.switches.iter().filter(|(_, on)| *on == wanted) {
                settings::switch(switch, *on, &mut self.config.enable);
            }
        }
        for filegen in std::mem::take(&mut self.filegens) {
            filegen.apply(&mut self.config.statistics);
        }
        if let Some(trusted) = self.trusted.take() {
            self.config.auth.trusted = settings::keys_of(trusted);
        }
        self.unpeer();
        self.fudge();
        idle::sort(&mut self.config);
        (self.config, self.places, self.marks)
    }

    /// Gives the factors of `fudge` lines to their clocks.
    fn fudge(&mut self) {
        for ((kind, unit), factors, spot) in std::mem::take(&mut self.fudges) {
            let mut any = false;
            for server in &mut self.config.servers {
                let clock = match server.target {
                    Target::LocalClock { unit } => Some((1, unit)),
                    Target::RefClock { kind, unit } => Some((kind, unit)),
                    Target::Address(_) | Target::Name(_) => None,
                };
                if clock == Some((kind, unit)) {
                    any = true;
                    factors.iter().for_each(|factor| servers::apply(factor, &mut server.fudge));
                }
            }
            if !any {
                self.places.no_clock((kind, unit), spot);
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
