//! The companions against servers that mean harm.

use crate::table::{Row, tried};
use rsntpd::units::{Leap, NtpTimestamp, RefId, Seconds};
use rsntpd::wire::{Header, Mode};
use sim::loopback::Loopback;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub const ROWS: &[Row] = &[
    Row {
        holes: "2015-7852, 2017-6460, 2018-7183, 2023-26551, 2023-26552, 2023-26553, 2023-26554",
        rule: "what a server says is bounded, and escaped for the terminal; no number of its ends the query tool",
        tried: tried![
            cve_2015_7852_2018_7183_answers_are_escaped,
            cve_2017_6460_long_lists_are_survived,
            cve_2023_26551_26554_odd_numbers_are_survived,
        ],
    },
    Row {
        holes: "2015-8158",
        rule: "a server that never comes to an end is not waited for",
        tried: tried![cve_2015_8158_an_answer_without_end_ends],
    },
    Row {
        holes: "2018-12327",
        rule: "names on the command line may be of any length",
        tried: tried![cve_2018_12327_a_long_name_is_an_error],
    },
    Row {
        holes: "E21",
        rule: "mrulist reads a bounded list, and says that it is not complete",
        tried: tried![e21_a_list_without_end_is_cut],
    },
    Row {
        holes: "E22",
        rule: "what is no number is none in JSON either",
        tried: tried![e22_json_stays_json],
    },
    Row {
        holes: "E26",
        rule: "how much memory is taken is not the server's choice",
        tried: tried![e26_memory_is_not_the_servers_choice],
    },
    Row {
        holes: "E32",
        rule: "rsntpdate takes no time from an answer that left before its request came",
        tried: tried![e32_rsntpdate_takes_no_answer_from_before_the_question],
    },
];

/// The data of a datagram, where in the answer it stands, and whether more follow.
struct Piece {
    data: Vec<u8>,
    offset: u16,
    more: bool,
}

fn whole(data: impl Into<Vec<u8>>) -> Vec<Piece> {
    vec![Piece { data: data.into(), offset: 0, more: false }]
}

/// A server of mode 6: `answer` makes what it says of operation, association and data.
fn server(mut answer: impl FnMut(u8, u16, &str) -> Vec<Piece> + Send + 'static) -> Loopback {
    Loopback::new(move |request| {
        let Some((head, data)) = request.split_first_chunk::<12>() else { return Vec::new() };
        let association = u16::from_be_bytes([head[6], head[7]]);
        let pieces = answer(head[1] & 0x1f, association, &String::from_utf8_lossy(data));
        let datagram = |piece: Piece| {
            let mut datagram = head.to_vec();
            datagram[1] |= 0x80 | if piece.more { 0x20 } else { 0 };
            datagram[4..6].copy_from_slice(&[0x06, 0x15]);
            datagram[8..10].copy_from_slice(&piece.offset.to_be_bytes());
            datagram[10..12].copy_from_slice(&(piece.data.len() as u16).to_be_bytes());
            datagram.extend(piece.data);
            datagram
        };
        pieces.into_iter().map(datagram).collect()
    })
}

/// What a run of a companion printed, both outputs, and how it ended.
struct Run {
    out: String,
    all: String,
    status: i32,
    took: Duration,
}

/// Runs a companion with so many kB of memory; no signal may end it.
fn run(name: &str, memory: u32, args: &[&str]) -> Run {
    let begun = Instant::now();
    let limits = format!("ulimit -v {memory}; exec timeout -s KILL 240 \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &limits, "sh", env!("CARGO_BIN_EXE_rsntpq"), "--tool", name])
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let status = output.status.code().unwrap_or(-1);
    assert!((0..128).contains(&status), "{name} {args:?}: {:?} {err}", output.status);
    assert!(!err.contains("panicked"), "{name} {args:?}: {err}");
    Run { all: format!("{out}{err}"), out, status, took: begun.elapsed() }
}

const MEMORY: u32 = 600_000;

/// Commands that read, and what they are asked with.
const COMMANDS: [&str; 16] = [
    "peers", "lpeers", "opeers", "apeers", "as", "rv", "rv &1", "cv &1", "rl", "mrulist", "ifstats",
    "reslist", "sysinfo", "kerninfo", "iostats", "monstats",
];

/// Two associations, and one answer to all other questions.
fn saying(text: Vec<u8>) -> Loopback {
    server(move |opcode, association, _| match (opcode, association) {
        (1, 0) => whole([0, 1, 0x96, 0x14, 0, 2, 0x94, 0x14]),
        _ => whole(text.clone()),
    })
}

fn cve_2015_7852_2018_7183_answers_are_escaped() {
    let nasty = b"version=\"\x1b]0;owned\x07\x1b[2J\", srcadr=\x1b[31m, refid=\xff\xfe\x80, stratum=\x00\x01, system=\"a\r\n\x08b, \
        offset=\x1b[1, filtdelay=\x1b[5m \x1b[6m, addr.0=\x1b[7m, last.0=0x1.2, nonce=abc, name.0=\x9b31m, flags.0=\x1b[0m"
        .to_vec();
    let plain = saying(b"srcadr=192.0.2.1, stratum=3, refid=GPS, version=\"x 1\"".to_vec());
    let hostile = saying(nasty);
    for command in COMMANDS {
        let ran = run("rsntpq", MEMORY, &["-n", "-c", command, &hostile.address]);
        let bad: Vec<char> =
            ran.all.chars().filter(|c| !(' '..='~').contains(c) && !['\n', '\r', '\t'].contains(c)).collect();
        assert!(bad.is_empty(), "{command}: {bad:?} in {:?}", ran.all);
        assert!(!ran.all.contains('\u{1b}'), "{command}");
    }
    let honest = run("rsntpq", MEMORY, &["-n", "-p", &plain.address]);
    assert!(honest.out.contains("192.0.2.1") && honest.status == 0, "{}", honest.all);
}

fn cve_2017_6460_long_lists_are_survived() {
    let hostile = server(|opcode, association, _| match (opcode, association) {
        (1, 0) => whole([0, 1, 0x96, 0x14]),
        (12, _) => whole("nonce=abc"),
        (11, _) => {
            let line = |n: u32| {
                format!(
                    "addr.{n}={}, mask.{n}={}, flags.{n}={}, hits.{n}=1, ",
                    "9".repeat(300),
                    "f".repeat(300),
                    "x".repeat(300)
                )
            };
            whole((0..60).map(line).collect::<String>())
        }
        _ => whole(format!(
            "filtdelay={}, filtoffset={}, srcadr={}",
            "1 ".repeat(9_000),
            "x ".repeat(9_000),
            "a".repeat(9_000)
        )),
    });
    for command in COMMANDS {
        let ran = run("rsntpq", MEMORY, &["-n", "-c", command, &hostile.address]);
        assert!(ran.took < Duration::from_secs(60), "{command}: {:?}", ran.took);
    }
}

const ODD: [&str; 17] = [
    "nan",
    "inf",
    "-inf",
    "1e400",
    "-1e400",
    "1e-400",
    ".",
    "-",
    "+.",
    "1.2.3",
    "0x",
    "0xfffffffffffffffffff",
    "9999999999999999999999",
    "-9223372036854775808",
    "1e",
    "\"",
    "1,",
];

/// All variables that are shown as numbers or times have this value.
fn odd(value: &str) -> Loopback {
    let names = "offset delay jitter dispersion stratum hpoll ppoll reach rec reftime org xmt hmode rootdelay rootdisp frequency sys_jitter \
        clk_jitter clk_wander precision tc mintc leap clock tai leapsec expire koffset kfreq kmaxerr kesterr kprecis ss_uptime ss_reset \
        mru_depth mru_mem io_received total_rbuf filtdelay filtoffset filtdisp timer unreach headway flash keyid srcport dstport poll \
        noreply fudgetime1 flags addr.0 last.0 first.0 ct.0 mv.0 rs.0 up.0 rx.0 tx.0 hits.0";
    let mut items: Vec<String> = names.split_whitespace().map(|name| format!("{name}={value}")).collect();
    items.push("srcadr=192.0.2.1, refid=GPS, nonce=abc, now=0xeead8cb2.58edb548".to_owned());
    saying(items.join(", ").into_bytes())
}

fn cve_2023_26551_26554_odd_numbers_are_survived() {
    let long = ["1".repeat(900), format!("0.{}", "1".repeat(900)), format!("{}.5", "9".repeat(900))];
    for value in ODD.into_iter().chain(long.iter().map(String::as_str)) {
        let hostile = odd(value);
        for command in COMMANDS {
            run("rsntpq", MEMORY, &["-n", "-c", command, &hostile.address]);
        }
        run("rsntpstat", MEMORY, &[&hostile.address]);
    }
}

fn e22_json_stays_json() {
    for value in ODD {
        let hostile = odd(value);
        for command in
            ["peers", "as", "rv", "rv &1", "cv &1", "mrulist", "sysinfo", "kerninfo", "iostats", "ifstats"]
        {
            let ran = run("rsntpq", MEMORY, &["-n", "--json", "-c", command, &hostile.address]);
            let read: Result<serde_json::Value, _> = serde_json::from_str(&ran.out);
            assert!(read.is_ok() || ran.status != 0, "{command} with {value}: {}", ran.out);
        }
    }
    let good = run("rsntpq", MEMORY, &["-n", "--json", "-c", "peers", &odd("1").address]);
    let read: serde_json::Value = serde_json::from_str(&good.out).unwrap();
    assert!(good.out.contains("\"offset"), "{read}");
}

fn cve_2015_8158_an_answer_without_end_ends() {
    let endless = |more: bool| {
        server(move |_, _, _| {
            (0..600u32)
                .map(|n| Piece { data: vec![b'a'; 100], offset: (n * 100) as u16, more: more || n > 0 })
                .collect()
        })
    };
    for hostile in [endless(true), endless(false)] {
        let ran = run("rsntpq", MEMORY, &["-n", "-c", "rv", &hostile.address]);
        assert!(ran.took < Duration::from_secs(30), "{:?}", ran.took);
    }
    // Bytes that are no answer, as fast as they can be sent, while the true one never comes.
    let hostile = Loopback::new(|_| vec![vec![0x16; 400]; 20_000]);
    let ran = run("rsntpq", MEMORY, &["-n", "-c", "rv", &hostile.address]);
    assert!(ran.took < Duration::from_secs(30) && ran.status != 0, "{:?}", ran.took);
}

fn cve_2018_12327_a_long_name_is_an_error() {
    for name in [
        "a".repeat(5_000),
        format!("[{}]", "f:".repeat(3_000)),
        format!("-6{}", "x".repeat(70_000)),
        "%".repeat(300),
    ] {
        let ran = run("rsntpq", MEMORY, &["-n", "-p", "--", &name]);
        assert_ne!(ran.status, 0);
    }
}

/// Entries of the client list, more with each request.
fn clients(end: Option<u32>) -> Loopback {
    let mut next = 0u32;
    server(move |opcode, _, _| {
        if opcode != 10 {
            return whole("nonce=abc");
        }
        let mut text = String::from("nonce=abc");
        while text.len() < 62_000 && end.is_none_or(|end| next < end) {
            let [a, b, c, d] = (0x0a00_0000 + next).to_be_bytes();
            let index = next % 2_000;
            text += &format!(
                ", addr.{index}={a}.{b}.{c}.{d}:1, last.{index}=0x{:08x}.00000000, ct.{index}=1",
                0xe000_0000 + next
            );
            next += 1;
        }
        if end == Some(next) {
            text += ", now=0xeead8cb2.58edb548, last.newest=0xeead8cb2.00000000";
        }
        whole(text)
    })
}

fn e21_a_list_without_end_is_cut() {
    let ran = run("rsntpq", 1_200_000, &["-n", "-c", "mrulist", &clients(None).address]);
    assert!(
        ran.all.contains("The list is not complete"),
        "{}",
        &ran.all[ran.all.len().saturating_sub(400)..]
    );
    let ran = run("rsntpq", MEMORY, &["-n", "-c", "mrulist", &clients(Some(5_000)).address]);
    assert!(ran.all.contains("Retrieved 5000 unique MRU entries"), "{}", &ran.all[..400]);
    assert!(!ran.all.contains("not complete"));
}

fn e26_memory_is_not_the_servers_choice() {
    let ids: Vec<u8> = (1..=16_199u16).flat_map(|id| [id.to_be_bytes(), [0x96, 0x14]].concat()).collect();
    let some: Vec<u8> = ids[..4 * 2_000].to_vec();
    let variables = format!("srcadr=192.0.2.1, {}", "variable=1234567890, ".repeat(3_000));
    for list in [ids, some] {
        let variables = variables.clone();
        let hostile = server(move |opcode, association, _| match (opcode, association) {
            (1, 0) => whole(list.clone()),
            _ => whole(variables.clone()),
        });
        for (command, args) in
            [("peers", &["-n", "-p"][..]), ("check", &["check"]), ("metrics", &["metrics"])]
        {
            let ran = run("rsntpq", 300_000, &[args, &[hostile.address.as_str()]].concat());
            // Metrics say so by a metric.
            assert!(ran.status != 0 || command == "metrics", "{command}");
            assert!(ran.all.contains("The server "), "{command}: {}", &ran.all[..ran.all.len().min(400)]);
        }
    }
}

fn e32_rsntpdate_takes_no_answer_from_before_the_question() {
    let serving = |held: f64| {
        Loopback::new(move |request| {
            let Ok(asked) = Header::parse(request) else { return Vec::new() };
            let now = rsntpd::sys::clock::wall();
            let response = Header {
                mode: Mode::Server,
                leap: Leap::None,
                stratum: 1,
                precision: -20,
                reference_id: RefId::from_text(b"GPS"),
                reference: NtpTimestamp::from_bits(now.to_bits()),
                origin: asked.transmit,
                receive: now,
                transmit: now.offset(Seconds::new(held)),
                ..asked
            };
            vec![response.to_bytes().to_vec()]
        })
    };
    let refused = run("rsntpdate", MEMORY, &["-q", "-p", "1", &serving(-1e-3).address]);
    assert!(refused.all.contains("no server suitable"), "{}", refused.all);
    let taken = run("rsntpdate", MEMORY, &["-q", "-p", "1", &serving(0.0).address]);
    assert!(taken.status == 0 && taken.all.contains("stratum 1"), "{}", taken.all);
}
