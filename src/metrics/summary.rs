//! All requests of a window in one line.

use chrono::{DateTime, Utc};
use dogwatch_store::{RequestSummary, Store};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{MetricsError, Question, rate};

/// All requests of a window.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Summary {
    /// From when.
    pub since: DateTime<Utc>,
    /// To when.
    pub until: DateTime<Utc>,
    /// Part of the requests that failed, 0 to 1; absent when there was none.
    pub error_rate: Option<f64>,
    /// How many, and how long.
    #[serde(flatten)]
    pub requests: RequestSummary,
}

impl Summary {
    pub(super) fn of(since: DateTime<Utc>, until: DateTime<Utc>, requests: RequestSummary) -> Self {
        let error_rate = (requests.count > 0).then(|| rate(requests.errors, requests.count));
        Self { since, until, error_rate, requests }
    }
}

/// Everything in one line.
pub async fn summary(
    store: &Store,
    now: DateTime<Utc>,
    question: &Question,
) -> Result<Summary, MetricsError> {
    let (since, until, window) = question.window(now)?;
    let requests = store.requests(window, &question.filter()?).await?;
    Ok(Summary::of(since, until, requests.all))
}
