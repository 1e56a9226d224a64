//! Estimates our free-running clock from one source's measurements. THE SEAM: the rest of the engine
//! knows only [`Measurement`] in and [`Estimate`] out; another estimator replaces this folder.
//!
//! "Free-running" means the clock as it would be without our corrections: the caller adds back
//! every correction. So the estimator needs to know of no slew or frequency setting, and its model is
//! nothing but a rate that wanders. The state is [offset x, frequency f] with covariance P.
//!
//! | question | file |
//! |---|---|
//! | the estimate from round trips | `two_way.rs` |
//! | the estimate from samples without a round trip | `one_way.rs` |
//! | the estimate of several filters together | `mean.rs` |
//! | a step of a Kalman filter | `kalman.rs` |

mod bank;
mod coloured;
mod fit;
mod hypothesis;
mod interval;
mod kalman;
mod mean;
mod one_way;
mod path;
mod smoother;
mod two_way;

use crate::engine::estimator::one_way::OneWay;
use crate::engine::estimator::two_way::{Sample, TwoWay};
use crate::units::{MonoTime, Ppm, Seconds};

/// One measurement of a source: the only way in, whatever the source is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Measurement {
    /// When: the middle of an exchange, or the moment that a packet, a pulse or a reading stands for.
    pub at: MonoTime,
    /// Source minus clock.
    pub offset: Seconds,
    /// How it was measured.
    pub evidence: Evidence,
}

/// How an offset was measured, and what is known of its error from that alone.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Evidence {
    /// By a request and its response: the error is no more than half of the round trip.
    TwoWay {
        /// Round trip, never negative.
        delay: Seconds,
        /// Error of reading both clocks.
        error: Seconds,
    },
    /// By something that only arrived: a broadcast, a pulse, a reading. Their scatter is estimated from them.
    OneWay {
        /// The round trip by which the way was calibrated: by no more than half of it is the offset wrong. Zero for what has no way.
        delay: Seconds,
        /// The precision that the source claims, a standard deviation: the prior before there are samples.
        spread: Seconds,
    },
}

impl Measurement {
    /// By a request and its response.
    #[must_use]
    pub const fn two_way(at: MonoTime, offset: Seconds, delay: Seconds, error: Seconds) -> Self {
        Self { at, offset, evidence: Evidence::TwoWay { delay, error } }
    }

    /// By something that only arrived.
    #[must_use]
    pub const fn one_way(at: MonoTime, offset: Seconds, spread: Seconds) -> Self {
        Self::calibrated(at, offset, Seconds::ZERO, spread)
    }

    /// By something that arrived over a way of this round trip, half of which is in the offset.
    #[must_use]
    pub const fn calibrated(at: MonoTime, offset: Seconds, delay: Seconds, spread: Seconds) -> Self {
        Self { at, offset, evidence: Evidence::OneWay { delay, spread } }
    }

    /// The round trip; zero where there was none.
    #[must_use]
    pub const fn delay(&self) -> Seconds {
        match self.evidence {
            Evidence::TwoWay { delay, .. } | Evidence::OneWay { delay, .. } => delay,
        }
    }

    /// The error of the reading alone.
    #[must_use]
    pub const fn error(&self) -> Seconds {
        match self.evidence {
            Evidence::TwoWay { error, .. } => error,
            Evidence::OneWay { spread, .. } => spread,
        }
    }
}

/// The estimate of a source at a moment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Estimate {
    /// Source minus free-running clock, seconds.
    pub offset: f64,
    /// Its derivative, seconds per second.
    pub rate: f64,
    /// Variance of the offset, s².
    pub offset_variance: f64,
    /// Variance of the rate.
    pub rate_variance: f64,
    /// Typical error of a single sample, seconds.
    pub sample_error: f64,
    /// Wander of the rate, s/s per √s.
    pub wander: f64,
}

/// What the survivors of the selection agree on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Combined {
    /// Sources minus free-running clock, now.
    pub offset: f64,
    /// The frequency correction the clock needs, s/s.
    pub rate: f64,
    /// Standard error of the offset, seconds.
    pub offset_error: f64,
    /// Standard error of the rate, s/s.
    pub rate_error: f64,
    /// Typical error of a single sample, seconds.
    pub sample_error: f64,
    /// Wander of the rate, s/s per √s.
    pub wander: f64,
}

/// The rate of a clock: the frequency correction that it needs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct KnownRate {
    /// In s/s.
    pub rate: f64,
    /// Its standard error.
    pub error: f64,
}

/// What is known of the clock before the first measurement.
#[derive(Clone, Copy, Debug)]
struct Prior {
    /// The frequency correction that it needs, s/s, and how sure that is.
    rate: f64,
    sigma: f64,
    /// How much the rate may be off if that is wrong, s/s; `None` where it cannot be.
    doubt: Option<f64>,
}

/// The estimator of one source.
#[derive(Clone, Debug)]
pub struct Estimator {
    prior: Prior,
    by: By,
}

/// By what it estimates.
#[derive(Clone, Debug)]
enum By {
    TwoWay(Box<TwoWay>),
    OneWay(Box<OneWay>),
}

impl Estimator {
    /// Knows nothing but that the clock's needed frequency correction is about `rate` ± `sigma`.
    #[must_use]
    pub fn new(rate: Ppm, sigma: Ppm) -> Self {
        Self::with(Prior { rate: rate.rate(), sigma: sigma.rate(), doubt: None })
    }

    /// The same, but the prior may be all wrong: then the frequency is off by about `sigma`. The samples decide.
    #[must_use]
    pub fn doubting(self, sigma: Ppm) -> Self {
        Self::with(Prior { doubt: Some(sigma.rate()), ..self.prior })
    }

    fn with(prior: Prior) -> Self {
        Self { prior, by: By::TwoWay(Box::new(TwoWay::new(prior))) }
    }

    /// Adds a measurement. One older than the last is used as if taken with it. A source that measures otherwise than before
    /// (a broadcast server, once its volley is over) begins anew with the clock's rate as estimated so far.
    pub fn take(&mut self, measurement: &Measurement) {
        let Measurement { at, offset, evidence } = *measurement;
        match (evidence, &mut self.by) {
            (Evidence::TwoWay { delay, error }, By::TwoWay(two_way)) => {
                two_way.sample(&Sample { at, offset, delay, reading_error: error });
            }
            (Evidence::OneWay { spread, .. }, By::OneWay(one_way)) => one_way.sample(at, offset, spread),
            (Evidence::TwoWay { .. }, By::OneWay(_)) => {
                self.by = By::TwoWay(Box::new(TwoWay::new(self.prior_at(at))));
                self.take(measurement);
            }
            (Evidence::OneWay { .. }, By::TwoWay(_)) => {
                self.by = By::OneWay(Box::new(OneWay::new(self.prior_at(at))));
                self.take(measurement);
            }
        }
    }

    /// The clock's rate as estimated so far, as a prior.
    fn prior_at(&self, at: MonoTime) -> Prior {
        self.estimate(at).map_or(self.prior, |estimate| {
            let sigma = estimate.rate_variance.sqrt();
            if sigma < self.prior.sigma {
                Prior { rate: estimate.rate, sigma, doubt: None }
            } else {
                self.prior
            }
        })
    }

    /// How many samples it has taken.
    #[must_use]
    pub fn samples(&self) -> usize {
        match &self.by {
            By::TwoWay(two_way) => two_way.samples(),
            By::OneWay(one_way) => one_way.samples(),
        }
    }

    /// How often samples without a round trip have jumped: the source, the way to it or our clock did. A round trip shows by itself which.
    #[must_use]
    pub fn jumps(&self) -> u32 {
        match &self.by {
            By::TwoWay(_) => 0,
            By::OneWay(one_way) => one_way.jumps(),
        }
    }

    /// The clock was set by another process: the rate and the path are what they were, the offset is unknown until the
    /// next sample. False if too little is known to keep any of it.
    #[must_use]
    pub fn clock_set(&mut self) -> bool {
        match &mut self.by {
            By::TwoWay(two_way) => two_way.clock_set(),
            By::OneWay(one_way) => one_way.clock_set(),
        }
    }

    /// The clock was stepped by `by`: it is the same clock, free-running from there.
    pub fn clock_stepped(&mut self, by: Seconds) {
        match &mut self.by {
            By::TwoWay(two_way) => two_way.clock_stepped(by),
            By::OneWay(one_way) => one_way.clock_stepped(by),
        }
    }

    /// Whether the last samples did not fit, or have not for long: the source, the way to it, or our clock changed.
    #[must_use]
    pub fn alarmed(&self) -> bool {
        match &self.by {
            By::TwoWay(two_way) => two_way.alarmed(),
            By::OneWay(one_way) => one_way.alarmed(),
        }
    }

    /// The estimate at `at`, which may lie before or after the last sample; `None` before any.
    #[must_use]
    pub fn estimate(&self, at: MonoTime) -> Option<Estimate> {
        match &self.by {
            By::TwoWay(two_way) => two_way.estimate(at),
            By::OneWay(one_way) => one_way.estimate(at),
        }
    }
}
