//! Datagrams that are no client's request: answers of our servers, control requests, the rest.

use crate::config::model::AccessFlags;
use crate::engine::Engine;
use crate::engine::auth::Authenticity;
use crate::engine::contract::{Now, Rx};
use crate::engine::estimator::Sample;
use crate::engine::reject::Reject;
use crate::engine::report::event::{Event, Kiss};
use crate::engine::server::heard;
use crate::engine::sources::association::Association;
use crate::engine::sources::receive::{Answer, Exchange};
use crate::wire::counter::Counter;
use crate::wire::event::{PeerEvent, flash};
use crate::wire::{Header, Mode};

impl Engine {
    pub(in crate::engine) fn datagram(&mut self, now: Now, rx: &Rx<'_>) {
        self.counters.count(Counter::Received);
        let result = match rx.data.first().map(|first| Mode::from_bits(*first)) {
            Some(Mode::Control) => self.control(now, rx),
            Some(Mode::Server) => self.server_answered(now, rx),
            Some(_) => Err(Reject::Mode),
            None => Err(Reject::Format),
        };
        if let Err(reason) = result {
            self.counters.reject(reason);
        }
    }

    /// A sample does not fit. Where at least half of the sources have such samples, it may be our clock: then the error bound is
    /// no less than what the sample shows beyond its own uncertainty.
    fn cover_doubt(&mut self, now: Now, sample: &Sample) {
        let heard = |a: &&Association| a.may_count() && a.reach != 0;
        let sources = self.associations.iter().filter(heard).count();
        let alarmed = self.associations.iter().filter(heard).filter(|a| a.estimator.alarmed()).count();
        if 2 * alarmed >= sources {
            self.system.cover(now.mono, sample.offset.abs() - sample.delay * 0.5);
        }
    }

    fn server_answered(&mut self, now: Now, rx: &Rx<'_>) -> Result<(), Reject> {
        let header = Header::parse(rx.data).map_err(|_| Reject::Format)?;
        let flags = self.admit(rx, header.version)?;
        let authenticity = self.keys.check(rx.data, rx.from.ip()).map_err(|_| Reject::Format)?;
        let verified = match authenticity {
            Authenticity::Verified(key) => Some(key),
            Authenticity::None | Authenticity::Failed => None,
        };
        if flags.contains(AccessFlags::NOTRUST) && verified.is_none() {
            return Err(Reject::Auth);
        }
        let index =
            self.associations.iter().position(|a| a.endpoint() == Some(rx.from)).ok_or(Reject::Unasked)?;
        self.clients.observe(now, &heard(rx, flags));
        let association = &mut self.associations[index];
        // A wrong code is worse than none, also where none is asked for (RFC 5905 section 9.2).
        let authentic = match association.config.key {
            Some(key) => verified == Some(key),
            None => authenticity != Authenticity::Failed,
        };
        association.tally.received += 1;
        let refused_before = association.flash & flash::AUTH != 0;
        let answer = association.receive(now, rx, &header, authentic, self.epoch, self.system.precision);
        if let Err(reason) = answer {
            association.tally.rejects(reason);
        }
        if answer == Err(Reject::Unsynchronised) {
            association.is_not_synchronized(now.mono);
        }
        if answer == Err(Reject::Auth) {
            if !refused_before {
                let peer = association.note_event(PeerEvent::BadAuth);
                self.event(Event::BadAuth(peer));
            }
            return Err(Reject::Auth);
        }
        let answer = answer?;
        self.counters.count(Counter::Processed);
        match answer {
            Answer::Kissed(kiss) => {
                let peer = association.note_event(kiss.code());
                if kiss != Kiss::Rate || association.rate_news {
                    let poll = association.poll;
                    self.event(Event::KissObeyed(peer, kiss, poll));
                }
                self.update_clock(now);
            }
            Answer::Measured(sample, exchange) => self.measured(now, index, &sample, &exchange),
        }
        Ok(())
    }

    /// A response yielded a sample: the source takes it, and the clock is updated.
    fn measured(&mut self, now: Now, index: usize, sample: &Sample, exchange: &Exchange) {
        let heard = |a: &Association| a.may_count() && a.reach != 0;
        let others_heard = self.associations.iter().any(heard);
        let association = &mut self.associations[index];
        let free = self.discipline.free_running(sample, exchange.elapsed());
        let first = association.reach == 0;
        association.reach |= 1;
        association.unreach = 0;
        association.early_polls = 0;
        let doubted = association.estimator.alarmed();
        association.take_sample(sample, &free, self.system.floor());
        let doubt = association.estimator.alarmed();
        if first {
            association.resume(now.mono);
            association.tally.reached = Some(now.mono);
            let peer = association.note_event(PeerEvent::Reachable);
            self.event(Event::Reachable(peer));
        }
        if doubt {
            self.hasten(index, !doubted);
        }
        if first && !others_heard {
            self.discipline.resumed(now.mono);
        }
        self.record_raw(now, index, exchange);
        self.record_peer(now, index);
        self.update_clock(now);
        if doubt {
            self.cover_doubt(now, sample);
        }
    }
}
