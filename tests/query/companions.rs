//! The small companions, run as they are shipped. None of them may touch this machine's clock: those
//! that could are run with options under which they do not.

use super::capture::captures;
use super::replay::Replay;
use super::tool;
use rsntpd::units::{Leap, RefId};
use rsntpd::wire::header::{Header, Mode};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("rsntpd-{name}.{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn waiting_ends_with_the_tries_or_without_a_daemon() {
    let (text, code) = tool("rsntp-wait", &["-v", "-n", "1", "127.0.0.1:9"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("ntpd is not running"), "{text}");
    for capture in captures() {
        let server = Replay::start(&capture);
        let (text, code) = tool("rsntp-wait", &["-v", "-n", "2", "-s", "1", &server.address()]);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.ends_with("ntpd did not synchronize.\n"), "{text}");
    }
    assert_eq!(tool("rsntp-wait", &["-n", "x"]).1, Some(2));
}

#[test]
fn keys_are_private_whole_and_never_written_over() {
    let folder = folder("keygen");
    let file = folder.join("keys");
    let path = file.to_str().unwrap();
    assert_eq!(tool("rsntp-keygen", &["-M", "-o", path]).1, Some(0));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let first = std::fs::read(&file).unwrap();
    assert_eq!(tool("rsntp-keygen", &["-M", "-o", path]).1, Some(1));
    assert_eq!(std::fs::read(&file).unwrap(), first);
    assert_eq!(tool("rsntp-keygen", &["-M", "-o", "/nowhere/keys"]).1, Some(1));
    assert_eq!(tool("rsntp-keygen", &[]).1, Some(1));
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "something was left behind");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_kernel_tells_its_state_to_anybody() {
    let (text, code) = tool("rsntptime", &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.starts_with("ntp_gettime() returns code ") && text.contains("\nntp_adjtime() returns code ")
    );
    assert!(text.contains(" TAI offset ") && text.contains(" tolerance "), "{text}");
}

#[test]
fn a_trace_begins_with_the_first_host() {
    for capture in captures() {
        let server = Replay::start(&capture);
        let (text, code) = tool("rsntptrace", &["-n", &server.address()]);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.starts_with(&format!("{}: stratum 1", server.address())), "{text}");
    }
    let (text, code) = tool("rsntptrace", &["127.0.0.1:9"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("Connection refused"), "{text}");
}

#[test]
fn no_time_server_is_told_within_the_timeouts() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let start = Instant::now();
    let (text, code) = tool("rsntpdate", &["-q", "-p", "2", "-t", "0.2", &address]);
    assert_eq!(code, Some(1));
    assert!(text.starts_with("server 127.0.0.1, stratum 0, offset 0.000000, delay 0.00000\n"), "{text}");
    assert!(text.ends_with("no server suitable for synchronization found\n"), "{text}");
    assert!(start.elapsed().as_secs() < 3);
    let (text, code) = tool("rsntpdate", &["-q"]);
    assert_eq!(code, Some(1));
    assert!(text.ends_with("no servers can be used, exiting\n"), "{text}");
}

/// A server that gives the time to the first `times` requests and the kiss RATE to the others; gives
/// the times at which requests came.
fn limiting(times: usize) -> (String, std::thread::JoinHandle<Vec<Instant>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    socket.set_read_timeout(Some(Duration::from_secs(4))).unwrap();
    let serving = std::thread::spawn(move || {
        let (mut packet, mut came) = ([0; 128], Vec::new());
        while let Ok((length, from)) = socket.recv_from(&mut packet) {
            let request = Header::parse(&packet[..length]).unwrap();
            let now = rsntpd::sys::clock::wall();
            let kiss = came.len() >= times;
            let response = Header {
                mode: Mode::Server,
                leap: if kiss { Leap::Unsynchronised } else { Leap::None },
                stratum: if kiss { 0 } else { 1 },
                reference_id: RefId::from_text(if kiss { b"RATE" } else { b"GPS" }),
                origin: request.transmit,
                reference: now,
                receive: now,
                transmit: now,
                ..request
            };
            came.push(Instant::now());
            socket.send_to(&response.to_bytes(), from).unwrap();
        }
        came
    });
    (address, serving)
}

#[test]
fn d1_samples_are_two_seconds_apart_and_survive_a_rate_kiss() {
    let (address, serving) = limiting(1);
    let (text, code) = tool("rsntpdate", &["-q", &address]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("server 127.0.0.1, stratum 1, offset "), "{text}");
    assert!(text.contains("127.0.0.1: rate exceeded (RATE) after 1 sample\n"), "{text}");
    let came = serving.join().unwrap();
    assert_eq!(came.len(), 2, "the kiss ends sampling");
    assert!(came[1] - came[0] >= Duration::from_millis(1950), "{:?}", came[1] - came[0]);
    let (address, serving) = limiting(0);
    let (text, code) = tool("rsntpdate", &["-q", &address]);
    assert_eq!((code, serving.join().unwrap().len()), (Some(1), 1), "{text}");
    assert!(text.contains("127.0.0.1: rate exceeded (RATE), no sample\n"), "{text}");
    assert!(text.ends_with("no server suitable for synchronization found\n"), "{text}");
}

#[test]
fn a_query_that_nobody_answers_ends_within_five_seconds() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let start = Instant::now();
    let (text, code) = tool("rsntpq", &["-p", &address]);
    assert_eq!(code, Some(1));
    assert_eq!(text, format!("{address}: timed out, nothing received\n***Request timed out\n"));
    assert!((4400..5000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    let (text, code) = tool("rsntpq", &["-p", "127.0.0.1:9"]);
    assert_eq!((text.as_str(), code), ("ntpq: read: Connection refused\n", Some(1)));
}

/// A server that answers "no associations".
fn without_sources() -> Replay {
    let request = vec![0x16, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let reply = vec![0x16, 0x81, 0, 0, 0xc0, 0x11, 0, 0, 0, 0, 0, 0];
    Replay::of(vec![(request, vec![reply])])
}

#[test]
fn d3_no_sources_is_told_on_standard_output_in_ntpqs_words() {
    let server = without_sources();
    let host = server.address();
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_rsntpq"));
        let ended = command.args(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&ended.stdout), text(&ended.stderr), ended.status.code())
    };
    let line = "No association ID's returned\n";
    for command in ["peers", "lpeers", "opeers", "apeers", "as", "lassociations"] {
        assert_eq!(run(&["-c", command, &host]), (line.to_owned(), String::new(), Some(0)), "{command}");
    }
    assert_eq!(run(&["-pn", &host]), (line.to_owned(), String::new(), Some(0)));
    // With several hosts each line names its host.
    let both = format!("server={host} {line}server={host} {line}");
    assert_eq!(run(&["-p", &host, &host]), (both, String::new(), Some(0)));
    assert_eq!(run(&["-c", "passociations", &host]).0, "No association ID's in list\n");
    let unknown = "***No associations found, `&1' unknown\n".to_owned();
    assert_eq!(run(&["-c", "rv &1", &host]), (String::new(), unknown, Some(1)));
    assert_eq!(run(&["-c", "ntpversion", &host]).0, "NTP version being claimed is 2\n");
}

#[test]
fn d9_options_of_the_classic_programs_are_accepted() {
    let closed = "127.0.0.1:9";
    for (name, args) in [
        ("ntpq", &["-W", "255", "-pn", closed][..]),
        ("ntpq", &["-W255", "-4npw", closed]),
        ("ntpq", &["--width=255", "--peers", "--numeric", closed]),
        ("ntpq", &["-u", "-p", closed]),
        ("ntpq", &["-p", "--unconnected", "-r", "ipv4", closed]),
        ("ntpq", &["-p", "-s", "-S", "-l", "/nonexistent/log", closed]),
        ("ntpq", &["-O", "-c", "rv 0 offset", closed]),
        ("ntpq", &["-ddd", "-D", "3", "--num", "--comm", "peers", closed]),
        ("ntpdate", &["-46bBdqsuv", "-e", "0.1", "-o", "4", "-p", "1", "-t", "0"]),
        ("ntpdate", &["-ubvs", "-t5", "-p4", "-q", "-U", "ntp", "-k", "/nonexistent"]),
        ("ntpstat", &["-m", "100", closed]),
        ("ntp-wait", &["-n", "1", "-s", "1", "-v", closed]),
        ("ntp-wait", &["--tries=1", "--sleep=1", "--verbose", closed]),
        ("ntptrace", &["-n", "-m", "3", "-r", closed]),
        ("ntptrace", &["-vdn", "-t", "2", "--max-hosts=3", "--host", closed]),
        ("ntp-keygen", &["-d", "-M", "-b", "2048", "-p", "pw", "-o", "/nonexistent/keys"]),
        ("ntp-keygen", &["-T", "-I", "-M", "-c", "RSA-SHA1", "-i", "group", "-o", "/nonexistent/keys"]),
        ("ntptime", &["-cr"]),
    ] {
        let (text, code) = tool(name, args);
        assert!(!text.contains("--help' for all options"), "{name} {args:?}: {text}");
        assert_eq!(
            code,
            Some(if name == "ntpstat" { 2 } else { u8::from(name != "ntptime").into() }),
            "{text}"
        );
    }
    for name in ["ntpq", "ntpdate", "ntpstat", "ntp-wait", "ntptrace", "ntp-keygen", "ntptime"] {
        for option in ["-h", "-?", "-!", "--help", "--more-help"] {
            let (text, code) = tool(name, &[option]);
            assert!(code == Some(0) && text.contains("Usage: "), "{name} {option}: {text}");
        }
        assert!(tool(name, &["-V"]).0.ends_with(concat!(" ", env!("CARGO_PKG_VERSION"), "\n")));
        assert_ne!(tool(name, &["--nonsense"]).1, Some(0));
    }
    // What would change the kernel clock is refused, and says so.
    let (text, code) = tool("ntptime", &["-f", "-10.5"]);
    assert!(code == Some(1) && text.contains("-f would change the kernel clock"), "{text}");
}

#[test]
fn d9_a_wider_display_gives_names_more_room() {
    for capture in captures() {
        let server = Replay::start(&capture);
        let lines =
            |args: &[&str]| -> Vec<String> { tool("ntpq", args).0.lines().map(str::to_owned).collect() };
        let usual = lines(&["-pn", &server.address()]);
        for (width, more) in [("80", 0), ("40", 0), ("90", 10), ("255", 24), ("65535", 24)] {
            let wide = lines(&["-W", width, "-pn", &server.address()]);
            assert_eq!(wide[1].len(), 78 + more, "{width}");
            for (wide, usual) in wide.iter().zip(&usual).filter(|(wide, _)| !wide.starts_with('=')) {
                assert_eq!(wide.len(), usual.len() + more, "{width}: {wide}");
            }
        }
    }
}
