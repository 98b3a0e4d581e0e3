//! The slowest requests of a window.

use chrono::{DateTime, Utc};
use dogwatch_store::{MIN_SLOW_MS, SlowRequest, SlowRequestCursor, Store};

use super::{MetricsError, Page, Question, wrong};

/// A page of those that took at least `threshold_ms`.
pub async fn slow_requests(
    store: &Store,
    now: DateTime<Utc>,
    question: &Question,
    default_threshold_ms: f64,
) -> Result<Page<SlowRequest>, MetricsError> {
    let (_, _, window) = question.window(now)?;
    let threshold_ms = question.threshold_ms(default_threshold_ms, MIN_SLOW_MS)?;
    let cursor = question.cursor.as_deref().map(str::parse::<SlowRequestCursor>).transpose();
    let cursor = cursor.map_err(|reason| wrong("cursor", reason))?;
    let limit = question.limit()?;
    let mut items =
        store.slow_requests(window, &question.filter()?, threshold_ms, cursor, i64::from(limit) + 1).await?;
    let has_more = items.len() > usize::from(limit);
    items.truncate(limit.into());
    let next_cursor = items.last().filter(|_| has_more).map(|last| last.cursor().to_string());
    Ok(Page { items, next_cursor })
}
