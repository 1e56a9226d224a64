//! How ntpd 4.2.6p5 reads restrict lines and what it then forbids to whom: a small model, made from its manual
//! and from recorded cases, without any of our code. `tests/corpus/main.rs` holds it against what ntpd itself printed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The flags that a line may have.
pub const FLAGS: [&str; 13] = [
    "flake",
    "ignore",
    "kod",
    "limited",
    "lowpriotrap",
    "mssntp",
    "nomodify",
    "nopeer",
    "noquery",
    "noserve",
    "notrap",
    "notrust",
    "version",
];

/// Every other keyword, as far as one may stand in a restrict line.
const KEYWORDS: &str = "age all allan auth autokey automax average bclient beacon bias broadcast broadcastclient \
    broadcastdelay burst calibrate calldelay ceiling clockstats cohort controlkey crypto cryptostats day default \
    digest disable discard dispersion driftfile drop enable end file filegen flag1 flag2 flag3 flag4 floor freq \
    fudge host huffpuff iburst ident includefile interface ipv4 ipv6 kernel key keys keysdir leapfile link listen \
    logconfig logfile loopstats manycastclient manycastserver mask maxclock maxdist maxpoll minclock mindist \
    minimum minpoll minsane mode monitor month multicastclient nic nolink none noselect ntp ntpport ntpsigndsocket \
    orphan panic peer peerstats phone pid pidfile pool port preempt prefer protostats pw qos randfile rawstats refid \
    requestkey restrict revoke saveconfigdir server setvar sign simulate statistics stats statsdir step stepout \
    stratum sysstats tick time1 time2 timingstats tinker tos trap true trustedkey ttl type unconfig unpeer week \
    wildcard xleave year ...";

#[derive(Clone, PartialEq, Eq, Debug)]
enum Word {
    Keyword(String),
    Number,
    Text(String),
    Family(u8),
    Special,
    /// A quoted word of blanks ends the command.
    End,
}

/// The words of a line whose first one is `restrict`, where every word is taken as what it is.
fn words(line: &[u8]) -> Vec<Word> {
    let blank = |b: u8| matches!(b, b' ' | b'\t' | b'\r' | 0x0b | 0x0c);
    let special = |b: u8| b"{}(),;|=".contains(&b);
    let mut words = Vec::new();
    let (mut at, mut quoted) = (0, false);
    while at < line.len() {
        if blank(line[at]) {
            at += 1;
            continue;
        }
        if line[at] == b'#' {
            break;
        }
        if special(line[at]) {
            words.push(Word::Special);
            at += 1;
            continue;
        }
        let mut text = Vec::new();
        while at < line.len() && !blank(line[at]) && !special(line[at]) && !b"#\"".contains(&line[at]) {
            text.push(line[at]);
            at += 1;
        }
        if line.get(at) == Some(&b'"') {
            quoted = true;
            let end = line[at + 1..].iter().position(|b| *b == b'"').map_or(line.len(), |n| at + 1 + n);
            text.extend(&line[at + 1..end]);
            at = line.len().min(end + 1);
        }
        if text.is_empty() {
            continue;
        }
        words.push(classify(&String::from_utf8_lossy(&text), quoted));
        quoted = false;
    }
    words
}

fn classify(text: &str, quoted: bool) -> Word {
    let family = |text: &str| match text {
        "-4" => Some(Word::Family(4)),
        "-6" => Some(Word::Family(6)),
        _ => None,
    };
    if quoted {
        if text.bytes().all(|b| b.is_ascii_whitespace()) {
            return Word::End;
        }
        // Of a quoted word the beginning is enough.
        return family(text.get(..2).unwrap_or_default()).unwrap_or_else(|| Word::Text(text.to_owned()));
    }
    if let Some(word) = family(text) {
        return word;
    }
    if FLAGS.contains(&text) || KEYWORDS.split_ascii_whitespace().any(|word| word == text) {
        Word::Keyword(text.to_owned())
    } else if is_number(text) {
        Word::Number
    } else {
        Word::Text(text.to_owned())
    }
}

/// Whole, with an optional minus; or with a point, an optional sign and perhaps an exponent.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if digits(text.strip_prefix('-').unwrap_or(text)) {
        return true;
    }
    let Some((whole, rest)) = text.strip_prefix(['-', '+']).unwrap_or(text).split_once('.') else {
        return false;
    };
    let (fraction, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, ""));
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    digits(whole) && digits(fraction) && digits(exponent) && whole.len() + fraction.len() > 0
}

/// What ntpd keeps of a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    pub target: Target,
    pub mask: Option<String>,
    pub flags: BTreeSet<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// Both families, or one.
    Default(Option<u8>),
    /// An address or name, and the family of its lookup.
    Host(String, Option<u8>),
}

/// What ntpd keeps of the restrict lines of a file.
pub fn lines(text: &[u8]) -> Vec<Line> {
    let of_line = |line: &[u8]| -> Vec<Line> {
        words(line).split(|word| *word == Word::End).filter_map(command).collect()
    };
    text.split(|b| *b == b'\n').flat_map(of_line).collect()
}

/// A command as far as it is a complete one; nothing if it is none, or what must be there is not.
fn command(words: &[Word]) -> Option<Line> {
    let keyword =
        |at: usize, wanted: &str| matches!(words.get(at), Some(Word::Keyword(word)) if word == wanted);
    let text = |at: usize| match words.get(at) {
        Some(Word::Text(text)) => Some(text.clone()),
        _ => None,
    };
    if !keyword(0, "restrict") {
        return None;
    }
    let family = if let Some(Word::Family(family)) = words.get(1) { Some(*family) } else { None };
    let at = 1 + usize::from(family.is_some());
    let target =
        if keyword(at, "default") { Target::Default(family) } else { Target::Host(text(at)?, family) };
    let mut next = at + 1;
    let mut mask = None;
    if keyword(next, "mask") && matches!(target, Target::Host(_, None)) {
        mask = Some(text(next + 1)?);
        next += 2;
    }
    let mut flags = BTreeSet::new();
    while let Some(Word::Keyword(word)) = words.get(next) {
        if !FLAGS.contains(&word.as_str()) && word != "ntpport" {
            break;
        }
        flags.insert(word.clone());
        next += 1;
    }
    Some(Line { target, mask, flags })
}

/// Where names lead, in the resolver's order.
pub type Resolver<'r> = &'r dyn Fn(&str) -> Vec<IpAddr>;

/// The key of an entry: family, masked address, mask, whether it is for port 123 only.
type Key = (bool, u128, u128, bool);

/// Who may not do what.
#[derive(Debug)]
pub struct Entries(BTreeMap<Key, BTreeSet<String>>);

impl Entries {
    /// The entries that these lines make.
    pub fn of(lines: &[Line], resolve: Resolver<'_>) -> Self {
        let mut entries = Self(BTreeMap::new());
        for line in lines {
            match &line.target {
                Target::Default(family) => {
                    for (number, v6) in [(4, false), (6, true)] {
                        if family.is_none_or(|only| only == number) {
                            entries.add(v6, 0, 0, &line.flags);
                        }
                    }
                }
                Target::Host(host, family) => entries.host(host, *family, line, resolve),
            }
        }
        entries
    }

    fn host(&mut self, host: &str, family: Option<u8>, line: &Line, resolve: Resolver<'_>) {
        let of_family = |address: &IpAddr| family.is_none_or(|only| (only == 6) == address.is_ipv6());
        let looked_up = || {
            let old = old_style(host).map(|v4| vec![IpAddr::V4(v4)]);
            old.unwrap_or_else(|| resolve(host)).into_iter().find(of_family)
        };
        let Some(address) = numeric(host).or_else(looked_up) else { return };
        let mask = match &line.mask {
            None => IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)),
            Some(mask) => match numeric(mask).or_else(|| old_style(mask).map(IpAddr::V4)) {
                Some(mask) => mask,
                None => return,
            },
        };
        let (v6, address) = bits(address);
        // Without a mask it is as long as the address; of the other family it has no bits where they are looked for.
        let (mask_v6, mask) = bits(mask);
        let mask = match () {
            () if line.mask.is_none() && !v6 => u128::from(u32::MAX),
            () if line.mask.is_none() || v6 == mask_v6 => mask,
            () => 0,
        };
        self.add(v6, address & mask, mask, &line.flags);
    }

    fn add(&mut self, v6: bool, address: u128, mask: u128, flags: &BTreeSet<String>) {
        let key = (v6, address, mask, flags.contains("ntpport"));
        let entry = self.0.entry(key).or_default();
        entry.extend(flags.iter().filter(|flag| *flag != "ntpport").cloned());
    }

    /// The entries, one a line.
    pub fn facts(&self) -> Vec<String> {
        let fact = |((v6, address, mask, ntpport), flags): (&Key, &BTreeSet<String>)| {
            let show = |bits: u128| match v6 {
                true => IpAddr::V6(Ipv6Addr::from_bits(bits)),
                false => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
            };
            let port = if *ntpport { " ntpport" } else { "" };
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            format!("restrict {} mask {}{port}: {}", show(*address), show(*mask), flags.join(" "))
        };
        self.0.iter().map(fact).collect()
    }

    /// What a client may not do: the entry that sorts last of those that match counts.
    pub fn of_client(&self, client: IpAddr, port: u16) -> BTreeSet<String> {
        let (v6, address) = bits(client);
        let mut matching = self.0.iter().filter(|((of_v6, net, mask, ntpport), _)| {
            *of_v6 == v6 && address & mask == *net && (!ntpport || port == 123)
        });
        matching.next_back().map(|(_, flags)| flags.clone()).unwrap_or_default()
    }
}

fn bits(address: IpAddr) -> (bool, u128) {
    match address {
        IpAddr::V4(v4) => (false, v4.to_bits().into()),
        IpAddr::V6(v6) => (true, v6.to_bits()),
    }
}

/// Four numbers; or IPv6, up to a closing bracket if it begins with one, and up to a percent sign.
pub fn numeric(text: &str) -> Option<IpAddr> {
    if let Ok(v4) = text.parse::<Ipv4Addr>() {
        return Some(v4.into());
    }
    if text.len() > 127 {
        return None;
    }
    let inner = match text.strip_prefix('[') {
        Some(inner) => inner.find(']').map_or(inner, |end| &inner[..end]),
        None => text,
    };
    let bare = inner.find('%').map_or(inner, |end| &inner[..end]);
    bare.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

/// What the C library takes for IPv4 besides: fewer numbers, octal, hexadecimal.
pub fn old_style(text: &str) -> Option<Ipv4Addr> {
    let parse = |part: &str| match part {
        "" => None,
        "0" => Some(0),
        hex if hex.starts_with("0x") || hex.starts_with("0X") => u32::from_str_radix(&hex[2..], 16).ok(),
        octal if octal.starts_with('0') => u32::from_str_radix(octal, 8).ok(),
        other if other.bytes().all(|b| b.is_ascii_digit()) => other.parse().ok(),
        _ => None,
    };
    let parts: Vec<u32> = text.split('.').map(parse).collect::<Option<_>>()?;
    match parts[..] {
        [a] => Some(Ipv4Addr::from_bits(a)),
        [a, b] if a < 256 && b < 1 << 24 => Some(Ipv4Addr::from_bits(a << 24 | b)),
        [a, b, c] if a < 256 && b < 256 && c < 1 << 16 => Some(Ipv4Addr::from_bits(a << 24 | b << 16 | c)),
        [a, b, c, d] if [a, b, c, d].iter().all(|n| *n < 256) => {
            Some(Ipv4Addr::from_bits(a << 24 | b << 16 | c << 8 | d))
        }
        _ => None,
    }
}
