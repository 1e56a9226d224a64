use super::sock::File;
use super::*;
use crate::config::model::{Kind, Server, Target};
use crate::units::Driver;
use mio::Poll;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

#[test]
fn devices_are_those_of_clocks_that_have_a_driver() {
    let kinds = [
        Target::LocalClock { unit: 0 },
        Target::RefClock { kind: 46, unit: 1 },
        Target::RefClock { kind: 5, unit: 0 },
        Target::Name("example.org".to_owned()),
    ];
    let devices: Vec<_> =
        kinds.into_iter().filter_map(|target| ClockDevice::of(&Server::new(Kind::Server, target))).collect();
    assert_eq!(devices.len(), 1);
    assert_eq!((devices[0].driver, devices[0].unit), (Driver::GpsdJson, 1));
}

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rsntpd-clocks-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn sock(path: &Path) -> Server {
    let mut server = Server::new(Kind::Server, Target::RefClock { kind: 129, unit: 0 });
    server.device.path = Some(path.to_owned());
    server
}

/// Has one sample sent, and read.
fn reads(clocks: &mut RefClocks, poll: &mut Poll, path: &Path, id: AssocId) -> bool {
    let (seconds, nanos) = clock::unix();
    let mut data = Vec::new();
    data.extend(seconds.to_ne_bytes());
    data.extend(i64::from(nanos / 1000).to_ne_bytes());
    data.extend(0.25f64.to_ne_bytes());
    [0, 0, 0, 0x534f_434b].iter().for_each(|int: &i32| data.extend(int.to_ne_bytes()));
    UnixDatagram::unbound().unwrap().send_to(&data, path).unwrap();
    let mut events = mio::Events::with_capacity(8);
    poll.poll(&mut events, Some(std::time::Duration::from_secs(5))).unwrap();
    assert!(events.iter().all(|event| clocks.ready(event.token())));
    let reports: Vec<_> = std::iter::from_fn(|| clocks.next_report()).collect();
    let read = |report: &DeviceReport| matches!(report, DeviceReport::Reading(reading) if reading.offset.get() == 0.25);
    reports.len() == 1 && reports[0].0 == id && read(&reports[0].1)
}

#[test]
fn a_device_that_is_open_is_taken_over() {
    let folder = Folder::new("taken");
    let path = folder.0.join("a");
    let config = Config { servers: vec![sock(&path)], ..Config::default() };
    let mut poll = Poll::new().unwrap();
    let mut clocks = RefClocks::open_all(&config, 0);
    clocks.watch(std::rc::Rc::new(poll.registry().try_clone().unwrap()));
    let device = || ClockDevice::of(&sock(&path)).unwrap();
    let file = || File::of(&path);
    let opened = file();
    let (first, second) = (AssocId(7), AssocId(u16::MAX));
    clocks.open(first, device());
    assert_eq!(clocks.next_report(), Some((first, DeviceReport::Opened)));
    assert!(reads(&mut clocks, &mut poll, &path, first));
    // As a reload does it: what root opened is not closed in between.
    clocks.close(first);
    clocks.open(second, device());
    assert_eq!(clocks.next_report(), Some((second, DeviceReport::Opened)));
    assert!(reads(&mut clocks, &mut poll, &path, second));
    assert_eq!(file(), opened, "it is the same socket");
    clocks.close(second);
    let due = clocks.next_deadline().unwrap();
    clocks.work(due);
    assert_eq!(
        (file(), clocks.next_deadline()),
        (None, None),
        "then it is closed, and nothing is left to do"
    );
}

#[test]
fn a_device_that_is_not_there_has_a_reason_and_another_try() {
    let folder = Folder::new("there");
    let path = folder.0.join("later").join("a");
    let config = Config { servers: vec![sock(&path)], ..Config::default() };
    let mut clocks = RefClocks::open_all(&config, 0);
    clocks.watch(std::rc::Rc::new(Poll::new().unwrap().registry().try_clone().unwrap()));
    let (id, device) = (AssocId(1), ClockDevice::of(&sock(&path)).unwrap());
    let why = format!("SOCK {}: No such file or directory", path.display());
    for _ in 0..2 {
        clocks.open(id, device.clone());
        assert_eq!(clocks.next_report(), Some((id, DeviceReport::Failed(why.clone()))));
        assert_eq!(clocks.next_report(), None);
    }
    fs::create_dir(folder.0.join("later")).unwrap();
    clocks.open(id, device);
    assert_eq!(clocks.next_report(), Some((id, DeviceReport::Opened)));
    // A token of a socket is none of ours.
    assert!(!clocks.ready(Token(16)) && clocks.ready(Token(FIRST_TOKEN + 40)));
}
