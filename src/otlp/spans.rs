//! What each span of a body is about: a request that a service has answered, a call of a database, or nothing of ours.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_runtime::duration;
use dogwatch_store::{DatabaseCall, RequestMetric};
use xxhash_rust::xxh32::xxh32;

use super::attributes::{Owned, Owners, stored, text};
use super::database_span::call;
use super::hosts::{Samples, near};
use super::message::{Resource, Span, Traces, kind};
use super::refusals::{Rejection, SpanReason};
use super::request_span::{OPERATION_ATTRIBUTE, Times, operation, request};

/// How far a sender's clock may be ahead.
const MAX_AHEAD: TimeDelta = TimeDelta::minutes(5);
/// How old a span may be. Each day needs a partition.
const MAX_AGE: TimeDelta = TimeDelta::days(7);
/// Longer than this takes no request and no call of a database: its start is wrong.
const LONGEST_MS: f64 = 7.0 * 86_400_000.0;
/// Reasons of one service that are looked through.
const REASONS: usize = 5;
/// The name of a service that does not tell its own, as the specification has it.
const UNKNOWN_SERVICE: &str = "unknown_service";

/// Services and the versions that they tell, and when the first of its spans ended.
pub(super) type Versions = BTreeMap<(String, String), DateTime<Utc>>;

/// What a body holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) requests: Vec<RequestMetric>,
    pub(super) calls: Vec<DatabaseCall>,
    pub(super) versions: Versions,
    /// Spans that are ours and cannot be stored.
    pub(super) rejected: i64,
    /// Why not the first of them.
    pub(super) reason: String,
    /// The same by service and reason.
    pub(super) rejections: Vec<Rejection>,
}

impl Found {
    /// A key of a tenant tells of that one, whatever its spans say.
    pub(super) fn belong_to(&mut self, tenant: &str) {
        // Which version of a service is out is not a tenant's to say.
        self.versions.clear();
        let of_requests = self.requests.iter_mut().map(|request| &mut request.tenant);
        for of_span in of_requests.chain(self.calls.iter_mut().map(|call| &mut call.tenant)) {
            *of_span = Some(tenant.to_owned());
        }
    }

    fn reject(&mut self, service: &str, reason: SpanReason, message: impl FnOnce() -> String) {
        self.rejected += 1;
        let same = |known: &&mut Rejection| known.reason == reason && known.service == service;
        // The last ones are of the same service.
        if let Some(known) = self.rejections.iter_mut().rev().take(REASONS).find(same) {
            known.spans += 1;
            return;
        }
        let message = message();
        if self.reason.is_empty() {
            self.reason.clone_from(&message);
        }
        self.rejections.push(Rejection { service: service.to_owned(), reason, spans: 1, message });
    }
}

pub(super) fn sort(traces: &Traces, owners: &Owners, samples: &Samples, now: DateTime<Utc>) -> Found {
    let mut found = Found { rejected: traces.unreadable, reason: traces.reason.clone(), ..Found::default() };
    for resource in &traces.resources {
        let service = service(resource);
        let mut owned = Owned::default();
        for attribute in &resource.attributes {
            owners.look(&mut owned, attribute, true);
        }
        let (first, first_call) = (found.requests.len(), found.calls.len());
        for scope in &resource.scopes {
            // The same for all that a library tells of.
            let scope_key = xxh32(scope.name.as_bytes(), 0).cast_signed();
            for span in &scope.spans {
                look(&mut found, span, scope_key, &service, owners, owned, now);
            }
        }
        let host = of_resource(resource, "host.name");
        for request in &mut found.requests[first..] {
            let sample = near(samples, host, request.occurred_at);
            request.cpu_percent = sample.map(|sample| sample.cpu_percent);
            request.memory_percent = sample.map(|sample| sample.memory_percent);
        }
        let requests = found.requests[first..].iter().map(|request| request.occurred_at);
        let seen_at = requests.chain(found.calls[first_call..].iter().map(|call| call.occurred_at)).min();
        if let Some((version, seen_at)) = of_resource(resource, "service.version").zip(seen_at) {
            let known = found.versions.entry((service, stored(version))).or_insert(seen_at);
            *known = seen_at.min(*known);
        }
    }
    found
}

fn look<'a>(
    found: &mut Found,
    span: &'a Span,
    scope_key: i32,
    service: &str,
    owners: &Owners,
    owned: Owned<'a>,
    now: DateTime<Utc>,
) {
    let Some(about) = about(span) else { return };
    if span.trace_id.len() != 16 || span.span_id.len() != 8 {
        return found.reject(service, SpanReason::BadId, || {
            format!(
                "a trace id has {} bytes and not 16, or a span id {} and not 8",
                span.trace_id.len(),
                span.span_id.len()
            )
        });
    }
    let Some(times) = Times::of(span).filter(|times| times.end >= now - MAX_AGE) else {
        return found.reject(service, SpanReason::TooOld, || {
            format!("a span ends {}, which is not within the last 7 days", end_of(span))
        });
    };
    if times.end > now + MAX_AHEAD {
        return found.reject(service, SpanReason::Ahead, || {
            let ahead = duration::format_rounded(times.end - now);
            format!("a span ends {}, {ahead} from now: the clock of the sender is ahead", end_of(span))
        });
    }
    if times.duration_ms > LONGEST_MS {
        return found.reject(service, SpanReason::TooLong, || {
            let days = times.duration_ms / 86_400_000.0;
            format!("a span took {days:.0} days, and 7 are the most: look at its start time")
        });
    }
    match about {
        About::Request => found.requests.extend(request(span, &times, service, owners, owned)),
        About::Operation => found.requests.extend(operation(span, &times, service, owners, owned)),
        About::Call => found.calls.extend(call(span, &times, scope_key, service, owners, owned)),
    }
}

fn end_of(span: &Span) -> String {
    let end = i64::try_from(span.end_ns).map(DateTime::from_timestamp_nanos);
    end.map_or_else(|_| "after the year 2262".to_owned(), |end| format!("at {}", end.to_rfc3339()))
}

/// What a span may be about.
#[derive(Clone, Copy)]
enum About {
    Request,
    /// Something that was timed by hand.
    Operation,
    /// Of a database.
    Call,
}

fn about(span: &Span) -> Option<About> {
    let is = |kind: u64| span.kind == kind;
    let has = |key: fn(&str) -> bool| span.attributes.iter().any(|attribute| key(&attribute.key));
    if is(kind::SERVER) {
        Some(About::Request)
    } else if is(kind::INTERNAL) && has(|key| key == OPERATION_ATTRIBUTE) {
        Some(About::Operation)
    } else {
        // A database inside the process has internal spans.
        let may_be_call = is(kind::CLIENT) || is(kind::INTERNAL);
        (may_be_call && has(|key| key.starts_with("db.system"))).then_some(About::Call)
    }
}

fn service(resource: &Resource) -> String {
    stored(of_resource(resource, "service.name").unwrap_or(UNKNOWN_SERVICE))
}

fn of_resource<'a>(resource: &'a Resource, key: &str) -> Option<&'a str> {
    let attribute = resource.attributes.iter().find(|attribute| attribute.key == key)?;
    text(attribute.value.as_ref())
}
