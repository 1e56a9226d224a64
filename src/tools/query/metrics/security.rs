//! Network Time Security: our certificate, key exchanges by their result, and the state of each source.

use super::{Metric, Text, label, labels};
use crate::tools::query::fetch::Source;
use crate::tools::query::nts::{CERTIFICATE, SourceNts};
use crate::wire::counter::Counter;
use crate::wire::varlist::VarList;

const NOT_AFTER: Metric = (
    "rsntp_nts_certificate_not_after_timestamp_seconds",
    "gauge",
    "Until when the certificate of the NTS server is valid, seconds since 1970.",
);
const PACKETS: Metric = ("rsntp_nts_packets_total", "counter", "NTS packets by kind.");
const KE_CLIENT: Metric =
    ("rsntp_nts_ke_client_total", "counter", "NTS key exchanges with servers by result.");
const KE_SERVER: Metric =
    ("rsntp_nts_ke_server_total", "counter", "NTS key exchanges with clients by result.");
const OK: Metric =
    ("rsntp_source_nts_ok", "gauge", "Whether the source responds with authentic NTS packets.");
const KE_FAILED: Metric =
    ("rsntp_source_nts_ke_failed", "gauge", "Whether the last NTS key exchange with the source failed.");
const COOKIES: Metric = ("rsntp_source_nts_cookies", "gauge", "NTS cookies left, at most 8.");
const KEY_AGE: Metric =
    ("rsntp_source_nts_key_age_seconds", "gauge", "Seconds since the NTS keys of the source were exchanged.");

/// All of these.
pub(super) const ALL: [Metric; 8] =
    [NOT_AFTER, PACKETS, KE_CLIENT, KE_SERVER, OK, KE_FAILED, COOKIES, KEY_AGE];

/// By the label `kind`.
const KINDS: &[(&str, Counter)] = &[
    ("client_sent", Counter::NtsClientSent),
    ("client_good", Counter::NtsClientGood),
    ("client_bad", Counter::NtsClientBad),
    ("server_sent", Counter::NtsServerSent),
    ("server_good", Counter::NtsServerGood),
    ("server_bad", Counter::NtsServerBad),
];
/// What failed, by the label `result`.
const FAILURES: &[(&str, Counter)] = &[
    ("name", Counter::KeProbesName),
    ("connection", Counter::KeProbesConnection),
    ("tls", Counter::KeProbesTls),
    ("protocol", Counter::KeProbesProtocol),
];

/// What a server has counted, and its certificate.
pub(super) fn counted(out: &mut Text, list: &VarList) {
    let count = |counter: Counter| list.number(counter.name());
    let rows = |name: &str, values: &[(&str, Option<f64>)]| -> Vec<(String, f64)> {
        let row =
            |(word, value): &(&str, Option<f64>)| Some((format!("{{{}}}", label(name, word)), (*value)?));
        values.iter().filter_map(row).collect()
    };
    if let Some(until) = list.number(CERTIFICATE) {
        out.metric(NOT_AFTER, &[(String::new(), until)]);
    }
    out.metric(PACKETS, &rows("kind", &KINDS.iter().map(|(kind, c)| (*kind, count(*c))).collect::<Vec<_>>()));
    let mut client = vec![("good", count(Counter::KeProbesGood))];
    client.extend(FAILURES.iter().map(|(what, counter)| (*what, count(*counter))));
    if client.iter().all(|(word, value)| *word == "good" || value.is_none()) {
        // NTPsec does not count by what failed.
        client.push(("bad", count(Counter::KeProbesBad)));
    }
    out.metric(KE_CLIENT, &rows("result", &client));
    let refused = count(Counter::KeRefused);
    let server = [
        ("good", count(Counter::KeGood)),
        ("no_tls", count(Counter::KeNoTls).map(|all| all - refused.unwrap_or(0.0))),
        ("refused", refused),
        ("bad", count(Counter::KeBad)),
    ];
    out.metric(KE_SERVER, &rows("result", &server));
}

/// Those of each source that has NTS.
pub(super) fn sources(out: &mut Text, sources: &[Source]) {
    let of = |value: fn(&Source, &SourceNts) -> Option<f64>| -> Vec<(String, f64)> {
        let row = |source: &Source| Some((labels(source), value(source, &SourceNts::new(&source.list)?)?));
        sources.iter().filter_map(row).collect()
    };
    // A pool only exchanges keys: its servers are sources of their own.
    out.metric(OK, &of(|source, _| (source.kind != 'p').then(|| f64::from(source.reach != 0))));
    out.metric(KE_FAILED, &of(|_, nts| nts.attempts.map(|_| f64::from(nts.failure.is_some()))));
    out.metric(COOKIES, &of(|source, nts| (source.kind != 'p').then_some(nts.cookies as f64)));
    out.metric(KEY_AGE, &of(|_, nts| Some(nts.age? as f64)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::query::fetch::Listed;
    use crate::wire::status::PeerStatus;

    fn of_counters(list: &str) -> String {
        let mut out = Text::default();
        counted(&mut out, &VarList::parse(list.as_bytes()));
        out.0
    }

    fn values(text: &str) -> Vec<&str> {
        text.lines().filter(|line| !line.starts_with('#')).collect()
    }

    #[test]
    fn key_exchanges_have_their_results() {
        let text = of_counters(
            "nts_client_send=5, nts_ke_probes_good=1, nts_ke_probes_bad=3, nts_ke_probes_bad_name=1, \
             nts_ke_probes_bad_connection=0, nts_ke_probes_bad_tls=2, nts_ke_probes_bad_protocol=0, \
             nts_ke_serves_good=9, nts_ke_serves_nossl=7, nts_ke_serves_refused=4, nts_ke_serves_bad=2, \
             nts_cert_notafter=1795943705",
        );
        assert_eq!(
            values(&text),
            [
                "rsntp_nts_certificate_not_after_timestamp_seconds 1795943705",
                "rsntp_nts_packets_total{kind=\"client_sent\"} 5",
                "rsntp_nts_ke_client_total{result=\"good\"} 1",
                "rsntp_nts_ke_client_total{result=\"name\"} 1",
                "rsntp_nts_ke_client_total{result=\"connection\"} 0",
                "rsntp_nts_ke_client_total{result=\"tls\"} 2",
                "rsntp_nts_ke_client_total{result=\"protocol\"} 0",
                "rsntp_nts_ke_server_total{result=\"good\"} 9",
                "rsntp_nts_ke_server_total{result=\"no_tls\"} 3",
                "rsntp_nts_ke_server_total{result=\"refused\"} 4",
                "rsntp_nts_ke_server_total{result=\"bad\"} 2",
            ]
        );
    }

    #[test]
    fn a_daemon_without_classes_has_its_total() {
        let text = of_counters("nts_ke_probes_good=1, nts_ke_probes_bad=3");
        let expected =
            ["rsntp_nts_ke_client_total{result=\"good\"} 1", "rsntp_nts_ke_client_total{result=\"bad\"} 3"];
        assert_eq!(values(&text), expected);
        assert_eq!(of_counters(""), "");
    }

    #[test]
    fn sources_with_nts_have_their_state() {
        let source = |list: &str| {
            let listed = Listed { id: 7, status: PeerStatus(0xf63a) };
            Source::new(listed, VarList::parse(list.as_bytes()))
        };
        let of = |list: &str| {
            let mut out = Text::default();
            sources(&mut out, &[source(list)]);
            let labels = labels(&source(list));
            out.0.lines().map(|line| line.replace(&labels, "") + "\n").collect::<String>()
        };
        let good = of("reach=0x3, ntscookies=7, ntske_age=60, ntske_attempts=0, ntsnak=0");
        assert_eq!(
            values(&good),
            [
                "rsntp_source_nts_ok 1",
                "rsntp_source_nts_ke_failed 0",
                "rsntp_source_nts_cookies 7",
                "rsntp_source_nts_key_age_seconds 60",
            ]
        );
        let bad = of("reach=0x0, ntscookies=0, ntske_attempts=2, ntsnak=0, ntske_error=\"no route\"");
        let expected =
            ["rsntp_source_nts_ok 0", "rsntp_source_nts_ke_failed 1", "rsntp_source_nts_cookies 0"];
        assert_eq!(values(&bad), expected);
        // NTPsec's daemon has cookies, and nothing else of it.
        assert_eq!(
            values(&of("reach=1, ntscookies=8")),
            ["rsntp_source_nts_ok 1", "rsntp_source_nts_cookies 8"]
        );
        assert_eq!(of("reach=1, ntscookies=-1"), "");
        let pool = of("srcadr=0.0.0.0, hmode=3, refid=POOL, ntscookies=0, ntske_attempts=1");
        assert_eq!(values(&pool), ["rsntp_source_nts_ke_failed 0"]);
    }
}
