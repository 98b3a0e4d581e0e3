//! Records in OpenTelemetry's words.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value,
};
use opentelemetry_proto::tonic::resource::v1 as proto;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use crate::record::{Answered, Ids, Query, Record, What};

/// The attribute by which Dogwatch knows what was timed by hand.
const OPERATION: &str = "dogwatch.operation";

/// Who tells.
#[derive(Clone, Debug)]
pub(crate) struct Resource(proto::Resource);

impl Resource {
    pub(crate) fn new(service: &str, version: Option<&str>, host: Option<&str>) -> Self {
        let known = [
            ("service.name", Some(service)),
            ("service.version", version),
            ("host.name", host),
            ("telemetry.sdk.language", Some("rust")),
            ("telemetry.sdk.name", Some(env!("CARGO_PKG_NAME"))),
            ("telemetry.sdk.version", Some(env!("CARGO_PKG_VERSION"))),
        ];
        let attributes = known.into_iter().filter_map(|(key, value)| Some(text(key, value?))).collect();
        Self(proto::Resource { attributes, ..proto::Resource::default() })
    }
}

pub(crate) fn request(resource: &Resource, records: Vec<Record>) -> ExportTraceServiceRequest {
    let scope = InstrumentationScope {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_spans = ScopeSpans {
        scope: Some(scope),
        spans: records.into_iter().flat_map(spans).collect(),
        ..ScopeSpans::default()
    };
    let resource_spans = ResourceSpans {
        resource: Some(resource.0.clone()),
        scope_spans: vec![scope_spans],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
}

/// The queries end before what they were made for.
fn spans(record: Record) -> Vec<Span> {
    let Record { what, ids, began_at, took, error, queries } = record;
    let mut spans: Vec<Span> = queries.iter().map(query).collect();
    let (name, kind, mut attributes) = match what {
        What::Query => return spans,
        What::Request(answered) => (answered.method.to_string(), SpanKind::Server, of_request(*answered)),
        What::Operation(name) => (name.clone(), SpanKind::Internal, vec![text(OPERATION, &name)]),
    };
    let start = nanos(began_at);
    attributes.extend(error.as_deref().map(|error| text("error.type", error)));
    spans.push(Span {
        name,
        kind: kind.into(),
        start_time_unix_nano: start,
        end_time_unix_nano: start.saturating_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)),
        attributes,
        status: error.map(|message| Status { message, code: StatusCode::Error.into() }),
        ..with_ids(ids)
    });
    spans
}

fn of_request(answered: Answered) -> Vec<KeyValue> {
    let mut attributes = vec![text("http.request.method", answered.method.as_str())];
    attributes.push(match answered.route {
        Ok(route) => text("http.route", &route),
        Err(path) => text("url.path", &path),
    });
    attributes.extend(answered.status.map(|code| number("http.response.status_code", code.as_u16().into())));
    attributes.extend(answered.client.map(|client| text("client.address", &client)));
    attributes.extend(answered.headers.into_iter().map(|(name, value)| {
        let values = ArrayValue { values: vec![string(&value)] };
        let key = format!("http.request.header.{name}");
        KeyValue {
            key,
            value: Some(AnyValue { value: Some(any_value::Value::ArrayValue(values)) }),
            ..KeyValue::default()
        }
    }));
    attributes
}

fn query(query: &Query) -> Span {
    let mut attributes = vec![text("db.system.name", query.system), text("db.query.text", &query.text)];
    let rows = query.rows.and_then(|rows| i64::try_from(rows).ok());
    attributes.extend(rows.map(|rows| number("db.response.returned_rows", rows)));
    let end = nanos(query.ended_at);
    Span {
        name: query.text.split_whitespace().next().unwrap_or("query").to_owned(),
        kind: SpanKind::Client.into(),
        start_time_unix_nano: end.saturating_sub(u64::try_from(query.took.as_nanos()).unwrap_or(u64::MAX)),
        end_time_unix_nano: end,
        attributes,
        ..with_ids(query.ids)
    }
}

fn with_ids(ids: Ids) -> Span {
    Span {
        trace_id: ids.trace.to_be_bytes().to_vec(),
        span_id: ids.span.to_be_bytes().to_vec(),
        parent_span_id: ids.parent.map(|parent| parent.to_be_bytes().to_vec()).unwrap_or_default(),
        ..Span::default()
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn string(value: &str) -> AnyValue {
    AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) }
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(string(value)), ..KeyValue::default() }
}

fn number(key: &str, value: i64) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::IntValue(value)) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}
