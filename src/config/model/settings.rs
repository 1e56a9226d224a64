//! Numbers and switches: `enable`, `tinker`, `tos`, `discard` and `mru`, with ntpd's defaults.

use super::AuthSelection;
use crate::units::{Ppm, Seconds, Stratum};

/// `enable` / `disable` switches with ntpd's defaults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Enable {
    /// `auth` (on).
    pub auth: bool,
    /// `bclient` (off).
    pub bclient: bool,
    /// `calibrate` (off).
    pub calibrate: bool,
    /// `kernel` (on).
    pub kernel: bool,
    /// `monitor` (on).
    pub monitor: bool,
    /// `ntp` (on): off means measure and serve, but do not touch the clock.
    pub ntp: bool,
    /// `stats` (on).
    pub stats: bool,
    /// `fips-legacy` (off): all keys are used, also on a machine in FIPS mode.
    pub fips_legacy: bool,
}

impl Default for Enable {
    fn default() -> Self {
        Self {
            auth: true,
            bclient: false,
            calibrate: false,
            kernel: true,
            monitor: true,
            ntp: true,
            stats: true,
            fips_legacy: false,
        }
    }
}

/// `tinker` values with ntpd 4.2.6's defaults.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tinker {
    /// Largest offset that is accepted, seconds (1000; 0: any).
    pub panic: Seconds,
    /// Offset from which the clock is stepped, seconds (0.128; 0: never).
    pub step: Seconds,
    /// How long a large offset must last before it is accepted, seconds (900).
    pub stepout: Seconds,
    /// Growth of the dispersion, ppm (15).
    pub dispersion: Ppm,
    /// Allan intercept, log2 seconds (11).
    pub allan: f64,
    /// Huff-n'-puff filter span, seconds (0: off).
    pub huffpuff: Seconds,
    /// Initial frequency, ppm; overrides nothing in 4.2.6.
    pub freq: Option<Ppm>,
    /// Suspended for so long, the machine may be off by any offset, once, seconds (0: never). Not ntpd's.
    pub resume: Seconds,
}

impl Default for Tinker {
    fn default() -> Self {
        Self {
            panic: Seconds::new(1000.0),
            step: Seconds::new(0.128),
            stepout: Seconds::new(900.0),
            dispersion: Ppm::new(15.0),
            allan: 11.0,
            huffpuff: Seconds::ZERO,
            freq: None,
            resume: Seconds::ZERO,
        }
    }
}

/// `tos` values with ntpd 4.2.6's defaults.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tos {
    /// Fewest survivors the cluster algorithm leaves (3).
    pub minclock: u32,
    /// Servers up to which pools, manycast clients and packets make associations (10).
    pub maxclock: u32,
    /// Fewest candidates to set the clock (1).
    pub minsane: u32,
    /// Smallest selection distance, seconds (0.001).
    pub mindist: Seconds,
    /// Largest root distance of a usable source, seconds (1.5).
    pub maxdist: Seconds,
    /// Smallest usable stratum (0).
    pub floor: u8,
    /// Stratum from which a source is unusable (16).
    pub ceiling: u8,
    /// Whether manycast clients of our own stratum are answered, too.
    pub cohort: bool,
    /// Orphan stratum; off from 16 on (17).
    pub orphan: u8,
    /// How long no source is there before orphan mode begins (`orphanwait` of 4.2.8), seconds (300).
    pub orphanwait: Seconds,
    /// Polls after which a manycast client begins its search anew (7200).
    pub beacon: u32,
    /// What sources without authentication are good for (`auth`); `None`: as `mixed` where a line asks for NTS, else as `ignore`.
    pub auth: Option<AuthSelection>,
    /// Whether every client is shown what the daemon and the machine are (`showversion`).
    pub showversion: bool,
}

impl Tos {
    /// The stratum of orphan mode, where that is on.
    #[must_use]
    pub const fn orphan_stratum(&self) -> Option<u8> {
        if self.orphan < 16 { Some(self.orphan) } else { None }
    }

    /// Whether a source of this stratum may be used: `floor` and `ceiling` bound it, and one without a time is of 16.
    #[must_use]
    pub fn admits(&self, stratum: Stratum) -> bool {
        (self.floor..self.ceiling.min(16)).contains(&stratum.get())
    }
}

impl Default for Tos {
    fn default() -> Self {
        Self {
            minclock: 3,
            maxclock: 10,
            minsane: 1,
            mindist: Seconds::new(0.001),
            maxdist: Seconds::new(1.5),
            floor: 0,
            ceiling: 16,
            cohort: false,
            orphan: 17,
            orphanwait: Seconds::new(300.0),
            beacon: 7200,
            auth: None,
            showversion: false,
        }
    }
}

/// `discard` values with ntpd 4.2.6's defaults and units.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Discard {
    /// Average spacing, log2 seconds (3).
    pub average: u8,
    /// Smallest spacing, log2 seconds as in 4.2.6 (1).
    pub minimum: u8,
    /// Age at which entries are reused, seconds (3000).
    pub monitor: u32,
}

impl Default for Discard {
    fn default() -> Self {
        Self { average: 3, minimum: 1, monitor: 3000 }
    }
}

/// `mru` (4.2.8): how many clients are remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mru {
    /// `maxdepth`: most clients; the later of it and `maxmem` counts. The default (40,000) fits into 4 MiB.
    pub maxdepth: u32,
    /// `mindepth`: so many are remembered whatever their age (600).
    pub mindepth: u32,
    /// `maxage`: beyond `mindepth`, a client not heard for so long gives its place to a new one,
    /// seconds. 3600, not the 64 of ntpd: clients poll every 1024 s.
    pub maxage: u32,
}

impl Mru {
    /// What a remembered client costs, bytes, at most.
    pub const ENTRY: u32 = 100;

    /// The depth that fits into `maxmem` KiB.
    #[must_use]
    pub const fn depth_of(kib: u32) -> u32 {
        (kib as u64 * 1024 / Self::ENTRY as u64) as u32
    }
}

impl Default for Mru {
    fn default() -> Self {
        Self { maxdepth: 40_000, mindepth: 600, maxage: 3600 }
    }
}
