//! `rsntptime`: the state of the kernel's clock in ntptime's form.

use super::options::{self, flag};
use super::query::cooked::date;
use crate::sys::clock;
use crate::units::{KernelClock, NtpTimestamp, Seconds};
use clap::{Arg, Command};
use std::ffi::OsString;
use std::fmt::Write as _;

/// The kernel clock cannot be read, or a usage error.
const FAILED: u8 = 1;
/// Options of ntptime that change the kernel clock.
const SETTINGS: [(char, &str); 6] = [
    ('e', "esterror"),
    ('f', "frequency"),
    ('m', "maxerror"),
    ('o', "offset"),
    ('s', "status"),
    ('T', "constant"),
];
const STATES: [&str; 6] = ["OK", "INS", "DEL", "OOP", "WAIT", "ERROR"];
/// Names of the status bits, from the lowest.
const BITS: [&str; 16] = [
    "PLL",
    "PPSFREQ",
    "PPSTIME",
    "FLL",
    "INS",
    "DEL",
    "UNSYNC",
    "FREQHOLD",
    "PPSSIGNAL",
    "PPSJITTER",
    "PPSWANDER",
    "PPSERROR",
    "CLOCKERR",
    "NANO",
    "MODE",
    "CLK",
];

/// The command line.
#[must_use]
pub fn command() -> Command {
    let command = options::command("rsntptime", "rsntptime shows the state of the kernel clock.");
    let setting = |(short, long): &(char, &'static str)| {
        Arg::new(*long).short(*short).long(*long).num_args(1).allow_hyphen_values(true).hide(true)
    };
    options::without_effect(command, &[('c', "call-time")], &[])
        .after_help(
            "The kernel clock is only read: ntptime's options that change it (-e -f -m -o -s -T) are refused;
use adjtimex(8).

Exit status: 0, or 1 if the kernel clock cannot be read.",
        )
        .args(SETTINGS.iter().map(setting))
        .arg(flag("raw", 'r', "Show raw kernel time stamps, too"))
}

/// Runs it.
#[must_use]
pub fn main(args: &[OsString]) -> u8 {
    let matches = match options::parse(command(), args, FAILED) {
        Ok(matches) => matches,
        Err(code) => return code,
    };
    if let Some((short, long)) = SETTINGS.iter().find(|(_, long)| matches.contains_id(long)) {
        super::complain(&format!(
            "rsntptime: -{short} would change the kernel clock ({long}), and rsntptime only reads it: use \
             adjtimex(8)\n"
        ));
        return FAILED;
    }
    match clock::state() {
        Ok(clock) => {
            let raw = if matches.get_flag("raw") { RawTime::Shown } else { RawTime::Hidden };
            super::say(&render(&clock, raw));
            0
        }
        Err(error) => {
            super::complain(&format!("Must be a kernel without adjtimex: {error}\n"));
            FAILED
        }
    }
}

/// Whether the time is shown as the kernel counts it, too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RawTime {
    /// It is (`--raw`).
    Shown,
    /// It is not.
    Hidden,
}

/// The screen.
#[must_use]
pub fn render(clock: &KernelClock, raw: RawTime) -> String {
    let state = usize::try_from(clock.state).ok().and_then(|s| STATES.get(s)).unwrap_or(&"UNKNOWN");
    let code = format!("{} ({state})", clock.state);
    let digits = if clock.is_nano() { 9 } else { 6 };
    let nanos = clock.fraction * if clock.is_nano() { 1 } else { 1000 };
    let stamp = NtpTimestamp::from_unix(clock.seconds, u32::try_from(nanos).unwrap_or(0));
    let mut text = String::new();
    let _ = writeln!(text, "ntp_gettime() returns code {code}");
    if raw == RawTime::Shown {
        let _ = writeln!(text, "  raw time {}.{:0digits$}", clock.seconds, clock.fraction);
    }
    let _ = writeln!(text, "  time {}, (.{:0digits$}),", date(stamp, ""), clock.fraction);
    let errors = format!(
        "maximum error {:.0} us, estimated error {:.0} us",
        micros(clock.max_error),
        micros(clock.est_error)
    );
    let _ = writeln!(text, "  {errors}, TAI offset {}", clock.tai);
    let _ = writeln!(text, "ntp_adjtime() returns code {code}\n  modes 0x0 (),");
    let _ = writeln!(
        text,
        "  offset {:.3} us, frequency {:.3} ppm, interval {} s,\n  {errors},\n  status 0x{:x} ({}),",
        micros(clock.offset),
        clock.frequency.get(),
        clock.pps.map_or(1, |pps| pps.interval),
        clock.status,
        bits(clock.status),
    );
    let precision = micros(clock.precision) / if clock.is_nano() { 1e3 } else { 1.0 };
    let _ = writeln!(
        text,
        "  time constant {}, precision {precision:.3} us, tolerance {:.0} ppm,",
        clock.time_constant,
        clock.tolerance.get(),
    );
    if let Some(pps) = &clock.pps {
        let _ = writeln!(
            text,
            "  pps frequency {:.3} ppm, stability {:.3} ppm, jitter {:.3} us,\n  intervals {}, jitter exceeded {}, \
             stability exceeded {}, errors {}.",
            pps.frequency.get(),
            pps.stability.get(),
            micros(pps.jitter),
            pps.calibrations,
            pps.jitter_exceeded,
            pps.stability_exceeded,
            pps.errors,
        );
    }
    text
}

fn micros(time: Seconds) -> f64 {
    time.get() * 1e6
}

fn bits(status: i32) -> String {
    let set = BITS.iter().enumerate().filter(|(bit, _)| status >> bit & 1 == 1).map(|(_, name)| *name);
    set.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Ppm;

    #[test]
    fn the_screen_of_ntptime() {
        let clock = KernelClock {
            state: 5,
            seconds: 1_795_707_856,
            fraction: 278_000_000,
            offset: Seconds::new(-1.5e-6),
            frequency: Ppm::new(-12.345),
            max_error: Seconds::new(16.0),
            est_error: Seconds::new(16e-6),
            status: 0x2041,
            time_constant: 7,
            precision: Seconds::new(1e-6),
            tolerance: Ppm::new(500.0),
            tai: 37,
            ..KernelClock::default()
        };
        let text = render(&clock, RawTime::Hidden);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "ntp_gettime() returns code 5 (ERROR)");
        assert!(
            lines[1].starts_with("  time eeb2d250.472b020d  ") && lines[1].ends_with(".278, (.278000000),"),
            "{text}"
        );
        assert_eq!(
            lines[2..],
            [
                "  maximum error 16000000 us, estimated error 16 us, TAI offset 37",
                "ntp_adjtime() returns code 5 (ERROR)",
                "  modes 0x0 (),",
                "  offset -1.500 us, frequency -12.345 ppm, interval 1 s,",
                "  maximum error 16000000 us, estimated error 16 us,",
                "  status 0x2041 (PLL,UNSYNC,NANO),",
                "  time constant 7, precision 0.001 us, tolerance 500 ppm,",
            ]
        );
    }
}
