use super::*;
use crate::config::model::{Kind, Server, Target};
use crate::units::Driver;

fn shm(unit: u8) -> Server {
    Server::new(Kind::Server, Target::RefClock { kind: 28, unit })
}

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
    assert!(ClockDevice::of(&shm(7)).is_some());
}
