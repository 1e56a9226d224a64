//! Where packets come from, where to, and how long they are.

use crate::exchange::{next_request, processed, with_open_request};
use crate::table::{Row, tried};
use crate::world::{Daemon, World, answer, exchange, socket, until};
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, sendto};
use rsntpd::config::model::{AccessFlags, Family, Kind, Origin, Restrict, RestrictTarget, Server, Target};
use rsntpd::engine::contract::{Input, Output};
use rsntpd::units::{Host, NtpShort, Seconds};
use rsntpd::wire::{Header, Mode};
use sim::bench::{Bench, from, ip, local_clock, request, server, setup};
use sim::desk::{Answer, ask};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;

pub const ROWS: &[Row] = &[
    Row {
        holes: "2014-9298, 2016-1551",
        rule: "what comes from an address that sends nothing (unspecified, IPv4 within IPv6, a clock's), or from outside from 127/8, ::1 or an address of ours, is dropped before it is looked at",
        tried: tried![
            cve_2016_1551_addresses_of_clocks_are_no_servers,
            cve_2014_9298_addresses_that_send_nothing_get_nothing,
        ],
    },
    Row {
        holes: "2014-9298, 2016-1551, E16",
        rule: "the same over an interface, whatever the kernel lets in",
        tried: tried![in a namespace: e16_cve_2014_9298_our_own_addresses_do_not_come_from_outside],
    },
    Row {
        holes: "2016-7429, E17",
        rule: "a request is answered at the address that it left from",
        tried: tried![e17_cve_2016_7429_an_answer_to_another_address_is_none],
    },
    Row {
        holes: "2016-7426",
        rule: "rate limits drop requests, never what belongs to an association",
        tried: tried![cve_2016_7426_rate_limits_do_not_drop_our_servers_answers],
    },
    Row {
        holes: "2016-9312",
        rule: "datagrams longer than any valid one are counted and dropped; pieces are not sent",
        tried: tried![in a namespace: cve_2016_9312_long_datagrams_are_counted_and_dropped],
    },
    Row {
        holes: "Malhotra 2015",
        rule: "answers of DNS are bounded, and a server too far from the time is not followed",
        tried: tried![
            malhotra_2015_dns_gives_no_more_servers_than_asked_for,
            malhotra_2015_a_server_far_from_the_time_is_not_followed,
        ],
    },
];

fn cve_2016_1551_addresses_of_clocks_are_no_servers() {
    let mut bench = Bench::new(setup(vec![local_clock()]));
    bench.advance(1.0);
    let reach = bench.variable(Some(0), "reach");
    let forged = bench.reply(&request(4, Mode::Client), 1).to_bytes();
    bench.deliver(&forged, from("127.127.1.0:123"));
    assert_eq!(bench.variable(Some(0), "reach"), reach);
    assert_eq!(bench.variable(None, "stratum"), "11");
}

fn cve_2014_9298_addresses_that_send_nothing_get_nothing() {
    let mut bench = Bench::new(setup(vec![local_clock()]));
    bench.advance(1.0);
    let time = request(4, Mode::Client).to_bytes();
    for forged in
        ["[::]:4000", "0.0.0.0:4000", "[::ffff:127.0.0.1]:4000", "[::ffff:192.0.2.1]:4000", "[ff02::1]:4000"]
    {
        assert_eq!(bench.ask(&time, from(forged)), None, "{forged}");
        bench.sent.clear();
        bench.deliver(&ask(2, 0, ""), from(forged));
        assert!(bench.sent.is_empty(), "{forged}");
    }
    assert!(bench.ask(&time, from("[2001:db8::1]:4000")).is_some());
    bench.deliver(&ask(2, 0, ""), from("[2001:db8::1]:4000"));
    assert_eq!(bench.sent.len(), 1);
}

fn e17_cve_2016_7429_an_answer_to_another_address_is_none() {
    let (mut bench, open, to) = with_open_request();
    let reply = bench.reply(&open, 1).to_bytes();
    let before = processed(&mut bench);
    for elsewhere in ["10.0.0.98", "127.0.0.1", "224.0.1.1"] {
        bench.deliver_to(&reply, to, ip(elsewhere));
    }
    assert_eq!(processed(&mut bench), before);
    bench.deliver(&reply, to);
    assert_eq!(processed(&mut bench), before + 1, "the request stayed open");
}

fn restricted(flags: AccessFlags) -> Restrict {
    let target = RestrictTarget::Default(Family::Any);
    Restrict { target, flags, ntpport: false, origin: Origin::default() }
}

fn cve_2016_7426_rate_limits_do_not_drop_our_servers_answers() {
    let mut setup = setup(vec![server("192.0.2.1")]);
    setup.config.restrict = vec![restricted(AccessFlags::LIMITED.union(AccessFlags::KOD))];
    let mut bench = Bench::new(setup);
    bench.run_served(300.0);
    let (open, to) = next_request(&mut bench);
    // A forger asks in the server's name until that is limited.
    let asked = request(4, Mode::Client).to_bytes();
    let served = (0..1000).filter(|_| bench.ask(&asked, to).is_some()).count();
    assert!(served < 10, "{served} of 1000");
    let (reply, before) = (bench.reply(&open, 1), processed(&mut bench));
    bench.deliver(&reply.to_bytes(), to);
    assert_eq!(processed(&mut bench), before + 1);
    assert_eq!(bench.variable(Some(0), "flash"), "0x0");
}

fn malhotra_2015_dns_gives_no_more_servers_than_asked_for() {
    let many: Vec<Host> =
        (0..10_000u32).map(|n| Host::from(IpAddr::from((0xc000_0200 + n).to_be_bytes()))).collect();
    for (kind, most) in [(Kind::Server, 1), (Kind::Pool, 11)] {
        let line = Server::new(kind, Target::Name("time.example".to_owned()));
        let mut bench = Bench::new(setup(vec![line]));
        bench.advance(1.0);
        let asked = bench.others.iter().find_map(|output| match output {
            Output::Resolve { id, .. } => Some(*id),
            _ => None,
        });
        bench.input(Input::Resolved { id: asked.unwrap(), result: Ok(many.clone()) });
        bench.run_served(2000.0);
        let associations = bench.engine.associations().count();
        assert!((1..=most).contains(&associations), "{kind:?}: {associations}");
        assert_eq!(bench.variable(None, "stratum"), "2", "{kind:?}");
    }
}

fn malhotra_2015_a_server_far_from_the_time_is_not_followed() {
    let follows = |dispersion: f64| {
        let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
        bench.behind = 0.4;
        let root_dispersion = NtpShort::from_seconds(Seconds::new(dispersion));
        loop {
            for tx in std::mem::take(&mut bench.sent) {
                let reply = bench.reply(&Header::parse(&tx.data).unwrap(), 1);
                bench.deliver(&Header { root_dispersion, ..reply }.to_bytes(), tx.to);
            }
            if !bench.advance(3000.0) {
                break;
            }
        }
        (bench.variable(None, "stratum"), bench.behind.abs() < 0.01)
    };
    assert_eq!(follows(2.0), ("16".to_owned(), false));
    assert_eq!(follows(0.01), ("2".to_owned(), true));
}

fn cve_2016_9312_long_datagrams_are_counted_and_dropped() {
    let world = World::new();
    let mut daemon = world.daemon("server 127.127.1.0\nrestrict default\n", &[]);
    let socket = socket();
    let asked = |length: usize| {
        let mut packet = request(4, Mode::Client).to_bytes().to_vec();
        packet.resize(length, 0);
        packet
    };
    let before = number("io_dropped");
    for length in [2_049, 4_000, 9_000, 60_000] {
        socket.send_to(&asked(length), "127.0.0.1:123").unwrap();
    }
    assert!(exchange(&socket, &asked(48)).is_some(), "the next request is answered");
    let after = number("io_dropped");
    assert!(after >= before + 4, "{before} {after}");
    assert!(daemon.end().success());
}

/// An Ethernet frame, with IPv6 or IPv4 and UDP inside, to port 123.
fn frame(to_mac: [u8; 6], source: SocketAddr, to: IpAddr, data: &[u8]) -> Vec<u8> {
    let udp_length = (8 + data.len()) as u16;
    let mut udp = source.port().to_be_bytes().to_vec();
    udp.extend(123u16.to_be_bytes());
    udp.extend(udp_length.to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(data);
    let mut frame = to_mac.to_vec();
    frame.extend([2, 0, 0, 0, 0, 9]);
    match (source.ip(), to) {
        (IpAddr::V6(source), IpAddr::V6(to)) => {
            let pseudo =
                [&source.octets()[..], &to.octets(), &u32::from(udp_length).to_be_bytes(), &[0, 0, 0, 17]];
            let sum = checksum(&[&pseudo.concat()[..], &udp].concat());
            udp[6..8].copy_from_slice(&sum);
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(udp_length.to_be_bytes());
            frame.extend([17, 64]);
            frame.extend(source.octets());
            frame.extend(to.octets());
        }
        (IpAddr::V4(source), IpAddr::V4(to)) => {
            let mut head = vec![0x45, 0];
            head.extend((20 + udp_length).to_be_bytes());
            head.extend([0, 1, 0, 0, 64, 17, 0, 0]);
            head.extend(source.octets());
            head.extend(to.octets());
            let sum = checksum(&head);
            head[10..12].copy_from_slice(&sum);
            frame.extend([0x08, 0x00]);
            frame.extend(head);
        }
        _ => panic!("one family"),
    }
    frame.extend(udp);
    frame
}

fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes.chunks(2).map(|two| u32::from(two[0]) << 8 | u32::from(*two.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

fn link(name: &str) -> LinkAddr {
    let found = getifaddrs().unwrap().filter(|found| found.interface_name == name);
    found.into_iter().find_map(|found| Some(*found.address?.as_link_addr()?)).unwrap()
}

/// Two ends of a wire: the daemon's has addresses, into the other go frames.
struct Wire {
    _world: World,
    daemon: Daemon,
    /// Control requests of ours.
    asked: u64,
}

impl Wire {
    fn new() -> Self {
        let world = World::new();
        world.ip("link add near type veth peer name far");
        for name in ["near", "far"] {
            world.ip(&format!("link set {name} up"));
        }
        world.ip("addr add 10.9.0.1/24 dev near");
        world.ip("-6 addr add fd99::1/64 dev near nodad");
        // What the kernel would drop by itself is let in.
        for (name, value) in
            [("rp_filter", "0"), ("accept_local", "1"), ("route_localnet", "1"), ("log_martians", "0")]
        {
            for interface in ["all", "near"] {
                std::fs::write(format!("/proc/sys/net/ipv4/conf/{interface}/{name}"), value).unwrap();
            }
        }
        let daemon = world.daemon("server 127.127.1.0\nrestrict default\n", &[]);
        Self { _world: world, daemon, asked: 0 }
    }

    /// Puts a control request on the wire.
    fn put(&self, source: &str, to: &str) {
        let far = link("far");
        let data = frame(link("near").addr().unwrap(), from(source), ip(to), &ask(2, 0, "leap"));
        let socket = nix::sys::socket::socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), None);
        sendto(socket.unwrap().as_raw_fd(), &data, &far, MsgFlags::empty()).unwrap();
    }

    /// How many control requests the daemon has looked at, without this one.
    fn looked_at(&mut self) -> u64 {
        self.asked += 1;
        number("ss_numctlreq") - self.asked
    }
}

/// A variable of the daemon's that is a number.
fn number(name: &str) -> u64 {
    let answer = exchange(&socket(), &ask(2, 0, name)).unwrap();
    let text = String::from_utf8(Answer::join(&[answer]).unwrap().data).unwrap();
    text.trim().split_once('=').unwrap().1.parse().unwrap()
}

fn e16_cve_2014_9298_our_own_addresses_do_not_come_from_outside() {
    let mut wire = Wire::new();
    let before = wire.looked_at();
    let mut honest = 0;
    for (to, stranger, forged) in [
        ("10.9.0.1", "10.9.0.2:123", &["127.0.0.1:40000", "127.0.0.1:123", "10.9.0.1:40000"][..]),
        ("127.0.0.1", "10.9.0.2:123", &["127.0.0.1:40000", "10.9.0.1:40000"]),
        (
            "fd99::1",
            "[fd99::2]:123",
            &["[::]:40000", "[::1]:40000", "[::ffff:127.0.0.1]:40000", "[fd99::1]:40000", "[fd99::1]:123"],
        ),
    ] {
        for source in forged {
            wire.put(source, to);
            // Behind it on the same way comes one that is looked at.
            wire.put(stranger, to);
            honest += 1;
            assert!(
                until(|| wire.looked_at() >= before + honest),
                "{stranger} to {to}: the wire does not work"
            );
            assert_eq!(wire.looked_at(), before + honest, "{source} to {to}");
        }
    }
    // The same addresses from here, where they belong.
    for host in ["127.0.0.1", "10.9.0.1", "::1", "fd99::1"] {
        assert!(answer(host).is_some(), "{host}");
    }
    assert!(wire.daemon.end().success());
}
