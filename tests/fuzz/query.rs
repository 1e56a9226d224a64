//! What holds of all that a server sends to rsntpq, to every command: it can be printed, it is bounded, JSON is JSON, and it ends.

use rsntpd::config::model::Family;
use rsntpd::tools::link::{Link, Remote};
use rsntpd::tools::query::check::{self, Limits};
use rsntpd::tools::query::console::{Console, Settings};
use rsntpd::tools::query::fetch::{self, Which};
use rsntpd::tools::query::metrics::{self, State};
use rsntpd::tools::query::nts;
use rsntpd::units::NtpTimestamp;
use rsntpd::wire::status::SystemStatus;
use rsntpd::wire::varlist::VarList;
use sim::tape::Tape;

/// Commands that read.
const COMMANDS: [&str; 31] = [
    "peers",
    "lpeers",
    "opeers",
    "apeers",
    "as",
    "lassociations",
    "passociations",
    "rv",
    "rv &1",
    "rv 0 offset,version",
    "rv 12",
    "cv &1",
    "rl",
    "clocklist",
    "mrv &1 &2",
    "mrl &1 &3",
    "pstatus &1",
    "pstats &1",
    "mrulist",
    "mrulist sort=addr",
    "ifstats",
    "reslist",
    "sysinfo",
    "kerninfo",
    "sysstats",
    "iostats",
    "monstats",
    "authinfo",
    "timerstats",
    "ntsinfo",
    "authdata",
];
/// Requests that a command may make once nothing comes any more.
const PATIENCE: usize = 8;
/// Most that a server's answers make of text: a list of the lengths that it may have, a line each.
const TEXT_MAX: usize = 8 << 20;
const NOW: u64 = 0xeead_8cb2_58ed_b548;

/// The server: each answer is the next part of what it has to say.
#[derive(Debug)]
struct Hostile {
    script: Vec<u8>,
    at: usize,
    /// Requests that got nothing.
    silences: usize,
}

impl Remote for Hostile {
    /// An answer is datagrams, as its first byte says; each has a byte of what is wrong with it, and text up to a line end. A script
    /// that has ended is silence.
    fn respond(&mut self, request: &[u8]) -> Vec<Vec<u8>> {
        assert!(request.len() >= 12 && request.len() <= 12 + 468 + 24 && request[0] & 7 == 6, "{request:?}");
        let Some((first, mut rest)) = self.script.get(self.at..).and_then(<[u8]>::split_first) else {
            self.silences += 1;
            assert!(self.silences <= PATIENCE, "it does not come to an end");
            return Vec::new();
        };
        let mut datagrams = Vec::new();
        let (count, mut offset) = (1 + first % 4, 0);
        for index in 1..=count {
            let Some((wrong, text)) = rest.split_first() else { break };
            let length = text.iter().position(|b| *b == b'\n').unwrap_or(text.len()).min(1_200);
            datagrams.push(datagram(request, *wrong, &text[..length], offset, index < count));
            offset += length as u16;
            rest = text.get(length + 1..).unwrap_or_default();
        }
        self.at = self.script.len() - rest.len();
        datagrams
    }
}

/// A fragment of an answer; `wrong` says what is wrong with it, mostly nothing.
fn datagram(request: &[u8], wrong: u8, text: &[u8], offset: u16, more: bool) -> Vec<u8> {
    let text = unescaped(text);
    let mut head = [0; 12];
    head.copy_from_slice(&request[..12]);
    head[1] |= 0x80 | if more { 0x20 } else { 0 };
    head[4..6].copy_from_slice(&[wrong, !wrong]);
    head[8..10].copy_from_slice(&offset.to_be_bytes());
    head[10..12].copy_from_slice(&(text.len() as u16).to_be_bytes());
    match wrong {
        0xf0 => head[1] |= 0x40,
        0xf1 => head[2] ^= 1,
        0xf2 => head[8] ^= 0x80,
        0xf3 => head[10] ^= 1,
        0xf4 => head[1] ^= 0x20,
        0xf5 => head[1] ^= 1,
        0xf6 => head[0] = wrong,
        0xf7 => return head[..7].to_vec(),
        _ => {}
    }
    [&head[..], &text].concat()
}

/// Line ends are written \x01 in a script, where they end a datagram.
fn unescaped(text: &[u8]) -> Vec<u8> {
    text.iter().map(|b| if *b == 1 { b'\n' } else { *b }).collect()
}

/// A command, and all that the server has to say to it.
///
/// # Panics
/// If something of it does not hold.
pub fn hold(data: &[u8]) {
    let mut tape = Tape::new(data);
    let (which, flags) = (tape.below(COMMANDS.len() + 1), tape.byte());
    let script = tape.rest().to_vec();
    let mut link = Link::to(Box::new(Hostile { script, at: 0, silences: 0 }));
    let Some(command) = COMMANDS.get(which) else { return monitoring(&mut link) };
    let settings = Settings {
        family: Family::Any,
        numeric: true,
        wide: flags & 1 != 0,
        width: Some(40 + u16::from(flags)).filter(|_| flags & 2 != 0),
        json: flags & 4 != 0,
        old_rv: flags & 8 != 0,
        now: Some(NtpTimestamp::from_bits(NOW)),
        ..Settings::default()
    };
    let mut console = Console::new(settings);
    (console.link, console.raw) = (Some(link), flags & 16 != 0);
    if flags & 32 != 0 {
        printable(&console.run("as").out);
    }
    let outcome = console.run(command);
    printable(&outcome.out);
    printable(&outcome.err);
    assert!(!outcome.failed || !outcome.err.is_empty(), "{command} fails without a reason");
    if flags & 4 != 0 && !outcome.out.is_empty() {
        let read: Result<serde_json::Value, _> = serde_json::from_str(&outcome.out);
        assert!(read.is_ok(), "{command}: {read:?} in {}", outcome.out);
    }
}

/// What `rsntpq check` and `rsntpq metrics` make of it.
fn monitoring(link: &mut Link) {
    let Ok(system) = fetch::variables(link, 0, "") else { return };
    let mut sources = fetch::sources(link, Which::InUse).unwrap_or_default();
    let _silence = nts::add_details(link, &mut sources);
    let (_, text) = check::judge(SystemStatus(system.status), &system.list, &sources, &Limits::default());
    printable(&text);
    assert!(!text.contains('\n'), "{text:?}");
    let counters = fetch::variables(link, 0, "ss_uptime").map(|found| found.list).unwrap_or_default();
    let status = SystemStatus(system.status);
    let state = State { status, system: system.list, counters, nts: VarList::default(), sources };
    let page = metrics::render(&state, NtpTimestamp::from_bits(NOW));
    printable(&page);
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let value = line.rsplit_once(' ').map(|(_, value)| value.parse::<f64>());
        assert!(matches!(value, Some(Ok(number)) if number.is_finite()), "{line:?}");
    }
}

fn printable(text: &str) {
    assert!(text.len() <= TEXT_MAX, "{} bytes of text", text.len());
    let bad = text.chars().find(|c| !(' '..='~').contains(c) && !matches!(c, '\n' | '\r' | '\t' | '…'));
    assert!(bad.is_none(), "{bad:?} in {text:?}");
}
