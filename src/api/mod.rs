//! The HTTP API: JSON under /api/v1, a file per resource, errors as RFC 9457 problem documents.

mod alerts;
mod body;
mod error;
mod exposition;
mod health;
mod jobs;
mod metric_windows;
mod performance_metrics;
mod queues;
mod reports;
mod services;

use std::collections::HashSet;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use chrono::{DateTime, Utc};
use dogwatch_jobs::Alerting;
use dogwatch_queue::{Clock, Control, Inspector, Producer, Pulse, Stop};
use dogwatch_store::{Intake, Store};
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

pub use self::error::Problem;

use crate::config::{Config, MonitoringSettings};
use crate::{otlp, wiring};

/// A request that takes longer is given up.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What handlers use.
#[derive(Clone, Debug)]
pub struct ApiState {
    /// Postgres.
    pub store: Store,
    /// Stores what services send.
    pub intake: Intake,
    /// Takes what OpenTelemetry exporters send.
    pub otlp: otlp::Receiver,
    /// What is slow, and whether anything is stored.
    pub monitoring: MonitoringSettings,
    /// What alerts go by.
    pub alerting: Arc<Alerting>,
    /// Services that tell of themselves.
    pub heartbeats: Arc<HashSet<String>>,
    /// Enqueues jobs.
    pub producer: Producer,
    /// Reads jobs.
    pub inspector: Inspector,
    /// Changes jobs and queues.
    pub control: Control,
    /// The time.
    pub clock: Clock,
    /// Where the schedules stand, if they stand here.
    pub schedules: PathBuf,
    /// When this process began.
    pub since: DateTime<Utc>,
    /// Whether the worker of this process goes on, where it has one.
    pub pulse: Option<Pulse>,
}

impl ApiState {
    /// From the settings. Has to be called inside a Tokio runtime.
    pub fn new(config: &Config, schedules: &Path, pulse: Option<Pulse>) -> anyhow::Result<Self> {
        let client = wiring::queue(config)?;
        let (store, clock) = (wiring::store(config)?, Clock::system());
        let intake = Intake::start(store.clone());
        Ok(Self {
            otlp: otlp::Receiver::new(store.clone(), intake.clone(), clock.clone(), config),
            monitoring: config.monitoring.clone(),
            alerting: wiring::alerting(config)?.into(),
            heartbeats: Arc::new(config.heartbeats()),
            store,
            intake,
            producer: wiring::producer(&client),
            inspector: wiring::inspector(&client),
            control: wiring::control(&client),
            schedules: schedules.to_owned(),
            since: clock.now(),
            clock,
            pulse,
        })
    }
}

/// All routes.
pub fn router(state: ApiState, max_body_bytes: usize) -> Router {
    let v1 = Router::new()
        .route("/jobs", post(jobs::enqueue).get(jobs::list))
        .route("/jobs/history", get(jobs::history))
        .route("/jobs/{id}", get(jobs::show))
        .route("/jobs/{id}/retry", post(jobs::retry))
        .route("/jobs/{id}/cancel", post(jobs::cancel))
        .route("/queues", get(queues::list))
        .route("/queues/{name}/pause", post(queues::pause))
        .route("/queues/{name}/resume", post(queues::resume))
        .route("/workers", get(queues::workers))
        .route("/performance/metrics", post(performance_metrics::store))
        .route("/performance/metrics/summary", get(metric_windows::summary))
        .route("/performance/metrics/endpoints", get(metric_windows::endpoints))
        .route("/performance/metrics/slow-requests", get(metric_windows::slow_requests))
        .route("/performance/metrics/slow-queries", get(metric_windows::slow_queries))
        .route("/performance/reports", get(reports::list))
        .route("/performance/reports/{id}", get(reports::show))
        .route("/performance/services/health", get(services::health))
        .route("/heartbeats/{name}", post(services::beat))
        .route("/performance/alerts", get(alerts::list).post(alerts::create_or_update))
        .route("/performance/alerts/{id}", get(alerts::show))
        .route("/performance/alerts/{id}/acknowledge", post(alerts::acknowledge))
        .route("/performance/alerts/{id}/resolve", post(alerts::resolve))
        .route("/performance/alerts/{id}/silence", post(alerts::silence))
        .route("/performance/silences", get(alerts::silences).post(alerts::new_silence))
        .route("/performance/silences/{id}", delete(alerts::end_silence));
    let router = Router::new()
        .nest("/api/v1", v1)
        .merge(otlp::router(state.otlp.clone()))
        .route("/livez", get(health::live))
        .route("/metrics", get(exposition::metrics))
        .route("/healthz", get(health::ready))
        .route("/readyz", get(health::ready))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(DefaultBodyLimit::max(max_body_bytes));
    guarded(router).with_state(state)
}

/// What exporters send, and nothing else.
pub fn otlp_router(receiver: otlp::Receiver) -> Router {
    guarded(otlp::router(receiver))
}

/// No request takes for ever, and none ends the process.
fn guarded<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, REQUEST_TIMEOUT))
        .layer(CatchPanicLayer::custom(|_| error::bug()))
}

/// Serves `/livez` alone, for a process that has a worker and no API.
pub async fn serve_liveness(
    listener: TcpListener,
    pulse: Pulse,
    inspector: Inspector,
    stop: Stop,
) -> anyhow::Result<()> {
    let router = Router::new().route("/livez", get(health::live_worker)).with_state((pulse, inspector));
    let serving = axum::serve(listener, router).into_future();
    stop.drain.run_until_cancelled(serving).await.transpose().map(|_| ()).context("the health check ended")
}

/// Binds the address, so that a taken port is told at once.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; is another Dogwatch running? Set `listen` in [api] or DOGWATCH_API_LISTEN")
    })
}

/// Serves until it is told to stop, and then what is under way.
pub async fn serve(listener: TcpListener, router: Router, stop: Stop) -> anyhow::Result<()> {
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.drain.clone().cancelled_owned());
    tokio::select! {
        served = serving => served.context("the API ended"),
        () = async {
            stop.drain.cancelled().await;
            // A client that keeps its connection open must not keep us.
            tokio::select! {
                () = stop.now.cancelled() => {}
                () = tokio::time::sleep(REQUEST_TIMEOUT) => {}
            }
        } => Ok(()),
    }
}
