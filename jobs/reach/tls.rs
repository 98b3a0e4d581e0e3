//! TLS: whether a server's certificate is trusted, and how long it still lasts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Seen;

/// Lets every certificate pass, so that one that has ended can be read; remembers whether the server holds its key.
#[derive(Debug)]
struct AnyCertificate {
    provider: Arc<CryptoProvider>,
    is_proven: AtomicBool,
}

impl AnyCertificate {
    fn note(&self, checked: &Result<HandshakeSignatureValid, TlsError>) -> HandshakeSignatureValid {
        self.is_proven.store(checked.is_ok(), Ordering::Relaxed);
        HandshakeSignatureValid::assertion()
    }
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        Ok(self.note(&verify_tls12_signature(message, certificate, signed, algorithms)))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        Ok(self.note(&verify_tls13_signature(message, certificate, signed, algorithms)))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

pub(super) async fn look(host: &str, port: u16, min_days_left: i64, now: DateTime<Utc>) -> Seen {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let any = Arc::new(AnyCertificate { provider: Arc::clone(&provider), is_proven: AtomicBool::new(false) });
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&any) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let stream = TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name.clone(), stream).await.map_err(|error| error.to_string())?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let Some((leaf, others)) = chain.split_first() else {
        return Err("the server has no certificate".to_owned());
    };
    let days_left = days_left(leaf, now)?;
    if days_left < 0 {
        return Err(format!("its certificate ended {} days ago", -days_left));
    }
    if !any.is_proven.load(Ordering::Relaxed) {
        return Err("the server does not hold the key of its certificate".to_owned());
    }
    trusted(leaf, others, &name, provider)?;
    Ok((days_left < min_days_left).then(|| format!("its certificate ends in {days_left} days")))
}

fn days_left(certificate: &CertificateDer<'_>, now: DateTime<Utc>) -> Result<i64, String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
        .map_err(|error| format!("its certificate cannot be read: {error}"))?;
    Ok((parsed.validity().not_after.timestamp() - now.timestamp()).div_euclid(86_400))
}

/// By the roots of this machine, which are read once.
fn trusted(
    leaf: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    name: &ServerName<'_>,
    provider: Arc<CryptoProvider>,
) -> Result<(), String> {
    static ROOTS: OnceLock<Result<Verifier, String>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| Verifier::new(provider).map_err(|error| error.to_string()));
    let roots =
        roots.as_ref().map_err(|error| format!("the roots of this machine cannot be read: {error}"))?;
    let checked = roots.verify_server_cert(leaf, others, name, &[], UnixTime::now());
    checked.map(drop).map_err(|error| format!("its certificate is not trusted: {error}"))
}
