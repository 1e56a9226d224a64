//! Kiss-o'-death packets.

use crate::exchange::{next_request, processed, with_open_request};
use crate::table::{Row, tried};
use rsntpd::engine::report::event::{Event, Kiss};
use rsntpd::units::{Leap, NtpTimestamp, RefId};
use rsntpd::wire::Header;
use sim::bench::{Bench, server, setup};

pub const ROWS: &[Row] = &[
    Row {
        holes: "2015-7704",
        rule: "kiss codes count only with the origin of an open request",
        tried: tried![cve_2015_7704_kiss_codes_need_our_origin],
    },
    Row {
        holes: "2015-7705",
        rule: "RATE raises the poll interval, to 1024 s or maxpoll at most; DENY and RSTR stop that association only, and are logged",
        tried: tried![
            cve_2015_7705_rate_slows_down_and_is_no_denial,
            cve_2015_7705_deny_stops_one_association_and_is_logged,
        ],
    },
];

fn kiss(bench: &Bench, open: &Header, code: &[u8; 4]) -> Header {
    Header { leap: Leap::Unsynchronised, reference_id: RefId::from_text(code), ..bench.reply(open, 0) }
}

fn obeyed(bench: &Bench) -> usize {
    bench.happened(|e| matches!(e, Event::KissObeyed(..)))
}

fn cve_2015_7704_kiss_codes_need_our_origin() {
    let (mut bench, open, to) = with_open_request();
    let poll = bench.variable(Some(0), "hpoll");
    for code in [b"DENY", b"RSTR", b"RATE"] {
        let kiss = kiss(&bench, &open, code);
        for origin in [NtpTimestamp::ZERO, NtpTimestamp::from_bits(open.transmit.to_bits() ^ 1)] {
            bench.deliver(&Header { origin, ..kiss }.to_bytes(), to);
        }
    }
    assert_eq!((obeyed(&bench), bench.variable(Some(0), "hpoll")), (0, poll));
    let (honest, before) = (bench.reply(&open, 1), processed(&mut bench));
    bench.deliver(&honest.to_bytes(), to);
    assert_eq!(processed(&mut bench), before + 1, "the true answer still counts");
    // The same with the right origin is obeyed.
    let (open, to) = next_request(&mut bench);
    let true_one = kiss(&bench, &open, b"DENY");
    bench.deliver(&true_one.to_bytes(), to);
    assert_eq!(obeyed(&bench), 1);
}

fn cve_2015_7705_rate_slows_down_and_is_no_denial() {
    let (mut bench, ..) = with_open_request();
    let mut polls: Vec<u8> = vec![bench.variable(Some(0), "hpoll").parse().unwrap()];
    for _ in 0..20 {
        let (open, to) = next_request(&mut bench);
        // What a forger would ask for who is on the way.
        let rate = Header { poll: 17, ..kiss(&bench, &open, b"RATE") };
        bench.deliver(&rate.to_bytes(), to);
        polls.push(bench.variable(Some(0), "hpoll").parse().unwrap());
    }
    assert!(polls[1] > polls[0] && polls.iter().all(|poll| *poll <= 10), "{polls:?}");
    let asked = bench.time;
    next_request(&mut bench);
    // Behind a kiss the next request waits for 2.25 intervals.
    assert!(bench.time - asked < 2400.0, "it is polled on, after {} s", bench.time - asked);
    assert!(bench.happened(|e| matches!(e, Event::KissObeyed(_, Kiss::Rate, _))) > 0);
}

fn cve_2015_7705_deny_stops_one_association_and_is_logged() {
    for code in [b"DENY", b"RSTR"] {
        let mut bench = Bench::new(setup(vec![server("192.0.2.1"), server("192.0.2.2")]));
        bench.run_served(300.0);
        let (open, to) = next_request(&mut bench);
        let denied = kiss(&bench, &open, code);
        bench.deliver(&denied.to_bytes(), to);
        let logged =
            bench.happened(|e| matches!(e, Event::KissObeyed(peer, _, _) if peer.address == to.into()));
        assert_eq!(logged, 1);
        let mut others = 0;
        bench.run(bench.time + 5000.0, |request, tx| {
            assert_ne!(tx.to, to, "asked again after {code:?}");
            others += 1;
            let _unanswered = request;
            None
        });
        assert!(others > 3, "the other server is polled on: {others}");
    }
}
