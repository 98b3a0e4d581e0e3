//! The task that sends: records in groups, as OTLP over HTTP, packed with gzip. What cannot be sent is tried again with
//! growing pauses, while the rest waits in the queue; after a minute it is dropped.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use prost::Message;
use rand::RngExt;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::builder::StartError;
use crate::otlp::{self, Resource};
use crate::record::Record;

/// Records of one request to Dogwatch.
const MAX_GROUP: usize = 512;
/// How long the first record of a group waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// How long Dogwatch has for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How long a group is tried.
const GIVE_UP: Duration = Duration::from_mins(1);
/// Pauses between tries.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What the task is to do.
#[derive(Debug)]
pub(crate) enum Order {
    Send(Record),
    /// Send what waits, answer, and end.
    Finish(oneshot::Sender<()>),
}

/// Where to.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) uri: Uri,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

pub(crate) struct Exporter {
    target: Target,
    resource: Resource,
    dropped: Arc<AtomicU64>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// What became of a group.
enum Sent {
    Taken,
    /// It will not be taken, however often it is sent.
    Refused(String),
    /// Later it may be.
    Later {
        why: String,
        after: Option<Duration>,
    },
}

impl Exporter {
    pub(crate) fn new(
        target: Target,
        resource: Resource,
        dropped: Arc<AtomicU64>,
    ) -> Result<Self, StartError> {
        let client = Client::builder(TokioExecutor::new()).build(connector(&target.uri)?);
        Ok(Self { target, resource, dropped, client })
    }

    pub(crate) async fn run(self, mut arriving: mpsc::Receiver<Order>) {
        while let Some(first) = arriving.recv().await {
            let (group, finish) = gather(first, &mut arriving).await;
            if !group.is_empty() {
                self.send(group, finish.is_some()).await;
            }
            if let Some(done) = finish {
                let _ = done.send(());
                return;
            }
        }
    }

    async fn send(&self, group: Vec<Record>, is_last: bool) {
        let count = group.len() as u64;
        let body = pack(&otlp::request(&self.resource, group).encode_to_vec());
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        let why = loop {
            match self.send_once(body.clone()).await {
                Sent::Taken => return,
                Sent::Refused(why) => break why,
                Sent::Later { why, after } => {
                    let wait = after.unwrap_or_else(|| pause.mul_f64(rand::rng().random_range(0.5..1.0)));
                    if is_last || begun.elapsed() + wait > GIVE_UP {
                        break why;
                    }
                    sleep(wait).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        };
        self.dropped.fetch_add(count, Ordering::Relaxed);
        tracing::warn!(target: "dogwatch_tower", count, why, "Dogwatch was not told of what the service did");
    }

    async fn send_once(&self, body: Bytes) -> Sent {
        let mut request = Request::post(self.target.uri.clone())
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .header(header::CONTENT_ENCODING, "gzip");
        for (name, value) in &self.target.headers {
            request = request.header(name, value);
        }
        let request = match request.body(Full::new(body)) {
            Ok(request) => request,
            Err(error) => return Sent::Refused(error.to_string()),
        };
        match timeout(ANSWER_LIMIT, self.client.request(request)).await {
            Ok(Ok(response)) => outcome(&response),
            Ok(Err(error)) => Sent::Later { why: with_sources(&error), after: None },
            Err(_) => Sent::Later { why: "no answer".to_owned(), after: None },
        }
    }
}

/// HTTP/1.1 is enough for one request at a time. Certificates are read where they are needed only.
fn connector(uri: &Uri) -> Result<HttpsConnector<HttpConnector>, StartError> {
    let builder = HttpsConnectorBuilder::new();
    // Not the process's provider: whoever uses this crate may not have chosen one, or may choose it later.
    let provider = rustls::crypto::ring::default_provider();
    let builder = if uri.scheme_str() == Some("https") {
        builder.with_provider_and_native_roots(provider).map_err(StartError::Certificates)?
    } else {
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| StartError::Certificates(std::io::Error::other(error)))?;
        builder.with_tls_config(config.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
    };
    Ok(builder.https_or_http().enable_http1().build())
}

/// The first record, and those that come within a second.
async fn gather(
    first: Order,
    arriving: &mut mpsc::Receiver<Order>,
) -> (Vec<Record>, Option<oneshot::Sender<()>>) {
    let until = Instant::now() + GATHER;
    let mut group = Vec::new();
    let mut next = Some(first);
    while let Some(order) = next {
        match order {
            Order::Send(record) => group.push(record),
            Order::Finish(done) => return (group, Some(done)),
        }
        if group.len() >= MAX_GROUP {
            break;
        }
        next = timeout_at(until, arriving.recv()).await.ok().flatten();
    }
    (group, None)
}

fn pack(bytes: &[u8]) -> Bytes {
    let mut packed = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    // A vector takes whatever is written.
    let _ = packed.write_all(bytes);
    packed.finish().unwrap_or_default().into()
}

fn outcome<B>(response: &Response<B>) -> Sent {
    let status = response.status();
    let after = || {
        let seconds: u64 = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
        Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
    };
    match status {
        status if status.is_success() => Sent::Taken,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Sent::Later { why: status.to_string(), after: after() },
        status => Sent::Refused(status.to_string()),
    }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
