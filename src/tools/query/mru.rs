//! `mrulist`: the clients that the server saw lately, read in pieces under a nonce while they keep
//! arriving (RFC 9327 section 4.5; ntpq's manual page).

use super::commands::Result;
use super::console::{Console, Output};
use super::cooked::iso;
use crate::sys::signals::Interrupt;
use crate::tools::link::{Ask, Link, Trouble};
use crate::units::NtpTimestamp;
use crate::wire::control::{DATA_MAX, opcode};
use crate::wire::varlist::{self, VarList};
use serde_json::json;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Fragments asked for at first; ntpd gives 32 at most.
const FRAGMENTS: u32 = 32;
/// Entries kept. A server may have more of them, and one that invents addresses has no end of them.
const ENTRIES_MAX: usize = 1_000_000;
/// How long the list is read at most.
const TIME_MAX: Duration = Duration::from_secs(300);
/// Longest text of an address and its port.
const ADDRESS_MAX: usize = 64;
/// Entries that a request names as the latest that we have.
const PRIORS: usize = 16;
/// How often in a row nothing new may come, or the walk may begin anew.
const PATIENCE: u32 = 8;
/// Bits of `rs`: a limited client, and one that got a kiss of death for it.
const LIMITED: i64 = 0x20;
const KOD: i64 = 0x400;

/// A client.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// Address and port, as sent.
    pub address: String,
    /// When it was seen last and first.
    pub last: NtpTimestamp,
    /// See `last`.
    pub first: NtpTimestamp,
    /// Packets.
    pub count: i64,
    /// Mode and version of the last one.
    pub mode_version: i64,
    /// Restrictions that applied to it.
    pub restrictions: i64,
}

impl Entry {
    pub(super) fn host(&self) -> (String, u16) {
        match self.address.parse::<SocketAddr>() {
            Ok(address) => (address.ip().to_string(), address.port()),
            Err(_) => (self.address.clone(), 0),
        }
    }

    /// Seconds between two packets on average.
    pub(super) fn average(&self) -> f64 {
        let gaps = self.count.saturating_sub(1).max(1) as f64;
        (self.last - self.first).to_seconds().get() / gaps
    }

    pub(super) fn age(&self, now: NtpTimestamp) -> f64 {
        (now - self.last).to_seconds().get()
    }

    /// `K` for a kiss of death, `L` for limited.
    const fn mark(&self) -> char {
        if self.restrictions & KOD != 0 {
            'K'
        } else if self.restrictions & LIMITED != 0 {
            'L'
        } else {
            '.'
        }
    }
}

/// The arguments of `mrulist`.
#[derive(Debug, Default)]
struct Wish {
    /// The filters, as the request has them: each begins with `, `.
    filters: String,
    /// The order, without the sign, and whether it is reversed.
    order: Option<(Order, bool)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    LastInterval,
    AverageInterval,
    Count,
    Address,
}

fn wish(words: &[&str]) -> std::result::Result<Wish, Trouble> {
    let mut wish = Wish::default();
    for word in words {
        match word.split_once('=') {
            Some(("sort", order)) => {
                let (reversed, name) = order.strip_prefix('-').map_or((false, order), |name| (true, name));
                let order = match name {
                    "lstint" => Order::LastInterval,
                    "avgint" => Order::AverageInterval,
                    "count" => Order::Count,
                    "addr" => Order::Address,
                    _ => return Err(usage(word)),
                };
                wish.order = Some((order, reversed));
            }
            Some((
                name @ ("mincount" | "resall" | "resany" | "maxlstint" | "minlstint" | "laddr"),
                value,
            )) if !value.is_empty() && !value.contains(',') => {
                let _ = write!(wish.filters, ", {name}={value}");
            }
            None if *word == "limited" => wish.filters.push_str(", resall=0x20"),
            None if *word == "kod" => wish.filters.push_str(", resall=0x420"),
            _ => return Err(usage(word)),
        }
    }
    Ok(wish)
}

fn usage(word: &str) -> Trouble {
    Trouble::Cannot(format!(
        "`{word}' is not understood: mrulist takes limited, kod, mincount=N, maxlstint=SECONDS, \
         minlstint=SECONDS, laddr=ADDRESS, resany=HEX, resall=HEX, sort=[-]lstint|avgint|count|addr"
    ))
}

/// The table as far as it was read.
#[derive(Debug, Default)]
pub struct Table {
    entries: BTreeMap<String, Entry>,
    /// When the list was complete.
    pub now: Option<NtpTimestamp>,
    updates: usize,
    /// The latest entries, the latest first.
    latest: Vec<Entry>,
}

/// The later first, then by address: wherever the era ends.
fn later_first(a: &Entry, b: &Entry) -> Ordering {
    (b.last - a.last).to_bits().cmp(&0).then_with(|| a.address.cmp(&b.address))
}

impl Table {
    /// The entries, the latest first.
    #[must_use]
    pub fn latest_first(&self) -> Vec<&Entry> {
        let mut all: Vec<&Entry> = self.entries.values().collect();
        all.sort_by(|a, b| later_first(a, b));
        all
    }

    /// Takes in a response; returns how many entries were new or changed, and its nonce.
    fn take(&mut self, list: &VarList) -> (usize, Option<String>) {
        let mut rows: BTreeMap<u32, Entry> = BTreeMap::new();
        let mut nonce = None;
        for item in list {
            let Some(value) = item.value.as_deref() else { continue };
            match (item.name.as_str(), item.name.rsplit_once('.')) {
                ("nonce", _) => nonce = Some(value.to_owned()),
                ("now", _) => self.now = varlist::timestamp(value),
                (_, Some((name, number))) => {
                    let Ok(number) = number.parse::<u32>() else { continue };
                    let row = rows.entry(number).or_default();
                    match name {
                        "addr" => value.clone_into(&mut row.address),
                        "last" => row.last = varlist::timestamp(value).unwrap_or_default(),
                        "first" => row.first = varlist::timestamp(value).unwrap_or_default(),
                        "ct" => row.count = varlist::integer(value).unwrap_or(0),
                        "mv" => row.mode_version = varlist::integer(value).unwrap_or(0),
                        "rs" => row.restrictions = varlist::integer(value).unwrap_or(0),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        let mut fresh = 0;
        for row in rows.into_values().filter(|row| (1..=ADDRESS_MAX).contains(&row.address.len())) {
            let last = row.last;
            self.note_latest(&row);
            match self.entries.insert(row.address.clone(), row) {
                None => fresh += 1,
                Some(old) if old.last != last => {
                    fresh += 1;
                    self.updates += 1;
                }
                Some(_) => {}
            }
        }
        (fresh, nonce)
    }

    /// Only the place of a new entry among the latest is looked for, so that a list takes no longer an entry than a short one.
    fn note_latest(&mut self, entry: &Entry) {
        self.latest.retain(|known| known.address != entry.address);
        let earlier = |known: &Entry| later_first(known, entry) == Ordering::Greater;
        let place = self.latest.iter().position(earlier).unwrap_or(self.latest.len());
        if place < PRIORS {
            self.latest.insert(place, entry.clone());
            self.latest.truncate(PRIORS);
        }
    }

    /// Whether there are as many entries as are kept.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.entries.len() >= ENTRIES_MAX
    }

    /// The latest entries, by which the server finds where to go on; as many as fit.
    fn recent(&self, room: usize, most: usize) -> String {
        let mut text = String::new();
        for (entry, index) in self.latest.iter().take(most).zip(0..) {
            let piece = format!(", addr.{index}={}, last.{index}={}", entry.address, entry.last);
            if text.len() + piece.len() > room {
                break;
            }
            text.push_str(&piece);
        }
        text
    }
}

fn nonce(link: &mut Link) -> std::result::Result<String, Trouble> {
    let reply = link.ask(&Ask::new(opcode::REQUEST_NONCE, 0, b""))?;
    let list = VarList::parse(&reply.data);
    // It goes back as it came: no other characters, no second item in it.
    let good = |n: &&str| !n.is_empty() && n.len() <= 64 && n.bytes().all(|b| b.is_ascii_alphanumeric());
    let found = list.get("nonce").filter(good).map(str::to_owned);
    found.ok_or_else(|| Trouble::Cannot("No usable nonce in the response".to_owned()))
}

/// Reads the table to its end, until `stop`, or as far as one list may go.
///
/// # Errors
/// [`Trouble`], unless a part of the table is there already and `stop` says so.
pub fn read(link: &mut Link, filters: &str, stop: &dyn Fn() -> bool) -> std::result::Result<Table, Trouble> {
    let mut table = Table::default();
    let mut token = nonce(link).map_err(|trouble| match trouble {
        Trouble::Server(_) => Trouble::Cannot(format!("{}\nnonce request failed", without_stars(&trouble))),
        other => other,
    })?;
    let (mut fragments, mut idle, mut restarts, mut known) = (FRAGMENTS, 0, 0, PRIORS);
    let begun = Instant::now();
    while table.now.is_none() && !stop() && !table.is_full() && begun.elapsed() < TIME_MAX {
        let head = format!("nonce={token}, frags={fragments}{filters}");
        let request = format!("{head}{}", table.recent(DATA_MAX.saturating_sub(head.len()), known));
        match link.ask(&Ask::new(opcode::READ_MRU, 0, request.as_bytes())) {
            Ok(reply) => {
                let (fresh, renewed) = table.take(&VarList::parse(&reply.data));
                token = match renewed {
                    Some(nonce) if nonce.bytes().all(|b| b.is_ascii_alphanumeric()) => nonce,
                    _ => nonce(link)?,
                };
                idle = if fresh == 0 { idle + 1 } else { 0 };
                fragments = (fragments + 1).min(FRAGMENTS);
                if idle > PATIENCE {
                    return Err(Trouble::Cannot("The server sends the same entries again".to_owned()));
                }
            }
            // All that we know the server has moved or dropped meanwhile: again, from its oldest.
            Err(trouble) if trouble.is_unknown_variable() && known > 0 && restarts < PATIENCE => {
                restarts += 1;
                known = if restarts % 2 == 0 { PRIORS } else { 0 };
                token = nonce(link)?;
            }
            // Where a fragment was lost, fewer of them may come through.
            Err(Trouble::Silent { .. }) if fragments > 1 => {
                fragments /= 2;
                token = nonce(link)?;
            }
            Err(other) => return Err(other),
        }
        if known == 0 && !table.entries.is_empty() {
            known = PRIORS;
        }
    }
    Ok(table)
}

fn without_stars(trouble: &Trouble) -> String {
    trouble.to_string().trim_start_matches('*').to_owned()
}

/// `mrulist`.
pub(super) fn mrulist(console: &mut Console, words: &[&str], _: &str) -> Result {
    let wish = wish(words)?;
    console.notes.push_str("Ctrl-C will stop MRU retrieval and display partial results.\n");
    let interrupt = Interrupt::watch().map_err(Trouble::Socket)?;
    let table = read(console.link()?, &wish.filters, &|| interrupt.came())?;
    if table.now.is_none() && !interrupt.came() {
        let seconds = TIME_MAX.as_secs();
        let _ = writeln!(
            console.notes,
            "\rThe list is not complete: no more than {ENTRIES_MAX} entries are read, for no more than {seconds} s."
        );
    }
    drop(interrupt);
    let _ = writeln!(
        console.notes,
        "\rRetrieved {} unique MRU entries and {} updates.",
        table.entries.len(),
        table.updates
    );
    let now = table.now.unwrap_or_else(|| console.now());
    let mut entries = table.latest_first();
    if let Some((order, reversed)) = wish.order {
        sort(&mut entries, order, now);
        if reversed {
            entries.reverse();
        }
    }
    if console.settings.json {
        let clients: Vec<_> = entries.iter().map(|entry| data(entry, now)).collect();
        let complete = table.now.is_some();
        return Ok(Output::Data(json!({ "now_utc": iso(now), "complete": complete, "clients": clients })));
    }
    let mut text = String::from("lstint avgint rstr r m v  count rport remote address\n");
    let _ = writeln!(text, "{}", "=".repeat(78));
    for entry in entries {
        let (address, port) = entry.host();
        let name = console.names.of_text(&address);
        let _ = writeln!(
            text,
            "{:6.0} {:6.0} {:4x} {} {} {} {:6} {port:5} {name}",
            entry.age(now),
            entry.average(),
            entry.restrictions,
            entry.mark(),
            entry.mode_version & 7,
            entry.mode_version >> 3 & 7,
            entry.count,
        );
    }
    Ok(Output::Text(text))
}

fn sort(entries: &mut [&Entry], order: Order, now: NtpTimestamp) {
    match order {
        Order::LastInterval => entries.sort_by(|a, b| a.age(now).total_cmp(&b.age(now))),
        Order::AverageInterval => entries.sort_by(|a, b| a.average().total_cmp(&b.average())),
        Order::Count => entries.sort_by_key(|entry| entry.count),
        Order::Address => {
            entries.sort_by_key(|entry| (entry.host().0.parse::<IpAddr>().ok(), entry.address.clone()));
        }
    }
}

fn data(entry: &Entry, now: NtpTimestamp) -> serde_json::Value {
    let (address, port) = entry.host();
    json!({
        "address": address,
        "port": port,
        "packets": entry.count,
        "mode": entry.mode_version & 7,
        "version": entry.mode_version >> 3 & 7,
        "restrictions": entry.restrictions,
        "limited": entry.mark() != '.',
        "last_utc": iso(entry.last),
        "first_utc": iso(entry.first),
        "last_ago_s": entry.age(now),
        "average_interval_s": entry.average(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_put_together() {
        let mut table = Table::default();
        let first = b"nonce=abc, addr.0=192.0.2.1:123, last.0=0xeead8c50.00000000, \
                      first.0=0xeead8c00.00000000, ct.0=6, mv.0=35, rs.0=0x20, \
                      addr.1=[2001:db8::1]:5000, last.1=0xeead8c51.00000000, first.1=0xeead8c51.00000000, ct.1=1";
        assert_eq!(table.take(&VarList::parse(first)), (2, Some("abc".to_owned())));
        assert_eq!(table.take(&VarList::parse(first)), (0, Some("abc".to_owned())));
        let again = b"addr.0=192.0.2.1:123, last.0=0xeead8c52.00000000, now=0xeead8c60.00000000";
        assert_eq!(table.take(&VarList::parse(again)), (1, None));
        assert_eq!((table.entries.len(), table.updates, table.now.is_some()), (2, 1, true));
        let latest: Vec<_> = table.latest_first().iter().map(|entry| entry.host()).collect();
        assert_eq!(latest, [("192.0.2.1".to_owned(), 123), ("2001:db8::1".to_owned(), 5000)]);
        let recent = table.recent(60, 16);
        assert_eq!(recent, ", addr.0=192.0.2.1:123, last.0=0xeead8c52.00000000");
    }

    #[test]
    fn filters() {
        let asked = wish(&["mincount=5", "limited", "sort=-count"]).unwrap();
        assert_eq!(asked.filters, ", mincount=5, resall=0x20");
        assert_eq!(asked.order, Some((Order::Count, true)));
        for wrong in ["nonsense", "sort=size", "mincount=1,nonce=2", "mincount="] {
            assert!(wish(&[wrong]).is_err(), "{wrong}");
        }
    }

    /// Seconds that so many entries take, read in batches as a server gives them.
    fn reading(entries: u32) -> f64 {
        let (mut table, mut next, begun) = (Table::default(), 0, Instant::now());
        while next < entries {
            let items = (next..next + 100).map(|n| {
                format!(
                    "addr.{n}=10.{}.{}.{}:123, last.{n}=0x{:08x}.00000000, ",
                    n >> 16,
                    n >> 8 & 255,
                    n & 255,
                    n + 1
                )
            });
            let (fresh, _) = table.take(&VarList::parse(items.collect::<String>().as_bytes()));
            assert_eq!(fresh, 100);
            next += 100;
            let newest = NtpTimestamp::from_bits(u64::from(next) << 32);
            assert!(table.recent(DATA_MAX, PRIORS).contains(&format!("last.0={newest}, addr.1=")));
        }
        begun.elapsed().as_secs_f64()
    }

    #[test]
    fn e27_a_long_list_takes_no_longer_an_entry() {
        let best = |entries| (0..3).map(|_| reading(entries)).fold(f64::INFINITY, f64::min);
        let (short, long) = (best(10_000), best(80_000));
        assert!(long < 24.0 * short, "8 times as many entries: {short} s and {long} s");
    }
}
