//! All requests of a window, together and by endpoint, each beside the window before. One read of the rollups, which is what
//! takes long, is enough for both.

use chrono::{DateTime, Utc};
use dogwatch_store::Store;

use super::endpoints::{Endpoint, page};
use super::{MetricsError, Page, Question, Summary};

/// The requests of a window, and of the one before, of the same length.
pub struct Overview {
    /// All of them.
    pub summary: Summary,
    /// All of those of the window before.
    pub before: Summary,
    /// By endpoint, in the order and as many as are asked for.
    pub endpoints: Page<Endpoint>,
}

/// What a question has for an answer.
pub async fn overview(
    store: &Store,
    now: DateTime<Utc>,
    question: &Question,
) -> Result<Overview, MetricsError> {
    let (pinned, filter, limit) = (question.pinned(now)?, question.filter()?, question.limit()?);
    let before = pinned.window_before();
    let (here, past) =
        tokio::try_join!(store.requests(pinned.window, &filter), store.requests(before, &filter))?;
    let order = question.sort.unwrap_or_default();
    Ok(Overview {
        summary: Summary::of(pinned.since, pinned.until, here.all),
        before: Summary::of(before.since, pinned.since, past.all),
        endpoints: page(here.endpoints, &past.endpoints, &pinned, order, limit),
    })
}
