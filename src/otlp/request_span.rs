//! A server span of HTTP as a request. Names of attributes: the stable conventions first, then the ones before them,
//! each attribute by itself, since libraries change over one by one.

use chrono::{DateTime, Utc};
use dogwatch_store::{OPERATION, RequestMetric, SpanKey};

use super::attributes::{Best, Owned, Owners, number, stored, text};
use super::endpoint::{UNMATCHED, template};
use super::message::{Attribute, Span};

/// Methods of RFC 9110 and 5789. Whatever else a client makes up is one.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
const OTHER_METHOD: &str = "_OTHER";

/// What a request's span says.
#[derive(Default)]
struct Http<'a> {
    method: Best<&'a str>,
    route: Option<&'a str>,
    target: Best<&'a str>,
    status: Best<i64>,
    client: Best<&'a str>,
    error_type: Option<&'a str>,
}

impl<'a> Http<'a> {
    fn look(&mut self, attribute: &'a Attribute) {
        let value = attribute.value.as_ref();
        match attribute.key.as_str() {
            "http.request.method" => self.method.offer(0, text(value)),
            "http.method" => self.method.offer(1, text(value)),
            "http.route" => self.route = text(value),
            "url.path" => self.target.offer(0, text(value)),
            "http.target" => self.target.offer(1, text(value)),
            "url.full" => self.target.offer(2, text(value)),
            "http.url" => self.target.offer(3, text(value)),
            "http.response.status_code" => self.status.offer(0, number(value)),
            "http.status_code" => self.status.offer(1, number(value)),
            "client.address" => self.client.offer(0, text(value)),
            "http.client_ip" => self.client.offer(1, text(value)),
            "network.peer.address" => self.client.offer(2, text(value)),
            "net.sock.peer.addr" => self.client.offer(3, text(value)),
            "net.peer.ip" => self.client.offer(4, text(value)),
            "error.type" => self.error_type = text(value),
            _ => {}
        }
    }
}

/// When a span was, as it can be stored.
pub(super) struct Times {
    pub(super) end: DateTime<Utc>,
    pub(super) duration_ms: f64,
}

impl Times {
    /// `None` when the span does not say when it was. A span that ends before it begins took no time.
    pub(super) fn of(span: &Span) -> Option<Self> {
        let (start, end) = (span.start_ns, span.end_ns.max(span.start_ns));
        let nanos = end - if start == 0 { end } else { start };
        let time = DateTime::from_timestamp_nanos(i64::try_from(end).ok()?);
        // Postgres keeps microseconds, and so does what tells spans apart.
        let end = DateTime::from_timestamp_micros(time.timestamp_micros())?;
        Some(Self { end, duration_ms: nanos as f64 / 1e6 })
    }
}

/// The request that a span is about; `None` when it is about something else.
pub(super) fn request<'a>(
    span: &'a Span,
    times: &Times,
    service: &str,
    owners: &Owners,
    mut owned: Owned<'a>,
) -> Option<RequestMetric> {
    let mut http = Http::default();
    for attribute in &span.attributes {
        http.look(attribute);
    }
    let method = http.method.get()?;
    for attribute in &span.attributes {
        owners.look(&mut owned, attribute, false);
    }
    let status = http.status.get().and_then(|status| i16::try_from(status).ok());
    let status_code = status.filter(|status| (100..=599).contains(status));
    let is_client_fault = status_code.is_some_and(|status| (400..500).contains(&status));
    let is_error = status_code.is_some_and(|status| status >= 500) || (span.has_failed && !is_client_fault);
    Some(RequestMetric {
        occurred_at: times.end,
        key: SpanKey::of_span(&span.trace_id, &span.span_id),
        tenant: owned.tenant.get().map(stored),
        service: service.to_owned(),
        endpoint: stored(&endpoint(&http, is_client_fault)),
        method: METHODS
            .iter()
            .find(|known| known.eq_ignore_ascii_case(method))
            .unwrap_or(&OTHER_METHOD)
            .to_string(),
        status_code,
        is_error,
        response_time_ms: times.duration_ms,
        user_id: owned.user.get().map(stored),
        client_address: http.client.get().map(stored),
        trace_id: Some(hex(&span.trace_id)),
        db_query_count: None,
        db_query_time_ms: None,
        cache_hits: None,
        cache_misses: None,
        cpu_percent: None,
        memory_percent: None,
        error: is_error.then(|| error(span, http.error_type)).flatten().map(|error| stored(&error)),
    })
}

/// The attribute of what a service has timed by hand, as `dogwatch-tower` has it.
pub(super) const OPERATION_ATTRIBUTE: &str = "dogwatch.operation";

/// What was timed by hand.
pub(super) fn operation<'a>(
    span: &'a Span,
    times: &Times,
    service: &str,
    owners: &Owners,
    mut owned: Owned<'a>,
) -> Option<RequestMetric> {
    let name = span.attributes.iter().find(|attribute| attribute.key == OPERATION_ATTRIBUTE)?;
    let name = text(name.value.as_ref())?;
    for attribute in &span.attributes {
        owners.look(&mut owned, attribute, false);
    }
    let is_error = span.has_failed;
    Some(RequestMetric {
        occurred_at: times.end,
        key: SpanKey::of_span(&span.trace_id, &span.span_id),
        tenant: owned.tenant.get().map(stored),
        service: service.to_owned(),
        endpoint: stored(name),
        method: OPERATION.to_owned(),
        status_code: None,
        is_error,
        response_time_ms: times.duration_ms,
        user_id: owned.user.get().map(stored),
        client_address: None,
        trace_id: Some(hex(&span.trace_id)),
        db_query_count: None,
        db_query_time_ms: None,
        cache_hits: None,
        cache_misses: None,
        cpu_percent: None,
        memory_percent: None,
        error: is_error.then(|| error(span, None)).flatten().map(|error| stored(&error)),
    })
}

fn endpoint(http: &Http<'_>, is_client_fault: bool) -> String {
    match (http.route, http.target.get()) {
        (Some(route), _) => route.to_owned(),
        // Mostly a crawler that tries what is not there.
        (None, _) if is_client_fault => UNMATCHED.to_owned(),
        (None, Some(target)) => template(target),
        (None, None) => UNMATCHED.to_owned(),
    }
}

/// The exception, if one is told of; else what the span says of its error. Of a message the first line: behind it
/// databases and their libraries write the values that were refused.
fn error(span: &Span, error_type: Option<&str>) -> Option<String> {
    let first_line = |message: &str| message.lines().next().unwrap_or_default().to_owned();
    let exception = of_exception(span, "exception.type").map(|kind| {
        match of_exception(span, "exception.message").map(first_line) {
            Some(message) => format!("{kind}: {message}"),
            None => kind.to_owned(),
        }
    });
    let message = Some(first_line(&span.status_message)).filter(|line| !line.is_empty());
    exception.or(message).or_else(|| error_type.map(str::to_owned))
}

/// What the last exception of a span says.
pub(super) fn of_exception<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    let attribute = span.exception.iter().find(|attribute| attribute.key == key)?;
    text(attribute.value.as_ref())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for half in [byte >> 4, byte & 0xf] {
            text.push(char::from_digit(half.into(), 16).unwrap_or('0'));
        }
        text
    })
}
