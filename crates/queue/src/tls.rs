//! TLS to Redis.
//!
//! The driver's own TLS refuses what `openssl req -x509` makes and most guides recommend: a self-signed
//! certificate that is an authority and the server's own at once. Here the server may show a certificate that
//! this machine trusts as an authority, when it is exactly that certificate, in its time and for this host.

use std::io;
use std::sync::{Arc, Once};

use redis::io::tcp::socket2::SockRef;
use redis::{ConnectionAddr, ConnectionInfo, ErrorKind, RedisResult};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Logs once a process that certificates are not checked.
pub(crate) fn warn_that_certificates_are_not_checked() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing::warn!(
            "the certificate of Redis is NOT checked, as its address says (`ssl_cert_reqs=none` or `#insecure`): \
             an attacker in between can read the password and every job"
        );
    });
}

/// A stream to a server whose address says TLS.
pub(crate) async fn connect(server: &ConnectionInfo) -> RedisResult<TlsStream<TcpStream>> {
    let ConnectionAddr::TcpTls { host, port, insecure, .. } = server.addr() else {
        return Err((ErrorKind::InvalidClientConfig, "the address says nothing of TLS").into());
    };
    let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
    let stream = TcpStream::connect((host.as_str(), *port)).await?;
    let settings = server.tcp_settings();
    let socket = SockRef::from(&stream);
    socket.set_tcp_nodelay(settings.nodelay())?;
    socket.set_tcp_user_timeout(settings.user_timeout())?;
    if let Some(keepalive) = settings.keepalive() {
        socket.set_tcp_keepalive(keepalive)?;
    }
    let is_checked = !insecure;
    // Certificates are read from disk, at each connection: a renewed file holds at once.
    let config =
        tokio::task::spawn_blocking(move || config(is_checked)).await.map_err(io::Error::other)??;
    Ok(TlsConnector::from(Arc::new(config)).connect(name, stream).await?)
}

fn config(is_checked: bool) -> io::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let trusted = if is_checked { Some(trusted(&provider)?) } else { None };
    let verifier = Arc::new(Verifier { provider: provider.clone(), trusted });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(config)
}

/// What this machine trusts, or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
fn trusted(provider: &Arc<CryptoProvider>) -> io::Result<Trusted> {
    let mut found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let reason = found.errors.pop().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(io::Error::other(format!("this machine trusts no certificate{reason}")));
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs.iter().cloned());
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    Ok(Trusted { inner: inner.build().map_err(io::Error::other)?, certificates: found.certs })
}

#[derive(Debug)]
struct Trusted {
    inner: Arc<WebPkiServerVerifier>,
    certificates: Vec<CertificateDer<'static>>,
}

/// Checks the certificate of a server.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// Absent: every certificate is accepted.
    trusted: Option<Trusted>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(trusted) = &self.trusted else { return Ok(ServerCertVerified::assertion()) };
        let verified =
            trusted.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // Its time was checked before this error.
            Err(error) if is_authority(&error) && trusted.certificates.contains(end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Whether nothing is wrong with a certificate but that it is an authority.
fn is_authority(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(other)) = error else { return false };
    matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}
