//! What the peers reach in the table's scenarios, what is wanted of us, and how low it can go. All
//! measured or computed by the project's founders, with the laws that `tests/sim/scenario.rs` has.

/// Root mean square of the clock's error in µs, and packets sent in 100,000 s.
pub(crate) type Kept = (f64, f64);

/// One scenario.
pub(crate) struct Figures {
    pub(crate) name: &'static str,
    /// ntpd 4.2.6p5.
    pub(crate) ntpd: Kept,
    /// ntpd 4.3.91.
    pub(crate) newer: Kept,
    pub(crate) chronyd: Kept,
    /// Most that ours may have.
    pub(crate) goal: Kept,
    /// Seconds within which ours is to settle.
    pub(crate) settle: f64,
}

const fn row(name: &'static str, ntpd: Kept, newer: Kept, chronyd: Kept, goal: Kept, settle: f64) -> Figures {
    Figures { name, ntpd, newer, chronyd, goal, settle }
}

const ANY: f64 = f64::INFINITY;

pub(crate) const FIGURES: [Figures; 15] = [
    row("lan", (276.0, 163.0), (213.0, 159.0), (23.3, 356.0), (7.5, 400.0), 10.0),
    row("campus", (271.0, 163.0), (223.0, 159.0), (105.0, 124.0), (30.0, 400.0), 10.0),
    row("internet", (469.0, 163.0), (450.0, 159.0), (649.0, 124.0), (125.0, 400.0), 10.0),
    row("bad", (4044.0, 163.0), (3463.0, 167.0), (1533.0, 124.0), (500.0, 400.0), ANY),
    row("wander", (2235.0, 163.0), (2291.0, 159.0), (1054.0, 124.0), (300.0, 400.0), 10.0),
    row("lan-wander", (2164.0, 168.0), (2127.0, 164.0), (16.7, 1450.0), (8.5, 1500.0), 10.0),
    row("quiet", (398.0, 163.0), (422.0, 159.0), (153.0, 124.0), (55.0, 400.0), 10.0),
    row("cold", (1117.0, 164.0), (456.0, 163.0), (649.0, 124.0), (125.0, 400.0), 60.0),
    row("asym", (441.0, 177.0), (408.0, 169.0), (175.0, 126.0), (100.0, 400.0), 10.0),
    row("burst", (5230.0, 163.0), (5051.0, 172.0), (130.0, 133.0), (50.0, 400.0), 60.0),
    row("loss", (767.0, 205.0), (837.0, 210.0), (770.0, 137.0), (180.0, 400.0), 15.0),
    row("thermal", (1213.0, 163.0), (1219.0, 159.0), (1246.0, 127.0), (350.0, 600.0), 10.0),
    row("four", (573.0, 638.0), (362.0, 623.0), (536.0, 497.0), (75.0, 1600.0), 10.0),
    row("falsetick", (511.0, 623.0), (397.0, 642.0), (522.0, 497.0), (85.0, 1600.0), 10.0),
    row("fixpoll6", (160.0, 1531.0), (160.0, 1532.0), (118.0, 1551.0), (55.0, 1560.0), 10.0),
];

/// What a Kalman filter reaches that is told the wander and all else, in µs, at the polls 6 to 10.
pub(crate) const LIMITS: [(&str, [f64; 5]); 7] = [
    ("lan", [2.8, 4.2, 6.5, 10.6, 19.6]),
    ("campus", [12.8, 18.2, 26.0, 38.4, 59.1]),
    ("internet", [61.8, 83.8, 118.0, 168.0, 241.0]),
    ("bad", [320.0, 431.0, 582.0, 782.0, 1096.0]),
    ("wander", [128.0, 182.0, 260.0, 384.0, 591.0]),
    ("lan-wander", [7.2, 11.9, 23.0, 56.4, 155.0]),
    ("quiet", [32.0, 43.1, 58.2, 78.2, 110.0]),
];
