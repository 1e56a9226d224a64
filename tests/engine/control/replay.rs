//! The conversations of ntpq 4.2.6p5, 4.3.91 and NTPsec and of ntpstat with two real daemons, where the
//! reference folder `../shared` is there: every request gets an answer of the same shape.

use crate::bench::from;
use sim::desk::{Answer, Desk, ask};

/// What a value looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    Number,
    Decimals,
    Hex,
    Stamp,
    Quoted,
    Stages,
    Word,
    Empty,
}

fn shape(value: &str) -> Shape {
    let is_hex =
        |text: &str, digits: usize| text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
    let stamp = value.strip_prefix("0x").and_then(|v| v.split_once('.'));
    if value.is_empty() || value == "\"\"" {
        Shape::Empty
    } else if stamp.is_some_and(|(s, f)| is_hex(s, 8) && is_hex(f, 8)) {
        Shape::Stamp
    } else if value.strip_prefix("0x").is_some_and(|v| v.bytes().all(|b| b.is_ascii_hexdigit())) {
        Shape::Hex
    } else if value.starts_with('"') {
        Shape::Quoted
    } else if value.split(' ').filter(|v| !v.is_empty()).count() == 8 {
        Shape::Stages
    } else if value.parse::<f64>().is_ok() {
        // Three decimals or more: milliseconds and ppm.
        if value.split_once('.').is_some_and(|(_, d)| d.len() >= 3) { Shape::Decimals } else { Shape::Number }
    } else {
        Shape::Word
    }
}

fn unhex(digits: &str) -> Vec<u8> {
    (0..digits.len() / 2 * 2)
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// A request, and the datagrams that answered it.
type Conversation = (Vec<u8>, Vec<Vec<u8>>);

/// The conversations of a capture: a request and the datagrams that answered it. Some of the captured
/// answers are cut, which is noted by a count that is past their end.
fn conversations(name: &str) -> Option<Vec<Conversation>> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        skip::because(&format!("{} is not there", path.display()));
        return None;
    };
    let mut found: Vec<Conversation> = Vec::new();
    for line in text.lines() {
        if let Some(digits) = line.strip_prefix("> ") {
            found.push((unhex(digits), Vec::new()));
        } else if let Some(digits) = line.strip_prefix("< ") {
            found.last_mut().unwrap().1.push(unhex(digits));
        }
    }
    Some(found)
}

/// The captured items as far as they were captured.
fn captured_items(datagrams: &[Vec<u8>]) -> Vec<(String, String)> {
    let mut data = Vec::new();
    let mut whole = true;
    for datagram in datagrams {
        let count = usize::from(u16::from_be_bytes([datagram[10], datagram[11]]));
        whole &= datagram.len() >= 12 + count;
        data.extend(&datagram[12..datagram.len().min(12 + count)]);
        if !whole {
            break;
        }
    }
    let mut items = Answer { bits: 0, opcode: 0, sequence: 0, status: 0, data, datagrams: 0 }.items();
    if !whole {
        items.pop();
    }
    items
}

fn check_shape(ours: &Answer, captured: &[Vec<u8>], request: &[u8]) {
    let head = &captured[0];
    assert_eq!((ours.opcode, ours.sequence.to_be_bytes()), (head[1] & 0x1f, [request[2], request[3]]));
    if head[1] & 0x40 != 0 {
        // 4.2.6p5 knows fewer variables and operations than 4.2.8; we know all of both.
        return;
    }
    assert_eq!(ours.bits, 0x80, "an error: {ours:?} to {request:02x?}");
    if ours.opcode == 1 && request[6..8] == [0, 0] {
        assert_eq!(ours.data.len(), 8, "two associations");
        return;
    }
    let shown = ours.items();
    let mut at = 0;
    for (name, value) in captured_items(captured) {
        // Without a time constant of its own a refclock has no multicast hops to show.
        if name == "ttl" || name == "xleave" {
            continue;
        }
        let place = shown[at..].iter().position(|(n, _)| *n == name);
        let place = at + place.unwrap_or_else(|| panic!("{name} is not where ntpd has it: {shown:?}"));
        at = place + 1;
        let (expected, found) = (shape(&value), shape(&shown[place].1));
        let kernel = name.starts_with('k') && name != "keyid";
        let like =
            expected == found || kernel && matches!(found, Shape::Number | Shape::Decimals | Shape::Quoted);
        // Quoted strings may be empty, as may a time code.
        assert!(like || expected == Shape::Empty, "{name}: {value:?} and {:?}", shown[place].1);
    }
}

fn replay(name: &str) -> usize {
    let Some(conversations) = conversations(name) else { return 0 };
    let mut desk = Desk::new(|_| {});
    let ids = desk.associations();
    let mut theirs: Vec<u16> = Vec::new();
    for (index, (request, captured)) in conversations.iter().enumerate() {
        let association = u16::from_be_bytes([request[6], request[7]]);
        // As it is: every request gets an answer, except one with a nonce that is not ours.
        let with_nonce = request[1] & 0x1f == 10;
        let answer = Answer::join(&desk.raw(request, from("127.0.0.1:40000")));
        assert_eq!(answer.is_none(), with_nonce, "request {index} of {name}");
        let mut request = request.clone();
        if association != 0 {
            assert_eq!(answer.unwrap().error(), Some(4), "nobody guesses our associations");
            if !theirs.contains(&association) {
                theirs.push(association);
            }
            let position = theirs.iter().position(|id| *id == association).unwrap() % 2;
            request[6..8].copy_from_slice(&ids[position].to_be_bytes());
        }
        if with_nonce {
            let nonce = desk.asked(&ask(12, 0, "")).value("nonce");
            assert_eq!(nonce.len(), 24);
            request[12 + 6..12 + 6 + 24].copy_from_slice(nonce.as_bytes());
        }
        let ours = desk.asked(&request);
        if !captured.is_empty() {
            check_shape(&ours, captured, &request);
        }
    }
    conversations.len()
}

#[test]
fn every_request_of_the_captures_gets_an_answer_of_the_right_shape() {
    let (older, newer) = (replay("mode6-ntpd-4.2.6p5.txt"), replay("mode6-ntpd-4.3.91.txt"));
    println!("{older} and {newer} requests replayed");
}
