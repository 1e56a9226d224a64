//! Broadcast clients: hosts that take the time from what a server sends to a network or a group. Each limit is a number; every world
//! is its seed.

use rsntpd::engine::contract::ExitReason;
use rsntpd::engine::report::event::Event;
use rsntpd::units::Seconds;
use rsntpd::wire::Mode;
use sim::limits::{rms, within};
use sim::network::{INTERVAL, Network, SERVER, broken, client, way};

fn worst(errors: &[Vec<f64>], from: usize) -> f64 {
    errors.iter().map(|host| rms(&host[from..])).fold(0.0, f64::max)
}

#[test]
fn hosts_keep_the_time_that_they_hear() {
    let worlds = [("a network", "10.0.0.255"), ("a group", "224.0.1.1")];
    within("us rms after 20 min, the worst of 3 hosts", 100.0, &worlds, |to, seed| {
        let mut network = Network::new(seed, 3, to, |hears| {
            hears.config.reception.groups = vec!["224.0.1.1".parse().unwrap()];
        });
        let errors = network.run(20_000.0);
        for host in 0..3 {
            assert_eq!(network.times(host, |e| matches!(e, Event::Mobilized(_))).len(), 1);
            let source = network.source(host).unwrap();
            assert_eq!(source.own_mode().to_bits(), 6, "{:?}", network.texts(host));
            assert_eq!(source.peer_mode(), Some(Mode::Broadcast));
            assert!(!source.is_configured() && source.reach().register().count_ones() >= 6);
            // The volley's packets, and no more.
            assert!(network.world.hosts[host + 1].sent <= 9, "{}", network.world.hosts[host + 1].sent);
        }
        worst(&errors, 1200) * 1e6
    });
}

#[test]
fn a_server_that_steps_is_followed() {
    within(
        "broadcasts until within 10 ms",
        8.0,
        &[("by 0.5 s", 0.5), ("back by 0.5 s", -0.5)],
        |by, seed| {
            // An offset beyond the step threshold is watched for so long, whatever the source.
            let mut network = Network::new(seed, 3, "10.0.0.255", |hears| {
                hears.config.tinker.stepout = Seconds::new(4.0 * INTERVAL);
            });
            network.run(3600.0);
            // Its own server goes another way from now on, and so does it.
            let by = *by;
            network.world.servers[0].error = Box::new(move |_| by);
            network.world.set_clock(0, by);
            let errors = network.run(3600.0 + 1000.0);
            let late = |host: &Vec<f64>| host.iter().rposition(|e| e.abs() > 0.01).map_or(0, |at| at + 1);
            let seconds = errors.iter().map(late).max().unwrap() as f64;
            if seconds > 8.0 * INTERVAL {
                println!("{:#?}", network.texts(0));
            }
            seconds / INTERVAL
        },
    );
}

#[test]
fn one_that_is_silent_ends_after_16_intervals_and_begins_anew_with_its_return() {
    within("intervals", 17.0, &[("silent for an hour", ())], |(), seed| {
        let mut network = Network::new(seed, 1, "10.0.0.255", |_| {});
        network.run(2000.0);
        let last = network.world.time;
        let link = std::mem::replace(network.world.link(SERVER, &client(0)), broken());
        network.run(last + 3600.0);
        let ended = network.times(0, |e| matches!(e, Event::Demobilized(_)));
        assert_eq!(ended.len(), 1, "{:?}", network.texts(0));
        *network.world.link(SERVER, &client(0)) = link;
        network.run(last + 4000.0);
        let made = network.times(0, |e| matches!(e, Event::Mobilized(_)));
        assert_eq!(made.len(), 2);
        assert!(made[1] - (last + 3600.0) < 3.0 * INTERVAL, "{made:?}");
        let intervals = (ended[0] - last) / INTERVAL;
        if intervals < 15.0 { f64::INFINITY } else { intervals }
    });
}

#[test]
fn a_way_that_changes_is_measured_again() {
    // Milliseconds of a broadcast, and of the way back, from each hour on.
    let worlds: [(&str, &[(f64, f64)]); 5] = [
        ("broadcasts take 5 ms in place of 1", &[(5.0, 1.0)]),
        ("and 1 ms again", &[(5.0, 1.0), (1.0, 1.0)]),
        ("5 ms, then the way back as well", &[(5.0, 1.0), (5.0, 5.0), (5.0, 1.0)]),
        ("both take 3 ms", &[(3.0, 3.0)]),
        ("broadcasts take 1.3 ms, then 0.8", &[(1.3, 1.0), (0.8, 1.0)]),
    ];
    within("ms off, at most", 0.1, &worlds, |changes, seed| {
        let mut network = Network::new(seed, 1, "10.0.0.255", |_| {});
        network.run(3600.0);
        let sent = network.world.hosts[1].sent;
        let mut most = 0.0f64;
        for (hour, (up, down)) in (1..).zip(*changes) {
            *network.world.link(SERVER, &client(0)) = way(seed, 7 + hour, up * 1e-3, down * 1e-3);
            let errors = network.run(3600.0 * (1 + hour) as f64);
            most = errors[0].iter().fold(most, |most, e| most.max(e.abs()));
        }
        assert!(network.world.hosts[1].sent > sent, "it was measured again: {:?}", network.texts(0));
        most * 1e3
    });
}

#[test]
fn what_was_learnt_of_the_way_holds_when_the_server_steps() {
    within("ms off, half an hour after the step", 0.1, &[("5 ms and 1, by 20 ms", 0.02)], |by, seed| {
        let mut network = Network::new(seed, 1, "10.0.0.255", |_| {});
        network.run(3600.0);
        *network.world.link(SERVER, &client(0)) = way(seed, 7, 5e-3, 1e-3);
        network.run(7200.0);
        let by = *by;
        network.world.servers[0].error = Box::new(move |_| by);
        network.world.set_clock(0, by);
        network.run(9000.0);
        let errors = network.run(14_400.0);
        errors[0].iter().map(|e| e.abs()).fold(0.0, f64::max) * 1e3
    });
}

#[test]
fn a_way_that_was_uneven_from_the_start_is_half_of_the_difference_off() {
    // No exchange of packets shows it: 5 ms and 1 ms look as twice 3 ms do.
    within("ms from 2 ms, on average", 0.01, &[("5 ms and 1", ())], |(), seed| {
        let mut network = Network::new(seed, 1, "10.0.0.255", |_| {});
        *network.world.link(SERVER, &client(0)) = way(seed, 7, 5e-3, 1e-3);
        let errors = network.run(20_000.0);
        let mean = errors[0][2000..].iter().sum::<f64>() / (errors[0].len() - 2000) as f64;
        (mean + 2e-3).abs() * 1e3
    });
}

#[test]
fn broadcastdelay_is_used_and_nothing_is_sent() {
    within("us rms", 100.0, &[("2 ms there and back", ())], |(), seed| {
        let mut network = Network::new(seed, 1, "10.0.0.255", |hears| {
            hears.config.reception.delay = Some(Seconds::new(0.002));
        });
        let errors = network.run(10_000.0);
        assert_eq!(network.world.hosts[1].sent, 0);
        worst(&errors, 1200) * 1e6
    });
}

#[test]
fn without_a_key_and_with_auth_enabled_nothing_is_made() {
    let mut network = Network::new(1, 1, "10.0.0.255", |hears| hears.keys.clear());
    network.run(500.0);
    assert!(network.source(0).is_none());
    let mut network =
        Network::new(1, 1, "10.0.0.255", |hears| hears.config.reception.broadcastclient = false);
    network.run(500.0);
    assert!(network.source(0).is_none());
}

#[test]
fn with_q_the_clock_is_set_by_a_broadcast_and_none_are_waited_for_in_vain() {
    let ends = |keys: Option<&str>, silent: bool| {
        let mut network = Network::new(3, 1, "10.0.0.255", |hears| {
            hears.quit_after_set = true;
            hears.config.auth.keys = keys.map(Into::into);
        });
        if silent {
            *network.world.link(SERVER, &client(0)) = broken();
        }
        network.run(200.0);
        let end = network.times(0, |e| matches!(e, Event::Exiting(_)));
        (network.world.hosts[1].exit, end[0])
    };
    let (exit, at) = ends(Some("/etc/ntp/keys"), false);
    assert_eq!(exit, Some(ExitReason::ClockSet));
    assert!(at < 60.0, "{at}");
    let (exit, at) = ends(Some("/etc/ntp/keys"), true);
    assert_eq!(exit, Some(ExitReason::NoServer));
    assert!((149.0..151.0).contains(&at), "{at}");
    // Without a key none could be used.
    let (exit, at) = ends(None, true);
    assert_eq!(exit, Some(ExitReason::NoServer));
    assert!(at < 10.0, "{at}");
}
