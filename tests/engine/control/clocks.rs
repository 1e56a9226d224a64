//! The variables and statistics of reference clocks, beside what real daemons said of theirs.

use rsntpd::config::model::{Filegen, FilegenType, Kind, Server, StatKind, Target};
use rsntpd::engine::contract::{DeviceReport, Input, Output, Reading, Reads, Trouble};
use rsntpd::units::{AssocId, Leap, PollExponent, RefId, Seconds};
use sim::desk::{Answer, Desk, ask};

/// A clock of this type and unit, polled each 16 s.
fn line(kind: u8, unit: u8) -> Server {
    let sixteen = PollExponent::new(4);
    let mut line = Server::new(Kind::Server, Target::RefClock { kind, unit });
    (line.minpoll, line.maxpoll) = (sixteen, sixteen);
    line
}

/// A daemon with SHM 0, which is right, SHM 3, which says nothing, and NMEA 0, whose position is hidden.
fn desk() -> Desk {
    Desk::new(|config| {
        let mut shm = line(28, 0);
        shm.fudge.refid = Some(RefId::from_text(b"GPS"));
        shm.fudge.time1 = Seconds::new(0.010);
        shm.fudge.flags[3] = true;
        let mut nmea = line(20, 0);
        nmea.device.mode = 17;
        config.servers.splice(0..0, [shm, line(28, 3), nmea]);
        let file = |kind| Filegen {
            kind,
            file: "any".to_owned(),
            rotation: FilegenType::None,
            link: false,
            enabled: true,
        };
        config.statistics.filegens = vec![file(StatKind::Clock), file(StatKind::Proto)];
    })
}

/// What the devices of clocks do.
trait Devices {
    fn report(&mut self, id: u16, report: DeviceReport);
    /// Goes on second by second: the first clock is 13 ms ahead, the second is not written, the third sends its sentence.
    fn seconds(&mut self, until: u32);
    fn lines(&self, kind: StatKind) -> Vec<String>;
}

impl Devices for Desk {
    fn report(&mut self, id: u16, report: DeviceReport) {
        self.bench.input(Input::Clock { id: AssocId(id), report });
    }

    fn seconds(&mut self, until: u32) {
        let ids = self.associations();
        for second in self.bench.time as u32 + 1..=until {
            while self.bench.advance(f64::from(second)) {}
            let reading = |text: &str| Reading {
                reads: Reads::Time,
                at: self.bench.now().wall,
                offset: Seconds::new(0.003),
                leap: Leap::None,
                precision: Some(-20),
                error: None,
                text: text.to_owned(),
            };
            let shm = reading("2026-11-28T07:19:52.005399333Z");
            let sentence = reading("$GPZDA,071528.00,28,11,2026,00,00*63");
            // With its time1 the first clock says the same.
            let nmea = Reading { offset: Seconds::new(0.013), ..sentence };
            self.report(ids[0], DeviceReport::Reading(shm));
            self.report(ids[1], DeviceReport::Trouble { trouble: Trouble::NoReply, text: String::new() });
            self.report(ids[2], DeviceReport::Reading(nmea));
        }
    }

    fn lines(&self, kind: StatKind) -> Vec<String> {
        let all = self.bench.others.iter().filter_map(|output| match output {
            Output::Stat(line) if line.kind == kind => Some(line.text.clone()),
            _ => None,
        });
        all.collect()
    }
}

fn names(answer: &Answer) -> Vec<String> {
    answer.items().into_iter().map(|(name, _)| name).collect()
}

/// The names in the answer to `command` (`cv`, `rv`), as the capture shows it first for a clock with this word in it.
fn captured(file: &str, command: &str, word: &str) -> Option<Vec<String>> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/refclocks").join(file);
    let Ok(text) = std::fs::read_to_string(path) else {
        skip::because("no ../shared/data/refclocks");
        return None;
    };
    let heads = [format!("## {command} "), format!("## {command} &")];
    let block = text
        .split("\n## ")
        .map(|block| format!("## {block}"))
        .find(|block| heads.iter().any(|head| block.starts_with(head.as_str())) && block.contains(word))?;
    // Behind the status comes a line of names and values; values may have commas only in quotes.
    let body: String = block.lines().skip(2).collect::<Vec<_>>().join(" ");
    let plain: String = body.split('"').step_by(2).collect();
    let items = plain.split(',').filter_map(|item| item.split_once('='));
    Some(items.map(|(name, _)| name.trim().to_owned()).collect())
}

#[test]
fn clock_variables_have_the_fields_and_the_order_of_real_daemons() {
    let mut desk = desk();
    desk.seconds(40);
    let ids = desk.associations();
    let answer = desk.asked(&ask(4, ids[0], ""));
    assert_eq!((answer.status, answer.value("device")), (0, "\"SHM/Shared memory interface\"".to_owned()));
    assert_eq!((answer.value("fudgetime1"), answer.value("flags")), ("10.000".to_owned(), "8".to_owned()));
    assert_eq!((answer.value("refid"), answer.value("stratum")), ("GPS".to_owned(), "0".to_owned()));
    assert_eq!(answer.value("timecode"), "\"2026-11-28T07:19:52.005399333Z\"");
    let silent = desk.asked(&ask(4, ids[1], ""));
    assert_eq!((silent.status & 0xf, silent.value("timecode")), (1, String::new()));
    assert!(silent.value("noreply").parse::<u32>().unwrap() >= 38);
    // Without an identifier: the system peer, or the first.
    assert_eq!(desk.asked(&ask(4, 0, "")).value("type"), "");
    assert_eq!(desk.asked(&ask(4, 0, "type")).value("type"), "28");
    let first_of = |file, word| captured(file, "cv", word);
    for (id, file, word) in [(ids[0], "p5-shm.txt", "SHM/"), (ids[2], "p5-nmea.txt", "GPZDA")] {
        let ours = names(&desk.asked(&ask(4, id, "")));
        if let Some(theirs) = first_of(file, word) {
            assert_eq!(ours, theirs, "{file}");
        }
    }
}

#[test]
fn an_association_with_a_clock_has_the_variables_of_real_daemons() {
    let mut desk = desk();
    desk.seconds(40);
    let ids = desk.associations();
    let shm = desk.asked(&ask(2, ids[0], ""));
    let shown = |name: &str| shm.value(name);
    assert_eq!(
        (shown("srcadr"), shown("dstadr"), shown("srcport")),
        ("127.127.28.0".into(), "127.0.0.1".into(), "123".into())
    );
    assert_eq!(
        (shown("hmode"), shown("pmode"), shown("hpoll"), shown("ppoll")),
        ("3".into(), "4".into(), "4".into(), "4".into())
    );
    assert_eq!(
        (shown("refid"), shown("stratum"), shown("precision"), shown("leap")),
        ("GPS".into(), "0".into(), "-20".into(), "0".into())
    );
    assert_eq!(
        (shown("rootdelay"), shown("rootdisp"), shown("delay")),
        ("0.000".into(), "0.000".into(), "0.000".into())
    );
    assert_eq!(desk.asked(&ask(2, ids[0], "srchost")).value("srchost"), "\"SHM(0)\"");
    assert_eq!(desk.asked(&ask(2, ids[2], "ttl")).value("ttl"), "17");
    if let Some(theirs) = captured("p5-shm.txt", "rv", "srcadr=127.127.28.0") {
        // By the last one NTPsec's ntpq knows a clock.
        let ours = names(&shm);
        assert_eq!(
            (&ours[..theirs.len()], &ours[theirs.len()..]),
            (&theirs[..], &["srchost".to_owned()][..])
        );
    }
}

#[test]
fn clockstats_and_protostats_have_the_lines_of_real_daemons() {
    let mut desk = desk();
    desk.seconds(60);
    let clock = desk.lines(StatKind::Clock);
    let fields = |line: &str| line.split_whitespace().skip(2).map(str::to_owned).collect::<Vec<_>>();
    let shm = clock.iter().find(|line| line.contains("127.127.28.0")).unwrap();
    assert_eq!((fields(shm).len(), fields(shm)[0].as_str()), (6, "127.127.28.0"), "{shm}");
    let counts = clock.iter().rev().find(|line| line.contains("127.127.28.0")).unwrap();
    assert!(counts.ends_with("127.127.28.0  16  16   0   0   0"), "{counts}");
    assert!(
        clock.iter().any(|line| line.ends_with("127.127.20.0 $GPZDA,071528.00,28,11,2026,00,00*63")),
        "{clock:?}"
    );
    let proto = desk.lines(StatKind::Proto);
    assert!(proto.iter().any(|line| line.ends_with("SHM(3) 802b 8b clock_event clk_no_reply")), "{proto:#?}");
    assert!(
        proto.iter().any(|line| line.contains(" SHM(0) ") && line.ends_with("84 reachable")),
        "{proto:#?}"
    );
}
