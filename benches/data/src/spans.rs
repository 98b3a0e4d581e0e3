//! Request spans as an exporter sends them: 512 to a batch, in protobuf, packed.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

pub const BATCH: usize = 512;
pub const ENDPOINTS: usize = 200;
/// The time over which spans are spread.
const MINUTES: u64 = 10;

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

/// Numbers that look drawn at random, and are the same each time.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn span(number: u64, count: u64, now: u64) -> Span {
    let random = mixed(number);
    let endpoint = random as usize % ENDPOINTS;
    let duration = 1_000_000 + random % 97 * 350_000 + (random >> 32) % 7 * 12_000_000;
    let end = now - (count - number) * MINUTES * 60_000_000_000 / count;
    let id = [mixed(random).to_be_bytes(), random.to_be_bytes()].concat();
    Span {
        trace_id: id.clone(),
        span_id: id[..8].to_vec(),
        name: format!("GET /api/v1/things{endpoint}/{{id}}"),
        kind: 2,
        start_time_unix_nano: end - duration,
        end_time_unix_nano: end,
        attributes: vec![
            text("http.request.method", "GET"),
            text("url.path", format!("/api/v1/things{endpoint}/{}", random % 100_000)),
            text("url.scheme", "http"),
            text("http.route", format!("/api/v1/things{endpoint}/{{id}}")),
            attribute("http.response.status_code", Value::IntValue(if random % 50 == 0 { 500 } else { 200 })),
            text("server.address", "shop.example.com"),
            attribute("server.port", Value::IntValue(8080)),
            text("client.address", format!("192.0.2.{}", random % 250)),
            text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
            text("network.protocol.version", "1.1"),
            text("user.id", format!("user-{}", random % 5000)),
        ],
        ..Span::default()
    }
}

/// `count` spans that ended in the last minutes, as bodies.
pub fn bodies(count: usize) -> Vec<Vec<u8>> {
    let now =
        SystemTime::now().duration_since(UNIX_EPOCH).map(|now| now.as_nanos() as u64).unwrap_or_default();
    let numbers: Vec<u64> = (0..count as u64).collect();
    let body = |numbers: &[u64]| {
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource {
                    attributes: vec![
                        text("service.name", format!("service-{}", numbers[0] / BATCH as u64 % 5)),
                        text("telemetry.sdk.language", "python"),
                        text("host.name", "web-1"),
                    ],
                    ..Resource::default()
                }),
                scope_spans: vec![ScopeSpans {
                    spans: numbers.iter().map(|number| span(*number, count as u64, now)).collect(),
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&request.encode_to_vec()).and_then(|()| packed.finish()).unwrap_or_default()
    };
    numbers.chunks(BATCH).map(body).collect()
}
