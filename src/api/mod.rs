//! The HTTP API: JSON under /api/v1, a file per resource, errors as RFC 9457 problem documents.

mod alerts;
mod audit;
mod body;
mod connections;
mod dashboard;
mod dead_letters;
mod error;
mod exposition;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod guard;
mod health;
mod idempotency;
mod jobs;
mod keys;
mod metric_windows;
mod openapi;
mod pages;
mod parts;
mod performance_metrics;
mod preloads;
mod queues;
mod reports;
mod schedules;
mod services;
mod session;
mod settings;
mod silences;
mod trends;

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{from_fn_with_state, map_request};
use axum::response::IntoResponse;
use axum::routing::get;
use chrono::{DateTime, Utc};
use dogwatch_jobs::Alerting;
use dogwatch_queue::scheduler::Book;
use dogwatch_queue::{Clock, Control, Inspector, Producer, Pulse, Stop, TraceContext};
use dogwatch_store::{Intake, Scope, Store};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use utoipa_axum::router::OpenApiRouter;

pub use self::connections::{ConnectionFigures, Connections};
pub use self::error::Problem;
use self::guard::{Guard, Tenants};

use crate::access::{Keyring, LocalAccess};
use crate::body_budget::{BodyBudget, bounded};
use crate::config::{ApiSettings, Config};
use crate::database_clock;
use crate::tuning::Tuning;
use crate::{otlp, wiring};

/// A request that takes longer is given up.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests that report alerts and are carried out at a time: each has a connection to Postgres, and may wait for another
/// that has the same alert in hand.
const MAX_REPORTS: usize = 4;

/// What handlers use.
#[derive(Clone, Debug)]
pub struct ApiState {
    /// Postgres.
    pub store: Store,
    /// Stores what services send.
    pub intake: Intake,
    /// Takes what OpenTelemetry exporters send.
    pub otlp: otlp::Receiver,
    /// What may be changed while it runs: what is slow, whether anything is stored.
    pub tuning: Tuning,
    /// What alerts go by.
    pub alerting: Arc<Alerting>,
    /// Services that tell of themselves.
    pub heartbeats: Arc<HashSet<String>>,
    /// What each checked service needs.
    pub needs: Arc<BTreeMap<String, Vec<String>>>,
    /// Enqueues jobs.
    pub producer: Producer,
    /// Reads jobs.
    pub inspector: Inspector,
    /// Changes jobs and queues.
    pub control: Control,
    /// The time.
    pub clock: Clock,
    /// The schedule book of this program.
    pub book: Book,
    /// Where the schedules stand, if they stand here.
    pub schedules: PathBuf,
    /// When this process began.
    pub since: DateTime<Utc>,
    /// Whether the worker of this process goes on, where it has one.
    pub pulse: Option<Pulse>,
    /// The largest body.
    pub max_body_bytes: usize,
    /// Memory for bodies.
    budget: BodyBudget,
    /// The connections of all addresses.
    pub connections: Connections,
    /// Who knows the keys.
    pub keyring: Keyring,
    guard: Guard,
    /// Requests that report alerts and are carried out at a time.
    reports: Arc<Semaphore>,
}

impl ApiState {
    /// From the settings. Has to be called inside a Tokio runtime.
    pub fn new(
        config: &Config,
        schedules: &Path,
        data_dir: &Path,
        pulse: Option<Pulse>,
    ) -> anyhow::Result<Self> {
        let client = wiring::queue(config)?;
        let store = wiring::store(config)?;
        let clock = database_clock::start(&store);
        let intake = Intake::start(store.clone());
        let is_loopback = config.is_loopback();
        let local = if is_loopback { local_access(data_dir) } else { None };
        let keyring = Keyring::new(store.clone(), clock.clone(), is_loopback, local);
        let tuning = Tuning::start(store.clone(), clock.clone(), config);
        let budget = BodyBudget::default();
        Ok(Self {
            guard: Guard::new(keyring.clone(), config.api.requests_per_minute),
            keyring,
            reports: Arc::new(Semaphore::new(MAX_REPORTS)),
            max_body_bytes: config.api.max_body_bytes,
            connections: Connections::default(),
            otlp: otlp::Receiver::new(
                store.clone(),
                intake.clone(),
                clock.clone(),
                config,
                tuning.clone(),
                budget.clone(),
            ),
            budget,
            tuning,
            alerting: wiring::alerting(config)?.into(),
            needs: Arc::new(config.needs()),
            heartbeats: Arc::new(config.heartbeats()),
            store,
            intake,
            producer: wiring::producer(&client),
            inspector: wiring::inspector(&client),
            control: wiring::control(&client),
            book: config.scheduler.book.clone(),
            schedules: schedules.to_owned(),
            since: clock.now(),
            clock,
            pulse,
        })
    }
}

/// The owner's ways in; without a folder for them a key is needed.
fn local_access(data_dir: &Path) -> Option<LocalAccess> {
    match LocalAccess::open(data_dir) {
        Ok(local) => Some(local),
        Err(error) => {
            tracing::warn!(
                folder = %data_dir.display(),
                %error,
                "there is no place for the authorization of the owner: all but sending spans and metrics needs an API key"
            );
            None
        }
    }
}

/// All routes.
pub fn router(state: &ApiState, settings: &ApiSettings) -> Router {
    let (v1, description) = described(state).split_for_parts();
    let description = openapi::with_problems(description);
    let figures = Router::new().route("/metrics", get(exposition::metrics));
    let figures =
        figures.route_layer(from_fn_with_state(state.guard.of(Scope::Read, Tenants::All), guard::admit));
    let router = Router::new()
        // What is asked of the API is of the caller alone, and of that moment.
        .merge(v1.layer(fixed(header::CACHE_CONTROL, "no-store")))
        .merge(figures)
        .merge(openapi::docs(description))
        .merge(pages::routes())
        .route("/livez", get(health::live))
        .route("/healthz", get(health::ready))
        .route("/readyz", get(health::ready))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(DefaultBodyLimit::max(settings.max_body_bytes))
        .layer(from_fn_with_state(state.budget.clone(), bounded))
        .layer(CompressionLayer::new())
        .with_state(state.clone())
        .merge(spans(state));
    outermost(router).layer(cors(settings))
}

/// What exporters send, and nothing else.
pub fn otlp_router(state: &ApiState) -> Router {
    outermost(spans(state))
}

/// Exporters have a key in their headers, where one is needed.
fn spans(state: &ApiState) -> Router {
    let guard = state.guard.of(Scope::Ingest, Tenants::Own);
    let guarded = from_fn_with_state((guard, state.otlp.clone()), guard::admit_exporter);
    otlp::router(state.otlp.clone()).route_layer(guarded)
}

/// The routes below /api/v1, with what each of them needs.
fn described(state: &ApiState) -> OpenApiRouter<ApiState> {
    use Scope::{Admin, Alerts, Enqueue, Ingest, Read, Write};
    use Tenants::{All, Own};
    let group = |routes: OpenApiRouter<ApiState>, scope, tenants| {
        let routes = routes.route_layer(from_fn_with_state(state.clone(), idempotency::remembered));
        openapi::guarded(routes, &state.guard, scope, tenants)
    };
    let v1 = OpenApiRouter::new()
        .merge(session::open_routes())
        .merge(group(session::routes(), Read, Own))
        .merge(group(metric_windows::reading(), Read, Own))
        .merge(group(dashboard::reading(), Read, Own))
        .merge(group(performance_metrics::ingesting(), Ingest, Own))
        .merge(group(alerts::reading(), Read, Own))
        .merge(group(alerts::writing(), Alerts, Own))
        .merge(group(silences::reading(), Read, Own))
        .merge(group(silences::writing(), Alerts, Own))
        .merge(group(alerts::reporting(), Alerts, Own))
        .merge(group(reports::reading(), Read, Own))
        .merge(group(services::reading(), Read, All))
        .merge(group(services::ingesting(), Ingest, All))
        .merge(group(trends::reading(), Read, All))
        .merge(group(jobs::reading(), Read, All))
        .merge(group(jobs::enqueuing(), Enqueue, All))
        .merge(group(jobs::writing(), Write, All))
        .merge(group(dead_letters::writing(), Write, All))
        .merge(group(dead_letters::discarding(), Admin, All))
        .merge(group(queues::reading(), Read, All))
        .merge(group(queues::writing(), Write, All))
        .merge(group(queues::purging(), Admin, All))
        .merge(group(schedules::reading(), Read, All))
        .merge(group(schedules::writing(), Write, All))
        .merge(group(settings::reading(), Read, All))
        .merge(group(settings::changing(), Admin, All))
        .merge(group(session::of_all(), Admin, All))
        .merge(group(audit::reading(), Admin, All))
        // Apart: what they answer is a secret, which is remembered nowhere.
        .merge(openapi::guarded(session::codes(), &state.guard, Admin, All))
        .merge(openapi::guarded(keys::routes(), &state.guard, Admin, All));
    OpenApiRouter::with_openapi(openapi::description()).nest("/api/v1", v1)
}

/// Pages of these origins may call, with a key of their own.
fn cors(settings: &ApiSettings) -> CorsLayer {
    let origins = settings.cors_origins.iter().filter_map(|origin| origin.parse::<HeaderValue>().ok());
    CorsLayer::new()
        .allow_origin(origins.collect::<Vec<_>>())
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .max_age(Duration::from_mins(10))
}

/// No request takes for ever, none ends the process, and each has an id, in the log and in the answer.
fn outermost(router: Router) -> Router {
    router
        .layer(fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(fixed(header::REFERRER_POLICY, "same-origin"))
        .layer(fixed(header::X_FRAME_OPTIONS, "DENY"))
        .layer(fixed(HeaderName::from_static("cross-origin-opener-policy"), "same-origin"))
        .layer(fixed(HeaderName::from_static("cross-origin-resource-policy"), "same-origin"))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, REQUEST_TIMEOUT))
        .layer(CatchPanicLayer::custom(|_| error::bug().into_response()))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(TraceLayer::new_for_http().make_span_with(|request: &Request| {
            let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok());
            let trace = request.extensions().get::<TraceContext>();
            let trace_id = trace.map(|trace| tracing::field::display(trace.trace_id()));
            tracing::info_span!("request", method = %request.method(), path = request.uri().path(), id, trace_id)
        }).on_request(()).on_response(()).on_failure(()))
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(map_request(traced))
}

/// The trace of a request: that of the caller, or a new one.
async fn traced(mut request: Request) -> Request {
    let handed = request.headers().get("traceparent").and_then(|text| text.to_str().ok()?.parse().ok());
    let trace: TraceContext = handed.unwrap_or_else(TraceContext::random);
    request.extensions_mut().insert(trace);
    request
}

/// What each answer carries.
fn fixed(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

/// Serves `/livez` alone, for a process that has a worker and no API.
pub async fn serve_liveness(
    listener: TcpListener,
    pulse: Pulse,
    inspector: Inspector,
    stop: Stop,
) -> anyhow::Result<()> {
    let router = Router::new().route("/livez", get(health::live_worker)).with_state((pulse, inspector));
    serve(listener, router, stop, &Connections::default()).await
}

/// Binds the address, so that a taken port is told at once.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; is another Dogwatch running? Set `listen` in [api] or DOGWATCH_API_LISTEN")
    })
}

/// Serves until it is told to stop, and then what is under way.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: Stop,
    connections: &Connections,
) -> anyhow::Result<()> {
    tokio::select! {
        () = connections.serve(listener, router, stop.drain.clone()) => {}
        () = async {
            stop.drain.cancelled().await;
            // A client that keeps its connection open must not keep us.
            tokio::select! {
                () = stop.now.cancelled() => {}
                () = tokio::time::sleep(REQUEST_TIMEOUT) => {}
            }
        } => {}
    }
    Ok(())
}
