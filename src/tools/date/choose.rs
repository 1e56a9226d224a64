//! Selection: the largest group of servers whose intervals have a point in common, and of these the
//! one with the lowest stratum and then the smallest distance (RFC 5905 section 11.2).

use super::ask::Server;
use crate::units::{DAY, Leap, MAX_DISPERSION};
use crate::wire::kiss::Kiss;

/// A server whose root distance is larger than this, in seconds, is not used.
const DISTANCE_MAX: f64 = MAX_DISPERSION;
/// A server that was last synchronized longer ago than this, in seconds, is not used.
const AGE_MAX: f64 = DAY as f64;

/// A server that can be used.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    index: usize,
    stratum: u8,
    offset: f64,
    distance: f64,
}

/// Whether a server's time can be used, and if not, why.
///
/// # Errors
/// The reason, for `-d`.
pub fn usable(server: &Server) -> Result<(), &'static str> {
    // RATE says nothing against the samples before it; a server that denies access is left alone
    // (RFC 5905 section 7.4), as ntpdate leaves one whose last packet is not synchronized.
    if matches!(server.kiss, Some(Kiss::Deny | Kiss::Restricted)) {
        return Err("access denied");
    }
    let Some(header) = &server.header else {
        return Err(if server.kiss.is_some() { "rate exceeded" } else { "no data" });
    };
    if !server.trusted {
        return Err("not authenticated");
    }
    if header.leap == Leap::Unsynchronised {
        return Err("leap not in sync");
    }
    if header.stratum == 0 || header.stratum >= 16 {
        return Err("strata too high");
    }
    if (header.transmit - header.reference).to_seconds().get() > AGE_MAX {
        return Err("server is very old");
    }
    if distance(server) >= DISTANCE_MAX { Err("distance too high") } else { Ok(()) }
}

/// How far the server's time may be wrong, seconds.
#[must_use]
pub fn distance(server: &Server) -> f64 {
    let delay = server.best().map_or(0.0, |best| best.delay);
    let (root_delay, root_dispersion) = server.header.map_or((0.0, 0.0), |header| {
        (header.root_delay.to_seconds().get(), header.root_dispersion.to_seconds().get())
    });
    // The spread of the samples is the least of what is not known.
    let spread = server.samples.iter().map(|s| s.offset);
    let (low, high) = spread.fold((f64::MAX, f64::MIN), |(low, high), o| (low.min(o), high.max(o)));
    (delay + root_delay) / 2.0 + root_dispersion + (high - low).max(0.0) + 1e-4
}

/// The place of the best server; `None` where none can be used.
#[must_use]
pub fn choose(servers: &[Server]) -> Option<usize> {
    let candidates: Vec<Candidate> = servers
        .iter()
        .enumerate()
        .filter(|(_, server)| usable(server).is_ok())
        .filter_map(|(index, server)| {
            Some(Candidate {
                index,
                stratum: server.header?.stratum,
                offset: server.best()?.offset,
                distance: distance(server),
            })
        })
        .collect();
    let (low, high) = agreement(&candidates)?;
    let agree = candidates.iter().filter(|c| c.offset - c.distance <= low && high <= c.offset + c.distance);
    let best = agree.min_by(|a, b| a.stratum.cmp(&b.stratum).then(a.distance.total_cmp(&b.distance)));
    best.map(|c| c.index)
}

/// The interval that most of the servers' intervals cover.
fn agreement(candidates: &[Candidate]) -> Option<(f64, f64)> {
    let mut best: Option<(usize, f64, f64)> = None;
    for start in candidates.iter().map(|c| c.offset - c.distance) {
        let covering: Vec<&Candidate> = candidates
            .iter()
            .filter(|c| c.offset - c.distance <= start && start <= c.offset + c.distance)
            .collect();
        let end = covering.iter().map(|c| c.offset + c.distance).fold(f64::MAX, f64::min);
        if best.is_none_or(|(most, ..)| covering.len() > most) {
            best = Some((covering.len(), start, end));
        }
    }
    best.map(|(_, low, high)| (low, high))
}

#[cfg(test)]
mod tests {
    use super::super::ask::Sample;
    use super::*;
    use crate::units::{NtpShort, NtpTimestamp, RefId, Seconds};
    use crate::wire::header::{Header, Mode, Version};

    fn server(stratum: u8, offset: f64, delay: f64) -> Server {
        let stamp = NtpTimestamp::from_unix(1_795_707_856, 0);
        let short = |seconds| NtpShort::from_seconds(Seconds::new(seconds));
        let mut server = Server::new("192.0.2.1:123".parse().unwrap());
        server.samples =
            vec![Sample { offset: offset + delay, delay: delay * 3.0 }, Sample { offset, delay }];
        server.header = Some(Header {
            leap: Leap::None,
            version: Version::V4,
            mode: Mode::Server,
            stratum,
            poll: 6,
            precision: -20,
            root_delay: short(0.01),
            root_dispersion: short(0.01),
            reference_id: RefId::default(),
            reference: stamp,
            origin: stamp,
            receive: stamp,
            transmit: stamp,
        });
        server
    }

    #[test]
    fn one_liar_is_outvoted_whatever_its_stratum() {
        let servers = [server(1, 100.0, 0.01), server(3, 0.012, 0.02), server(2, 0.01, 0.03)];
        assert_eq!(choose(&servers), Some(2));
        assert_eq!(choose(&servers[..1]), Some(0));
        assert_eq!(choose(&[]), None);
    }

    #[test]
    fn unusable_servers_are_dropped_for_a_stated_reason() {
        let mut bad = [(); 6].map(|()| server(2, 0.0, 0.01));
        bad[0].header.as_mut().unwrap().stratum = 16;
        bad[1].header.as_mut().unwrap().leap = Leap::Unsynchronised;
        bad[2].kiss = Some(Kiss::Deny);
        bad[3].trusted = false;
        (bad[4].kiss, bad[4].header) = (Some(Kiss::Rate), None);
        bad[5].header = None;
        assert_eq!(choose(&bad), None);
        let reasons: Vec<_> = bad.iter().map(|s| usable(s).unwrap_err()).collect();
        let expected = ["strata too high", "leap not in sync", "access denied", "not authenticated"];
        assert_eq!(reasons, [&expected[..], &["rate exceeded", "no data"]].concat());
    }

    #[test]
    fn d1_a_rate_kiss_keeps_the_samples_before_it() {
        let mut limited = server(2, 0.25, 0.01);
        limited.kiss = Some(Kiss::Rate);
        assert_eq!((usable(&limited), choose(&[limited])), (Ok(()), Some(0)));
    }
}
