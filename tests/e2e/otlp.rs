//! What OpenTelemetry exporters send: read as the specification says, stored once, and refused in its words.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_embedded::{Postgres, PostgresOptions};
use dogwatch_testing::{TestDatabase, eventually};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use reqwest::Response;
use serde_json::{Value, json};
use tonic::codec::CompressionEncoding;
use tonic_types::StatusExt;

use crate::support::{LONG, Place, Process};

#[expect(clippy::disallowed_methods, reason = "the program has the real time too")]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    crate::support::http()
}

/// Attributes in OTLP's JSON.
pub(crate) fn attributes(values: &Value) -> Value {
    let values = values.as_object().unwrap().iter().map(|(key, value)| {
        let value = match value {
            Value::String(text) => json!({"stringValue": text}),
            Value::Bool(flag) => json!({"boolValue": flag}),
            Value::Number(number) => json!({"intValue": number.to_string()}),
            Value::Array(items) => {
                json!({"arrayValue": {"values": items.iter().map(|item| json!({"stringValue": item})).collect::<Vec<_>>()}})
            }
            other => panic!("{other}"),
        };
        json!({"key": key, "value": value})
    });
    values.collect()
}

/// A server span that ended `ago` and took 12.5 ms.
fn span(number: u32, ago: TimeDelta, values: &Value) -> Value {
    let end = (now() - ago).timestamp_nanos_opt().unwrap();
    json!({
        "traceId": format!("{number:032x}"), "spanId": format!("{number:016x}"), "name": "GET", "kind": 2,
        "startTimeUnixNano": (end - 12_500_000).to_string(), "endTimeUnixNano": end.to_string(),
        "attributes": attributes(values),
    })
}

pub(crate) fn request(service: &str, spans: &[Value]) -> Value {
    json!({"resourceSpans": [{
        "resource": {"attributes": attributes(&json!({"service.name": service}))},
        "scopeSpans": [{"scope": {"name": "test"}, "spans": spans}],
    }]})
}

pub(crate) fn protobuf(request: &Value) -> Vec<u8> {
    serde_json::from_value::<ExportTraceServiceRequest>(request.clone()).unwrap().encode_to_vec()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

pub(crate) async fn post(base: &str, kind: &str, encoding: Option<&str>, body: Vec<u8>) -> Response {
    let mut request = client().post(format!("{base}/v1/traces")).header("content-type", kind).body(body);
    if let Some(encoding) = encoding {
        request = request.header("content-encoding", encoding);
    }
    request.send().await.unwrap()
}

pub(crate) async fn start() -> (Place, Process, String) {
    let place = Place::new().await;
    let api = place.start(&["api"]);
    let base = api.api().await;
    (place, api, base)
}

pub(crate) const PROTOBUF: &str = "application/x-protobuf";

#[tokio::test]
async fn stable_and_older_names_are_understood_attribute_by_attribute() {
    let (place, _api, base) = start().await;
    let spans = vec![
        span(
            1,
            TimeDelta::zero(),
            &json!({
                "http.request.method": "GET", "http.route": "/users/{id}", "http.response.status_code": 200,
                "client.address": "192.0.2.7", "user.id": "u1", "http.request.header.x-tenant-id": ["t1", "t2"],
            }),
        ),
        span(
            2,
            TimeDelta::zero(),
            &json!({
                "http.method": "post", "http.target": "/orders/42?token=secret", "http.status_code": 503,
                "net.peer.ip": "192.0.2.8", "enduser.id": "u2", "http.request.header.x_tenant_id": ["t1"],
            }),
        ),
        // Half changed over: the stable name wins, whatever comes first.
        span(
            3,
            TimeDelta::zero(),
            &json!({
                "http.method": "POST", "http.request.method": "GET", "http.status_code": 500,
                "http.response.status_code": 404, "url.path": "/admin.php",
            }),
        ),
        span(4, TimeDelta::zero(), &json!({"http.request.method": "BREW", "url.path": "/"})),
        // Of something else.
        span(5, TimeDelta::zero(), &json!({"rpc.system": "grpc"})),
    ];
    let answer =
        post(&base, "application/json", None, request("shop", &spans).to_string().into_bytes()).await;
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()),
        (200, "application/json")
    );
    let is = async |number: u32, condition: &str| {
        let query = format!(
            "SELECT count(*) FROM performance_metrics WHERE trace_id = '{number:032x}' AND service = 'shop' AND {condition}"
        );
        assert_eq!(place.database().number(&query).await, 1, "{number}: {condition}");
    };
    is(1, "method = 'GET' AND endpoint = '/users/{id}' AND status_code = 200 AND NOT is_error AND tenant = 't1'").await;
    is(1, "user_id = 'u1' AND client_address = '192.0.2.7' AND response_time_ms = 12.5 AND error IS NULL")
        .await;
    is(
        1,
        "db_query_count IS NULL AND db_query_time_ms IS NULL AND cache_hits IS NULL AND cpu_percent IS NULL",
    )
    .await;
    is(
        2,
        "method = 'POST' AND endpoint = '/orders/{id}' AND status_code = 503 AND is_error AND tenant = 't1'",
    )
    .await;
    is(2, "user_id = 'u2' AND client_address = '192.0.2.8'").await;
    is(3, "method = 'GET' AND endpoint = '(unmatched)' AND status_code = 404 AND NOT is_error AND tenant IS NULL").await;
    is(4, "method = '_OTHER' AND endpoint = '/' AND status_code IS NULL AND NOT is_error").await;
    assert_eq!(place.database().number("SELECT count(*) FROM performance_metrics").await, 4);
}

#[tokio::test]
async fn a_request_knows_how_busy_its_host_was() {
    let place = Place::new().await;
    let sample = "SELECT create_day_partition('host_metrics', (now() - interval '1 minute')::date), create_day_partition('host_metrics', now()::date);
         INSERT INTO host_metrics (host, sampled_at, cpu_percent, cpu_count, load1, load5, load15, memory_used_bytes,
                                   memory_total_bytes, swap_used_bytes, swap_total_bytes,
                                   network_received_bytes_per_second, network_sent_bytes_per_second)
         SELECT 'web-1', now() - age, percent, 4, 0, 0, 0, 25, 100, 0, 0, 0, 0
         FROM (VALUES (interval '1 second', 42.0), (interval '20 seconds', 7.0)) AS samples (age, percent)";
    place.database().execute(sample).await;
    let api = place.start(&["api"]);
    let base = api.api().await;
    for (number, host) in [(1, "web-1"), (2, "web-2")] {
        let http = json!({"http.request.method": "GET", "http.route": "/"});
        let mut body = request("shop", &[span(number, TimeDelta::zero(), &http)]);
        body["resourceSpans"][0]["resource"]["attributes"] =
            attributes(&json!({"service.name": "shop", "host.name": host}));
        assert_eq!(post(&base, PROTOBUF, None, protobuf(&body)).await.status(), 200);
    }
    let known = "SELECT count(*) FROM performance_metrics WHERE cpu_percent = 42 AND memory_percent = 25";
    assert_eq!(place.database().number(known).await, 1);
    let unknown =
        "SELECT count(*) FROM performance_metrics WHERE cpu_percent IS NULL AND memory_percent IS NULL";
    assert_eq!(place.database().number(unknown).await, 1);
}

#[tokio::test]
async fn protobuf_json_and_gzip_come_to_the_same_and_what_comes_twice_is_stored_once() {
    let (place, _api, base) = start().await;
    let ask = |number| {
        request(
            "shop",
            &[span(number, TimeDelta::zero(), &json!({"http.request.method": "GET", "http.route": "/"}))],
        )
    };
    let body = ask(1);
    let (binary, text) = (protobuf(&body), body.to_string().into_bytes());
    for (kind, encoding, bytes) in [
        (PROTOBUF, None, binary.clone()),
        (PROTOBUF, Some("gzip"), gzip(&binary)),
        ("application/json; charset=utf-8", None, text.clone()),
        ("application/json", Some("gzip"), gzip(&text)),
        (PROTOBUF, Some("identity"), binary),
        // Nothing is a success too.
        (PROTOBUF, None, Vec::new()),
    ] {
        let answer = post(&base, kind, encoding, bytes).await;
        assert_eq!(answer.status(), 200, "{kind} {encoding:?}");
        assert_eq!(answer.headers()["content-type"], kind.split(';').next().unwrap());
    }
    assert_eq!(place.database().number("SELECT count(*) FROM performance_metrics").await, 1);
    // Python writes what is not there as null.
    let with_null = ask(2).to_string().replacen(r#""scopeSpans":["#, r#""schemaUrl":null,"scopeSpans":["#, 1);
    assert_eq!(post(&base, "application/json", None, with_null.into_bytes()).await.status(), 200);
    assert_eq!(place.database().number("SELECT count(*) FROM performance_metrics").await, 2);
}

#[tokio::test]
async fn grpc_is_taken_at_every_address_packed_or_not() {
    let (place, api, base) = start().await;
    api.says("OpenTelemetry is taken at ").await;
    let log = api.log();
    let (_, own) = log.split_once("OpenTelemetry is taken at ").unwrap();
    let own = own.split_whitespace().next().unwrap().to_owned();
    let http = || json!({"http.request.method": "GET", "http.route": "/"});
    for (number, address) in [(1, base), (2, own.clone())] {
        let mut client = TraceServiceClient::connect(address).await.unwrap();
        if number == 2 {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        let mut old = span(90 + number, TimeDelta::days(30), &http());
        old["kind"] = json!(2);
        let body = request("shop", &[span(number, TimeDelta::zero(), &http()), old]);
        let answer = client.export(serde_json::from_value::<ExportTraceServiceRequest>(body).unwrap()).await;
        assert_eq!(answer.unwrap().into_inner().partial_success.unwrap().rejected_spans, 1);
    }
    assert_eq!(place.database().number("SELECT count(*) FROM performance_metrics").await, 2);
    // Two bytes of it stand for a span each.
    let many = ResourceSpans {
        scope_spans: vec![ScopeSpans { spans: vec![Span::default(); 1 << 18], ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    };
    let mut client = TraceServiceClient::connect(own.clone()).await.unwrap();
    let refused = client.export(ExportTraceServiceRequest { resource_spans: vec![many] }).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused:?}");
    // What the same exporters send beside traces is not kept, and no error.
    for signal in ["metrics", "logs"] {
        let answer = client_of_http(&own, signal).await;
        assert_eq!((answer.status().as_u16(), answer.bytes().await.unwrap().len()), (200, 0));
    }
}

async fn client_of_http(base: &str, signal: &str) -> Response {
    let request = client().post(format!("{base}/v1/{signal}")).header("content-type", PROTOBUF);
    request.body(vec![0x0a, 0x00]).send().await.unwrap()
}

#[tokio::test]
async fn an_exporter_of_grpc_is_told_to_come_again_while_postgres_is_away() {
    let mut place = Place::new().await;
    place.set("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none");
    place.set("DOGWATCH_STORE_ACQUIRE_TIMEOUT", "1s");
    let api = place.start(&["api"]);
    let mut client = TraceServiceClient::connect(api.api().await).await.unwrap();
    let http = json!({"http.request.method": "GET", "http.route": "/"});
    let body = request("shop", &[span(1, TimeDelta::zero(), &http)]);
    let away =
        client.export(serde_json::from_value::<ExportTraceServiceRequest>(body).unwrap()).await.unwrap_err();
    assert_eq!(away.code(), tonic::Code::Unavailable);
    assert_eq!(away.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_secs(5)));
}

#[tokio::test]
async fn what_cannot_be_stored_is_counted_and_the_rest_is_stored() {
    let (place, _api, base) = start().await;
    let http = || json!({"http.request.method": "GET", "http.route": "/"});
    let mut backwards = span(1, TimeDelta::zero(), &http());
    backwards["startTimeUnixNano"] =
        json!((now() + TimeDelta::minutes(1)).timestamp_nanos_opt().unwrap().to_string());
    let mut without_end = span(2, TimeDelta::zero(), &http());
    without_end["endTimeUnixNano"] = json!("0");
    let mut in_1970 = span(3, TimeDelta::zero(), &http());
    (in_1970["startTimeUnixNano"], in_1970["endTimeUnixNano"]) = (json!("0"), json!("0"));
    let mut beyond = span(4, TimeDelta::zero(), &http());
    beyond["endTimeUnixNano"] = json!(u64::MAX.to_string());
    let mut short_id = span(5, TimeDelta::zero(), &http());
    short_id["traceId"] = json!("abcd");
    let century = TimeDelta::days(-27_000);
    let spans = vec![
        backwards,
        without_end,
        in_1970,
        beyond,
        short_id,
        span(6, century, &http()),
        span(7, TimeDelta::days(8), &http()),
    ];
    let answer = post(&base, PROTOBUF, None, protobuf(&request("shop", &spans))).await;
    assert_eq!(answer.status(), 200);
    let answer = ExportTraceServiceResponse::decode(answer.bytes().await.unwrap()).unwrap();
    let partial = answer.partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 5, "{}", partial.error_message);
    assert!(partial.error_message.contains("is not within the last 7 days"), "{}", partial.error_message);
    // A clock that went back makes no negative time.
    let stored = "SELECT count(*) FROM performance_metrics WHERE response_time_ms = 0";
    assert_eq!(place.database().number(stored).await, 2);
}

#[tokio::test]
async fn bad_input_is_refused_in_the_words_of_the_specification_and_harms_nothing() {
    let (place, api, base) = start().await;
    let good = request(
        "shop",
        &[span(1, TimeDelta::zero(), &json!({"http.request.method": "GET", "http.route": "/"}))],
    );
    let binary = protobuf(&good);
    let mut truncated = binary.clone();
    truncated.truncate(binary.len() - 3);
    let zeroes = gzip(&vec![0; 100 << 20]);
    assert!(zeroes.len() < 110_000);
    // Two bytes each stand for a span.
    let empty_spans =
        [&[0x0a, 0x85, 0x80, 0x80, 0x01, 0x12, 0x80, 0x80, 0x80, 0x01][..], &[0x12, 0x00].repeat(1 << 20)]
            .concat();
    for (kind, encoding, body, status, told) in [
        (PROTOBUF, None, truncated, 400, "is no ExportTraceServiceRequest in protobuf"),
        (PROTOBUF, None, b"{}".to_vec(), 400, "is no ExportTraceServiceRequest in protobuf"),
        (
            "application/json",
            None,
            b"{\"resourceSpans\": 7}".to_vec(),
            400,
            "is no ExportTraceServiceRequest in JSON",
        ),
        (
            "application/json",
            None,
            b"{\"resourceSpans\": \"\xff\"}".to_vec(),
            400,
            "is no ExportTraceServiceRequest in JSON",
        ),
        ("text/plain", None, binary.clone(), 415, "send application/x-protobuf or application/json"),
        (PROTOBUF, Some("br"), binary.clone(), 415, "send gzip or none"),
        (PROTOBUF, Some("gzip"), binary.clone(), 400, "the body is no gzip"),
        (PROTOBUF, Some("gzip"), zeroes, 413, "the body is larger than 16777216 bytes, unpacked"),
        (PROTOBUF, None, vec![0; 17 << 20], 413, "the body is larger than 16777216 bytes"),
        (PROTOBUF, None, empty_spans, 413, "send smaller batches"),
        (
            "application/json",
            None,
            format!("{{\"resourceSpans\": [{}]}}", "{},".repeat(1 << 20)).into_bytes(),
            413,
            "send smaller batches",
        ),
        (
            "application/json",
            None,
            "[".repeat(1 << 20).into_bytes(),
            400,
            "is no ExportTraceServiceRequest in JSON",
        ),
    ] {
        let answer = post(&base, kind, encoding, body).await;
        assert_eq!(answer.status().as_u16(), status, "{told}");
        let text = String::from_utf8_lossy(&answer.bytes().await.unwrap()).into_owned();
        assert!(text.contains(told), "{text}");
    }
    // Ten thousand attributes, a route of a megabyte, a zero byte: a bounded row.
    let many: serde_json::Map<_, _> =
        (0..10_000).map(|number| (format!("attribute.{number}"), json!("x"))).collect();
    let mut odd = Value::Object(many);
    odd["http.request.method"] = json!("GET");
    odd["http.route"] = json!(format!("/\u{0}{}", "é".repeat(1 << 19)));
    odd["http.response.status_code"] = json!(99_999);
    let odd = request("shop", &[span(2, TimeDelta::zero(), &odd)]);
    assert_eq!(post(&base, PROTOBUF, Some("gzip"), gzip(&protobuf(&odd))).await.status(), 200);
    let bounded =
        "SELECT count(*) FROM performance_metrics WHERE length(endpoint) < 1000 AND status_code IS NULL";
    assert_eq!(place.database().number(bounded).await, 1);
    assert_eq!(post(&base, PROTOBUF, None, binary).await.status(), 200);
    let memory = std::fs::read_to_string(format!("/proc/{}/status", api.id())).unwrap();
    let peak = memory.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim();
    let peak_kib: u64 = peak.split_whitespace().next().unwrap().parse().unwrap();
    assert!(peak_kib < 400 << 10, "{peak}");
}

#[tokio::test]
async fn each_span_is_stored_once_although_postgres_is_killed_while_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let start = async || Postgres::start(folder.path(), PostgresOptions::default(), &|_| ()).await.unwrap();
    let mut postgres = start().await;
    let database = TestDatabase::on(&postgres.url()).await;
    let mut place = Place::new().await;
    place.set("DATABASE_URL", &database.url());
    place.set("DOGWATCH_STORE_ACQUIRE_TIMEOUT", "1s");
    let api = place.start(&["api"]);
    let base = api.api().await;
    let (refused, stop) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let exporters: Vec<_> = (0..4_u32)
        .map(|exporter| tokio::spawn(export(base.clone(), exporter, Arc::clone(&refused), Arc::clone(&stop))))
        .collect();
    for kill in 1..=2 {
        let before = database.number("SELECT count(*) FROM performance_metrics").await;
        let has_more =
            async || database.number("SELECT count(*) FROM performance_metrics").await > before + 200;
        eventually(LONG, "spans come", has_more).await;
        postgres.kill();
        drop(postgres);
        let is_told = async || refused.load(Ordering::SeqCst) >= kill;
        eventually(LONG, "the exporters are told to come again", is_told).await;
        refused.store(kill, Ordering::SeqCst);
        postgres = start().await;
    }
    stop.store(true, Ordering::SeqCst);
    let mut sent = 0;
    for exporter in exporters {
        sent += i64::from(exporter.await.unwrap());
    }
    assert_eq!(database.number("SELECT count(*) FROM performance_metrics").await, sent);
    let rolled_up = "SELECT coalesce(sum(count), 0)::bigint FROM rollups WHERE resolution = 1440";
    eventually(LONG, "the rollups are there", async || database.number(rolled_up).await == sent).await;
}

/// Sends batches as an exporter does, the same one again when it is told to; says how many spans were acknowledged.
async fn export(base: String, exporter: u32, refused: Arc<AtomicU32>, stop: Arc<AtomicBool>) -> u32 {
    let mut sent = 0;
    while !stop.load(Ordering::SeqCst) {
        let spans = (0..20).map(|index| {
            let values = json!({"http.request.method": "GET", "http.route": format!("/{}", index % 3)});
            span(exporter * 10_000_000 + sent + index, TimeDelta::zero(), &values)
        });
        let body = gzip(&protobuf(&request("shop", &spans.collect::<Vec<_>>())));
        loop {
            let answer = post(&base, PROTOBUF, Some("gzip"), body.clone()).await;
            match answer.status().as_u16() {
                200 => break,
                503 => assert!(answer.headers().contains_key("retry-after")),
                other => panic!("{other}: {}", answer.text().await.unwrap()),
            }
            refused.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        sent += 20;
    }
    sent
}

/// A request and a call of a database, so many times, all of one trace and none the parent of another.
fn one_large_trace(pairs: u32) -> Vec<u8> {
    let spans: Vec<Value> = (0..pairs)
        .flat_map(|number| {
            let of_request = json!({"http.request.method": "GET", "http.response.status_code": 200});
            let server = span(number, TimeDelta::zero(), &of_request);
            let of_call = json!({"db.system.name": "redis", "db.query.text": "GET x"});
            let mut call = span(number + pairs, TimeDelta::zero(), &of_call);
            call["kind"] = json!(3);
            [server, call]
        })
        .map(|mut span| {
            span["traceId"] = json!("4bf92f3577b34da6a3ce929d0e0e4736");
            span
        })
        .collect();
    protobuf(&request("batch", &spans))
}

#[tokio::test]
async fn the_process_answers_while_it_reads_the_largest_traces() {
    let (place, _api, base) = start().await;
    let body = one_large_trace(12_000);
    // As many as fit into the memory for reading.
    let sending: Vec<_> = (0..4)
        .map(|_| {
            let (base, body) = (base.clone(), body.clone());
            tokio::spawn(async move { post(&base, PROTOBUF, None, body).await.status().as_u16() })
        })
        .collect();
    let (http, mut slowest) = (client(), Duration::ZERO);
    while !sending.iter().all(tokio::task::JoinHandle::is_finished) {
        let began = std::time::Instant::now();
        assert_eq!(http.get(format!("{base}/livez")).send().await.unwrap().status(), 200);
        slowest = slowest.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    for sent in sending {
        let status = sent.await.unwrap();
        assert!(status == 200 || status == 429, "{status}");
    }
    // Too many to belong to one request, and stored all the same.
    let database = place.database();
    for table in ["performance_metrics", "database_spans"] {
        assert_eq!(database.number(&format!("SELECT count(*) FROM {table}")).await, 12_000);
    }
}

#[tokio::test]
async fn what_is_refused_is_counted_by_reason_and_logged_with_its_service() {
    let (place, api, base) = start().await;
    let http = json!({"http.request.method": "GET"});
    let ahead = request("shop", &[span(1, TimeDelta::minutes(-6), &http), span(2, TimeDelta::zero(), &http)]);
    let answer: Value =
        post(&base, "application/json", None, ahead.to_string().into_bytes()).await.json().await.unwrap();
    let partial = &answer["partialSuccess"];
    assert_eq!(partial["rejectedSpans"], 1, "{answer}");
    let message = partial["errorMessage"].as_str().unwrap();
    assert!(message.contains("from now: the clock of the sender is ahead"), "{message}");
    assert_eq!(post(&base, "text/plain", None, Vec::new()).await.status(), 415);
    assert_eq!(post(&base, "application/json", None, b"{".to_vec()).await.status(), 400);
    let metrics = crate::support::get(format!("{base}/metrics")).await.unwrap().text().await.unwrap();
    for line in [
        "dogwatch_otlp_spans_rejected_total{reason=\"ahead\"} 1",
        "dogwatch_otlp_requests_refused_total{reason=\"unsupported\"} 1",
        "dogwatch_otlp_requests_refused_total{reason=\"unreadable\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    api.says("spans of `shop` are rejected: a span ends at ").await;
    // For people: on the dashboard, and by `doctor`.
    let refused = format!("{base}/api/v1/performance/services/refusals");
    let is_kept = async || {
        let list: Value = crate::support::get(&refused).await.unwrap().json().await.unwrap();
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|item| item["service"] == "shop" && item["reason"] == "ahead")
    };
    eventually(LONG, "the refusal is kept", is_kept).await;
    let findings = String::from_utf8(place.run(&["doctor", "--json"]).stdout).unwrap();
    assert!(
        findings.contains("shop: ") && findings.contains("the clock of the sender is ahead"),
        "{findings}"
    );
    let logs = client().post(format!("{base}/v1/logs")).header("content-type", "application/json").body("{}");
    assert_eq!(logs.send().await.unwrap().status(), 200);
    let metrics = crate::support::get(format!("{base}/metrics")).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("dogwatch_otlp_requests_refused_total{reason=\"ignored_kind\"} 1"), "{metrics}");
    api.says("exports are refused: ").await;
}
