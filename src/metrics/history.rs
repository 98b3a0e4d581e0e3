//! A window step by step, for charts.

use chrono::{DateTime, Utc};
use dogwatch_store::{History, Store};

use super::{MAX_HOURS, MetricsError, Question, wrong};

/// All requests of the window, or all calls of the query that is asked for.
pub async fn history(
    store: &Store,
    now: DateTime<Utc>,
    question: &Question,
) -> Result<History, MetricsError> {
    let (since, until, _) = question.window(now)?;
    if (until - since).num_hours() > MAX_HOURS.into() {
        return Err(wrong("since", format!("lies more than {MAX_HOURS} hours before the end of the window")));
    }
    Ok(store.history(since, until, &question.filter()?).await?)
}
