//! What happened in a window, for people and machines: the API and the command line ask the same questions here and give
//! the same answers.

mod endpoints;
mod history;
mod overview;
mod slow_queries;
mod slow_requests;
mod summary;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use dogwatch_runtime::time;
use dogwatch_store::{GroupCursor, MetricFilter, StoreError, Window};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub use self::endpoints::{Endpoint, EndpointOrder, endpoints};
pub use self::history::history;
pub use self::overview::{Overview, overview};
pub use self::slow_queries::slow_queries;
pub use self::slow_requests::slow_requests;
pub use self::summary::{Summary, summary};

/// A year.
const MAX_HOURS: u32 = 24 * 366;
const MAX_LIMIT: u16 = 500;
const DEFAULT_LIMIT: u16 = 50;
/// The highest threshold, in milliseconds.
const MAX_THRESHOLD_MS: f64 = 1e9;

/// Which window, and whose requests.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Question {
    /// The last hours; default 24.
    #[param(minimum = 1, maximum = 8784)]
    pub hours: Option<u32>,
    /// From when, instead.
    #[serde(default, deserialize_with = "time::optional")]
    pub since: Option<DateTime<Utc>>,
    /// To when; default: now.
    #[serde(default, deserialize_with = "time::optional")]
    pub until: Option<DateTime<Utc>>,
    /// Of this tenant.
    pub tenant: Option<String>,
    /// Of this service.
    pub service: Option<String>,
    /// Of this HTTP method.
    pub method: Option<String>,
    /// Of this route.
    pub endpoint: Option<String>,
    /// Of this query, such as `00c0ffee00c0ffee`, where it is asked for queries.
    pub fingerprint: Option<String>,
    /// Items of a list.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
    /// In which order, of the list of endpoints; default: the busiest first.
    #[param(inline)]
    pub sort: Option<EndpointOrder>,
    /// What is slow, of lists of slow things.
    #[param(minimum = 0.0)]
    pub threshold_ms: Option<f64>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next one begins; absent when there is none.
    pub next_cursor: Option<String>,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// It makes no sense.
    #[error("{name}: {reason}")]
    Question {
        /// Of the parameter.
        name: &'static str,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// Postgres did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(crate) fn wrong(name: &'static str, reason: impl Into<String>) -> MetricsError {
    MetricsError::Question { name, reason: reason.into() }
}

fn rate(errors: i64, count: i64) -> f64 {
    errors as f64 / (count as f64).max(1.0)
}

impl Question {
    /// From when, to when, and what of it the store is asked for: all that came since, where no end is given.
    fn window(&self, now: DateTime<Utc>) -> Result<(DateTime<Utc>, DateTime<Utc>, Window), MetricsError> {
        // Also where they are of no use: a mistake is told.
        self.limit()?;
        self.threshold_ms(0.0, 0.0)?;
        if self.hours.is_some() && self.since.is_some() {
            return Err(wrong("hours", "stands beside `since`; write one of them"));
        }
        let hours = self.hours.unwrap_or(24);
        if !(1..=MAX_HOURS).contains(&hours) {
            return Err(wrong("hours", format!("`{hours}` is not between 1 and {MAX_HOURS}")));
        }
        let until = self.until.unwrap_or(now);
        // A part of a minute is read row by row: nobody who writes hours asks for it.
        let whole =
            (until - TimeDelta::hours(hours.into())).duration_trunc(TimeDelta::minutes(1)).unwrap_or(until);
        let since = self.since.unwrap_or(whole);
        if since >= until {
            return Err(wrong(
                "since",
                format!("`{}` is not before {}", since.to_rfc3339(), until.to_rfc3339()),
            ));
        }
        Ok((since, until, Window { since, until: self.until }))
    }

    fn filter(&self) -> Result<MetricFilter, MetricsError> {
        Ok(MetricFilter {
            tenant: self.tenant.clone(),
            service: self.service.clone(),
            method: self.method.clone(),
            endpoint: self.endpoint.clone(),
            fingerprint: self.fingerprint()?,
        })
    }

    fn fingerprint(&self) -> Result<Option<i64>, MetricsError> {
        let Some(word) = &self.fingerprint else { return Ok(None) };
        let print = (word.len() == 16).then(|| u64::from_str_radix(word, 16).ok()).flatten();
        let reason = || format!("`{word}` is no fingerprint; write 16 digits such as 00c0ffee00c0ffee");
        Ok(Some(print.ok_or_else(|| wrong("fingerprint", reason()))?.cast_signed()))
    }

    fn limit(&self) -> Result<u16, MetricsError> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(wrong("limit", format!("`{limit}` is not between 1 and {MAX_LIMIT}")));
        }
        Ok(limit)
    }

    fn threshold_ms(&self, default_ms: f64, least_ms: f64) -> Result<f64, MetricsError> {
        let threshold_ms = self.threshold_ms.unwrap_or(default_ms);
        if !(least_ms..=MAX_THRESHOLD_MS).contains(&threshold_ms) {
            let reason = format!("`{threshold_ms}` is not between {least_ms} and {MAX_THRESHOLD_MS}");
            return Err(wrong("threshold_ms", reason));
        }
        Ok(threshold_ms)
    }

    /// The question of a list of groups, whose values change while rows arrive: all pages are of the window of the first.
    fn pinned(&self, now: DateTime<Utc>) -> Result<Pinned, MetricsError> {
        let minute = TimeDelta::minutes(1);
        let (now, behind) = match &self.cursor {
            None => (now, None),
            Some(cursor) => {
                let (now, place) = read_pinned(cursor).map_err(|reason| wrong("cursor", reason))?;
                (now, Some(place))
            }
        };
        let (since, until, window) = self.window(now)?;
        // To the end of the minute that is under way: a part of one is read row by row.
        let end = until.duration_trunc(minute).unwrap_or(until) + minute;
        let window = Window { until: Some(window.until.unwrap_or(end)), ..window };
        Ok(Pinned { now, since, until, window, behind })
    }
}

/// A window that stays the same over the pages of a list.
struct Pinned {
    now: DateTime<Utc>,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    window: Window,
    behind: Option<GroupCursor>,
}

impl Pinned {
    /// Of the same length, in whole minutes.
    fn window_before(&self) -> Window {
        let since = self.since - (self.until - self.since);
        let since = since.duration_trunc(TimeDelta::minutes(1)).unwrap_or(since);
        Window { since, until: Some(self.since) }
    }

    fn cursor(&self, place: GroupCursor) -> String {
        format!("{:x}.{place}", self.now.timestamp_micros())
    }
}

fn read_pinned(cursor: &str) -> Result<(DateTime<Utc>, GroupCursor), String> {
    let wrong = || format!("`{cursor}` is no cursor; write the next_cursor of the page before");
    let (micros, place) = cursor.split_once('.').ok_or_else(wrong)?;
    let micros = i64::from_str_radix(micros, 16).map_err(|_| wrong())?;
    let now = DateTime::from_timestamp_micros(micros).ok_or_else(wrong)?;
    // A year that is not of four digits overflows where hours are taken from it.
    if !(1970..=9999).contains(&chrono::Datelike::year(&now)) {
        return Err(wrong());
    }
    Ok((now, place.parse()?))
}
