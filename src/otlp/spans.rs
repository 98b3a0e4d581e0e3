//! What each span of a body is about: a request that a service has answered, a call of a database, or nothing of ours.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_store::{DatabaseCall, RequestMetric};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span, span::SpanKind};
use xxhash_rust::xxh32::xxh32;

use super::attributes::{Owned, Owners, stored, text};
use super::database_span::call;
use super::hosts::{Samples, near};
use super::request_span::{OPERATION_ATTRIBUTE, Times, operation, request};

/// How far a sender's clock may be ahead.
const MAX_AHEAD: TimeDelta = TimeDelta::minutes(5);
/// How old a span may be. Each day needs a partition.
const MAX_AGE: TimeDelta = TimeDelta::days(7);
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

    fn reject(&mut self, reason: impl FnOnce() -> String) {
        if self.rejected == 0 {
            self.reason = reason();
        }
        self.rejected += 1;
    }
}

pub(super) fn sort(
    traces: &ExportTraceServiceRequest,
    owners: &Owners,
    samples: &Samples,
    now: DateTime<Utc>,
) -> Found {
    let mut found = Found::default();
    for resource_spans in &traces.resource_spans {
        let resource = resource_spans.resource.as_ref();
        let service = service(resource);
        let mut owned = Owned::default();
        for attribute in resource.map(|resource| &resource.attributes[..]).unwrap_or_default() {
            owners.look(&mut owned, attribute, true);
        }
        let (first, first_call) = (found.requests.len(), found.calls.len());
        for scope_spans in &resource_spans.scope_spans {
            let scope_key = scope_key(scope_spans);
            for span in &scope_spans.spans {
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
        return found.reject(|| {
            format!(
                "a trace id has {} bytes and not 16, or a span id {} and not 8",
                span.trace_id.len(),
                span.span_id.len()
            )
        });
    }
    let Some(times) =
        Times::of(span).filter(|times| times.end <= now + MAX_AHEAD && times.end >= now - MAX_AGE)
    else {
        return found.reject(|| {
            format!(
                "a span ends at {} ns after 1970, which is not within the last 7 days; it is {} here",
                span.end_time_unix_nano,
                now.to_rfc3339()
            )
        });
    };
    match about {
        About::Request => found.requests.extend(request(span, &times, service, owners, owned)),
        About::Operation => found.requests.extend(operation(span, &times, service, owners, owned)),
        About::Call => found.calls.extend(call(span, &times, scope_key, service, owners, owned)),
    }
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
    let is = |kind: SpanKind| span.kind == kind as i32;
    let has = |key: fn(&str) -> bool| span.attributes.iter().any(|attribute| key(&attribute.key));
    if is(SpanKind::Server) {
        Some(About::Request)
    } else if is(SpanKind::Internal) && has(|key| key == OPERATION_ATTRIBUTE) {
        Some(About::Operation)
    } else {
        // A database inside the process has internal spans.
        let may_be_call = is(SpanKind::Client) || is(SpanKind::Internal);
        (may_be_call && has(|key| key.starts_with("db.system"))).then_some(About::Call)
    }
}

/// What is the same for all that a library tells of.
fn scope_key(scope_spans: &ScopeSpans) -> i32 {
    let name = scope_spans.scope.as_ref().map_or("", |scope| scope.name.as_str());
    xxh32(name.as_bytes(), 0).cast_signed()
}

fn service(resource: Option<&Resource>) -> String {
    stored(of_resource(resource, "service.name").unwrap_or(UNKNOWN_SERVICE))
}

fn of_resource<'a>(resource: Option<&'a Resource>, key: &str) -> Option<&'a str> {
    let attribute = resource?.attributes.iter().find(|attribute| attribute.key == key)?;
    text(attribute.value.as_ref())
}
