//! Lists in the server's order: its addresses (`ifstats`) and its restrictions (`reslist`).

use super::commands::Result;
use super::console::{Console, Output};
use crate::tools::link::{Ask, Sign, Trouble};
use crate::wire::control::opcode;
use crate::wire::varlist::{self, VarList};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

const IFSTATS_HEAD: &str = "    interface name                                        send\n \
                            #  address/broadcast     drop flag ttl mc received sent failed peers   uptime\n";
const RESLIST_HEAD: &str = "   hits    addr/prefix or addr mask\n           restrictions\n";

/// The rows of a list, by their number: `name.3=value` is `name` of row 3.
pub(super) type Rows = BTreeMap<u32, BTreeMap<String, String>>;

pub(super) fn rows(list: &VarList) -> Rows {
    let mut rows = Rows::new();
    for item in list {
        if let Some((name, number)) = item.name.rsplit_once('.')
            && let Ok(number) = number.parse()
            && let Some(value) = &item.value
        {
            let value = varlist::unquoted(value).to_owned();
            rows.entry(number).or_default().insert(name.to_owned(), value);
        }
    }
    rows
}

/// Reads a list; signed where a key was given, because ntpd wants that.
fn read(console: &mut Console, what: &str) -> std::result::Result<Rows, Trouble> {
    let signer = if console.key.is_some() { Some(console.signer()?) } else { None };
    let sign = signer.as_ref().map(|signer| signer as &dyn Sign);
    let ask = Ask { opcode: opcode::READ_ORDERED_LIST, association: 0, data: what.as_bytes(), sign };
    match console.link()?.ask(&ask) {
        Ok(reply) => Ok(rows(&VarList::parse(&reply.data))),
        Err(trouble @ Trouble::Server(1)) => {
            if signer.is_none() {
                console.notes.push_str("This server requires a key for it: use -a and -k\n");
            }
            Err(trouble)
        }
        Err(other) => Err(other),
    }
}

fn field<'a>(row: &'a BTreeMap<String, String>, name: &str) -> &'a str {
    row.get(name).map_or("?", String::as_str)
}

fn number(row: &BTreeMap<String, String>, name: &str) -> Option<i64> {
    varlist::integer(row.get(name)?)
}

/// `ifstats`.
pub(super) fn ifstats(console: &mut Console, _: &[&str], _: &str) -> Result {
    let rows = read(console, "ifstats")?;
    if console.settings.json {
        let list: Vec<_> = rows.values().map(interface_data).collect();
        return Ok(Output::Data(json!({ "interfaces": list })));
    }
    let mut text = format!("{IFSTATS_HEAD}{}\n", "=".repeat(78));
    for (index, row) in &rows {
        let get = |name| number(row, name).unwrap_or(0);
        let enabled = if get("en") != 0 { '.' } else { 'D' };
        let _ = writeln!(
            text,
            "{index:3} {:<24.24} {enabled} {:4x} {:3} {:2} {:6} {:6} {:6} {:5} {:8}\n    {}",
            field(row, "name"),
            get("flags"),
            get("tl"),
            get("mc"),
            get("rx"),
            get("tx"),
            get("txerr"),
            get("pc"),
            get("up"),
            field(row, "addr"),
        );
        if let Some(broadcast) = row.get("bcast").filter(|b| !b.is_empty()) {
            let _ = writeln!(text, "    {broadcast}");
        }
    }
    Ok(Output::Text(text))
}

fn interface_data(row: &BTreeMap<String, String>) -> serde_json::Value {
    json!({
        "name": row.get("name"),
        "address": row.get("addr"),
        "broadcast": row.get("bcast").filter(|b| !b.is_empty()),
        "enabled": number(row, "en").unwrap_or(0) != 0,
        "flags": number(row, "flags"),
        "ttl_hops": number(row, "tl"),
        "multicast_groups": number(row, "mc"),
        "received_packets": number(row, "rx"),
        "sent_packets": number(row, "tx"),
        "send_failures": number(row, "txerr"),
        "peers": number(row, "pc"),
        "uptime_s": number(row, "up"),
    })
}

/// `reslist`.
pub(super) fn reslist(console: &mut Console, _: &[&str], _: &str) -> Result {
    let rows = read(console, "addr_restrictions")?;
    if console.settings.json {
        let list = rows.values().map(|row| {
            json!({
                "address": row.get("addr"),
                "mask": row.get("mask"),
                "prefix_length": prefix(field(row, "mask")),
                "hits": number(row, "hits"),
                "flags": field(row, "flags").split_whitespace().collect::<Vec<_>>(),
            })
        });
        return Ok(Output::Data(json!({ "restrictions": list.collect::<Vec<_>>() })));
    }
    let mut text = format!("{RESLIST_HEAD}{}\n", "=".repeat(78));
    for row in rows.values() {
        let (address, mask) = (field(row, "addr"), field(row, "mask"));
        let place = match prefix(mask) {
            Some(length) => format!("{address}/{length}"),
            None => format!("{address} {mask}"),
        };
        let _ = writeln!(text, "{:>10} {place}\n           {}", field(row, "hits"), field(row, "flags"));
    }
    Ok(Output::Text(text))
}

/// The length of a mask without holes.
pub(super) fn prefix(mask: &str) -> Option<u32> {
    let (bits, width) = match mask.parse().ok()? {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let length = bits.leading_ones().min(width);
    (bits.count_ones() == length).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks() {
        assert_eq!(prefix("255.255.255.0"), Some(24));
        assert_eq!(prefix("0.0.0.0"), Some(0));
        assert_eq!(prefix("ffff:ffff::"), Some(32));
        assert_eq!(prefix("255.0.255.0"), None);
        assert_eq!(prefix("?"), None);
    }

    #[test]
    fn rows_by_number() {
        let list = VarList::parse(b"addr.0=0.0.0.0, mask.0=0.0.0.0, addr.11=::, name.1=\"eth0\", odd, x.y=1");
        let rows = rows(&list);
        assert_eq!(rows.keys().copied().collect::<Vec<_>>(), [0, 1, 11]);
        assert_eq!(field(&rows[&1], "name"), "eth0");
        assert_eq!(field(&rows[&0], "hits"), "?");
    }
}
