//! How fast we serve, beside the peers that Debian packages (`tests/system/peers.sh`), measured in one run:
//! the goals of the project, met or not. Needs root and two processors; takes under five minutes.
//!
//! Arguments: `--rounds N` (5); `--peers NAME,…`; names of daemons are rsntpd, chronyd, ntpsec, openntpd.
//! Writes `target/serve.json`. `load KEY=VALUE…` and `keys KEY=VALUE…` (key exchanges of NTS) are the generators alone.

#![allow(unreachable_pub)] // the modules of a benchmark have no other readers

mod daemons;
mod goals;
mod load;
mod nts;

use daemons::{Daemon, Loaded};
use goals::Sheet;
use load::Authentication;
use rsntpd::config::model::{Digest, Key};
use rsntpd::engine::auth::Keys;
use rsntpd::units::{Aead, KeyId, NtpTimestamp};
use std::net::Ipv4Addr;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if arguments.first().is_some_and(|a| a == "load") {
        return generate(&arguments[1..]);
    }
    if arguments.first().is_some_and(|a| a == "keys") {
        return exchange_keys(&arguments[1..]);
    }
    let value = |name: &str| arguments.iter().skip_while(|a| *a != name).nth(1);
    let rounds = value("--rounds").and_then(|v| v.parse().ok()).unwrap_or(5);
    let wanted = value("--peers").map(|v| v.split(',').map(str::to_owned).collect::<Vec<_>>());
    if let Some(reason) = missing() {
        println!("serve: skipped: {reason}");
        return ExitCode::SUCCESS;
    }
    // Before what other sessions do here, too, where the kernel shares processors by session.
    let _no_groups = std::fs::write("/proc/self/autogroup", "-20");
    let result = std::fs::create_dir_all(daemons::work())
        .map_err(|e| e.to_string())
        .and_then(|()| compare(rounds, wanted.as_deref()));
    let _left = std::fs::remove_dir_all(daemons::work());
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("serve: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What this machine lacks.
fn missing() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() {
        return Some("not root");
    }
    let there = |path: &str| std::path::Path::new(path).exists();
    if std::thread::available_parallelism().is_ok_and(|n| n.get() < 2) {
        return Some("one processor only");
    }
    if !there("target/release/rsntpd") {
        return Some("no target/release/rsntpd (make build)");
    }
    (!there(".peers/bin/chronyd")).then_some("no peers (tests/system/peers.sh)")
}

/// Of every key.
const SECRET: &str = "sixteen octets !";

/// The value of `name=value`.
fn value_of<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    arguments.iter().find_map(|a| a.strip_prefix(name)?.strip_prefix('='))
}

fn number_of(arguments: &[String], name: &str, otherwise: f64) -> f64 {
    value_of(arguments, name).and_then(|v| v.parse().ok()).unwrap_or(otherwise)
}

fn server_of(arguments: &[String]) -> Ipv4Addr {
    value_of(arguments, "server").and_then(|v| v.parse().ok()).unwrap_or(daemons::SERVER)
}

fn authentication(arguments: &[String]) -> Result<Authentication, String> {
    let key = |id: u32, digest: Digest| {
        let id = KeyId(id);
        let keys = Keys::new(&[Key::new(id, digest, SECRET.into())], &[id]);
        Ok(Authentication::Key(id, Box::new(keys)))
    };
    match value_of(arguments, "key") {
        None => Ok(Authentication::None),
        Some("md5") => key(1, Digest::Md5),
        Some("sha1") => key(2, Digest::Sha1),
        Some("cmac") => key(3, Digest::AesCmac),
        Some("nts15") => nts::Sealed::of(server_of(arguments), Aead::AesSivCmac256).map(Authentication::Nts),
        Some("nts30") => nts::Sealed::of(server_of(arguments), Aead::Aes128GcmSiv).map(Authentication::Nts),
        Some(other) => Err(format!("there is no key {other}")),
    }
}

/// Key exchanges, all that can be made in a time.
fn exchange_keys(arguments: &[String]) -> ExitCode {
    match nts::exchange_all(server_of(arguments), number_of(arguments, "seconds", 1.0)) {
        Ok((made, seconds)) => {
            println!("sent={made} received={made} seconds={seconds}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("keys: {why}");
            ExitCode::FAILURE
        }
    }
}

fn generate(arguments: &[String]) -> ExitCode {
    let number = |name: &str, otherwise: f64| number_of(arguments, name, otherwise);
    let stalled = nts::stall(server_of(arguments), number("stalled", 0.0) as u32);
    let (authentication, _stalled) = match (authentication(arguments), stalled) {
        (Ok(authentication), Ok(stalled)) => (authentication, stalled),
        (Err(why), _) | (_, Err(why)) => {
            eprintln!("load: {why}");
            return ExitCode::FAILURE;
        }
    };
    let mut plan = load::Plan {
        server: server_of(arguments),
        seconds: number("seconds", 1.0),
        rate: number("rate", 0.0),
        window: number("window", 64.0) as u64,
        burst: number("burst", 0.0) as u64,
        sources: number("sources", 10_000.0).max(1.0) as u32,
        measure: number("measure", 0.0),
        until_first: number("first", 0.0) > 0.0,
        until_synchronised: number("synchronised", 0.0) > 0.0,
        authentication,
    };
    match load::run(&mut plan) {
        Ok(outcome) => {
            let micros = |values: &[f64], part: f64| goals::quantile(values, part) * 1e6;
            let sizes: Vec<f64> = outcome.offsets.iter().map(|o| o.abs()).collect();
            println!(
                "sent={} received={} seconds={} turnaround={} turnaround99={} offset={} offset99={} first={}",
                outcome.sent,
                outcome.received,
                outcome.seconds,
                micros(&outcome.turnarounds, 0.5),
                micros(&outcome.turnarounds, 0.99),
                micros(&sizes, 0.5),
                micros(&sizes, 0.99),
                outcome.first.map_or(f64::NAN, unix)
            );
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("load: {why}");
            ExitCode::FAILURE
        }
    }
}

fn unix(at: NtpTimestamp) -> f64 {
    let (seconds, nanos) = at.to_unix(1_780_272_000);
    seconds as f64 + f64::from(nanos) * 1e-9
}

/// With the access list, the client table and rate limits at work, but nobody limited.
const OURS: &str = "server 127.127.1.0\nfudge 127.127.1.0 stratum 10\ndiscard average 0 minimum 0\n\
    restrict default limited kod nomodify notrap nopeer noquery\nrestrict 127.0.0.1\n\
    restrict 192.0.2.0 mask 255.255.255.0 ignore\n";

/// The dynamic program, or that of the variable: the lists of system calls of a static one are others.
fn program() -> String {
    let file = std::env::var("RSNTPD").unwrap_or_else(|_| format!("{}/target/release/rsntpd", here()));
    format!("{file} -n -c {{conf}} -l /dev/null")
}

fn ours(more: &str, name: &str) -> Result<Daemon, String> {
    Daemon::start(name, &program(), &format!("{OURS}{more}"))
}

fn here() -> String {
    std::env::current_dir().map(|d| d.to_string_lossy().into_owned()).unwrap_or_default()
}

fn start(name: &str, more: &str) -> Result<Daemon, String> {
    let peers = format!("{}/.peers/bin", here());
    match name {
        "rsntpd" => ours(more, name),
        "chronyd" => Daemon::start(
            name,
            &format!("{peers}/chronyd -x -d -u root -f {{conf}}"),
            &format!("local stratum 1\nallow\ncmdport 0\npidfile /run/chronyd.pid\n{more}"),
        ),
        "ntpsec" => Daemon::start(
            name,
            &format!("{peers}/ntpd-ntpsec -n -c {{conf}}"),
            &format!(
                "disable ntp\nserver 127.127.1.0\nfudge 127.127.1.0 stratum 10\n\
                unrestrict default limited kod\nrestrict default nomodify nopeer noquery\n{more}"
            ),
        ),
        "openntpd" => Daemon::start(name, &format!("{peers}/ntpd-openntpd -d -f {{conf}}"), "listen on *\n"),
        other => Err(format!("there is no {other}")),
    }
}

fn compare(rounds: usize, wanted: Option<&[String]>) -> Result<(), String> {
    let users = std::fs::read_to_string("/etc/passwd").map_err(|e| e.to_string())?;
    let users = format!("{users}ntpd:x:64321:64321::/var/lib/openntpd:/bin/false\n");
    std::fs::write(daemons::work().join("passwd"), users).map_err(|e| e.to_string())?;
    let mut sheet = Sheet::default();
    let mut running = Vec::new();
    for name in ["rsntpd", "chronyd", "ntpsec", "openntpd"] {
        if wanted.is_some_and(|w| !w.iter().any(|n| n == name)) {
            continue;
        }
        match start(name, "") {
            Ok(daemon) => {
                sheet.add(name, "first answer", daemon.first_answer * 1e3);
                running.push(daemon);
            }
            Err(why) => println!("serve: {name} left out: {why}"),
        }
    }
    println!("# {rounds} rounds, each daemon in its turn; server on processor 0, generator on processor 1");
    std::thread::sleep(std::time::Duration::from_secs(2));
    for daemon in &running {
        sheet.add(&daemon.name, "memory", daemon.memory("VmRSS") as f64);
        sheet.add(&daemon.name, "own", daemon.memory("RssAnon") as f64);
        idle(daemon, &mut sheet);
    }
    for _ in 0..rounds {
        for daemon in &running {
            round(daemon, &mut sheet)?;
        }
    }
    for daemon in &running {
        sheet.add(&daemon.name, "memory after", daemon.memory("VmRSS") as f64);
    }
    drop(running);
    alone(rounds, &mut sheet)?;
    for name in ["rsntpd", "chronyd", "ntpsec"] {
        if wanted.is_none_or(|w| w.iter().any(|n| n == name))
            && let Err(why) = authenticated(name, rounds, &mut sheet)
        {
            println!("serve: NTS of {name} left out: {why}");
        }
    }
    sheet.print();
    let file = "target/serve.json";
    std::fs::write(file, sheet.json()).map_err(|e| format!("{file}: {e}"))?;
    println!("# all of it: {file}");
    Ok(())
}

/// What it does when nobody asks.
fn idle(daemon: &Daemon, sheet: &mut Sheet) {
    let before = daemon.wake_ups();
    std::thread::sleep(std::time::Duration::from_secs(4));
    sheet.add(&daemon.name, "idle wake-ups", (daemon.wake_ups() - before) as f64 / 4.0);
}

fn round(daemon: &Daemon, sheet: &mut Sheet) -> Result<(), String> {
    let name = daemon.name.as_str();
    let mut add = |what: &str, value: f64| sheet.add(name, what, value);
    let closed = daemon.load("seconds=0.8")?;
    add("closed loop", closed.per_second());
    add("cost saturated", closed.cost());
    let medium = daemon.load("rate=50000 seconds=0.8")?;
    add("cost at 50000", medium.cost());
    add("turnaround at 50000", medium.turnaround);
    add("lost at 50000", medium.lost());
    let low = daemon.load("rate=1000 seconds=0.6")?;
    add("cost at 1000", low.cost());
    add("turnaround at 1000", low.turnaround);
    // Each on its own, as one a second would be.
    let few = daemon.load("rate=10 seconds=2")?;
    add("cost at 10", few.cost());
    let burst = daemon.load("burst=4096 seconds=0.3")?;
    add("lost of 4096", burst.lost());
    let open = daemon.load("rate=250000 seconds=0.6")?;
    add("open loop at 250000", open.per_second());
    let quiet = daemon.load_outside("rate=1 measure=1000 seconds=0.8 sources=1")?;
    add("offset", quiet.offset);
    add("offset p99", quiet.offset_worst);
    let busy = daemon.load("rate=50000 measure=1000 seconds=0.8")?;
    add("offset at 50000", busy.offset);
    add("offset p99 at 50000", busy.offset_worst);
    Ok(())
}

/// What is compared with ourselves.
fn alone(rounds: usize, sheet: &mut Sheet) -> Result<(), String> {
    let keys = daemons::work().join("keys");
    let hex: String = SECRET.bytes().map(|octet| format!("{octet:02x}")).collect();
    std::fs::write(&keys, format!("1 M {hex}\n2 SHA1 {hex}\n3 AES128CMAC {hex}\n"))
        .map_err(|e| e.to_string())?;
    let lines: String = (0..10_000)
        .map(|i| format!("restrict 10.{}.{}.0 mask 255.255.255.0 nomodify\n", i / 250, i % 250))
        .collect();
    let plain = ours(&format!("keys {}\ntrustedkey 1 2 3\n", keys.display()), "plain")?;
    let listed = ours(&lines, "listed")?;
    let unconfined = ours("seccomp off\nlandlock off\n", "unconfined")?;
    // The part of a LAN's server is played at the other end of the wire.
    let server = format!("{}/.peers/bin/chronyd -x -d -u root -f {{conf}}", here());
    let config = "local stratum 1\nallow\ncmdport 0\npidfile /run/chronyd-outside.pid\n";
    let following =
        Daemon::start_behind("following", &program(), "server 10.99.0.2 iburst\n", Some((&server, config)))?;
    sheet.add("rsntpd", "first sync", following.first_answer);
    drop(following);
    for _ in 0..rounds {
        let mut add = |what: &str, run: Result<Loaded, String>| -> Result<(), String> {
            let run = run?;
            sheet.add("rsntpd", &format!("rate {what}"), run.per_second());
            sheet.add("rsntpd", &format!("cost {what}"), run.cost());
            Ok(())
        };
        add("plain", plain.load("seconds=0.6"))?;
        add("md5", plain.load("seconds=0.6 key=md5"))?;
        add("sha1", plain.load("seconds=0.6 key=sha1"))?;
        add("cmac", plain.load("seconds=0.6 key=cmac"))?;
        add("10000 entries", listed.load("seconds=0.6"))?;
        add("1000000 sources", plain.load("seconds=0.6 sources=1000000"))?;
    }
    confined(rounds, &plain, &unconfined, sheet)?;
    // Not the pages of files: those of code that serves were given back before.
    sheet.add("rsntpd", "own 1000000 sources", plain.memory("RssAnon") as f64);
    Ok(())
}

/// What the sandbox costs: in turns, and by the ratio of each turn, as this machine's speed may change from one to the next.
fn confined(rounds: usize, with: &Daemon, without: &Daemon, sheet: &mut Sheet) -> Result<(), String> {
    for (what, plan) in [("saturated", "seconds=0.4"), ("at 50000", "rate=50000 seconds=0.4")] {
        for turn in 0..rounds * 4 {
            // Each is the first one half of the time.
            let (first, second) = if turn % 2 == 0 { (with, without) } else { (without, with) };
            let (first, second) = (first.load(plan)?.cost(), second.load(plan)?.cost());
            let ratio = if turn % 2 == 0 { first / second } else { second / first };
            sheet.add("rsntpd", &format!("confined / unconfined {what}"), ratio);
        }
    }
    Ok(())
}

/// A server of NTS beside itself without it: key exchanges with an ECDSA certificate, requests under both algorithms, and what
/// connections that stall do to those who ask for the time.
fn authenticated(name: &str, rounds: usize, sheet: &mut Sheet) -> Result<(), String> {
    let of = |file: &str| format!("{}/tests/fixtures/nts/{file}", here());
    let (certificate, key) = (of("server.pem"), of("key.pem"));
    let more = match name {
        "chronyd" => format!(
            "ntsservercert {certificate}\nntsserverkey {key}\nntsprocesses 1\nmaxntsconnections 200\n"
        ),
        _ => format!(
            "nts enable\nnts cert {certificate}\nnts key {key}\nnts cookie {}\n",
            daemons::work().join(format!("{name}.cookies")).display()
        ),
    };
    let more = if name == "rsntpd" { format!("{more}nts connections 200\n") } else { more };
    let daemon = start(name, &more)?;
    // The process for key exchanges starts beside the first answers.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let ciphers: Vec<&str> = ["nts15", "nts30"]
        .into_iter()
        .filter(|cipher| daemon.load(&format!("seconds=0.1 key={cipher}")).is_ok())
        .collect();
    for _ in 0..rounds {
        sheet.add(name, "rate without NTS", daemon.load("seconds=0.6")?.per_second());
        for cipher in &ciphers {
            let run = daemon.load(&format!("seconds=0.6 key={cipher}"))?;
            sheet.add(name, &format!("rate {cipher}"), run.per_second());
            sheet.add(name, &format!("cost {cipher}"), run.cost());
        }
        let keys = daemon.exchange_keys("seconds=1")?;
        sheet.add(name, "key exchanges", keys.per_second());
        sheet.add(name, "cost of keys", keys.cost());
        sheet.add(name, "p99", daemon.load("rate=1000 seconds=0.8")?.turnaround_worst);
    }
    // Last: some serve one connection after the other, and exchange no keys for minutes then.
    for _ in 0..rounds {
        let stalled = daemon.load("rate=1000 seconds=0.8 stalled=100")?;
        sheet.add(name, "p99 stalled", stalled.turnaround_worst);
        sheet.add(name, "lost stalled", stalled.lost());
    }
    Ok(())
}
