//! What is told of: requests and operations, with the queries that were made for them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, Method, StatusCode};

/// Queries of one request that are told of. A request that makes more has told enough.
const MAX_QUERIES: usize = 1_000;

/// When something began, by the clock on the wall and by the one that only goes forward.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Began {
    pub(crate) at: SystemTime,
    instant: Instant,
}

impl Began {
    #[expect(clippy::disallowed_methods, reason = "nothing is decided by it: the time is told as it is")]
    pub(crate) fn now() -> Self {
        Self { at: SystemTime::now(), instant: Instant::now() }
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.instant.elapsed()
    }
}

/// Ids by which all that belongs together is told as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) trace: u128,
    pub(crate) span: u64,
    pub(crate) parent: Option<u64>,
}

impl Ids {
    /// Those of the `traceparent` header (W3C Trace Context) as parent, or of a new trace.
    pub(crate) fn of_headers(headers: &HeaderMap) -> Self {
        let parent = headers.get("traceparent").and_then(|value| parse(value.to_str().ok()?));
        match parent {
            Some((trace, parent)) => Self { trace, span: random(), parent: Some(parent) },
            None => Self::root(),
        }
    }

    pub(crate) fn root() -> Self {
        Self { trace: rand::random::<u128>().max(1), span: random(), parent: None }
    }

    pub(crate) fn child(self) -> Self {
        Self { trace: self.trace, span: random(), parent: Some(self.span) }
    }
}

/// Zero is no id.
fn random() -> u64 {
    rand::random::<u64>().max(1)
}

/// `00-<trace>-<span>-<flags>`
fn parse(header: &str) -> Option<(u128, u64)> {
    let mut parts = header.split('-');
    let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if version.len() != 2 || trace.len() != 32 || span.len() != 16 || !is_hex(trace) || !is_hex(span) {
        return None;
    }
    let ids = (u128::from_str_radix(trace, 16).ok()?, u64::from_str_radix(span, 16).ok()?);
    (version != "ff" && ids.0 != 0 && ids.1 != 0).then_some(ids)
}

/// A query.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) ids: Ids,
    pub(crate) system: &'static str,
    pub(crate) text: String,
    pub(crate) ended_at: SystemTime,
    pub(crate) took: Duration,
    pub(crate) rows: Option<u64>,
}

/// What is under way, and what it has asked databases so far.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) ids: Ids,
    queries: Mutex<Vec<Query>>,
}

impl Scope {
    pub(crate) fn new(ids: Ids) -> Self {
        Self { ids, queries: Mutex::default() }
    }

    pub(crate) fn add(&self, query: Query) {
        let mut queries = self.queries.lock().unwrap_or_else(PoisonError::into_inner);
        if queries.len() < MAX_QUERIES {
            queries.push(query);
        }
    }

    pub(crate) fn take_queries(&self) -> Vec<Query> {
        std::mem::take(&mut *self.queries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a record is about.
#[derive(Debug)]
pub(crate) enum What {
    Request(Box<Answered>),
    Operation(String),
    /// A query outside of both.
    Query,
}

/// A request.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) method: Method,
    /// The route, or the path of a request that has none.
    pub(crate) route: Result<String, String>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) client: Option<String>,
    /// Headers that are told of.
    pub(crate) headers: Vec<(http::HeaderName, String)>,
}

/// Something that has ended.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) what: What,
    pub(crate) ids: Ids,
    pub(crate) began_at: SystemTime,
    pub(crate) took: Duration,
    /// It failed, in these words.
    pub(crate) error: Option<String>,
    pub(crate) queries: Vec<Query>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_gone_on_with_when_its_header_is_right() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(parse(good), Some((0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7)));
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
