//! The endpoints of a window, the busiest first, each beside itself in the window before.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use dogwatch_store::{EndpointTiming, Store, Window};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{MetricsError, Page, Question, rate};

/// An endpoint, and how it was in the window before, of the same length.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Endpoint {
    /// Part of its requests that failed, 0 to 1.
    pub error_rate: f64,
    /// How many, and how long.
    #[serde(flatten)]
    pub timing: EndpointTiming,
    /// Absent when there was no request.
    pub before: Option<Before>,
}

/// An endpoint in the window before.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Before {
    /// Its requests.
    pub count: i64,
    /// Part of them that failed.
    pub error_rate: f64,
    /// Mean.
    pub mean_ms: f64,
    /// 95th percentile.
    pub p95_ms: f64,
}

/// A page of them.
pub async fn endpoints(
    store: &Store,
    now: DateTime<Utc>,
    question: &Question,
) -> Result<Page<Endpoint>, MetricsError> {
    let pinned = question.pinned(now)?;
    let limit = question.limit()?;
    let before = Window { since: pinned.since - (pinned.until - pinned.since), until: Some(pinned.since) };
    let filter = question.filter()?;
    let (timings, past) = tokio::try_join!(
        store.response_times(pinned.window, &filter),
        store.response_times(before, &filter)
    )?;
    let past: HashMap<_, _> = past.iter().map(|timing| (name(timing), timing)).collect();
    let mut rest = timings
        .into_iter()
        .filter(|timing| pinned.behind.is_none_or(|behind| timing.cursor().is_behind(behind)))
        .peekable();
    let timings: Vec<_> = rest.by_ref().take(limit.into()).collect();
    let next = timings.last().filter(|_| rest.peek().is_some());
    let next_cursor = next.map(|last| pinned.cursor(last.cursor()));
    let endpoint = |timing: EndpointTiming| Endpoint {
        error_rate: rate(timing.errors, timing.count),
        before: past.get(&name(&timing)).map(|past| Before {
            count: past.count,
            error_rate: rate(past.errors, past.count),
            mean_ms: past.mean_ms,
            p95_ms: past.p95_ms,
        }),
        timing,
    };
    Ok(Page { items: timings.into_iter().map(endpoint).collect(), next_cursor })
}

fn name(timing: &EndpointTiming) -> (String, String, String) {
    (timing.service.clone(), timing.method.clone(), timing.endpoint.clone())
}
