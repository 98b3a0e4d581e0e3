//! What trend analysis has found, as the API and the command line tell it.

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_alerting::Dimension;
use dogwatch_jobs::{TrendTold, told};
use dogwatch_store::{Cause, FindingKind, FindingState, LimitAt, Store, TrendDirection, TrendFinding};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::metrics::{MetricsError, Page, wrong};

/// Findings of a list.
const LIMIT: usize = 1000;
/// As far back as can be asked.
const MAX_HOURS: u32 = 24 * 366;

/// Of which time, and of what.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TrendQuestion {
    /// Those that are open, and those that ended in the last hours; default 24.
    #[param(minimum = 1, maximum = 8784)]
    pub hours: Option<u32>,
    /// Only in this state.
    pub state: Option<FindingState>,
    /// Only of this service.
    pub service: Option<String>,
    /// Only of this method and route, such as `GET /orders`.
    pub endpoint: Option<String>,
}

impl TrendQuestion {
    fn is_about(&self, finding: &TrendFinding) -> bool {
        let is = |asked: &Option<String>, dimension| {
            asked.is_none() || finding.scope.get(dimension) == asked.as_deref()
        };
        self.state.is_none_or(|state| finding.state == state)
            && is(&self.service, Dimension::Service)
            && is(&self.endpoint, Dimension::Endpoint)
    }
}

/// Something that trend analysis has found.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct TrendItem {
    /// Its id.
    pub id: Uuid,
    /// What it is: a lasting shift, a single anomaly, a forecast.
    pub kind: FindingKind,
    /// What became of it.
    pub state: FindingState,
    /// What was found, with figures.
    pub sentence: String,
    /// Which figure: `response_time_ms` and `query_time_ms` are the p95.
    pub metric: String,
    /// The service.
    pub service: Option<String>,
    /// The HTTP method.
    pub method: Option<String>,
    /// The route.
    pub endpoint: Option<String>,
    /// The query's fingerprint.
    pub query: Option<String>,
    /// The machine.
    pub host: Option<String>,
    /// Where the disk is mounted.
    pub mount: Option<String>,
    /// Which way it went.
    pub direction: TrendDirection,
    /// When it began.
    pub since: DateTime<Utc>,
    /// It began no earlier, with a probability of 95 %.
    pub earliest: DateTime<Utc>,
    /// It began no later.
    pub latest: DateTime<Utc>,
    /// The figure before; of an anomaly, what is usual.
    pub before: f64,
    /// The figure since.
    pub after: f64,
    /// How much it changed; absent where there was next to nothing before.
    pub change_percent: Option<f64>,
    /// How sure it is, 0 to 1.
    pub confidence: f64,
    /// Seconds that users lose in an hour; below 0, win.
    pub effect_s_per_hour: f64,
    /// Of a forecast: when the limit is met.
    pub limit: Option<LimitAt>,
    /// What it comes from, as far as is known.
    pub cause: Cause,
    /// The finding that stands for all with the same cause; its own id where it is that.
    pub group_id: Uuid,
    /// How many others it stands for.
    pub others: usize,
    /// When it was found.
    pub found_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

impl From<TrendTold> for TrendItem {
    fn from(TrendTold { finding, others, sentence }: TrendTold) -> Self {
        let part = |dimension| finding.scope.get(dimension).map(str::to_owned);
        let endpoint = finding.scope.get(Dimension::Endpoint).and_then(|endpoint| endpoint.split_once(' '));
        let (method, endpoint) = endpoint.unzip();
        Self {
            id: finding.id,
            kind: finding.kind,
            state: finding.state,
            sentence,
            metric: finding.metric.as_str().to_owned(),
            service: part(Dimension::Service),
            method: method.map(str::to_owned),
            endpoint: endpoint.map(str::to_owned),
            query: part(Dimension::Query),
            host: part(Dimension::Host),
            mount: part(Dimension::Mount),
            direction: finding.direction,
            since: finding.since,
            earliest: finding.earliest,
            latest: finding.latest,
            before: finding.before,
            after: finding.after,
            change_percent: finding.change_percent,
            confidence: finding.confidence,
            effect_s_per_hour: finding.effect_s_per_hour,
            limit: finding.limit,
            cause: finding.cause,
            group_id: finding.group_id,
            others,
            found_at: finding.found_at,
            ended_at: finding.ended_at,
        }
    }
}

impl TrendItem {
    /// Whether it is not told in the sentence of another.
    pub fn stands_for_itself(&self) -> bool {
        self.group_id == self.id
    }
}

/// What is open, and what ended lately: what users feel most first.
///
/// # Errors
/// When the question makes no sense, or Postgres does not answer.
pub async fn list(
    store: &Store,
    now: DateTime<Utc>,
    question: &TrendQuestion,
) -> Result<Page<TrendItem>, MetricsError> {
    let hours = question.hours.unwrap_or(24);
    if !(1..=MAX_HOURS).contains(&hours) {
        return Err(wrong("hours", format!("`{hours}` is not between 1 and {MAX_HOURS}")));
    }
    let found = store.trend_findings(now - TimeDelta::hours(hours.into())).await?;
    // First told, then chosen: what stands for a group tells of all of it.
    let items = told(found).into_iter().filter(|told| question.is_about(&told.finding));
    Ok(Page { items: items.take(LIMIT).map(TrendItem::from).collect(), next_cursor: None })
}
