//! NTS as other programs speak it: recorded key exchanges and packets are read, opened, and made again byte for byte.

use rsntpd::engine::auth::aead::Cipher;
use rsntpd::units::{Aead, RefId};
use rsntpd::wire::Header;
use rsntpd::wire::header::HEADER_LEN;
use rsntpd::wire::nts::fields::{self, Authenticator, Fields, Writer};
use rsntpd::wire::nts::records::{self, Request, Response};
use std::collections::BTreeMap;
use std::path::Path;

/// Bytes of a recording, and what its title says they are.
struct Block {
    title: String,
    bytes: Vec<u8>,
    notes: Vec<String>,
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits.filter(|digits| !digits.is_empty() && digits.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// A title stands at the beginning of a line, its bytes behind two spaces, and what was found in them behind four.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let indent = line.len() - line.trim_start().len();
        match (indent, blocks.last_mut()) {
            (0, _) => blocks.push(Block { title: line.to_owned(), bytes: Vec::new(), notes: Vec::new() }),
            (2, Some(block)) => block.bytes.extend(hex(line).unwrap_or_default()),
            (_, Some(block)) => block.notes.push(line.trim().to_owned()),
            (_, None) => {}
        }
    }
    blocks
}

/// `exporter, context 0000000f00, 32 octets = C2S key for AEAD 15:`, but for the keys of the wrong context.
fn key_of(title: &str) -> Option<(Aead, bool)> {
    let context = hex(title.strip_prefix("exporter, context ")?.split(',').next()?)?;
    let aead = Aead::of_number(u16::from_be_bytes([context[2], context[3]]))?;
    (!title.contains("wrong")).then_some((aead, context[4] == 0))
}

/// The keys that the plaintext of a cookie shows: `cookie: key id d7656e3f, plaintext …`.
fn keys_in_cookie(block: &Block) -> Option<(Vec<u8>, Vec<u8>)> {
    let note = block
        .notes
        .iter()
        .find_map(|note| note.split_once("plaintext ").filter(|_| note.starts_with("cookie")))?;
    let keys = hex(note.1).filter(|keys| keys.len() == 64)?;
    Some((keys[..32].to_vec(), keys[32..].to_vec()))
}

/// The algorithm that a packet was opened with when it was recorded.
fn opened_with(block: &Block) -> Option<Aead> {
    let note = block.notes.iter().find_map(|note| note.strip_prefix("opens with ("))?;
    Aead::of_number(note.split(',').next()?.parse().ok()?)
}

/// Opens a packet, makes it again of its parts, and gives the cookies in it.
fn remake(packet: &[u8], aead: Aead, key: &[u8]) -> Vec<Vec<u8>> {
    let fields = Fields::parse(packet).unwrap();
    let sealed = fields.sealed.unwrap();
    let mut text = vec![0; packet.len()];
    let mut cipher = Cipher::new(aead, key).unwrap();
    let plain = cipher.open(packet, &sealed, &mut text).unwrap().to_vec();
    let mut again = vec![0xee; packet.len()];
    again[..HEADER_LEN].copy_from_slice(&packet[..HEADER_LEN]);
    let mut writer = Writer::new(&mut again, HEADER_LEN);
    writer.unique(fields.unique.unwrap());
    if let Some(cookie) = fields.cookie {
        writer.cookie(cookie);
        (0..fields.placeholders).for_each(|_| writer.placeholder(cookie.len()));
    }
    let place = Authenticator { at: writer.finish().unwrap(), aead };
    assert_eq!(place.at, sealed.covered);
    again[place.plain_at()..][..plain.len()].copy_from_slice(&plain);
    let mut nonce = [0; 16];
    nonce[..sealed.nonce.len()].copy_from_slice(sealed.nonce);
    cipher.seal(&mut again, place, &nonce, plain.len(), packet.len()).unwrap();
    assert_eq!(again, packet, "made again it is the same");
    // One bit off anywhere, it does not open.
    for at in [3, HEADER_LEN + 10, sealed.covered - 1, packet.len() - 5] {
        let mut changed = packet.to_vec();
        changed[at] ^= 1;
        let opened = Fields::parse(&changed).ok().and_then(|fields| fields.sealed);
        assert!(opened.is_none_or(|sealed| cipher.open(&changed, &sealed, &mut text).is_err()), "byte {at}");
    }
    fields::cookies(&plain).unwrap().map(<[u8]>::to_vec).collect()
}

/// What a recording contains.
#[derive(Default)]
struct Found {
    exchanges: usize,
    requests: usize,
    responses: usize,
    naks: usize,
}

fn check(text: &str) -> Found {
    let mut found = Found::default();
    let mut keys: BTreeMap<(Aead, bool), Vec<u8>> = BTreeMap::new();
    let mut offered = Vec::new();
    let mut asked = 0;
    for block in blocks(text) {
        let bytes = &block.bytes;
        if let Some(key) = key_of(&block.title) {
            keys.insert(key, bytes.clone());
        } else if block.title.starts_with("KE request") {
            let request = Request::parse(bytes).unwrap();
            assert_eq!(records::end(bytes), Some(bytes.len()));
            assert!(request.ntpv4);
            // Of the records only NTPsec's have another criticality.
            let mut plain = request.to_bytes();
            plain.iter_mut().zip(bytes).for_each(|(ours, theirs)| *ours = (*ours & 0x7f) | (*theirs & 0x80));
            assert_eq!(&plain, bytes);
            offered = request.aeads;
        } else if block.title.starts_with("KE response") {
            let response = Response::parse(bytes, &offered).unwrap();
            assert_eq!(response.cookies.len(), 8);
            found.exchanges += 1;
        } else if block.title.starts_with("NTP request") {
            let fields = Fields::parse(bytes).unwrap();
            assert!(fields.is_request());
            asked = 1 + fields.placeholders;
            if let Some((to_server, to_client)) = keys_in_cookie(&block) {
                keys.insert((Aead::AesSivCmac256, true), to_server);
                keys.insert((Aead::AesSivCmac256, false), to_client);
            }
            // With the keys of an earlier exchange, which a recording may lack.
            if let Some((aead, key)) =
                opened_with(&block).and_then(|aead| Some((aead, keys.get(&(aead, true))?)))
            {
                assert!(remake(bytes, aead, key).is_empty());
                found.requests += 1;
            }
        } else if block.title.starts_with("NTP response") {
            let header = Header::parse(bytes).unwrap();
            if header.reference_id == RefId::from_bytes(*b"NTSN") {
                let fields = Fields::parse(bytes).unwrap();
                assert_eq!((header.stratum, bytes.len()), (0, 84));
                assert!(fields.unique.is_some() && fields.sealed.is_none() && fields.cookie.is_none());
                found.naks += 1;
            } else {
                let aead = opened_with(&block).unwrap();
                let cookies = remake(bytes, aead, &keys[&(aead, false)]);
                assert_eq!(cookies.len(), asked, "as many cookies as were asked for");
                found.responses += 1;
            }
        }
    }
    found
}

#[test]
fn recorded_exchanges_and_packets_are_opened_and_made_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/nts");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        return skip::because("../shared/data/nts is not there");
    };
    let mut all = Found::default();
    for entry in entries {
        let path = entry.unwrap().path();
        // What servers answer to odd requests is looked at by the key exchange's own tests.
        if path.extension().is_none_or(|ext| ext != "txt") || path.ends_with("nts-ke-behaviour.txt") {
            continue;
        }
        let found = check(&std::fs::read_to_string(&path).unwrap());
        let packets = found.requests + found.responses + found.naks;
        eprintln!("{}: {} exchanges, {packets} packets", path.display(), found.exchanges);
        assert!(packets > 0, "nothing was found in {}", path.display());
        all.exchanges += found.exchanges;
        all.requests += found.requests;
        all.responses += found.responses;
        all.naks += found.naks;
    }
    assert!(all.exchanges >= 5 && all.requests >= 8 && all.responses >= 8 && all.naks >= 1);
}
