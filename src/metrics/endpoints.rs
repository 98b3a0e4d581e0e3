//! The endpoints of a window, in the order of one of their figures, each beside itself in the window before.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use clap::ValueEnum;
use dogwatch_store::{EndpointTiming, GroupCursor, Store};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::overview::overview;
use super::{MetricsError, Page, Pinned, Question, rate};

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

/// Which figure they stand in the order of, the greatest first.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum EndpointOrder {
    /// The busiest first.
    #[default]
    Count,
    /// Those of which the greatest part failed.
    ErrorRate,
    /// Those that take long on average.
    MeanMs,
    /// Those whose 95th percentile is long.
    P95Ms,
    /// Those on which most time is spent: count times mean.
    TotalMs,
}

impl EndpointOrder {
    fn value(self, timing: &EndpointTiming) -> f64 {
        match self {
            Self::Count => timing.count as f64,
            Self::ErrorRate => rate(timing.errors, timing.count),
            Self::MeanMs => timing.mean_ms,
            Self::P95Ms => timing.p95_ms,
            Self::TotalMs => timing.mean_ms * timing.count as f64,
        }
    }
}

/// A page of them.
pub async fn endpoints(
    store: &Store,
    now: DateTime<Utc>,
    question: &Question,
) -> Result<Page<Endpoint>, MetricsError> {
    Ok(overview(store, now, question).await?.endpoints)
}

/// The page that is asked for of all of them.
pub(super) fn page(
    timings: Vec<EndpointTiming>,
    past: &[EndpointTiming],
    pinned: &Pinned,
    order: EndpointOrder,
    limit: u16,
) -> Page<Endpoint> {
    let past: HashMap<_, _> = past.iter().map(|timing| (name(timing), timing)).collect();
    let place = |timing: EndpointTiming| (timing.cursor(order.value(&timing)), timing);
    let mut rest: Vec<_> = timings.into_iter().map(place).collect();
    rest.retain(|(place, _)| pinned.behind.is_none_or(|behind| place.is_behind(behind)));
    rest.sort_by(|(one, _), (other, _)| one.compare(*other));
    let has_more = rest.len() > usize::from(limit);
    rest.truncate(limit.into());
    let next_cursor = rest.last().filter(|_| has_more).map(|(place, _)| pinned.cursor(*place));
    let endpoint = |(_, timing): (GroupCursor, EndpointTiming)| Endpoint {
        error_rate: rate(timing.errors, timing.count),
        before: past.get(&name(&timing)).map(|past| Before {
            count: past.count,
            error_rate: rate(past.errors, past.count),
            mean_ms: past.mean_ms,
            p95_ms: past.p95_ms,
        }),
        timing,
    };
    Page { items: rest.into_iter().map(endpoint).collect(), next_cursor }
}

fn name(timing: &EndpointTiming) -> (String, String, String) {
    (timing.service.clone(), timing.method.clone(), timing.endpoint.clone())
}
