//! Hostile senders, each of one kind. They have a key with the scopes `ingest` and `alerts`, or none.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::honest::{now_ns, of_service, span};
use super::subject::Subject;

/// A kind of attack.
pub(super) struct Attack {
    pub(super) name: &'static str,
    kind: Kind,
    /// Between two of them.
    pause: Duration,
}

#[derive(Clone, Copy)]
enum Kind {
    IdleSockets,
    SlowHeaders,
    LargeHeaders,
    Bomb,
    LargeTrace,
    OddValues,
    HugeNumbers,
    WrongClocks,
    NewNames,
    Alerts,
    ControlCharacters,
    WrongKeys,
    ClaimedIds,
}

const fn attack(name: &'static str, kind: Kind, pause_ms: u64) -> Attack {
    Attack { name, kind, pause: Duration::from_millis(pause_ms) }
}

pub(super) const ALL: [Attack; 13] = [
    attack("idle sockets", Kind::IdleSockets, 100),
    attack("slow headers", Kind::SlowHeaders, 100),
    attack("large headers", Kind::LargeHeaders, 1000),
    attack("bombs", Kind::Bomb, 2000),
    attack("large traces", Kind::LargeTrace, 5000),
    attack("odd values", Kind::OddValues, 200),
    attack("huge numbers", Kind::HugeNumbers, 500),
    attack("wrong clocks", Kind::WrongClocks, 500),
    attack("new names", Kind::NewNames, 1000),
    attack("alerts", Kind::Alerts, 500),
    attack("control characters", Kind::ControlCharacters, 500),
    attack("wrong keys", Kind::WrongKeys, 50),
    attack("claimed ids", Kind::ClaimedIds, 500),
];

/// Sockets that one attack holds.
const SOCKETS: usize = 200;
const HELD: Duration = Duration::from_secs(30);

/// Repeats an attack until `stop`. Returns how often each answer came.
pub(super) async fn repeat(attack: &Attack, subject: Arc<Subject>, stop: CancellationToken) -> String {
    let mut answers: BTreeMap<String, u64> = BTreeMap::new();
    while let Some(answer) = stop.run_until_cancelled(once(attack.kind, &subject)).await {
        *answers.entry(answer).or_default() += 1;
        stop.run_until_cancelled(tokio::time::sleep(attack.pause)).await;
    }
    answers.iter().map(|(answer, count)| format!("{count} × {answer}")).collect::<Vec<_>>().join(", ")
}

async fn once(kind: Kind, subject: &Subject) -> String {
    match kind {
        Kind::IdleSockets => hold(subject, b"").await,
        Kind::SlowHeaders => hold(subject, b"GET /livez HTTP/1.1\r\nhost: x\r\nx-slow: ").await,
        Kind::LargeHeaders => {
            let mut header = b"GET /livez HTTP/1.1\r\nhost: x\r\nx-large: ".to_vec();
            header.resize(400 * 1024, b'a');
            hold(subject, &header).await
        }
        Kind::Bomb => traces(subject, gzip(&bomb())).await,
        Kind::LargeTrace => traces(subject, gzip(large_trace().to_string().as_bytes())).await,
        Kind::OddValues => traces(subject, gzip(odd_values().as_bytes())).await,
        Kind::HugeNumbers => post(subject, "performance/metrics", &huge_numbers()).await,
        Kind::WrongClocks => traces(subject, gzip(wrong_clocks().to_string().as_bytes())).await,
        Kind::NewNames => post(subject, "performance/metrics", &new_names()).await,
        Kind::Alerts => post(subject, "performance/alerts", &alerts()).await,
        Kind::ControlCharacters => post(subject, "performance/metrics", &control_characters()).await,
        Kind::WrongKeys => {
            let request = subject.http.post(subject.api_url("performance/metrics"));
            answer(request.bearer_auth(format!("dw_{:x}", rand::random::<u128>())).json(&json!([]))).await
        }
        Kind::ClaimedIds => {
            let jobs = json!({"job": "check_service_health", "id": "x".repeat(200), "args": [1]});
            post(subject, "jobs", &jobs).await
        }
    }
}

/// Opens sockets, sends this on each and holds them.
async fn hold(subject: &Subject, beginning: &[u8]) -> String {
    let mut held = Vec::new();
    for n in 0..SOCKETS {
        let address = if n % 2 == 0 { subject.api() } else { subject.otlp() };
        let Ok(Ok(mut stream)) =
            tokio::time::timeout(Duration::from_secs(5), TcpStream::connect(address)).await
        else {
            break;
        };
        // The other side may have closed it already.
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.write_all(beginning)).await;
        held.push(stream);
    }
    tokio::time::sleep(HELD).await;
    let mut closed = 0;
    for stream in &held {
        let mut byte = [0];
        closed += usize::from(
            !matches!(stream.try_read(&mut byte), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock),
        );
    }
    format!(
        "held for {} s{}",
        HELD.as_secs(),
        if closed == held.len() { ", all closed" } else { ", some still open" }
    )
}

async fn answer(request: reqwest::RequestBuilder) -> String {
    match request.send().await {
        Ok(answer) => answer.status().as_u16().to_string(),
        Err(_) => "no answer".to_owned(),
    }
}

async fn traces(subject: &Subject, body: Vec<u8>) -> String {
    let request = subject.http.post(subject.traces_url()).bearer_auth(&subject.hostile_key);
    answer(request.header("content-type", "application/json").header("content-encoding", "gzip").body(body))
        .await
}

async fn post(subject: &Subject, path: &str, body: &Value) -> String {
    answer(subject.http.post(subject.api_url(path)).bearer_auth(&subject.hostile_key).json(body)).await
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing into a vector cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// Fifteen MiB of empty values.
fn bomb() -> Vec<u8> {
    let mut text =
        br#"{"resourceSpans":[{"resource":{"attributes":[{"key":"k","value":{"arrayValue":{"values":["#
            .to_vec();
    while text.len() < 15 * 1024 * 1024 {
        text.extend_from_slice(b"{},{},{},{},{},{},{},{},");
    }
    text.extend_from_slice(b"{}]}}}]}}]}");
    text
}

/// Requests and database calls of one trace, none of which is the parent of another.
fn large_trace() -> Value {
    let trace = format!("{:032x}", rand::random::<u128>());
    let spans: Vec<Value> = (0..14_000)
        .map(|n| {
            let mut span = span(200, Duration::from_millis(20), now_ns());
            span["traceId"] = json!(trace);
            if n % 2 == 0 {
                span["kind"] = json!(3);
                span["attributes"] = json!([
                    {"key": "db.system.name", "value": {"stringValue": "redis"}},
                    {"key": "db.query.text", "value": {"stringValue": "GET x"}},
                ]);
            }
            span
        })
        .collect();
    of_service("hostile", &spans)
}

fn odd_values() -> String {
    let mut one = span(200, Duration::from_millis(20), now_ns());
    one["attributes"] = json!([
        {"key": "a", "value": {"arrayValue": {}}},
        {"key": "b", "value": {"kvlistValue": {}}},
        {"key": "c", "value": {"doubleValue": "NaN"}},
        {"key": "d", "value": {"intValue": "99999999999999999999"}},
        {"key": "e", "value": {"arrayValue": {"values": [null]}}},
        {"key": "f", "value": {"stringValue": "SURROGATE"}},
        {"key": "http.response.status_code", "value": {"stringValue": "many"}},
    ]);
    of_service("hostile", &[one]).to_string().replace("SURROGATE", "\\ud83d")
}

fn metric(service: &str, endpoint: &str) -> Value {
    json!({"service": service, "endpoint": endpoint, "method": "GET", "status_code": 200, "response_time_ms": 1.0})
}

fn huge_numbers() -> Value {
    let mut metrics = Vec::new();
    for value in [1e200, 1e-170, 1.7e308, -1.0, 0.0] {
        for field in ["response_time_ms", "db_query_time_ms", "db_query_count"] {
            let mut metric = metric("hostile", "/");
            metric[field] = json!(value);
            metrics.push(metric);
        }
    }
    let number = rand::random_range(0..metrics.len());
    metrics.swap_remove(number)
}

fn wrong_clocks() -> Value {
    let day = Duration::from_hours(24).as_nanos();
    let spans =
        [now_ns() + 400 * day, now_ns() + day / 24, 0, now_ns() - 50 * 365 * day, u128::from(u64::MAX)]
            .map(|end| span(200, Duration::from_millis(20), end));
    let mut long = span(200, Duration::ZERO, now_ns());
    long["startTimeUnixNano"] = json!("0");
    of_service("hostile", &[&spans[..], &[long]].concat())
}

fn new_names() -> Value {
    let metrics: Vec<Value> = (0..100)
        .map(|_| {
            metric(&format!("hostile-{:x}", rand::random::<u32>()), &format!("/{:x}", rand::random::<u64>()))
        })
        .collect();
    json!(metrics)
}

fn alerts() -> Value {
    // One in four requests forges an alert of a rule, which would mute others.
    let alert_type = match rand::random::<u32>() % 8 {
        0 => "service_health",
        1 => "schedule_overdue",
        _ => "custom",
    };
    let alerts: Vec<Value> = (0..100)
        .map(|n| {
            let service = format!("hostile-{:x}", rand::random::<u32>());
            // Most are as bad as can be; some come and go.
            let (service, status) = match n % 4 {
                0 => ("honest-failing-0".to_owned(), "active"),
                1 => ("comes-and-goes".to_owned(), if rand::random() { "active" } else { "resolved" }),
                _ => (service, "active"),
            };
            json!({"alert_type": alert_type, "service": service, "severity": "critical", "status": status})
        })
        .collect();
    json!(alerts)
}

fn control_characters() -> Value {
    metric("hostile\u{1b}]0;title\u{7}", "/\u{202e}gnp.exe\r\n\u{1b}[2J<!channel>")
}
