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
