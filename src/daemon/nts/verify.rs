//! What a server's certificate must show, and at which time.

use super::certificate::validity;
use super::roots::Roots;
use super::tls;
use crate::engine::contract::{CertificateCheck, FailureClass, KeyFailure, Validity};
use crate::units::BUILT;
use crate::wire::nts::ALPN;
use chrono::DateTime;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::time_provider::TimeProvider;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, PeerIncompatible,
    SignatureScheme,
};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Certificates of a chain that are looked at for their dates.
const CHAIN_MAX: usize = 8;

/// The time that certificates are compared with, and what says so: a clock that was lost shows an earlier one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    /// Seconds since 1970.
    pub time: i64,
    /// The words before it.
    pub by: &'static str,
}

impl Known {
    /// The latest of what the clock shows, when this program was built, when the drift file was written, and when cookies were made
    /// that have been kept.
    #[must_use]
    pub fn latest(clock: i64, drift: Option<i64>, cookies: Option<i64>) -> Self {
        let rest = [
            (Some(BUILT), "this program was built"),
            (drift, "the drift file was written"),
            (cookies, "cookies that were kept were made"),
        ];
        let mut latest = Self { time: clock, by: "this clock says" };
        for (time, by) in rest {
            if let Some(time) = time.filter(|time| *time > latest.time) {
                latest = Self { time, by };
            }
        }
        latest
    }
}

/// Judges the certificate of one server.
#[derive(Debug)]
pub struct Verifier {
    /// None are needed where nothing is verified.
    roots: Option<Roots>,
    check: CertificateCheck,
    known: Known,
    algorithms: WebPkiSupportedAlgorithms,
    valid: OnceLock<Validity>,
}

impl Verifier {
    /// A verifier; without roots it accepts no certificate but for [`CertificateCheck::Nothing`].
    #[must_use]
    pub fn new(roots: Option<Roots>, check: CertificateCheck, known: Known) -> Arc<Self> {
        let algorithms = tls::provider().signature_verification_algorithms;
        Arc::new(Self { roots, check, known, algorithms, valid: OnceLock::new() })
    }

    /// What TLS needs, with this verifier.
    ///
    /// # Errors
    /// What rustls says of its algorithms.
    pub fn config(self: &Arc<Self>) -> Result<ClientConfig, Error> {
        let time: Arc<dyn TimeProvider> = Arc::<Self>::clone(self);
        let builder = ClientConfig::builder_with_details(Arc::new(tls::provider()), time)
            .with_safe_default_protocol_versions()?;
        let verifier: Arc<dyn ServerCertVerifier> = Arc::<Self>::clone(self);
        let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    /// From when to when the certificate that was accepted and those above it are valid.
    #[must_use]
    pub fn valid(&self) -> Option<Validity> {
        self.valid.get().copied()
    }

    /// Why TLS failed, in words, with a remedy.
    #[must_use]
    pub fn failure(&self, server: &str, error: &Error) -> KeyFailure {
        let text = match error {
            Error::InvalidCertificate(why) => self.bad_certificate(server, why),
            Error::AlertReceived(AlertDescription::NoApplicationProtocol) => no_alpn(server),
            Error::AlertReceived(AlertDescription::ProtocolVersion)
            | Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
                format!("{server} does not speak TLS 1.3")
            }
            Error::AlertReceived(alert) => format!("{server} ends TLS with the alert {alert:?}"),
            Error::InvalidMessage(_) => format!("{server} does not speak TLS: {error}"),
            other => format!("TLS with {server}: {other}"),
        };
        KeyFailure { class: FailureClass::Tls, text }
    }

    fn bad_certificate(&self, server: &str, why: &CertificateError) -> String {
        let now = || format!("{} {}", self.known.by, date(self.known.time));
        match why {
            CertificateError::NotValidYetContext { not_before, .. } => format!(
                "certificate of {server} is not valid before {}; {}; see `nts time-check`",
                date_of(*not_before),
                now()
            ),
            CertificateError::ExpiredContext { not_after, .. } => {
                format!(
                    "certificate of {server} has expired, it was valid until {}; {}",
                    date_of(*not_after),
                    now()
                )
            }
            CertificateError::NotValidForNameContext { presented, .. } => {
                // As webpki has them: DnsName("a.test"), IpAddress(192.0.2.1).
                let names: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
                let names = if names.is_empty() { "no name at all".to_owned() } else { names.join(" ") };
                format!("certificate of {server} is for another name: it is for {names}")
            }
            CertificateError::UnknownIssuer => {
                let from = self.roots.as_ref().map(|roots| roots.from.display().to_string());
                format!(
                    "certificate of {server} leads to none of the roots of {}; `ca` names others",
                    from.unwrap_or_default()
                )
            }
            other => format!("certificate of {server} is bad: {other}"),
        }
    }

    /// Accepts the chain at `now` or, where dates do not count, at another time at which all of it is valid; gives that time.
    fn accept(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<UnixTime, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let roots = self.roots.as_ref().ok_or(CertificateError::UnknownIssuer)?;
        let at = |time| {
            let all = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, &roots.store, intermediates, time, all)
                .map(|()| time)
        };
        let mut result = at(now);
        if self.check == CertificateCheck::NotDates {
            // If there is a time at which all of them are valid, the one that begins last begins then.
            for valid in dates(end_entity, intermediates) {
                result = result.or_else(|_| at(unix_time(valid.from)));
            }
        }
        result
    }
}

fn dates<'a>(
    end_entity: &'a CertificateDer<'_>,
    intermediates: &'a [CertificateDer<'_>],
) -> impl Iterator<Item = Validity> {
    std::iter::once(end_entity).chain(intermediates).take(CHAIN_MAX).filter_map(|der| validity(der))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.check != CertificateCheck::Nothing {
            let at = self.accept(end_entity, intermediates, now)?.as_secs() as i64;
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            // A certificate that is not valid at that time was not needed: servers send some for old clients.
            let needed =
                dates(end_entity, intermediates).filter(|valid| valid.from <= at && at <= valid.until);
            let all =
                needed.reduce(|a, b| Validity { from: a.from.max(b.from), until: a.until.min(b.until) });
            if let Some(all) = all {
                let _the_first_counts = self.valid.set(all);
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl TimeProvider for Verifier {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.known.time))
    }
}

/// A server that speaks something else at this port.
pub(super) fn no_alpn(server: &str) -> String {
    format!("{server} does not speak NTS at this port (no ALPN ntske/1)")
}

fn unix_time(seconds: i64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

fn date_of(time: UnixTime) -> String {
    date(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

/// A Unix second as text.
pub(in crate::daemon) fn date(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0).map(|date| date.format("%F %T UTC").to_string()).unwrap_or_default()
}

/// The name without the kind around it.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inner.trim_matches('"')
}
