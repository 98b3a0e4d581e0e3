//! OpenTelemetry in: what services send with their own exporters becomes rows.
//!
//! `http` takes the specification's requests and answers in its words; `decode` reads a body within bounds; `spans` tells
//! what each span is; the [`Receiver`] stores what they come to and answers after the commit.

mod attributes;
mod database_span;
mod decode;
mod endpoint;
mod fault;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod grpc;
mod hosts;
mod http;
mod json;
mod message;
mod protobuf;
mod refusals;
mod request_span;
mod spans;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::StatusCode;
use dogwatch_queue::Clock;
use dogwatch_store::{
    Batch, DatabaseCall, Intake, IntakeError, RequestMetric, SeriesOwner, Store, StoreError, TracedBatch,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use serde::Deserialize;
use tokio::sync::Semaphore;

pub use self::http::{refusal, router};
pub use self::refusals::RefusalFigures;

use crate::access::Caller;
use crate::body_budget::{BodyBudget, Share};
use crate::config::Config;
use crate::tuning::Tuning;

use self::attributes::Owners;
use self::decode::Unreadable;
use self::fault::Fault;
use self::hosts::Hosts;
use self::refusals::{Refusals, Rejection};
use self::spans::{Found, Versions};

/// `[otlp]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpSettings {
    /// Where exporters are listened to, beside the API's own address. A port that is taken is passed over.
    pub listen: Vec<SocketAddr>,
    /// The largest body, in bytes, before and after it is unpacked.
    pub max_body_bytes: usize,
    /// Attributes that name the tenant, the first that is there.
    pub tenant_attributes: Vec<String>,
    /// Attributes that name the user.
    pub user_attributes: Vec<String>,
}

/// Memory that a body takes while it is read, for each of its bytes.
const MEMORY_FOR_EACH: usize = 8;
/// Slow requests of a body that are logged, and slow queries.
const MAX_LOGGED: usize = 10;
/// How much larger than what came a body usually is when it is unpacked.
const USUAL_RATIO: usize = 32;

/// Takes what exporters send. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Receiver {
    store: Store,
    intake: Intake,
    clock: Clock,
    max_body_bytes: usize,
    tuning: Tuning,
    owners: Arc<Owners>,
    hosts: Hosts,
    budget: BodyBudget,
    refusals: Refusals,
    /// Bodies that may be read at the same time: not all cores.
    reading_turns: Arc<Semaphore>,
}

/// What a body holds.
struct Read {
    traced: TracedBatch,
    versions: Versions,
    taken: Taken,
    rejections: Vec<Rejection>,
}

/// What became of a body that could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Spans that were not stored, for good.
    pub(crate) rejected: i64,
    /// Why; empty when none was.
    pub(crate) reason: String,
}

/// Why nothing of a body was stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("more arrives than can be read at a time")]
    Busy,
    #[error(transparent)]
    Intake(#[from] IntakeError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All cores but one, which is left to connections and jobs.
fn reading_turns() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() - 1).max(1))
}

/// The answer in the specification's words.
fn response(Taken { rejected, reason }: Taken) -> ExportTraceServiceResponse {
    let partial_success = (rejected > 0)
        .then_some(ExportTracePartialSuccess { rejected_spans: rejected, error_message: reason });
    ExportTraceServiceResponse { partial_success }
}

impl Receiver {
    /// From the settings.
    pub fn new(
        store: Store,
        intake: Intake,
        clock: Clock,
        config: &Config,
        tuning: Tuning,
        budget: BodyBudget,
    ) -> Self {
        let settings = &config.otlp;
        Self {
            hosts: Hosts::new(store.clone()),
            refusals: Refusals::new(store.clone()),
            tuning,
            store,
            intake,
            clock,
            max_body_bytes: settings.max_body_bytes,
            owners: Arc::new(Owners::new(&settings.tenant_attributes, &settings.user_attributes)),
            budget,
            reading_turns: Arc::new(Semaphore::new(reading_turns())),
        }
    }

    /// Stores what is found in a body that this caller sent; returns after the commit.
    async fn take_traces(&self, body: decode::Body, caller: Option<&Caller>) -> Result<Taken, Refused> {
        let tenant = caller.and_then(|caller| caller.tenant.as_deref());
        let owner = caller.map(Caller::series_owner).unwrap_or_default();
        let usual = if body.is_gzip { body.bytes.len() * USUAL_RATIO } else { body.bytes.len() };
        if usual < self.max_body_bytes {
            match self.read(body.clone(), usual, tenant).await {
                // It is packed more tightly than usual.
                Err(Refused::Unreadable(Unreadable::TooLarge { .. })) => {}
                read => return self.store_found(read?, owner).await,
            }
        }
        let found = self.read(body, self.max_body_bytes, tenant).await?;
        self.store_found(found, owner).await
    }

    /// What was refused so far.
    pub fn refusals(&self) -> RefusalFigures {
        self.refusals.figures()
    }

    /// Counts a request that the guard does not admit.
    pub fn count_refused(&self, status: StatusCode, message: &str) {
        self.refusals.count_request(status, message);
    }

    /// Counts a request of which nothing is stored.
    fn refuse(&self, fault: Fault) -> Fault {
        self.refusals.count_request(fault.http, &fault.message);
        fault
    }

    /// A share of the memory for reading.
    fn room_for(&self, bytes: usize) -> Result<Share, Refused> {
        self.budget.room_for(bytes).ok_or(Refused::Busy)
    }

    /// What is in a body that unpacks to at most this size.
    async fn read(
        &self,
        body: decode::Body,
        max_bytes: usize,
        tenant: Option<&str>,
    ) -> Result<Read, Refused> {
        let _room = self.room_for(max_bytes * MEMORY_FOR_EACH)?;
        let (owners, now) = (Arc::clone(&self.owners), self.clock.now());
        let hosts = self.hosts.samples(now).await;
        let (tenant, log_ms) = (tenant.map(str::to_owned), self.tuning.monitoring().log_ms);
        let _turn = self.reading_turns.acquire().await.map_err(|_| Unreadable::Bug)?;
        // Unpacking, reading and joining megabytes would keep other connections waiting.
        let reading = tokio::task::spawn_blocking(move || {
            let traces = body.traces(max_bytes)?;
            let mut found = spans::sort(&traces, &owners, &hosts, now);
            if let Some(tenant) = tenant {
                found.belong_to(&tenant);
            }
            log_slow(&found.requests, &found.calls, log_ms);
            let Found { requests, calls, versions, rejected, reason, rejections } = found;
            let taken = Taken { rejected, reason };
            Ok::<_, Unreadable>(Read {
                traced: TracedBatch::new(requests, calls),
                versions,
                taken,
                rejections,
            })
        });
        Ok(reading.await.map_err(|_| Unreadable::Bug)??)
    }

    async fn store_found(
        &self,
        Read { traced, versions, taken, rejections }: Read,
        owner: SeriesOwner,
    ) -> Result<Taken, Refused> {
        self.refusals.count_spans(&rejections);
        let monitoring = self.tuning.monitoring();
        if monitoring.enabled {
            let mut batch = Batch::of(owner);
            self.store.add_traced(&mut batch, &traced, monitoring.slow_query_ms).await?;
            self.intake.store(batch).await?;
            for ((service, version), seen_at) in versions {
                self.store.note_version(&service, &version, seen_at).await?;
            }
        }
        Ok(taken)
    }
}

/// Tells of what took very long, of each body a few.
fn log_slow(requests: &[RequestMetric], calls: &[DatabaseCall], log_ms: f64) {
    for request in requests.iter().filter(|request| request.response_time_ms >= log_ms).take(MAX_LOGGED) {
        tracing::warn!(
            service = request.service,
            method = request.method,
            endpoint = request.endpoint,
            response_time_ms = request.response_time_ms,
            trace_id = request.trace_id,
            "a request took long"
        );
    }
    for call in calls.iter().filter(|call| call.duration_ms >= log_ms).take(MAX_LOGGED) {
        tracing::warn!(
            service = call.service,
            query = call.summary,
            execution_time_ms = call.duration_ms,
            trace_id = request_span::hex(&call.trace_id),
            "a query took long"
        );
    }
}
