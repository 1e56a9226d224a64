//! The client list, and how much is sent to whom.

use crate::bench::{Bench, from, request};
use rsntpd::config::model::Mru;
use rsntpd::wire::Mode;
use sim::desk::{Answer, Desk, ask};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

/// Lets `count` clients ask for the time.
pub fn arrive(bench: &mut Bench, first: u32, count: u32) {
    let asked = request(4, Mode::Client).to_bytes();
    for i in first..first + count {
        bench.time += 1e-5;
        let client = SocketAddr::from((Ipv4Addr::from_bits(0x0b00_0000 + i), 4000));
        bench.ask(&asked, client);
    }
}

/// A reader of the client list as ntpq is one: batches with nonces, going on behind what it has.
struct Reader {
    entries: Vec<(String, String)>,
    seen: BTreeSet<String>,
    requests: usize,
    finished: bool,
    /// The last batch brought one.
    nonce: Option<String>,
}

impl Reader {
    fn new() -> Self {
        Self { entries: Vec::new(), seen: BTreeSet::new(), requests: 0, finished: false, nonce: None }
    }

    fn batch(&mut self, desk: &mut Desk, client: SocketAddr, options: &str) -> Answer {
        let nonce = self
            .nonce
            .take()
            .unwrap_or_else(|| Answer::join(&desk.raw(&ask(12, 0, ""), client)).unwrap().value("nonce"));
        let mut data = format!("nonce={nonce}, {options}");
        for (index, (address, last)) in self.entries.iter().rev().take(16).enumerate() {
            let more = format!(", addr.{index}={address}, last.{index}={last}");
            if data.len() + more.len() > 468 {
                break;
            }
            data += &more;
        }
        self.requests += 1;
        let datagrams = desk.raw(&ask(10, 0, &data), client);
        let answer = Answer::join(&datagrams).unwrap();
        assert!(answer.datagrams <= 32, "{} datagrams", answer.datagrams);
        if answer.error() == Some(5) {
            // All that we named was heard again: go back.
            self.entries.truncate(self.entries.len().saturating_sub(16));
            return answer;
        }
        assert_eq!(answer.error(), None);
        let items = answer.items();
        assert!(items[0].0 == "nonce" || items[0].0 == "last.older", "{:?}", items[0]);
        for (name, address) in items.iter().filter(|(n, _)| n.starts_with("addr.") && n != "addr.older") {
            let index = name.trim_start_matches("addr.");
            let last = items.iter().find(|(n, _)| *n == format!("last.{index}")).unwrap();
            self.entries.push((address.clone(), last.1.clone()));
            self.seen.insert(address.clone());
        }
        self.nonce = Some(answer.value("nonce"));
        self.finished = items.iter().any(|(n, _)| n == "now");
        answer
    }
}

#[test]
fn a_list_of_50_000_clients_is_read_to_its_end_while_clients_arrive() {
    let mut desk = Desk::new(|config| config.mru = Mru { maxdepth: 80_000, ..Mru::default() });
    arrive(&mut desk.bench, 0, 50_000);
    let client = from("198.51.100.77:5555");
    let mut reader = Reader::new();
    let mut newcomers = 50_000;
    while !reader.finished {
        reader.batch(&mut desk, client, "frags=32");
        // Ten new clients, and ten of the old ones again, between two batches.
        arrive(&mut desk.bench, newcomers, 10);
        arrive(&mut desk.bench, reader.requests as u32 * 37 % 50_000, 10);
        newcomers += 10;
        assert!(reader.requests < 2_000, "{} entries", reader.seen.len());
    }
    println!("{} entries in {} requests", reader.seen.len(), reader.requests);
    assert!(reader.seen.len() >= 50_000);
    let newest = format!("{}:4000", Ipv4Addr::from_bits(0x0b00_0000 + newcomers - 11));
    assert!(reader.seen.contains(&newest), "to the end");
}

#[test]
fn the_client_list_can_be_asked_for_in_part() {
    let mut desk = Desk::new(|_| {});
    arrive(&mut desk.bench, 0, 40);
    arrive(&mut desk.bench, 5, 3);
    let client = from("198.51.100.77:5555");
    let mut count = |options: &str| {
        let mut reader = Reader::new();
        reader.batch(&mut desk, client, options);
        reader.entries.iter().filter(|(address, _)| address.starts_with("11.")).count()
    };
    assert_eq!(count("frags=32"), 40);
    assert_eq!(count("frags=32, mincount=2"), 3);
    assert_eq!(count("limit=7"), 7);
    assert!((4..10).contains(&count("frags=2")));
    assert_eq!(count("frags=32, laddr=10.0.0.99"), 40);
    assert_eq!(count("frags=32, laddr=10.0.0.98"), 0);
    assert_eq!(count("frags=32, resany=0x20"), 0);
    assert_eq!(count("frags=32, recent=5"), 4, "the asker itself is the newest");
    assert_eq!(count("frags=32, minlstint=5"), 0);
    assert_eq!(count("frags=32, maxlstint=5"), 40);
    // One entry by its address, in spite of its time.
    let mut reader = Reader::new();
    reader.batch(&mut desk, client, "limit=3");
    let three = reader.entries.clone();
    reader.entries.truncate(2);
    let answer = reader.batch(&mut desk, client, "limit=1");
    assert_eq!(answer.value("addr.0"), three[1].0, "limit=1 asks for the entry itself");
    assert_eq!(answer.value("addr.older"), three[1].0);
    let nonce = |desk: &mut Desk| Answer::join(&desk.raw(&ask(12, 0, ""), client)).unwrap().value("nonce");
    for wrong in ["frags=0", "frags=200", "limit=x, frags=1", "resall=5, frags=1"] {
        let packet = ask(10, 0, &format!("nonce={}, {wrong}", nonce(&mut desk)));
        assert_eq!(Answer::join(&desk.raw(&packet, client)).unwrap().error(), Some(6), "{wrong}");
    }
    // Without a nonce of its own nobody gets anything.
    let other = ask(10, 0, &format!("nonce={}, frags=32", nonce(&mut desk)));
    assert!(desk.raw(&other, from("198.51.100.78:5555")).is_empty());
    assert!(desk.raw(&ask(10, 0, "frags=32"), client).is_empty());
}
