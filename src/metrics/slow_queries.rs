//! Queries of a window, calls of the same one together: those that take most time first.

use chrono::{DateTime, Utc};
use dogwatch_store::{QueryTiming, Store};

use super::{MetricsError, Page, Question};

/// A page of the queries that had a call of at least `threshold_ms`; 0: of all.
pub async fn slow_queries(
    store: &Store,
    now: DateTime<Utc>,
    question: &Question,
    default_threshold_ms: f64,
) -> Result<Page<QueryTiming>, MetricsError> {
    let pinned = question.pinned(now)?;
    let threshold_ms = question.threshold_ms(default_threshold_ms, 0.0)?;
    let limit = usize::from(question.limit()?);
    let filter = question.filter()?;
    let mut items =
        store.query_timings(pinned.window, &filter, threshold_ms, pinned.behind, limit + 1).await?;
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| has_more).map(|last| pinned.cursor(last.cursor()));
    Ok(Page { items, next_cursor })
}
