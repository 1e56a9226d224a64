//! The figures, their medians and ratios, and the goals they are held against.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The value below which `part` of the values lie; NaN without values.
pub fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
}

/// All that was measured: by daemon and by what.
#[derive(Debug, Default)]
pub struct Sheet(BTreeMap<(String, String), Vec<f64>>);

/// Columns of the first table: what, heading, decimals.
const COLUMNS: [(&str, &str, usize); 14] = [
    ("closed loop", "closed/s", 0),
    ("open loop at 250000", "open 250k", 0),
    ("cost saturated", "us sat.", 2),
    ("cost at 50000", "us 50k", 2),
    ("cost at 1000", "us 1k", 1),
    ("cost at 10", "us 10/s", 1),
    ("turnaround at 50000", "rtt 50k", 1),
    ("turnaround at 1000", "rtt 1k", 1),
    ("lost of 4096", "lost 4096", 0),
    ("offset", "off us", 2),
    ("offset p99", "p99", 2),
    ("offset at 50000", "off 50k", 2),
    ("offset p99 at 50000", "p99 50k", 2),
    ("memory", "RSS kB", 0),
];

/// Columns of the table of NTS, likewise.
const NTS_COLUMNS: [(&str, &str, usize); 9] = [
    ("rate without NTS", "plain/s", 0),
    ("rate nts15", "AEAD 15/s", 0),
    ("rate nts30", "AEAD 30/s", 0),
    ("cost nts15", "us 15", 2),
    ("cost nts30", "us 30", 2),
    ("key exchanges", "keys/s", 0),
    ("cost of keys", "us keys", 0),
    ("p99", "p99 rtt", 1),
    ("p99 stalled", "stalled", 1),
];

struct Goal {
    what: String,
    measured: f64,
    limit: f64,
    /// Whether larger is better.
    more: bool,
}

fn goal(what: &str, measured: f64, limit: f64, more: bool) -> Goal {
    Goal { what: what.to_owned(), measured, limit, more }
}

fn ratio(what: &str, ours: f64, theirs: f64, limit: f64) -> Goal {
    goal(what, ours / theirs, limit, false)
}

fn most(what: &str, measured: f64, limit: f64) -> Goal {
    goal(what, measured, limit, false)
}

fn least(what: &str, measured: f64, limit: f64) -> Goal {
    goal(what, measured, limit, true)
}

impl Sheet {
    pub fn add(&mut self, daemon: &str, what: &str, value: f64) {
        self.0.entry((daemon.to_owned(), what.to_owned())).or_default().push(value);
    }

    fn median(&self, daemon: &str, what: &str) -> f64 {
        let values = self.0.get(&(daemon.to_owned(), what.to_owned()));
        values.map_or(f64::NAN, |v| quantile(v, 0.5))
    }

    fn daemons(&self, has: &str) -> Vec<&str> {
        ["rsntpd", "chronyd", "ntpsec", "openntpd"]
            .into_iter()
            .filter(|d| !self.median(d, has).is_nan())
            .collect()
    }

    /// The best peer's figure, least or most.
    fn best(&self, what: &str) -> f64 {
        let peers = self.daemons("closed loop").into_iter().filter(|d| *d != "rsntpd");
        peers.map(|d| self.median(d, what)).fold(f64::NAN, f64::min)
    }

    fn goals(&self) -> Vec<Goal> {
        let us = |what: &str| self.median("rsntpd", what);
        let chrony = |what: &str| self.median("chronyd", what);
        let rate = |what: &str| us(&format!("rate {what}")) / us("rate plain");
        let nts = |what: &str| us(&format!("rate {what}")) / us("rate without NTS");
        vec![
            ratio(
                "us/reply saturated / best peer's",
                us("cost saturated"),
                self.best("cost saturated"),
                0.85,
            ),
            ratio("us/reply at 50,000/s / best peer's", us("cost at 50000"), self.best("cost at 50000"), 0.5),
            most(
                "median added turnaround at 50,000/s, us",
                us("turnaround at 50000") - us("turnaround at 1000"),
                100.0,
            ),
            most(
                "offset at a client at 50,000/s: change, us",
                (us("offset at 50000") - us("offset")).abs(),
                1.0,
            ),
            ratio("us/reply at 1,000/s / chronyd's", us("cost at 1000"), chrony("cost at 1000"), 1.0),
            ratio("us/reply at 10/s / chronyd's", us("cost at 10"), chrony("cost at 10"), 1.0),
            most("wake-ups a second when idle", us("idle wake-ups"), 1.2),
            most("lost of a burst of 4,096", us("lost of 4096"), 0.0),
            least("signed with MD5 / unsigned rate", rate("md5"), 0.7),
            least("signed with SHA1 / unsigned rate", rate("sha1"), 0.7),
            least("signed with AES-128-CMAC / unsigned rate", rate("cmac"), 0.7),
            least("NTS with AEAD 15 / unsigned rate", nts("nts15"), 0.6),
            least("NTS with AEAD 30 / unsigned rate", nts("nts30"), 0.7),
            least("key exchanges a second of a core (ECDSA)", 1e6 / us("cost of keys"), 1500.0),
            most("p99 turnaround, 100 stalled exchanges, added us", us("p99 stalled") - us("p99"), 50.0),
            most("lost meanwhile", us("lost stalled"), 0.0),
            most(
                "us/reply saturated, with the sandbox / without",
                us("confined / unconfined saturated"),
                1.03,
            ),
            most(
                "us/reply at 50,000/s, with the sandbox / without",
                us("confined / unconfined at 50000"),
                1.03,
            ),
            least("10,000 restrict entries / 10: rate", rate("10000 entries"), 0.95),
            least("1,000,000 sources / 10,000: rate", rate("1000000 sources"), 0.9),
            most("own memory for 1,000,000 sources, kB", us("own 1000000 sources") - us("own"), 4096.0),
            most("RSS idle, kB", us("memory"), 4096.0),
            most("start to first answer, ms", us("first answer"), 20.0),
            most("start to first sync (iburst, LAN), s", us("first sync"), 3.0),
            ratio("offset idle, median / chronyd's", us("offset"), chrony("offset"), 1.0),
            ratio("offset idle, p99 / chronyd's", us("offset p99"), chrony("offset p99"), 0.8),
            ratio(
                "offset at 50,000/s, median / chronyd's",
                us("offset at 50000"),
                chrony("offset at 50000"),
                1.0,
            ),
            ratio(
                "offset at 50,000/s, p99 / chronyd's",
                us("offset p99 at 50000"),
                chrony("offset p99 at 50000"),
                0.8,
            ),
        ]
    }

    /// A line for each daemon that has a figure in this column.
    fn print_table(&self, columns: &[(&str, &str, usize)], has: &str) {
        print!("{:<9}", "");
        for (_, heading, _) in columns {
            print!(" {heading:>9}");
        }
        println!();
        for daemon in self.daemons(has) {
            print!("{daemon:<9}");
            for (what, _, decimals) in columns {
                print!(" {:>9.decimals$}", self.median(daemon, what));
            }
            println!();
        }
    }

    pub fn print(&self) {
        self.print_table(&COLUMNS, "closed loop");
        println!("\nNTS:");
        self.print_table(&NTS_COLUMNS, "rate without NTS");
        println!("\n{:<48} {:>9} {:>9}  met", "goal", "measured", "limit");
        for goal in self.goals() {
            let met = if goal.more { goal.measured >= goal.limit } else { goal.measured <= goal.limit };
            let (sign, met) = (if goal.more { ">=" } else { "<=" }, if met { "yes" } else { "NO" });
            println!("{:<48} {:>9.2} {sign}{:>7.2}  {met}", goal.what, goal.measured, goal.limit);
        }
    }

    /// Every value of every figure.
    pub fn json(&self) -> String {
        let mut text = String::from("[\n");
        for (index, ((daemon, what), values)) in self.0.iter().enumerate() {
            let numbers: Vec<String> = values
                .iter()
                .map(|v| if v.is_finite() { v.to_string() } else { "null".to_owned() })
                .collect();
            let comma = if index + 1 < self.0.len() { "," } else { "" };
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "  {{\"daemon\": \"{daemon}\", \"figure\": \"{what}\", \"values\": [{}]}}{comma}",
                numbers.join(", ")
            );
        }
        text + "]\n"
    }
}
