//! Settings that are understood and change nothing here, each told with its reason. What a value's
//! default is does not count as a setting.

use super::{Notice, warning};
use crate::config::model::{Config, Discard, Tinker, Tos};
use crate::core::event::Level;

/// A setting, whether the configuration has it, and why it changes nothing.
type Row = (&'static str, fn(&Config) -> bool, &'static str);

const ROWS: [Row; 12] = [
    (
        "tinker dispersion",
        |c| c.tinker.dispersion != Tinker::default().dispersion,
        "errors are always taken to grow by 15 ppm",
    ),
    (
        "tinker allan",
        |c| c.tinker.allan != Tinker::default().allan,
        "the time constant follows from the noise and the wander that are measured",
    ),
    (
        "tinker huffpuff",
        |c| c.tinker.huffpuff != Tinker::default().huffpuff,
        "long delays are weighed by the estimator, which has no such filter",
    ),
    (
        "tinker freq",
        |c| c.tinker.freq.is_some(),
        "the frequency is the drift file's or measured, as with ntpd 4.2.6, which overwrites it at the start",
    ),
    ("tos cohort", |c| c.tos.cohort, "it is for manycast, which is not yet supported"),
    (
        "tos beacon",
        |c| c.tos.beacon != Tos::default().beacon,
        "it is for manycast, which is not yet supported",
    ),
    (
        "tos orphanwait",
        |c| c.tos.orphanwait != Tos::default().orphanwait,
        "it is for orphan mode, which is not yet supported",
    ),
    (
        "discard monitor",
        |c| c.discard.monitor != Discard::default().monitor,
        "when the list of clients is full, the one heard longest ago gives way",
    ),
    ("enable bclient", |c| c.enable.bclient, "broadcast is not yet supported"),
    (
        "enable calibrate",
        |c| c.enable.calibrate,
        "it is for reference clocks, of which only LOCAL is supported yet",
    ),
    (
        "requestkey",
        |c| c.auth.request.is_some(),
        "ntpdc's requests (mode 7) are not served: they were an amplifier",
    ),
    (
        "statistics cryptostats and timingstats",
        |c| {
            use crate::config::model::StatKind::{Crypto, Timing};
            c.statistics.filegens.iter().any(|f| f.enabled && matches!(f.kind, Crypto | Timing))
        },
        "there is no Autokey and no timing code to tell of",
    ),
];

/// A line for each such setting.
pub(super) fn notices(config: &Config) -> impl Iterator<Item = Notice> {
    let told = ROWS.iter().filter(|(_, is_set, _)| is_set(config));
    let lines: Vec<Notice> =
        told.map(|(name, _, why)| warning(format!("{name} has no effect: {why}"))).collect();
    // Usual in files of old, and nothing to worry about.
    let auth = (!config.enable.auth).then(|| Notice {
        level: Level::Info,
        text: "disable auth has no effect: it is for servers that are not configured, and there are none"
            .to_owned(),
    });
    lines.into_iter().chain(auth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{KeyId, Ppm};

    #[test]
    fn defaults_are_silent_and_each_setting_is_told_once() {
        assert_eq!(notices(&Config::default()).count(), 0);
        let mut config = Config::default();
        config.tinker.freq = Some(Ppm::new(3.0));
        config.auth.request = Some(KeyId(8));
        config.enable.auth = false;
        // What is honoured is not told.
        config.tinker.step = crate::units::Seconds::ZERO;
        config.tos.minsane = 3;
        config.enable.kernel = false;
        let told: Vec<String> = notices(&config).map(|n| n.text).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("tinker freq has no effect: ") && told[1].starts_with("requestkey"));
    }
}
