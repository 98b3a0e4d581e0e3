//! `GET /api/v1/performance/dashboard`: what one look at everything needs, in one answer.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use dogwatch_alerting::Severity;
use dogwatch_queue::QueueCounts;
use dogwatch_store::{HealthState, History};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::error::Problem;
use super::metric_windows::question;
use super::parts::Query;
use crate::access::Caller;
use crate::metrics::{self, Endpoint, MetricsError, Overview, Page, Question, Summary};

pub(super) fn reading() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show))
}

/// One look at everything.
#[derive(Serialize, ToSchema)]
struct Dashboard {
    /// All requests of the window.
    summary: Summary,
    /// All requests of the window before, of the same length.
    before: Summary,
    /// By endpoint, as `/performance/metrics/endpoints` lists them.
    endpoints: Page<Endpoint>,
    /// The window step by step.
    history: History,
    /// Open alerts, by severity.
    open_alerts: BTreeMap<&'static str, i64>,
    /// Checked services, by state; absent for the key of a tenant.
    services: Option<BTreeMap<&'static str, usize>>,
    /// What waits where; absent for the key of a tenant, and while Redis is away.
    queues: Option<Vec<QueueCounts>>,
}

/// One look at everything
#[utoipa::path(get, path = "/performance/dashboard", tag = "metrics", params(Question),
    responses((status = 200, body = Dashboard)))]
async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    asked: Query<Question>,
) -> Result<Json<Dashboard>, Problem> {
    let (store, now) = (&state.store, state.clock.now());
    let question = question(asked, &caller)?;
    let queues = async { if caller.tenant.is_none() { state.inspector.counts().await.ok() } else { None } };
    let windows = async {
        tokio::try_join!(
            metrics::overview(store, now, &question),
            metrics::history(store, now, &question),
            async {
                Ok(store.open_alert_counts(question.tenant.as_deref(), question.service.as_deref()).await?)
            },
            async { services(&state, &caller).await },
        )
    };
    let (windows, queues) = tokio::join!(windows, queues);
    let (Overview { summary, before, endpoints }, history, open, services) = windows?;
    let count = |severity: Severity| (severity.as_str(), open.get(&severity).copied().unwrap_or_default());
    let open_alerts = Severity::ALL.into_iter().map(count).collect();
    Ok(Json(Dashboard { summary, before, endpoints, history, open_alerts, services, queues }))
}

async fn services(
    state: &ApiState,
    caller: &Caller,
) -> Result<Option<BTreeMap<&'static str, usize>>, MetricsError> {
    if caller.tenant.is_some() {
        return Ok(None);
    }
    let mut counts: BTreeMap<_, _> = HealthState::ALL.iter().map(|word| (word.as_str(), 0)).collect();
    for service in state.store.service_health().await? {
        *counts.entry(service.state.as_str()).or_default() += 1;
    }
    Ok(Some(counts))
}
