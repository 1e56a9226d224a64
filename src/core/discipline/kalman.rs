//! A two-state Kalman filter: the offset of a source from our free-running clock, and its rate.
//!
//! Between measurements the offset grows with the rate, and the rate walks at random by `wander`
//! per square-root second. This file is plain linear algebra; what is measured how well is
//! decided in `estimator.rs`.

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

impl State {
    /// The state `dt` seconds later if the rate wanders by `wander` (s/s per √s).
    pub(super) fn predict(&self, dt: f64, wander: f64) -> Self {
        let q = wander * wander;
        Self {
            x: self.x + self.f * dt,
            f: self.f,
            xx: self.xx + 2.0 * dt * self.xf + dt * dt * self.ff + q * dt * dt * dt / 3.0,
            xf: self.xf + dt * self.ff + q * dt * dt / 2.0,
            ff: self.ff + q * dt,
        }
    }

    /// The state after an offset `z` was measured with variance `r`, and the log likelihood of
    /// that measurement.
    pub(super) fn measure(&self, z: f64, r: f64) -> (Self, f64) {
        let innovation = z - self.x;
        let s = self.xx + r;
        let (kx, kf) = (self.xx / s, self.xf / s);
        let after = Self {
            x: self.x + kx * innovation,
            f: self.f + kf * innovation,
            xx: (self.xx * r / s).max(0.0),
            xf: self.xf * r / s,
            ff: (self.ff - kf * self.xf).max(0.0),
        };
        (after, -0.5 * (innovation * innovation / s + s.ln()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_line_is_found() {
        let mut state = State { x: 0.0, f: 0.0, xx: 1.0, xf: 0.0, ff: 1e-6 };
        for i in 0..50 {
            if i > 0 {
                state = state.predict(16.0, 1e-11);
            }
            let noise = if i % 2 == 0 { 1e-5 } else { -1e-5 };
            state = state.measure(0.003 + 25e-6 * 16.0 * f64::from(i) + noise, 1e-10).0;
        }
        assert!((state.f - 25e-6).abs() < 0.05e-6, "{state:?}");
        assert!((state.x - (0.003 + 25e-6 * 16.0 * 49.0)).abs() < 5e-6, "{state:?}");
        assert!(state.xx > 0.0 && state.ff > 0.0);
    }
}
