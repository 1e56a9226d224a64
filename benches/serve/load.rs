//! The load generator: one pinned thread that asks a server for the time, in a closed loop, at a
//! given rate or in a burst, from as many addresses of 127/8 as wanted.

use crate::nts::Sealed;
use rsntpd::engine::auth::Keys;
use rsntpd::sys::batch::{BATCH, Calls, Inbox, Outbox};
use rsntpd::sys::clock;
use rsntpd::sys::socket::{Departure, Sharing, UdpSocket};
use rsntpd::units::{KeyId, MonoTime, NtpTimestamp, Seconds};
use rsntpd::wire::trailer::DigestLength;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What is asked of a server.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whom to ask.
    pub server: Ipv4Addr,
    /// Seconds.
    pub seconds: f64,
    /// Requests a second; 0: closed loop.
    pub rate: f64,
    /// Requests outstanding in the closed loop.
    pub window: u64,
    /// Requests of one burst; 0: none.
    pub burst: u64,
    /// Source addresses, from 127.1.0.0 on.
    pub sources: u32,
    /// Requests a second of a client of its own that measures offsets; 0: none.
    pub measure: f64,
    /// Ends with the first answer.
    pub until_first: bool,
    /// Only answers of a server that follows another one count.
    pub until_synchronised: bool,
    /// How the server knows who asks.
    pub authentication: Authentication,
}

/// What is behind the header of a request.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// Nothing.
    None,
    /// A code made with this key, each time anew.
    Key(KeyId, Box<Keys>),
    /// A request that was sealed beforehand: the server decides how fast this goes, not who asks.
    Nts(Sealed),
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub sent: u64,
    pub received: u64,
    pub seconds: f64,
    /// When the first answer arrived.
    pub first: Option<NtpTimestamp>,
    /// Turnarounds, seconds.
    pub turnarounds: Vec<f64>,
    /// Offsets that the measuring client saw, seconds.
    pub offsets: Vec<f64>,
}

const NTP: u16 = 123;
/// How long the last answers are waited for, seconds.
const GRACE: f64 = 0.2;
/// In the closed loop, silence for so long means that what is outstanding is lost.
const LOST: f64 = 0.02;

/// Most requests that are late and still sent.
const CATCH_UP: u64 = 256;

struct Generator {
    socket: UdpSocket,
    inbox: Inbox,
    outbox: Outbox,
    outcome: Outcome,
    next_source: u32,
}

/// Runs a plan.
pub fn run(plan: &mut Plan) -> std::io::Result<Outcome> {
    let calls = Calls::probe();
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let mut generator = Generator {
        socket: UdpSocket::bind(any, Sharing::Alone)?,
        inbox: Inbox::new(calls),
        outbox: Outbox::new(calls),
        outcome: Outcome::default(),
        next_source: 0,
    };
    let mut client = Client::new(plan)?;
    let start = clock::mono();
    let (mut heard, mut skipped) = (start, 0);
    loop {
        let now = clock::mono();
        let elapsed = (now - start).get();
        if elapsed >= plan.seconds || plan.until_first && generator.outcome.received > 0 {
            break;
        }
        let outcome = &generator.outcome;
        let wanted = if plan.burst > 0 {
            plan.burst - outcome.sent
        } else if plan.rate > 0.0 {
            let due = ((elapsed * plan.rate) as u64).saturating_sub(outcome.sent + skipped);
            // Held up itself, the generator does not make up for it with a burst.
            skipped += due.saturating_sub(CATCH_UP);
            due.min(CATCH_UP)
        } else {
            if now.since(heard).get() > LOST {
                heard = now;
                generator.ask(plan, plan.window);
                continue;
            }
            (plan.window + outcome.received).saturating_sub(outcome.sent)
        };
        generator.ask(plan, wanted);
        if generator.receive(plan)? {
            heard = now;
        }
        client.turn(plan, now, &mut generator)?;
    }
    generator.outcome.seconds = (clock::mono() - start).get();
    let end = clock::mono();
    while clock::mono().since(end).get() < GRACE && generator.outcome.received < generator.outcome.sent {
        generator.receive(plan)?;
    }
    Ok(generator.outcome)
}

fn request() -> [u8; 48] {
    let mut octets = [0; 48];
    octets[0] = 0x23;
    octets[2] = 6;
    octets[40..].copy_from_slice(&clock::wall().to_bits().to_be_bytes());
    octets
}

impl Generator {
    fn ask(&mut self, plan: &mut Plan, wanted: u64) {
        let mut left = wanted;
        while left > 0 {
            let together = left.min(BATCH as u64);
            for index in 0..together as usize {
                let source = Ipv4Addr::from_bits(0x7f01_0000 + self.next_source);
                self.next_source = (self.next_source + 1) % plan.sources;
                if let Some(draft) = self.outbox.draft() {
                    match &plan.authentication {
                        Authentication::Nts(sealed) => draft[..sealed.0.len()].copy_from_slice(&sealed.0),
                        _ => draft[..48].copy_from_slice(&request()),
                    }
                }
                self.outbox.add((plan.server, NTP).into(), Some(IpAddr::V4(source)), Departure::Unstamped);
                self.outbox.seal(index, |octets| match &mut plan.authentication {
                    Authentication::None => 48,
                    Authentication::Key(key, keys) => keys.sign_into(*key, DigestLength::Cut, 48, octets),
                    Authentication::Nts(sealed) => sealed.0.len(),
                });
            }
            let lost = self.outbox.send(&self.socket) as u64;
            self.outcome.sent += together - lost;
            left -= together;
        }
    }

    fn receive(&mut self, plan: &Plan) -> std::io::Result<bool> {
        let count = self.inbox.fill(&self.socket)?;
        for index in 0..count {
            let Some(reply) = self.inbox.get(index).filter(|r| r.data.len() >= 48) else { continue };
            let sealed =
                matches!(&plan.authentication, Authentication::Nts(sealed) if sealed.is_answered(reply.data));
            if matches!(plan.authentication, Authentication::Nts(_)) && !sealed
                || plan.until_synchronised && !(1..16).contains(&reply.data[1])
            {
                continue;
            }
            self.outcome.received += 1;
            self.outcome.first = self.outcome.first.or(reply.received);
            // One in sixteen is enough to know how long they take.
            if self.outcome.received.is_multiple_of(16)
                && !sealed
                && let Some(at) = reply.received
            {
                self.outcome.turnarounds.push((at - stamp(reply.data, 24)).to_seconds().get());
            }
        }
        Ok(count > 0)
    }
}

fn stamp(data: &[u8], at: usize) -> NtpTimestamp {
    let octets = data[at..].first_chunk::<8>().copied().unwrap_or_default();
    NtpTimestamp::from_bits(u64::from_be_bytes(octets))
}

/// A client that measures: kernel stamps for what it sends and receives.
struct Client {
    socket: UdpSocket,
    inbox: Inbox,
    due: MonoTime,
    /// The transmit timestamp of the request that was sent last, and when it left.
    asked: Option<(NtpTimestamp, NtpTimestamp)>,
}

impl Client {
    fn new(plan: &Plan) -> std::io::Result<Self> {
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let due = if plan.measure > 0.0 { clock::mono() } else { MonoTime::NEVER };
        Ok(Self {
            socket: UdpSocket::bind(any, Sharing::Alone)?,
            inbox: Inbox::new(Calls::One),
            due,
            asked: None,
        })
    }

    fn turn(&mut self, plan: &Plan, now: MonoTime, generator: &mut Generator) -> std::io::Result<()> {
        if now < self.due {
            if plan.measure > 0.0 {
                for index in 0..self.inbox.fill(&self.socket)? {
                    self.answered(index, generator);
                }
            }
            return Ok(());
        }
        // Not in step with anything that the server does.
        let jitter = 0.5 + f64::from(self.due.as_nanos() as u32 % 1000) / 1000.0;
        self.due = now + Seconds::new(jitter / plan.measure);
        let request = request();
        self.socket.send(&request, (plan.server, NTP).into(), None, Departure::Stamped)?;
        let stamped = self.inbox.take_sent(&self.socket)?;
        let left = stamped.then(|| self.inbox.sent().1).flatten();
        self.asked = left.map(|left| (stamp(&request, 40), left));
        Ok(())
    }

    fn answered(&mut self, index: usize, generator: &mut Generator) {
        let Some(reply) = self.inbox.get(index).filter(|r| r.data.len() >= 48) else { return };
        // Who is held up may answer when something else has been asked by then.
        let asked = self.asked.take_if(|asked| asked.0 == stamp(reply.data, 24));
        if let (Some((_, t1)), Some(t4)) = (asked, reply.received) {
            let (t2, t3) = (stamp(reply.data, 32), stamp(reply.data, 40));
            let offset = ((t2 - t1).to_seconds().get() + (t3 - t4).to_seconds().get()) / 2.0;
            generator.outcome.offsets.push(offset);
        }
    }
}
