//! Findings about reference clocks: what they mean beside each other, and values that hardly mean what they say.

use super::sources::name;
use super::{LOOKED_AT, Lint};
use crate::config::diagnostic::Severity;
use crate::config::findings::Spot;
use crate::config::model::{ClockAddress, Kind, Server};
use crate::config::servers::is_unsupported;
use crate::units::Driver;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The bits of an NMEA clock's `mode` that mean something: sentences, the speed, PGRMF, and that its date is right.
const RECEIVER_BITS: u32 = 0x0200_017f;
/// Serial times are seldom nearer to each other, seconds.
const SERIAL_ERROR: f64 = 0.01;

/// A clock that has a driver, and may be selected.
struct Clock<'a> {
    index: usize,
    driver: Driver,
    unit: u8,
    server: &'a Server,
    spot: &'a Spot,
}

impl Clock<'_> {
    const fn flag1(&self) -> bool {
        self.server.fudge.flags[0]
    }

    /// Whether it may have pulses: of shared memory and of a socket it is not known.
    const fn may_pulse(&self) -> bool {
        match self.driver {
            Driver::Pps | Driver::Shm | Driver::Sock => true,
            Driver::Nmea => self.flag1(),
            Driver::GpsdJson => self.unit >= Driver::GPSD_PULSES || self.server.device.mode > 0,
            Driver::Local | Driver::Phc => false,
        }
    }

    /// Whether all it has is the time at which a receiver's serial line gives it.
    const fn is_serial(&self) -> bool {
        matches!(self.driver, Driver::Nmea | Driver::GpsdJson) && !self.may_pulse()
    }

    /// What it reads, and what becomes of that if another clock reads it, too.
    fn devices(&self) -> Vec<(PathBuf, &'static str)> {
        const LINE: &str = "each gets a part of what the receiver sends: remove one of them";
        const TWICE: &str = "one clock counts twice in the selection: remove one of them";
        const SOCKET: &str = "the socket of one replaces that of the other: give each a path of its own";
        let (unit, device) = (self.unit, &self.server.device);
        let effect = match self.driver {
            Driver::Nmea => LINE,
            Driver::GpsdJson if unit < Driver::GPSD_PULSES => LINE,
            Driver::Pps | Driver::Phc => TWICE,
            Driver::Sock => SOCKET,
            Driver::Local | Driver::Shm | Driver::GpsdJson => return Vec::new(),
        };
        let own = device.path.clone().or_else(|| self.driver.device(unit));
        let mut all: Vec<_> = own.map(|path| (path, effect)).into_iter().collect();
        if self.driver == Driver::Nmea && self.flag1() {
            let pulses = device.pulse_path.clone();
            all.push((pulses.unwrap_or_else(|| Driver::pulse_device(unit)), TWICE));
        }
        all
    }
}

impl Lint<'_> {
    /// Each clock, then what they are beside each other.
    pub(super) fn reference_clocks(&mut self) {
        let (config, places) = (self.config, self.places);
        let servers = config.servers.iter().enumerate().skip(places.skip).zip(&places.servers);
        let clocks: Vec<Clock<'_>> = servers
            .filter_map(|((index, server), spot)| {
                let clock = server.target.clock()?;
                let driver = clock.driver().filter(|_| server.kind != Kind::Broadcast)?;
                Some(Clock { index, driver, unit: clock.unit, server, spot })
            })
            .take(LOOKED_AT)
            .collect();
        for clock in &clocks {
            match clock.driver {
                Driver::Pps => self.numbered(clock),
                Driver::Nmea => self.receiver(clock),
                Driver::Shm => self.segment(clock),
                Driver::Phc => self.scale(clock),
                Driver::Local => self.last_resort(clock, &clocks),
                Driver::GpsdJson => self.unknown_bits(clock, 3, "0, 1 and 2 are its modes"),
                Driver::Sock => {}
            }
        }
        self.preferred(&clocks);
        self.shared(&clocks);
        self.apart(&clocks);
    }

    /// Sources that can say which second it is: a LOCAL clock only if it is preferred.
    fn numbering(&self) -> impl Iterator<Item = &Server> {
        self.config.servers.iter().enumerate().filter_map(|(index, server)| {
            let useful = !self.outlook.useless.contains(&index)
                && !server.noselect
                && server.kind != Kind::Broadcast
                && !is_unsupported(server);
            let clock = server.target.clock();
            let numbers = match clock.and_then(ClockAddress::driver) {
                Some(Driver::Pps) => false,
                Some(Driver::GpsdJson) => clock.is_some_and(|clock| clock.unit < Driver::GPSD_PULSES),
                Some(Driver::Local) => server.prefer,
                _ => true,
            };
            (useful && numbers).then_some(server)
        })
    }

    /// A PPS says when a second begins, but not which one.
    fn numbered(&mut self, clock: &Clock<'_>) {
        if clock.server.noselect || self.config.tos.minsane == 0 {
            return;
        }
        let name = name(&clock.server.target);
        if self.numbering().next().is_none() && !self.config.uses_broadcasts() {
            self.outlook.useless.insert(clock.index);
            let message = format!("no source says which second a pulse of {name} begins");
            let effect =
                "the pulses are never used: add servers, or a receiver that sends the time".to_owned();
            self.say(Severity::Warning, clock.spot, message, effect);
        } else if !self.numbering().any(|server| server.prefer) {
            let message = format!("no other source has prefer beside the PPS {name}");
            let effect = "its pulses are used while the root distance of the others is below 0.4 s, and ntpd would not use them: add \
                          prefer to the source that says which second it is";
            self.say(Severity::Note, clock.spot, message, effect.to_owned());
        }
    }

    /// A receiver on a serial line.
    fn receiver(&mut self, clock: &Clock<'_>) {
        let (device, fudge) = (&clock.server.device, &clock.server.fudge);
        const SPEEDS: [u32; 6] = Driver::NMEA_SPEEDS;
        let mode = device.mode;
        let bits = mode >> 4 & 7;
        let of_mode = SPEEDS.get(bits as usize).copied();
        let speed = device.baud.or(of_mode).unwrap_or(SPEEDS[0]);
        if let Some(place) = SPEEDS.iter().position(|speed| *speed == mode) {
            let message = format!("mode {mode} is a sum of bits, not a speed");
            let effect =
                format!("the line is read at {speed} bit/s: for {mode} bit/s write mode {}", place << 4);
            self.say(Severity::Warning, clock.spot, message, effect);
        } else if mode & !RECEIVER_BITS != 0 {
            let what = "bits 0 to 3 and 8 are sentences, 4 to 6 the speed, 25 is for a date that is right";
            self.unknown_bits(clock, RECEIVER_BITS, what);
        } else if of_mode.is_none() && device.baud.is_none() {
            let message = format!("mode {mode} has a speed that there is not (bits 4 to 6: {bits})");
            self.say(Severity::Warning, clock.spot, message, "the line is read at 4800 bit/s".to_owned());
        } else if device.baud.is_some_and(|baud| bits > 0 && of_mode != Some(baud)) {
            let message = format!("baud {speed} and the speed of mode {mode} differ");
            self.say(Severity::Note, clock.spot, message, format!("the line is read at {speed} bit/s"));
        } else if device.baud.is_none() && bits == 0 && self.is_refclock(clock.spot) {
            let message = "refclock nmea without baud".to_owned();
            let effect = "the line is read at 4800 bit/s, where NTPsec reads it at 9600: add baud".to_owned();
            self.say(Severity::Note, clock.spot, message, effect);
        }
        if speed == SPEEDS[0] && !clock.flag1() && fudge.time2.get() == 0.0 {
            let message = "sentences at 4800 bit/s come late, and time2 is 0".to_owned();
            let effect = "one of 70 characters takes 146 ms, by which the clock is slow: use time2 0.150 and compare with \
                          servers, or a faster line";
            self.say(Severity::Note, clock.spot, message, effect.to_owned());
        }
        if fudge.time1.get() != 0.0 && !clock.flag1() {
            let message = "time1 of an NMEA clock is added to its pulses, and flag1 is off".to_owned();
            let effect = "it changes nothing: use time2 for its sentences, or flag1 1".to_owned();
            self.say(Severity::Note, clock.spot, message, effect);
        }
    }

    /// Bits of `mode` that change nothing.
    fn unknown_bits(&mut self, clock: &Clock<'_>, known: u32, what: &str) {
        let mode = clock.server.device.mode;
        if mode & !known != 0 {
            let message = format!("mode {mode} of {} has bits without a meaning", name(&clock.server.target));
            self.say(Severity::Note, clock.spot, message, format!("it is as mode {}: {what}", mode & known));
        }
    }

    fn is_refclock(&self, spot: &Spot) -> bool {
        self.mark(spot).is_some_and(|mark| mark.source.trim_ascii_start().starts_with(b"refclock"))
    }

    fn segment(&mut self, clock: &Clock<'_>) {
        let fudge = &clock.server.fudge;
        self.unknown_bits(clock, 1, "1 is for a segment that only its owner can use");
        let limit = fudge.time2.get();
        if limit != 0.0 && !Driver::SHM_LIMITS.contains(&limit) {
            let message = format!("time2 {limit} of a SHM clock is no limit");
            let effect = "samples count up to 14400 s from the system's time: time2 is that limit, from 1 to 86400 s; a correction is \
                          time1";
            self.say(Severity::Note, clock.spot, message, effect.to_owned());
        }
        if clock.flag1() && self.is_refclock(clock.spot) {
            let message = "flag1 of a SHM clock means the opposite in NTPsec".to_owned();
            let effect = "here, as in ntpd, there is now no limit for its difference to the system's time; NTPsec has one with flag1 only";
            self.say(Severity::Note, clock.spot, message, effect.to_owned());
        }
    }

    /// A clock in TAI.
    fn scale(&mut self, clock: &Clock<'_>) {
        if clock.flag1() && self.config.leapfile.is_none() {
            let message = format!("{} has TAI, and there is no leapfile", name(&clock.server.target));
            let effect = "only the leap second file says how far TAI is from UTC: add leapfile".to_owned();
            self.say(Severity::Warning, clock.spot, message, effect);
        }
    }

    /// A LOCAL clock beside a clock that knows the time, or before everything else.
    fn last_resort(&mut self, local: &Clock<'_>, clocks: &[Clock<'_>]) {
        let others = self.numbering().any(|server| server.target != local.server.target);
        let server = local.server;
        if server.prefer && others && !server.noselect {
            let message = "the LOCAL clock has prefer".to_owned();
            let effect = "with ntpd no other source adjusts the clock while it survives the selection; here it stays the last resort, and \
                          says which second a pulse begins: remove prefer";
            self.say(Severity::Warning, local.spot, message, effect.to_owned());
        } else if clocks.iter().any(|clock| clock.driver != Driver::Local) && !server.noselect {
            let message = "a LOCAL clock beside a reference clock".to_owned();
            let effect = "when no other source is left, clients go on with a clock that nothing adjusts: tos orphan does this better, \
                          or leave it out";
            self.say(Severity::Note, local.spot, message, effect.to_owned());
        }
    }

    /// A receiver whose serial time goes before better sources.
    fn preferred(&mut self, clocks: &[Clock<'_>]) {
        let pulses = clocks.iter().any(Clock::may_pulse);
        let several = self.numbering().count() > 1;
        let Some(clock) = clocks.iter().find(|clock| clock.is_serial() && clock.server.prefer) else {
            return;
        };
        if pulses || !several || clock.server.noselect {
            return;
        }
        let message = format!("{} has prefer and no pulses", name(&clock.server.target));
        let effect = "serial time is off by 50 to 100 ms, and no other source corrects it: remove prefer, or use the pulses of the \
                      receiver";
        self.say(Severity::Warning, clock.spot, message, effect.to_owned());
    }

    /// What two clocks read.
    fn shared(&mut self, clocks: &[Clock<'_>]) {
        let mut seen: BTreeMap<PathBuf, &Clock<'_>> = BTreeMap::new();
        for clock in clocks {
            for (path, effect) in clock.devices() {
                let Some(first) = seen.get(&path) else {
                    seen.insert(path, clock);
                    continue;
                };
                let (first, second) = (name(&first.server.target), name(&clock.server.target));
                let message = format!("{first} and {second} both use {}", path.display());
                self.say(Severity::Warning, clock.spot, message, effect.to_owned());
            }
        }
        let of = |driver| clocks.iter().find(move |clock| clock.driver == driver && !clock.server.noselect);
        if let (Some(json), Some(_)) = (of(Driver::GpsdJson), of(Driver::Shm)) {
            let message = "gpsd gives the time of a receiver both by JSON and by SHM".to_owned();
            let effect =
                "if both are of one receiver it counts twice in the selection: remove one, or add noselect"
                    .to_owned();
            self.say(Severity::Note, json.spot, message, effect);
        }
    }

    /// Two clocks that may contradict each other, and no third source.
    fn apart(&mut self, clocks: &[Clock<'_>]) {
        let serial = |clock: &&Clock<'_>| clock.is_serial() && !clock.server.noselect;
        let mindist = self.config.tos.mindist.get();
        let Some(second) = clocks.iter().filter(serial).nth(1) else { return };
        // A clock that is preferred decides.
        let undecided = !self.numbering().any(|server| server.prefer);
        if self.numbering().count() == 2 && undecided && mindist < SERIAL_ERROR {
            let message = format!("two serial clocks seldom agree within tos mindist {mindist} s");
            let effect = "where they contradict each other neither is used: measure time2 of both and use tos mindist 0.1, or prefer one"
                .to_owned();
            self.say(Severity::Note, second.spot, message, effect);
        }
    }
}
