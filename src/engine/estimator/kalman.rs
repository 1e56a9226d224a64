//! The state of a source: its offset from our free-running clock and its rate, Gaussian.
//!
//! Between samples the offset grows with the rate, and the rate walks at random by `wander`
//! per square-root second. This file is plain linear algebra; `interval.rs` makes an observation of a
//! sample, `smoother.rs` applies it.

/// What rounding may take of a variance, as a part of it, before an assertion fails.
const ROUNDING: f64 = 1e-9;

/// Offset and rate with their covariances, at one moment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct State {
    /// Offset, seconds.
    pub(super) x: f64,
    /// Rate, seconds per second.
    pub(super) f: f64,
    /// Variance of the offset.
    pub(super) xx: f64,
    /// Covariance of offset and rate.
    pub(super) xf: f64,
    /// Variance of the rate.
    pub(super) ff: f64,
}

/// What is known of one quantity, Gaussian.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Normal {
    pub(super) mean: f64,
    pub(super) variance: f64,
}

/// A Gaussian likelihood of the offset: exp(pull·d − precision·d²/2), with d the offset less `about`.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Gaussian {
    /// The origin of d, seconds: near the offset, so that no digits are lost.
    pub(super) about: f64,
    /// 1/s².
    pub(super) precision: f64,
    /// 1/s.
    pub(super) pull: f64,
}

/// The likelihood of a state given later samples: exp(η·d − d·Λ·d/2), d the difference from a known state.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Later {
    xx: f64,
    xf: f64,
    ff: f64,
    x: f64,
    f: f64,
}

impl State {
    /// Whether these are numbers, a rate that a clock could have, and variances.
    pub(super) fn is_sound(&self) -> bool {
        let all = [self.x, self.f, self.xx, self.xf, self.ff];
        all.iter().all(|v| v.is_finite()) && self.f.abs() < 1.0 && self.xx > 0.0 && self.ff >= 0.0
    }

    /// Whether the covariance is one: no variance is negative, and offset and rate are correlated by no more than wholly. Rounding may
    /// make `lost` of the variances.
    fn is_covariance(&self, lost: [f64; 2]) -> bool {
        self.xx >= 0.0 && self.ff >= 0.0 && self.xf * self.xf <= (self.xx + lost[0]) * (self.ff + lost[1])
    }

    /// The state `dt` seconds later if the rate wanders by `wander` (s/s per √s).
    pub(super) fn predict(&self, dt: f64, wander: f64) -> Self {
        debug_assert!(dt >= 0.0, "a prediction goes forward in time: {dt} s");
        let q = wander * wander;
        let later = Self {
            x: self.x + self.f * dt,
            f: self.f,
            xx: self.xx + 2.0 * dt * self.xf + dt * dt * self.ff + q * dt * dt * dt / 3.0,
            xf: self.xf + dt * self.ff + q * dt * dt / 2.0,
            ff: self.ff + q * dt,
        };
        let lost = [ROUNDING * (self.xx + dt * dt * self.ff), ROUNDING * self.ff];
        debug_assert!(
            !(self.is_sound() && self.is_covariance([0.0; 2])) || later.is_covariance(lost),
            "a prediction of a covariance is a covariance: {self:?} became {later:?}"
        );
        later
    }

    /// The state `dt` seconds later; at an earlier time, extrapolated back along the line.
    pub(super) fn at(&self, dt: f64, wander: f64) -> Self {
        if dt > 0.0 { self.predict(dt, wander) } else { Self { x: self.x + self.f * dt, ..*self } }
    }

    /// The state given an observation of the offset.
    pub(super) fn given(&self, observation: &Gaussian) -> Self {
        debug_assert!(
            observation.precision >= 0.0 || !self.is_sound(),
            "a sample makes no variance larger: {observation:?}"
        );
        let less = 1.0 + observation.precision * self.xx;
        let pull = (observation.pull - observation.precision * (self.x - observation.about)) / less;
        let after = Self {
            x: self.x + self.xx * pull,
            f: self.f + self.xf * pull,
            xx: self.xx / less,
            xf: self.xf / less,
            ff: (self.ff - observation.precision * self.xf * self.xf / less).max(0.0),
        };
        let lost = [ROUNDING * after.xx, ROUNDING * self.ff];
        debug_assert!(
            !(self.is_sound() && self.is_covariance([0.0; 2]) && less.is_finite())
                || after.is_covariance(lost),
            "a covariance that knows of one more sample is a covariance: {self:?} became {after:?}"
        );
        after
    }

    /// The offset given later samples, whose likelihood is counted from here.
    pub(super) fn offset_given(&self, later: &Later) -> Normal {
        // (I + PΛ)⁻¹ times P and Pη.
        let m00 = 1.0 + self.xx * later.xx + self.xf * later.xf;
        let m01 = self.xx * later.xf + self.xf * later.ff;
        let m10 = self.xf * later.xx + self.ff * later.xf;
        let m11 = 1.0 + self.xf * later.xf + self.ff * later.ff;
        let det = m00 * m11 - m01 * m10;
        let (x, f) = (self.xx * later.x + self.xf * later.f, self.xf * later.x + self.ff * later.f);
        let variance = (m11 * self.xx - m01 * self.xf) / det;
        // It is less than before; no rounding makes it none.
        let variance = variance.min(self.xx).max(self.xx * 1e-20);
        Normal { mean: self.x + (m11 * x - m01 * f) / det, variance }
    }
}

impl Later {
    /// The same, counted from `here` instead of from `there`.
    pub(super) fn counted_from(self, here: &State, there: &State) -> Self {
        let (dx, df) = (there.x - here.x, there.f - here.f);
        Self { x: self.x + self.xx * dx + self.xf * df, f: self.f + self.xf * dx + self.ff * df, ..self }
    }

    /// With an observation of the offset at the same moment; counted from `here`.
    pub(super) fn and(self, observation: &Gaussian, here: &State) -> Self {
        Self {
            xx: self.xx + observation.precision,
            x: self.x + observation.pull - observation.precision * (here.x - observation.about),
            ..self
        }
    }

    /// The likelihood of the state `dt` seconds earlier, counted from the state that predicts the one it was
    /// counted from.
    pub(super) fn earlier(self, dt: f64, wander: f64) -> Self {
        let q = wander * wander;
        let (qxx, qxf, qff) = (q * dt * dt * dt / 3.0, q * dt * dt / 2.0, q * dt);
        // Through the wander: (I + ΛQ)⁻¹ times Λ and η.
        let m00 = 1.0 + self.xx * qxx + self.xf * qxf;
        let m01 = self.xx * qxf + self.xf * qff;
        let m10 = self.xf * qxx + self.ff * qxf;
        let m11 = 1.0 + self.xf * qxf + self.ff * qff;
        let det = m00 * m11 - m01 * m10;
        let xx = (m11 * self.xx - m01 * self.xf) / det;
        let xf = (m11 * self.xf - m01 * self.ff) / det;
        let ff = (m00 * self.ff - m10 * self.xf) / det;
        let x = (m11 * self.x - m01 * self.f) / det;
        let f = (m00 * self.f - m10 * self.x) / det;
        // Through x' = x + f·dt.
        Self { xx, xf: xf + dt * xx, ff: ff + 2.0 * dt * xf + dt * dt * xx, x, f: f + dt * x }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(z: f64, variance: f64) -> Gaussian {
        Gaussian { about: z, precision: 1.0 / variance, pull: 0.0 }
    }

    #[test]
    fn a_straight_line_is_found() {
        let mut state = State { x: 0.0, f: 0.0, xx: 1.0, xf: 0.0, ff: 1e-6 };
        for i in 0..50 {
            if i > 0 {
                state = state.predict(16.0, 1e-11);
            }
            let noise = if i % 2 == 0 { 1e-5 } else { -1e-5 };
            state = state.given(&measured(0.003 + 25e-6 * 16.0 * f64::from(i) + noise, 1e-10));
        }
        assert!((state.f - 25e-6).abs() < 0.05e-6, "{state:?}");
        assert!((state.x - (0.003 + 25e-6 * 16.0 * 49.0)).abs() < 5e-6, "{state:?}");
        assert!(state.xx > 0.0 && state.ff > 0.0);
    }

    fn is(state: &State, x: f64, f: f64, covariance: [f64; 3]) {
        let [xx, xf, ff] = covariance;
        for (got, wanted) in [(state.x, x), (state.f, f), (state.xx, xx), (state.xf, xf), (state.ff, ff)] {
            assert!((got - wanted).abs() < 1e-12, "{state:?}, not {x} {f} {covariance:?}");
        }
    }

    #[test]
    fn a_step_is_that_of_the_textbook() {
        // Constant velocity, T = 1, R = 1, P = I: every number is a fraction that is computed by hand.
        let start = State { x: 0.0, f: 0.0, xx: 1.0, xf: 0.0, ff: 1.0 };
        let predicted = start.predict(1.0, 0.0);
        is(&predicted, 0.0, 0.0, [2.0, 1.0, 1.0]);
        // S = 3 and K = (2/3, 1/3), for the measurement 1 and, a second later, the measurement 2.
        let first = predicted.given(&measured(1.0, 1.0));
        is(&first, 2.0 / 3.0, 1.0 / 3.0, [2.0 / 3.0, 1.0 / 3.0, 2.0 / 3.0]);
        let predicted = first.predict(1.0, 0.0);
        is(&predicted, 1.0, 1.0 / 3.0, [2.0, 1.0, 2.0 / 3.0]);
        let second = predicted.given(&measured(2.0, 1.0));
        is(&second, 5.0 / 3.0, 2.0 / 3.0, [2.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0]);
        // White acceleration of q = 3: Q = q·(T³/3, T²/2, T).
        is(&start.predict(1.0, 3f64.sqrt()), 0.0, 0.0, [1.0 + 1.0 + 1.0, 1.0 + 1.5, 1.0 + 3.0]);
        is(&start.predict(2.0, 3f64.sqrt()), 0.0, 0.0, [1.0 + 4.0 + 8.0, 2.0 + 6.0, 1.0 + 6.0]);
    }

    #[test]
    fn the_gain_settles_at_that_of_the_alpha_beta_filter() {
        // With white acceleration the steady state has β²/(1 − α) = qT³/R and α² = β(2 − α) − β²/6, from P = P₊ predicted.
        for (alpha, interval, noise) in [(0.2f64, 1.0f64, 1.0f64), (0.5, 2.0, 4.0), (0.9, 64.0, 1e-10)] {
            let beta = 3.0 * (2.0 - alpha - ((2.0 - alpha).powi(2) - alpha * alpha * 2.0 / 3.0).sqrt());
            let wander = (beta * beta / (1.0 - alpha) * noise / interval.powi(3)).sqrt();
            let mut state = State { x: 0.0, f: 0.0, xx: 100.0 * noise, xf: 0.0, ff: noise };
            for _ in 0..500 {
                state = state.predict(interval, wander).given(&measured(0.0, noise));
            }
            let predicted = state.predict(interval, wander);
            let unit = State { x: 0.0, f: 0.0, ..predicted }.given(&measured(1.0, noise));
            assert!((unit.x - alpha).abs() < 1e-6, "{} {alpha}", unit.x);
            assert!((unit.f * interval - beta).abs() < 1e-6, "{} {beta}", unit.f * interval);
        }
    }

    #[test]
    fn what_later_samples_say_is_what_they_would_say_the_other_way_round() {
        // Two samples and no wander: the offset at the first by both, once forwards in time and once back.
        let first = State { x: 0.0, f: 0.0, xx: 1e-2, xf: 0.0, ff: 1e-8 };
        let (here, there) = (measured(1e-3, 1e-8), measured(1.2e-3, 1e-8));
        let after = first.given(&here);
        let at_end = after.predict(100.0, 0.0);
        let later = Later::default().and(&there, &at_end).earlier(100.0, 0.0).counted_from(&first, &after);
        let Normal { mean: x, variance: xx } = first.offset_given(&later.and(&here, &first));
        // By least squares with a prior on the rate of 1e-4: s = 1e-8 + 1e-8 + 1e-4 the other's variance.
        let other = 1e-8 + 1e-8 * 1e4;
        let expected = (1e-3 / 1e-8 + 1.2e-3 / other) / (1.0 / 1e-8 + 1.0 / other + 1e2);
        assert!((x - expected).abs() < 1e-9, "{x} {expected}");
        assert!((xx - 1.0 / (1.0 / 1e-8 + 1.0 / other + 1e2)).abs() < 1e-12, "{xx}");
    }
}
