//! Hosts and the time they share: engines with their clocks, true servers, packets on their way.

use super::chance::Dice;
use super::clock::Clock;
use super::device::{Device, Due, Says};
use super::link::Link;
use super::nts::NtsServer;
use rsntpd::engine::clock::{Drift, Record};
use rsntpd::engine::contract::{
    ClockDevice, ClockReport, CookieOrigin, CookieSource, DeviceReport, Established, ExitReason,
    FailureClass, Input, Interface, Kept, KeyFailure, KeyRequest, LookupError, Machine, Output, Reading,
    Reads, Rx, Setup, SocketId, StatLine, Tx,
};
use rsntpd::engine::report::event::Event;
use rsntpd::engine::{Engine, Served};
use rsntpd::units::{
    AssocId, Host as Address, Leap, NtpShort, NtpTimestamp, Ppm, RefId, Seconds, Stamp, eras_off,
};
use rsntpd::wire::{Header, Mode};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{IpAddr, SocketAddr};

/// Makes a forged answer of a request, or none.
pub type Forger = Box<dyn Fn(&[u8]) -> Option<Vec<u8>>>;

/// A server that knows the time, more or less.
pub struct TrueServer {
    pub address: IpAddr,
    pub stratum: u8,
    pub leap: Leap,
    /// What it says of its own error, seconds.
    pub root_dispersion: f64,
    /// How far its time is off, by true time.
    pub error: Box<dyn Fn(f64) -> f64>,
    /// Whether it answers, by true time.
    pub answers: Box<dyn Fn(f64) -> bool>,
}

impl TrueServer {
    pub fn new(address: &str) -> Self {
        Self {
            address: address.parse().unwrap(),
            stratum: 1,
            leap: Leap::None,
            root_dispersion: 0.0,
            error: Box::new(|_| 0.0),
            answers: Box::new(|_| true),
        }
    }
}

/// A machine with an engine.
pub struct Host {
    pub address: IpAddr,
    pub engine: Engine,
    pub clock: Clock,
    pub events: Vec<(f64, Event)>,
    pub exit: Option<ExitReason>,
    pub sent: u64,
    pub saved: Option<Ppm>,
    pub record: Option<Record>,
    pub stats: Vec<StatLine>,
    /// Cookies on its disk.
    pub kept: Vec<Kept>,
}

/// A packet on its way.
pub struct Packet {
    at: f64,
    order: u64,
    data: Vec<u8>,
    from: SocketAddr,
    to: SocketAddr,
    /// The group or broadcast address that it was sent to, of which `to` is one.
    group: Option<IpAddr>,
}

impl PartialEq for Packet {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Packet {}

impl PartialOrd for Packet {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Packet {
    /// The earliest is the greatest, for the heap.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.total_cmp(&self.at).then(other.order.cmp(&self.order))
    }
}

/// Whether an address is a group's or a network's.
fn is_for_many(ip: IpAddr) -> bool {
    ip.is_multicast() || matches!(ip, IpAddr::V4(v4) if v4.octets()[3] == 255)
}

pub struct World {
    pub time: f64,
    pub epoch: i64,
    pub hosts: Vec<Host>,
    pub servers: Vec<TrueServer>,
    /// What new hosts measure as their clock's precision, log2 seconds.
    pub precision: i8,
    /// The hop limit that a packet for a group needs to reach a host, where that is more than 1.
    pub far: BTreeMap<IpAddr, u8>,
    /// When packets for groups were sent, by which host, with which hop limit.
    pub to_groups: Vec<(f64, IpAddr, u8)>,
    /// What a name leads to, by true time; no other one is found.
    pub names: BTreeMap<String, Box<dyn Fn(f64) -> Vec<IpAddr>>>,
    /// What hosts send leaves so much later than its timestamp was written, at most, seconds; the kernel reports when.
    pub late_by: Option<(f64, Dice)>,
    /// Servers of NTS by the name under which they exchange keys.
    pub nts: BTreeMap<String, NtsServer>,
    /// Cookies on the disk of the host that is added next.
    pub disk: Vec<Kept>,
    /// What an attacker on the way sends a client as soon as he sees its packet, before the server's answer.
    pub forger: Option<Forger>,
    /// Devices of reference clocks.
    pub devices: Vec<Device>,
    /// What they will say in this second, and in the next one.
    due: Vec<Due>,
    /// The second of true time that comes next for them.
    second: f64,
    links: BTreeMap<(IpAddr, IpAddr), Link>,
    packets: BinaryHeap<Packet>,
    order: u64,
}

impl World {
    pub fn new(epoch: i64) -> Self {
        let (hosts, servers) = (Vec::new(), Vec::new());
        Self {
            time: 0.0,
            epoch,
            hosts,
            servers,
            precision: -23,
            far: BTreeMap::new(),
            to_groups: Vec::new(),
            names: BTreeMap::new(),
            late_by: None,
            nts: BTreeMap::new(),
            disk: Vec::new(),
            forger: None,
            devices: Vec::new(),
            due: Vec::new(),
            second: 0.0,
            links: BTreeMap::new(),
            packets: BinaryHeap::new(),
            order: 0,
        }
    }

    pub fn add_host(
        &mut self,
        address: &str,
        clock: Clock,
        setup: Setup,
        drift: Option<Drift>,
        dice: &mut Dice,
    ) {
        let machine = Machine {
            can_steer: true,
            precision: self.precision,
            drift,
            system: "Simulated/1".to_owned(),
            processor: "none".to_owned(),
            seed: dice.seed(),
        };
        let address: IpAddr = address.parse().unwrap();
        let engine = Engine::new(clock.now(), &machine, setup);
        let host = Host {
            address,
            engine,
            clock,
            events: Vec::new(),
            exit: None,
            sent: 0,
            saved: None,
            record: None,
            stats: Vec::new(),
            kept: std::mem::take(&mut self.disk),
        };
        self.hosts.push(host);
        let index = self.hosts.len() - 1;
        self.drain(index);
        let eras = eras_off(self.hosts[index].clock.unix());
        // Each input draws from the engine's chance: a run without such a clock is to be as it was.
        if eras != 0 {
            self.input(index, Input::WrongEra(eras));
        }
        let interface = Interface { name: "sim0".to_owned(), address };
        self.input(index, Input::Interfaces(vec![interface]));
    }

    /// The way from a client to whom it asks; there is none without it.
    pub fn connect(&mut self, client: &str, server: &str, link: Link) {
        self.links.insert((client.parse().unwrap(), server.parse().unwrap()), link);
    }

    /// The way from a client to whom it asks, to change it.
    pub fn link(&mut self, client: &str, server: &str) -> &mut Link {
        self.links.get_mut(&(client.parse().unwrap(), server.parse().unwrap())).unwrap()
    }

    pub fn truth(&self) -> NtpTimestamp {
        NtpTimestamp::from_unix(self.epoch, 0).offset(Seconds::new(self.time))
    }

    pub fn input(&mut self, index: usize, input: Input<'_>) {
        let host = &mut self.hosts[index];
        host.clock.wake();
        host.engine.handle(host.clock.now(), input);
        self.drain(index);
    }

    /// Another process sets a host's clock, and the kernel reports it.
    pub fn set_clock(&mut self, index: usize, by: f64) {
        self.hosts[index].clock.step(by);
        self.input(index, Input::ClockSet { by: Seconds::new(by), running: Vec::new() });
    }

    /// A host is suspended for `span` seconds: only its hardware clock goes on, which is off by `error` then.
    pub fn suspend(&mut self, index: usize, span: f64, error: f64) {
        let clock = &mut self.hosts[index].clock;
        clock.pause(span);
        clock.step(span + error);
        self.time += span;
        self.input(index, Input::Suspended(Seconds::new(span)));
    }

    fn drain(&mut self, index: usize) {
        while let Some(output) = self.hosts[index].engine.next_output() {
            let host = &mut self.hosts[index];
            match output {
                Output::Send(mut tx) => {
                    let leaves = host.clock.wall();
                    host.engine.complete(&mut tx, leaves);
                    let late = self.late_by.as_mut().map(|(most, dice)| *most * dice.uniform());
                    if let Some(token) = tx.token {
                        host.sent += 1;
                        let at = Stamp::clock(host.clock.wall());
                        let from = Some(host.address).filter(|_| !is_for_many(tx.to.ip()));
                        host.engine.handle(host.clock.now(), Input::Sent { token, at, from });
                        if let Some(late) = late {
                            let at = Stamp::kernel(at.at.offset(Seconds::new(late)));
                            host.engine.handle(host.clock.now(), Input::Sent { token, at, from });
                        }
                    }
                    self.send(index, &tx, late.unwrap_or(0.0));
                }
                Output::Clock(command) => {
                    let report = ClockReport { command, result: host.clock.perform(command) };
                    host.engine.handle(host.clock.now(), Input::ClockDone(report));
                }
                Output::Event(event) => host.events.push((self.time, event)),
                Output::Exit(reason) => host.exit = Some(reason),
                Output::SaveDrift(ppm) => host.saved = Some(ppm),
                Output::Stat(line) => host.stats.push(line),
                Output::SaveDriftRecord(record) => host.record = Some(record),
                Output::Resolve { id, name, .. } => {
                    let found =
                        self.names.get(&name).map(|addresses| addresses(self.time)).unwrap_or_default();
                    let none = || LookupError { text: "no such host".to_owned() };
                    let hosts: Vec<Address> = found.into_iter().map(Address::from).collect();
                    let result = if hosts.is_empty() { Err(none()) } else { Ok(hosts) };
                    host.engine.handle(host.clock.now(), Input::Resolved { id, result });
                }
                Output::OpenClock { id, device } => self.open(index, id, &device),
                Output::CloseClock(id) => self.close(index, id),
                Output::Establish { id, request } => {
                    let result = self.exchange(index, &request);
                    let host = &mut self.hosts[index];
                    host.engine.handle(host.clock.now(), Input::Established { id, result });
                }
                Output::KeepCookies(kept) => {
                    host.kept.retain(|old| (&old.server, old.port) != (&kept.server, kept.port));
                    host.kept.push(*kept);
                }
                // Nobody here asks with ntpq.
                Output::ShellRequest { .. } => {}
            }
        }
    }

    fn close(&mut self, index: usize, id: AssocId) {
        for device in self.devices.iter_mut().filter(|d| d.host == index && d.opened_by == Some(id)) {
            device.opened_by = None;
        }
    }

    fn open(&mut self, index: usize, id: AssocId, wanted: &ClockDevice) {
        let time = self.time;
        let mut devices = self.devices.iter_mut().filter(|d| d.host == index);
        let found = devices.find(|d| (d.driver, d.unit) == (wanted.driver, wanted.unit) && (d.present)(time));
        let report = if let Some(device) = found {
            device.opened_by = Some(id);
            DeviceReport::Opened
        } else {
            DeviceReport::Failed("No such file or directory".to_owned())
        };
        let host = &mut self.hosts[index];
        host.engine.handle(host.clock.now(), Input::Clock { id, report });
    }

    fn exchange(&mut self, index: usize, request: &KeyRequest) -> Result<Box<Established>, KeyFailure> {
        let host = &mut self.hosts[index];
        let is_it = |kept: &Kept| kept.server == request.server && kept.port == request.port;
        if request.from == CookieSource::DiskFirst
            && let Some(at) = host.kept.iter().position(is_it)
        {
            let origin = CookieOrigin::Disk;
            return Ok(Box::new(Established { origin, ..host.kept.swap_remove(at).established }));
        }
        let nobody = || KeyFailure { class: FailureClass::Name, text: "no such host".to_owned() };
        let server = self.nts.get_mut(&request.server).ok_or_else(nobody)?;
        server.exchange(request, self.time, host.clock.unix())
    }

    /// Lets the devices say what they say around the next second.
    fn plan_second(&mut self) {
        let second = self.second;
        self.second += 1.0;
        for (index, device) in self.devices.iter_mut().enumerate() {
            let all = (device.law)(second, &mut device.dice);
            let due = |(after, says)| Due { at: second + after, device: index, second, says };
            self.due.extend(all.into_iter().map(due));
        }
        self.due.sort_by(|a, b| b.at.total_cmp(&a.at));
    }

    /// When a device says something next.
    fn next_due(&mut self) -> f64 {
        if self.devices.is_empty() {
            return f64::INFINITY;
        }
        // What belongs to a second may come a little before it.
        while self.due.last().is_none_or(|due| due.at > self.second - 0.5) {
            self.plan_second();
        }
        self.due.last().map_or(f64::INFINITY, |due| due.at.max(self.time))
    }

    fn device_says(&mut self) {
        let Some(due) = self.due.pop() else { return };
        let device = &mut self.devices[due.device];
        let (index, Some(id)) = (device.host, device.opened_by) else { return };
        let wall = self.hosts[index].clock.wall();
        let truth = NtpTimestamp::from_unix(self.epoch, 0).offset(Seconds::new(due.second));
        let reading = |reads, offset, leap| Reading {
            reads,
            at: wall,
            offset,
            leap,
            precision: None,
            error: None,
            text: format!("{}", due.second),
        };
        let report = match due.says {
            Says::Time { error, precision, bound, leap } => {
                let offset = (truth.offset(Seconds::new(error)) - wall).to_seconds();
                let error = bound.map(Seconds::new);
                DeviceReport::Reading(Reading { precision, error, ..reading(Reads::Time, offset, leap) })
            }
            Says::Pulse => {
                let shown = f64::from(wall.fraction()) / 4_294_967_296.0;
                let offset = Seconds::new(shown.round() - shown);
                DeviceReport::Reading(reading(Reads::Pulse, offset, Leap::None))
            }
            Says::Trouble(trouble) => DeviceReport::Trouble { trouble, text: String::new() },
            Says::Gone => {
                device.opened_by = None;
                DeviceReport::Failed("Input/output error".to_owned())
            }
        };
        self.input(index, Input::Clock { id, report });
    }

    fn send(&mut self, index: usize, tx: &Tx, late: f64) {
        let from = SocketAddr::new(self.hosts[index].address, 123);
        if is_for_many(tx.to.ip()) {
            return self.send_to_all(from, tx);
        }
        let delays = if let Some(link) = self.links.get_mut(&(from.ip(), tx.to.ip())) {
            link.up()
        } else if let Some(link) = self.links.get_mut(&(tx.to.ip(), from.ip())) {
            link.down()
        } else {
            return;
        };
        for delay in delays {
            self.put(self.time + late + delay, tx.data.clone(), from, tx.to);
        }
    }

    /// A packet for a network or a group: it takes all ways that there are.
    fn send_to_all(&mut self, from: SocketAddr, tx: &Tx) {
        let mut copies = Vec::new();
        for ((client, server), link) in &mut self.links {
            if *client == from.ip() {
                copies.extend(link.up().into_iter().map(|delay| (*server, delay)));
            } else if *server == from.ip() {
                copies.extend(link.down().into_iter().map(|delay| (*client, delay)));
            }
        }
        let hops = tx.hops.unwrap_or(1);
        self.to_groups.push((self.time, from.ip(), hops));
        copies.retain(|(to, _)| self.far.get(to).is_none_or(|needed| hops >= *needed));
        for (to, delay) in copies {
            let to = SocketAddr::new(to, tx.to.port());
            self.put_to(self.time + delay, tx.data.clone(), from, to, Some(tx.to.ip()));
        }
    }

    /// Puts a packet on its way, honest or forged.
    pub fn put(&mut self, at: f64, data: Vec<u8>, from: SocketAddr, to: SocketAddr) {
        self.put_to(at, data, from, to, None);
    }

    fn put_to(&mut self, at: f64, data: Vec<u8>, from: SocketAddr, to: SocketAddr, group: Option<IpAddr>) {
        self.order += 1;
        self.packets.push(Packet { at, order: self.order, data, from, to, group });
    }

    /// Goes on until true time `until`, at most.
    pub fn run(&mut self, until: f64) {
        while let Some(packet) = self.next_packet(until) {
            self.arrive(&packet);
        }
        self.advance(until);
    }

    /// Goes on until a packet is about to reach a host, and takes it off the wire: who measures what
    /// becomes of it lets it [`World::arrive`].
    pub fn next_answer(&mut self) -> Packet {
        loop {
            let packet = self.next_packet(f64::INFINITY).unwrap();
            if self.hosts.iter().any(|h| h.address == packet.to.ip()) {
                return packet;
            }
            self.arrive(&packet);
        }
    }

    /// Lets timers run until the next packet arrives, not past `until`; the packet, if there is one.
    fn next_packet(&mut self, until: f64) -> Option<Packet> {
        loop {
            let packet = self.packets.peek().map_or(f64::INFINITY, |p| p.at);
            let (timer, index) = self.next_timer();
            let device = self.next_due();
            let next = packet.min(timer).min(device);
            if next > until || next.is_infinite() {
                return None;
            }
            self.advance(next);
            if device < packet.min(timer) {
                self.device_says();
                continue;
            }
            if packet <= timer {
                return self.packets.pop();
            }
            self.input(index, Input::Timer);
        }
    }

    fn advance(&mut self, to: f64) {
        self.time = self.time.max(to);
        for host in &mut self.hosts {
            host.clock.advance(self.time);
        }
    }

    fn next_timer(&self) -> (f64, usize) {
        self.hosts
            .iter()
            .enumerate()
            .filter(|(_, h)| h.exit.is_none())
            .filter_map(|(i, h)| h.engine.next_deadline().map(|d| (h.clock.when(d).max(self.time), i)))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .unwrap_or((f64::INFINITY, 0))
    }

    /// Hands a packet to whom it is for.
    pub fn arrive(&mut self, packet: &Packet) {
        if let Some(index) = self.hosts.iter().position(|h| h.address == packet.to.ip()) {
            self.arrive_at_host(index, packet);
        } else if let Some(index) = self.servers.iter().position(|s| s.address == packet.to.ip()) {
            self.arrive_at_server(index, packet);
        }
    }

    fn arrive_at_host(&mut self, index: usize, packet: &Packet) {
        let host = &mut self.hosts[index];
        if host.exit.is_some() {
            return;
        }
        let now = host.clock.now();
        let rx = Rx {
            data: &packet.data,
            from: packet.from,
            // Of a broadcast the shell names the interface's own address.
            to: packet.group.filter(IpAddr::is_multicast).unwrap_or(packet.to.ip()),
            socket: SocketId(0),
            received: Stamp::clock(now.wall),
        };
        if packet.group.is_some() {
            return self.input(index, Input::Datagram(rx));
        }
        let mut reply = [0; Engine::REPLY_MAX];
        match host.engine.serve(now, &rx, &mut || now.wall, &mut reply) {
            Served::Reply(len) => {
                let data = reply[..len].to_vec();
                self.send(index, &Tx { data, ..Tx::new(packet.from) }, 0.0);
            }
            Served::Dropped => {}
            Served::NotARequest => self.input(index, Input::Datagram(rx)),
        }
    }

    fn arrive_at_server(&mut self, index: usize, packet: &Packet) {
        let server = &self.servers[index];
        let Ok(request) = Header::parse(&packet.data) else { return };
        if !(server.answers)(self.time) {
            return;
        }
        let stamp = self.truth().offset(Seconds::new((server.error)(self.time)));
        let reply = Header {
            mode: Mode::Server,
            stratum: server.stratum,
            leap: server.leap,
            precision: -23,
            root_dispersion: NtpShort::from_seconds(Seconds::new(server.root_dispersion)),
            reference_id: RefId::from_text(b"GPS"),
            reference: stamp.offset(Seconds::new(-1.0)),
            origin: request.transmit,
            receive: stamp,
            transmit: stamp,
            ..request
        };
        let key = (packet.from.ip(), packet.to.ip());
        if let Some(forged) = self.forger.as_ref().and_then(|forge| forge(&packet.data)) {
            self.put(self.time, forged, packet.to, packet.from);
        }
        let nts = self.nts.values_mut().find(|nts| nts.addresses.contains(&packet.to.ip()));
        let data =
            nts.map_or_else(|| Some(reply.to_bytes().to_vec()), |nts| nts.answer(&packet.data, &reply));
        let Some(data) = data else { return };
        let delays = self.links.get_mut(&key).map(Link::down).unwrap_or_default();
        for delay in delays {
            self.put(self.time + delay, data.clone(), packet.to, packet.from);
        }
    }
}
