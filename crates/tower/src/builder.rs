//! What has to be known before anything is told.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use http::{HeaderName, HeaderValue, Uri};
use tokio::sync::mpsc;

use crate::export::{Exporter, Target};
use crate::otlp::Resource;
use crate::{Dogwatch, Shared};

/// Where Dogwatch takes OTLP over HTTP by itself.
const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:4318";
/// What OpenTelemetry's exporters are told by.
const ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Records that wait to be sent.
const DEFAULT_CAPACITY: usize = 8_192;

/// Sets up a [`Dogwatch`].
#[derive(Clone, Debug)]
pub struct Builder {
    service: String,
    version: Option<String>,
    host: Option<String>,
    endpoint: Option<String>,
    headers: Vec<(String, String)>,
    captured: Vec<String>,
    capacity: usize,
}

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address is none.
    #[error("`{0}` is no address to send to; write one such as http://127.0.0.1:4318")]
    Endpoint(String),
    /// A header is none.
    #[error("`{0}` is no header, or its value cannot be sent")]
    Header(String),
    /// The certificates of this machine, by which servers are known, cannot be read.
    #[error("the certificates of this machine cannot be read")]
    Certificates(#[source] std::io::Error),
    /// It was not called inside a runtime of Tokio.
    #[error("there is no Tokio runtime here; start it inside one")]
    NoRuntime,
}

impl Builder {
    pub(crate) fn new(service: String) -> Self {
        Self {
            service,
            version: None,
            host: None,
            endpoint: None,
            headers: Vec::new(),
            captured: Vec::new(),
            capacity: DEFAULT_CAPACITY,
        }
    }

    /// The version of the service, by which a change for the worse is told to be a release's.
    #[must_use]
    pub fn version(self, version: impl Into<String>) -> Self {
        Self { version: Some(version.into()), ..self }
    }

    /// The name of this machine; default: what it calls itself.
    #[must_use]
    pub fn host(self, host: impl Into<String>) -> Self {
        Self { host: Some(host.into()), ..self }
    }

    /// Where Dogwatch takes OTLP over HTTP; default: `OTEL_EXPORTER_OTLP_ENDPOINT`, else `http://127.0.0.1:4318`.
    #[must_use]
    pub fn endpoint(self, endpoint: impl Into<String>) -> Self {
        Self { endpoint: Some(endpoint.into()), ..self }
    }

    /// A header of what is sent, such as one with a key.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// A header of requests that is told of, such as `x-tenant-id` or `x-user-id`, by which Dogwatch knows tenant and user.
    #[must_use]
    pub fn capture_header(mut self, name: impl Into<String>) -> Self {
        self.captured.push(name.into());
        self
    }

    /// How much may wait to be sent; default: 8,192 requests. What comes beyond that is dropped, and counted.
    #[must_use]
    pub fn capacity(self, records: usize) -> Self {
        Self { capacity: records.max(1), ..self }
    }

    /// Starts the task that sends. Does not connect: Dogwatch may be away now.
    pub fn start(self) -> Result<Dogwatch, StartError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let endpoint = self
            .endpoint
            .or_else(|| std::env::var(ENDPOINT_VARIABLE).ok().filter(|endpoint| !endpoint.is_empty()))
            .unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
        let header = |(name, value): &(String, String)| {
            let parsed = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
            parsed.ok_or_else(|| StartError::Header(name.clone()))
        };
        let target = Target {
            uri: traces_uri(&endpoint)?,
            headers: self.headers.iter().map(header).collect::<Result<_, _>>()?,
        };
        let captured = self
            .captured
            .into_iter()
            .map(|name| HeaderName::try_from(&name).map_err(|_| StartError::Header(name)))
            .collect::<Result<_, _>>()?;
        let host = self.host.or_else(|| gethostname::gethostname().into_string().ok());
        let resource = Resource::new(&self.service, self.version.as_deref(), host.as_deref());
        let (orders, arriving) = mpsc::channel(self.capacity);
        let dropped = Arc::new(AtomicU64::new(0));
        let exporter = Exporter::new(target, resource, Arc::clone(&dropped))?;
        runtime.spawn(exporter.run(arriving));
        Ok(Dogwatch { shared: Arc::new(Shared { orders, dropped, captured }) })
    }
}

/// Exporters append the signal's path to their endpoint.
fn traces_uri(endpoint: &str) -> Result<Uri, StartError> {
    let wrong = || StartError::Endpoint(endpoint.to_owned());
    let uri: Uri = format!("{}/v1/traces", endpoint.trim_end_matches('/')).parse().map_err(|_| wrong())?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    if is_http && uri.host().is_some() { Ok(uri) } else { Err(wrong()) }
}
