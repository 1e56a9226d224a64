//! What reference clocks send.

use crate::table::{Row, tried};
use rsntpd::units::{Seconds, UnixTime};
use rsntpd::wire::refclock::{shm, sock};

pub const ROWS: &[Row] = &[Row {
    holes: "refclocks 2, 7",
    rule: "a sample of shared memory or of a socket counts if its numbers are some, it is not old, and its clock is not further off than the limit",
    tried: tried![refclocks_a_sample_of_shared_memory_has_limits, refclocks_a_sample_of_a_socket_has_limits,],
}];

const AT: i64 = 1_795_850_128;

fn now() -> UnixTime {
    UnixTime::new(AT, 500_000_000).unwrap()
}

/// A segment of mode 1 with these clock and receive seconds.
fn segment(clock: i64, receive: i64) -> Vec<u8> {
    let layout = shm::Layout::Wide;
    let mut image = vec![0; layout.length()];
    image[0] = 1;
    image[8..16].copy_from_slice(&clock.to_ne_bytes());
    image[24..32].copy_from_slice(&receive.to_ne_bytes());
    image[layout.valid()] = 1;
    image
}

fn refclocks_a_sample_of_shared_memory_has_limits() {
    let read = |image: &[u8], limit| shm::parse(shm::Layout::Wide, image, now(), limit);
    let good = segment(AT - 3, AT);
    assert!(read(&good, shm::Limit::DEFAULT).is_ok());
    // Old, from the future, too far off (4.2.6 believed all of them).
    for (clock, receive) in
        [(AT, AT - 10), (AT, AT + 10), (AT, i64::MIN), (AT, i64::MAX), (AT + 20_000, AT), (i64::MIN, AT)]
    {
        assert!(read(&segment(clock, receive), shm::Limit::DEFAULT).is_err(), "{clock} {receive}");
    }
    assert!(read(&segment(AT + 20_000, AT), shm::Limit::None).is_ok(), "where the administrator says so");
    // Fields that hold what no writer means; a segment that is cut.
    for (at, value) in [(0, 7), (0, -1), (16, -1), (16, 1_000_000), (32, i32::MIN), (36, 4), (36, -1)] {
        let mut image = good.clone();
        image[at..at + 4].copy_from_slice(&i32::to_ne_bytes(value));
        assert!(read(&image, shm::Limit::DEFAULT).is_err(), "{value} at {at}");
    }
    assert!((0..60).all(|length| read(&good[..length], shm::Limit::DEFAULT).is_err()));
}

fn refclocks_a_sample_of_a_socket_has_limits() {
    let sample = |seconds: i64, offset: f64, leap: i32, magic: i32| {
        let numbers = [&seconds.to_ne_bytes()[..], &0i64.to_ne_bytes(), &offset.to_ne_bytes()].concat();
        let rest = [0, leap, 0, magic].map(i32::to_ne_bytes).concat();
        [numbers, rest].concat()
    };
    let read = |data: &[u8]| sock::parse(data, now(), Seconds::new(5.0));
    const MAGIC: i32 = 0x534f_434b;
    let good = sample(AT, 0.25, 0, MAGIC);
    assert_eq!(read(&good).unwrap().offset, Seconds::new(0.25));
    for offset in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e10] {
        assert!(read(&sample(AT, offset, 0, MAGIC)).is_err(), "{offset}");
    }
    for wrong in [
        sample(AT - 60, 0.0, 0, MAGIC),
        sample(AT + 60, 0.0, 0, MAGIC),
        sample(AT, 0.0, 3, MAGIC),
        sample(AT, 0.0, 0, 0),
    ] {
        assert!(read(&wrong).is_err());
    }
    assert!((0..good.len()).all(|length| read(&good[..length]).is_err()));
    assert!(read(&[&good[..], &[0]].concat()).is_err());
}
