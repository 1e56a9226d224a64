//! NTS over hours and days: cookies, NAKs, loss, silence, restarts, wrong clocks, a key exchange that is down.

use rsntpd::config::model::{
    AccessFlags, AuthSelection, Config, Family, Filegen, FilegenType, Kind, NtsLine, Origin, Restrict,
    RestrictTarget, Server, StatKind, Statistics, Target,
};
use rsntpd::engine::contract::{Input, Setup, Validity};
use rsntpd::engine::report::event::Event;
use rsntpd::units::Aead;
use rsntpd::wire::nts::fields::Fields;
use rsntpd::wire::{Header, Mode};
use sim::chance::Dice;
use sim::clock::Clock;
use sim::link::{Link, Queue};
use sim::nts::{NtsServer, nak};
use sim::world::{TrueServer, World};

const EPOCH: i64 = 1_795_000_000;
const CLIENT: &str = "10.0.0.1";
const NAME: &str = "time.example";
const ADDRESS: &str = "192.0.2.1";
const HOUR: f64 = 3_600.0;
const DAY: f64 = 86_400.0;
/// How right a clock is that has the time, seconds.
const RIGHT: f64 = 5e-3;

/// A world with one server of NTS; no host yet.
fn empty() -> World {
    let mut world = World::new(EPOCH);
    world.servers.push(TrueServer::new(ADDRESS));
    world.nts.insert(NAME.to_owned(), NtsServer::new(ADDRESS, Dice::new(7, 50)));
    world.connect(CLIENT, ADDRESS, Link::even(0.01, Queue::Exponential(0.001), Dice::new(7, 100)));
    world
}

fn line() -> Server {
    let nts = Some(NtsLine::default());
    Server { iburst: true, nts, ..Server::new(Kind::Server, Target::Name(NAME.to_owned())) }
}

fn config() -> Config {
    Config { servers: vec![line()], ..Config::default() }
}

/// Adds a client whose clock is off by `offset` seconds.
fn start(world: &mut World, config: Config, offset: f64) {
    let mut clock = Clock::new(EPOCH, offset, 10e-6, 0.0, Dice::new(7, 1));
    clock.advance(world.time);
    let setup = Setup { config, allow_panic_once: true, ..Setup::default() };
    world.add_host(CLIENT, clock, setup, None, &mut Dice::new(7, 2));
}

fn begun() -> World {
    let mut world = empty();
    start(&mut world, config(), 0.05);
    world
}

fn nts(world: &mut World) -> &mut NtsServer {
    world.nts.get_mut(NAME).unwrap()
}

fn is_right(world: &World) -> bool {
    world.hosts[0].clock.offset.abs() < RIGHT && reach(world) != 0
}

fn reach(world: &World) -> u8 {
    let engine = &world.hosts[0].engine;
    engine.associations().filter_map(|a| engine.source(a.id)).map(|s| s.reach().register()).max().unwrap_or(0)
}

/// When it has the time from now on, seconds from now; at most `limit`.
fn time_to(world: &mut World, limit: f64, arrived: impl Fn(&World) -> bool) -> f64 {
    let from = world.time;
    while !arrived(world) {
        assert!(world.time < from + limit, "not within {limit} s: {:?}", world.hosts[0].events);
        world.run(world.time + 1.0);
    }
    world.time - from
}

#[test]
fn a_day_takes_one_key_exchange_and_no_packet_more_than_without_nts() {
    let mut world = begun();
    let took = time_to(&mut world, 20.0, is_right);
    world.run(DAY);
    let sent = world.hosts[0].sent;
    let server = nts(&mut world);
    assert_eq!(server.asked.len(), 1, "key exchanges");
    assert_eq!(server.answered, sent, "every request was sealed and answered");
    assert!(
        server.lengths.iter().all(|(request, answer)| answer <= request),
        "no answer is longer than its request"
    );
    let steady = server.lengths.iter().filter(|lengths| **lengths == (228, 228)).count();
    assert_eq!(steady as u64, sent, "no placeholder without loss");
    assert!(is_right(&world) && sent < DAY as u64 / 64 + 20, "{took} s to the time, {sent} requests");
}

#[test]
fn notrust_takes_what_nts_authenticates() {
    let mut world = empty();
    let flags = AccessFlags::NOTRUST;
    let all = Restrict {
        target: RestrictTarget::Default(Family::Any),
        flags,
        ntpport: false,
        origin: Origin::default(),
    };
    start(&mut world, Config { restrict: vec![all], ..config() }, 1.0);
    time_to(&mut world, 20.0, is_right);
}

#[test]
fn a_third_lost_makes_placeholders_and_hardly_a_key_exchange() {
    let mut world = begun();
    world.link(CLIENT, ADDRESS).loss = 0.3;
    world.run(2.0 * DAY);
    assert!(is_right(&world), "{}", world.hosts[0].clock.offset);
    let server = nts(&mut world);
    assert!(server.asked.len() <= 3, "{} key exchanges", server.asked.len());
    assert_eq!(server.unopened, 0, "no cookie is used twice");
    assert!(server.lengths.iter().any(|(request, _)| *request > 228), "lost cookies are replaced");
    assert!(server.lengths.iter().all(|(request, answer)| answer <= request && *request <= 1_280));
}

#[test]
fn a_server_that_lost_its_keys_says_so_and_gets_a_new_exchange_by_the_next_poll() {
    let mut world = begun();
    world.run(3.0 * HOUR);
    nts(&mut world).forget();
    let before = world.hosts[0].sent;
    world.run(3.0 * HOUR + 2_200.0);
    let polls = world.hosts[0].sent - before;
    let server = nts(&mut world);
    assert_eq!((server.asked.len(), server.naks), (2, 1), "after {polls} polls");
    let refused = |(_, event): &&(f64, Event)| matches!(event, Event::CookieRefused(_));
    assert_eq!(world.hosts[0].events.iter().filter(refused).count(), 1);
    assert_eq!(reach(&world) & 1, 1);
}

#[test]
fn a_server_that_drops_what_it_cannot_open_gets_a_new_exchange_after_eight_polls() {
    let mut world = begun();
    world.run(3.0 * HOUR);
    let server = nts(&mut world);
    server.sends_naks = false;
    server.forget();
    let before = server.answered;
    world.run(9.0 * HOUR);
    let server = nts(&mut world);
    assert_eq!(server.asked.len(), 2);
    assert!((7..=9).contains(&server.unopened), "{} requests in vain", server.unopened);
    assert!(server.answered > before && reach(&world) & 1 == 1);
}

/// The plain answer that a forger makes of a request.
fn answer(request: &[u8]) -> Header {
    let header = Header::parse(request).unwrap();
    Header { mode: Mode::Server, origin: header.transmit, ..header }
}

#[test]
fn a_forged_nak_changes_nothing() {
    // Off the way, the unique identifier is not known.
    let mut world = begun();
    world.forger = Some(Box::new(|request| Some(nak(&answer(request), &[5; 32]))));
    world.run(DAY / 4.0);
    assert_eq!(nts(&mut world).asked.len(), 1);
    assert!(is_right(&world));
    // On it, it is; but the true answer is opened all the same.
    let mut world = begun();
    world.forger = Some(Box::new(|request| {
        let fields = Fields::parse(request).unwrap();
        Some(nak(&answer(request), fields.unique.unwrap()))
    }));
    world.run(DAY / 4.0);
    assert_eq!(nts(&mut world).asked.len(), 1);
    assert!(is_right(&world));
}

#[test]
fn answers_without_seal_or_with_a_kiss_are_not_obeyed() {
    let mut world = begun();
    world.forger = Some(Box::new(|request| {
        let plain = Header {
            stratum: 0,
            reference_id: rsntpd::units::RefId::from_bytes(*b"DENY"),
            ..answer(request)
        };
        Some(plain.to_bytes().to_vec())
    }));
    world.run(HOUR);
    assert!(is_right(&world), "a kiss that is not authenticated is no kiss");
    let bad = world.hosts[0].engine.associations().map(|a| a.id).next().unwrap();
    assert!(world.hosts[0].engine.source(bad).unwrap().tally().bad_auth > 0);
}

#[test]
fn cookies_on_the_disk_save_the_exchange_of_a_restart() {
    let dump = Some("/var/lib/ntp/nts".into());
    let with_dump = || Config {
        nts: rsntpd::config::model::Nts { dump: dump.clone(), ..Default::default() },
        ..config()
    };
    let mut world = empty();
    start(&mut world, with_dump(), 0.05);
    world.run(2.0 * HOUR);
    world.input(0, Input::Shutdown);
    let kept = std::mem::take(&mut world.hosts[0].kept);
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].established.cookies.len(), 8);
    world.hosts.clear();
    world.disk = kept.clone();
    start(&mut world, with_dump(), 1.0);
    let with = time_to(&mut world, 30.0, is_right);
    assert_eq!(nts(&mut world).asked.len(), 1, "the exchange of the first start");
    // Without them there is one, and it is as quick where nothing is wrong.
    world.hosts.clear();
    start(&mut world, with_dump(), 1.0);
    let without = time_to(&mut world, 30.0, is_right);
    assert_eq!(nts(&mut world).asked.len(), 2);
    assert!(with < 15.0 && without < 15.0, "{with} s with cookies, {without} s without");
    // Cookies that the server no longer knows cost three requests where it is silent.
    world.hosts.clear();
    let server = nts(&mut world);
    server.sends_naks = false;
    server.forget();
    let in_vain = server.unopened;
    world.disk = kept;
    start(&mut world, with_dump(), 1.0);
    time_to(&mut world, 60.0, is_right);
    let server = nts(&mut world);
    assert_eq!(server.asked.len(), 3);
    assert!(server.unopened - in_vain <= 4, "{} requests with dead cookies", server.unopened - in_vain);
}

/// A certificate of 90 days, and a clock that is ten years behind.
fn behind(time_check: u32) -> World {
    let mut world = empty();
    nts(&mut world).valid = Validity { from: EPOCH - 30 * 86_400, until: EPOCH + 60 * 86_400 };
    let nts = rsntpd::config::model::Nts { time_check, ..Default::default() };
    start(&mut world, Config { nts, ..config() }, -3652.0 * DAY);
    world
}

#[test]
fn a_clock_that_is_ten_years_wrong_is_set_where_the_configuration_lets_it() {
    let mut world = behind(0);
    world.run(HOUR);
    let failed = |(_, event): &&(f64, Event)| matches!(event, Event::KeysFailed { .. });
    assert!(world.hosts[0].events.iter().any(|e| failed(&e)), "it is said why");
    assert_eq!(nts(&mut world).answered, 0);
    // TLS trouble is tried again after 256 s, 512 s …
    let asked = nts(&mut world).asked.len();
    assert!((3..=5).contains(&asked), "{asked} exchanges in an hour");

    let mut world = behind(1);
    let took = time_to(&mut world, 60.0, is_right);
    world.run(world.time + 60.0);
    assert!(is_right(&world), "{took} s");
    assert_eq!(nts(&mut world).asked.len(), 2, "the dates are looked at once the clock is set");
}

#[test]
fn a_stolen_certificate_of_the_past_cannot_set_the_clock_beyond_its_end() {
    let mut world = behind(1);
    // It ended a year before what its server says is the time.
    nts(&mut world).valid = Validity { from: EPOCH - 500 * 86_400, until: EPOCH - 365 * 86_400 };
    world.run(HOUR);
    assert!(
        world.hosts[0].clock.offset < -3600.0 * DAY,
        "the clock was set to {}",
        world.hosts[0].clock.offset
    );
}

#[test]
fn a_day_without_key_exchange_costs_few_attempts_and_is_over_soon_after() {
    let mut world = empty();
    nts(&mut world).exchanges = Box::new(|time| time > DAY);
    start(&mut world, config(), 0.05);
    world.run(DAY);
    let asked = nts(&mut world).asked.len();
    assert!((8..=14).contains(&asked), "{asked} attempts in a day");
    assert_eq!(world.hosts[0].sent, 0, "nothing leaves without NTS");
    // Twice the last pause at most; and at once where something has changed.
    let mut other = empty();
    nts(&mut other).exchanges = Box::new(|time| time > DAY);
    start(&mut other, config(), 0.05);
    other.run(DAY + 1.0);
    let interface =
        rsntpd::engine::contract::Interface { name: "sim0".to_owned(), address: CLIENT.parse().unwrap() };
    other.input(0, Input::Interfaces(vec![interface]));
    assert!(time_to(&mut other, 20.0, is_right) < 15.0);
    time_to(&mut world, 1.1 * DAY, is_right);
}

#[test]
fn a_running_client_bears_a_day_without_key_exchange() {
    let mut world = begun();
    nts(&mut world).exchanges = Box::new(|time| !(HOUR..=HOUR + DAY).contains(&time));
    world.run(2.0 * HOUR + DAY);
    assert!(is_right(&world));
    assert_eq!(nts(&mut world).asked.len(), 1, "nothing is asked for while there are cookies");
}

#[test]
fn the_other_context_of_algorithm_30_is_found_by_one_nak() {
    for takes_other_keys in [false, true] {
        let mut world = empty();
        let server = nts(&mut world);
        (server.aead, server.takes_other_keys) = (Aead::Aes128GcmSiv, takes_other_keys);
        start(&mut world, config(), 0.05);
        let took = time_to(&mut world, 20.0, is_right);
        let server = nts(&mut world);
        assert_eq!(server.asked.len(), 1, "{took} s");
        assert_eq!(server.naks, u64::from(takes_other_keys));
    }
}

#[test]
fn keys_are_renewed_after_four_weeks_while_the_old_ones_serve() {
    let mut world = begun();
    world.run(29.0 * DAY);
    let asked = nts(&mut world).asked.clone();
    assert_eq!(asked.len(), 2);
    assert!((28.0 * DAY..28.1 * DAY).contains(&asked[1]), "after {} days", asked[1] / DAY);
    assert_eq!(nts(&mut world).unopened, 0);
    assert!(is_right(&world));
}

/// A world whose one server of NTS is right and whose three plain ones agree on another time.
fn outvoted(auth: Option<AuthSelection>, key_exchange: bool) -> World {
    let mut world = empty();
    nts(&mut world).exchanges = Box::new(move |_| key_exchange);
    let mut config = config();
    config.tos.auth = auth;
    for (index, address) in ["192.0.2.11", "192.0.2.12", "192.0.2.13"].into_iter().enumerate() {
        let mut liar = TrueServer::new(address);
        liar.error = Box::new(|_| 30.0);
        world.servers.push(liar);
        let dice = Dice::new(7, 200 + index as u64);
        world.connect(CLIENT, address, Link::even(0.01, Queue::Exponential(0.001), dice));
        let target = Target::Address(address.parse().unwrap());
        config.servers.push(Server { iburst: true, ..Server::new(Kind::Server, target) });
    }
    start(&mut world, config, 1.0);
    world.run(HOUR);
    world
}

#[test]
fn plain_servers_do_not_outvote_one_of_nts_unless_the_configuration_lets_them() {
    let offset = |auth, key_exchange| outvoted(auth, key_exchange).hosts[0].clock.offset;
    let near = |offset: f64, what: f64| (offset - what).abs() < 0.05;
    for auth in [None, Some(AuthSelection::Mixed), Some(AuthSelection::Prefer), Some(AuthSelection::Require)]
    {
        let found = offset(auth, true);
        assert!(near(found, 0.0), "{auth:?}: {found}");
    }
    let found = offset(Some(AuthSelection::Ignore), true);
    assert!(near(found, 30.0), "ignore: {found}");
    // Where keys cannot be exchanged, only these two take the time of the others.
    for auth in [None, Some(AuthSelection::Mixed), Some(AuthSelection::Require)] {
        let found = offset(auth, false);
        assert!(near(found, 1.0), "{auth:?} without keys: {found}");
    }
    for auth in [AuthSelection::Ignore, AuthSelection::Prefer] {
        let found = offset(Some(auth), false);
        assert!(near(found, 30.0), "{auth:?} without keys: {found}");
    }
}

#[test]
fn a_pool_exchanges_keys_for_each_of_its_servers_and_replaces_the_dead() {
    let mut world = World::new(EPOCH);
    let addresses: Vec<String> = (1..=6).map(|n| format!("192.0.2.{n}")).collect();
    let mut server = NtsServer::new(&addresses[0], Dice::new(7, 50));
    server.addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    world.nts.insert(NAME.to_owned(), server);
    for (index, address) in addresses.iter().enumerate() {
        let mut server = TrueServer::new(address);
        let dies = index == 0;
        server.answers = Box::new(move |time| !dies || time < HOUR);
        world.servers.push(server);
        world.connect(
            CLIENT,
            address,
            Link::even(0.01, Queue::Exponential(0.001), Dice::new(7, 100 + index as u64)),
        );
    }
    let mut config = Config { servers: vec![Server { kind: Kind::Pool, ..line() }], ..Config::default() };
    config.tos.maxclock = 4;
    start(&mut world, config, 1.0);
    let took = time_to(&mut world, 30.0, is_right);
    let members = |world: &World| -> Vec<std::net::IpAddr> {
        let engine = &world.hosts[0].engine;
        let servers =
            engine.associations().filter(|a| engine.source(a.id).is_some_and(|s| s.reach().is_reachable()));
        servers.filter_map(|a| a.address).collect()
    };
    world.run(120.0);
    assert_eq!(members(&world).len(), 4, "{took} s to the time: {:?}", world.hosts[0].events);
    assert_eq!(nts(&mut world).asked.len(), 4);
    world.run(DAY);
    assert_eq!(members(&world).len(), 4);
    assert!(!members(&world).contains(&addresses[0].parse().unwrap()), "the dead one is gone");
    assert!(nts(&mut world).asked.len() < 20, "{} exchanges", nts(&mut world).asked.len());
    assert!(is_right(&world));
}

#[test]
fn ntsstats_and_ntskestats_have_a_line_each_hour_and_begin_anew() {
    let mut world = empty();
    let kinds = [(StatKind::Nts, "ntsstats"), (StatKind::NtsKe, "ntskestats")];
    let filegens = kinds.map(|(kind, file)| Filegen {
        kind,
        file: file.to_owned(),
        rotation: FilegenType::Day,
        link: true,
        enabled: true,
    });
    let statistics = Statistics { dir: None, filegens: filegens.to_vec() };
    start(&mut world, Config { statistics, ..config() }, 0.05);
    world.run(2.5 * HOUR);
    let lines = |kind| -> Vec<Vec<String>> {
        let of_it = world.hosts[0].stats.iter().filter(|line| line.kind == kind);
        of_it.map(|line| line.text.split(' ').skip(2).map(str::to_owned).collect()).collect()
    };
    let (packets, exchanges) = (lines(StatKind::Nts), lines(StatKind::NtsKe));
    assert_eq!((packets.len(), exchanges.len()), (2, 2));
    for line in &packets {
        assert_eq!((line.len(), line[0].as_str()), (14, "3600"));
        assert_eq!(line[1], line[2], "every request got its response");
        assert!(line[3..].iter().all(|count| count == "0"), "{line:?}");
    }
    let sent: u64 = packets.iter().map(|line| line[1].parse::<u64>().unwrap()).sum();
    assert!(
        sent > 0 && sent < world.hosts[0].sent,
        "each hour begins anew: {sent} of {}",
        world.hosts[0].sent
    );
    let served = "0 0.000 0.000 0 0.000 0.000 0 0.000 0.000";
    assert_eq!(exchanges[0].join(" "), format!("3600 {served} 1 0"));
    assert_eq!(exchanges[1].join(" "), format!("3600 {served} 0 0"));
}
