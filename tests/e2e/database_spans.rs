//! What spans of database clients come to: counted into their request, wherever it comes, grouped by query, without a
//! literal.

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_testing::eventually;
use serde_json::{Value, json};

use crate::otlp::{PROTOBUF, attributes, now, post, protobuf, request, start};
use crate::support::{LONG, Place};

/// A span of a trace that lasted from one millisecond after `start` to another.
pub(crate) struct Spans {
    trace: u32,
    start: DateTime<Utc>,
}

impl Spans {
    pub(crate) fn new(trace: u32) -> Self {
        Self { trace, start: now() - TimeDelta::seconds(3) }
    }

    fn span(&self, kind: u8, span: u32, parent: u32, from_ms: i64, to_ms: i64, values: &Value) -> Value {
        let nanos =
            |ms| (self.start + TimeDelta::milliseconds(ms)).timestamp_nanos_opt().unwrap().to_string();
        json!({
            "traceId": format!("{:032x}", self.trace), "spanId": format!("{span:016x}"),
            "parentSpanId": if parent == 0 { String::new() } else { format!("{parent:016x}") }, "name": "x",
            "kind": kind, "startTimeUnixNano": nanos(from_ms), "endTimeUnixNano": nanos(to_ms),
            "attributes": attributes(values),
        })
    }

    pub(crate) fn server(&self, span: u32, from_ms: i64, to_ms: i64, route: &str) -> Value {
        let values = json!({"http.request.method": "GET", "http.route": route, "http.response.status_code": 200,
                            "tenant.id": "t1"});
        self.span(2, span, 0, from_ms, to_ms, &values)
    }

    pub(crate) fn query(&self, span: u32, parent: u32, from_ms: i64, to_ms: i64, text: &str) -> Value {
        let values = json!({"db.system.name": "postgresql", "db.query.text": text});
        self.span(3, span, parent, from_ms, to_ms, &values)
    }
}

pub(crate) async fn send(base: &str, spans: &[Value]) {
    let answer = post(base, PROTOBUF, None, protobuf(&request("shop", spans))).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
}

async fn queries(base: &str, filter: &str) -> Vec<Value> {
    let url = format!("{base}/api/v1/performance/metrics/slow-queries?{filter}");
    let answer: Value = crate::support::get(url).await.unwrap().json().await.unwrap();
    answer["items"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
}

async fn calls(base: &str, filter: &str) -> i64 {
    queries(base, filter).await.iter().map(|query| query["calls"].as_i64().unwrap()).sum()
}

/// The rollups of queries are what the spans say.
async fn is_rolled_up(place: &Place) -> bool {
    let differences = "SELECT count(*) FROM (
        SELECT series_id, bucket, count, errors, sum_ms::numeric(20, 6) FROM rollups
        WHERE resolution = 1 AND subject = 'query'
        EXCEPT SELECT series_id, date_trunc('minute', occurred_at), count(*), count(*) FILTER (WHERE is_error),
                      sum(duration_ms)::numeric(20, 6)
        FROM database_spans WHERE NOT is_nested GROUP BY 1, 2) AS different";
    place.database().number(differences).await == 0
        && place.database().number("SELECT count(*) FROM rollup_backlog").await == 0
}

#[tokio::test]
async fn calls_are_counted_into_their_request_once_and_grouped_without_literals() {
    let (place, _api, base) = start().await;
    let trace = Spans::new(1);
    let secret = "SELECT * FROM users WHERE email = 'bob@example.com' AND pin = 4711";
    let redis = |hit| json!({"db.system": "redis", "db.statement": "GET ?", "cache.hit": hit});
    let mut spans = vec![
        // A library and the driver below it, which speaks the older names.
        trace.query(2, 1, 10, 200, secret),
        trace.span(3, 3, 2, 11, 199, &json!({"db.system": "postgresql", "db.statement": secret})),
        trace.query(4, 1, 210, 215, "INSERT INTO orders (user_id, total) VALUES (1, 9.99), (2, 3.50)"),
        trace.span(3, 5, 1, 220, 221, &redis(true)),
        trace.span(3, 6, 1, 222, 223, &redis(false)),
        // Opened connections are no queries.
        trace.span(3, 7, 1, 1, 2, &json!({"db.system": "postgresql", "db.name": "shop"})),
        trace.span(
            3,
            8,
            1,
            230,
            240,
            &json!({"db.system": "mongodb", "db.operation": "find", "db.mongodb.collection": "carts",
                    "db.statement": "{\"email\": \"bob@example.com\"}"}),
        ),
        trace.server(1, 0, 500, "/checkout"),
    ];
    // Each line of the cart asks for its product.
    spans.extend((0..6).map(|line| {
        let text = format!("SELECT * FROM products WHERE id = {line}");
        trace.query(20 + line, 1, 300 + i64::from(line) * 10, 305 + i64::from(line) * 10, &text)
    }));
    send(&base, &spans).await;
    // An exporter that had no answer comes again.
    send(&base, &spans).await;

    let row = "SELECT count(*) FROM performance_metrics WHERE db_query_count = 9
               AND round(db_query_time_ms::numeric, 3) = 235 AND cache_hits = 1 AND cache_misses = 1";
    assert_eq!(place.database().number(row).await, 1);
    eventually(LONG, "the queries are rolled up", async || calls(&base, "threshold_ms=0").await == 11).await;
    eventually(LONG, "the hours follow", async || is_rolled_up(&place).await).await;

    let slow = queries(&base, "").await;
    assert_eq!(slow.len(), 1, "{slow:#?}");
    assert_eq!(slow[0]["text"], "SELECT * FROM users WHERE email = ? AND pin = ?");
    assert_eq!((&slow[0]["calls"], &slow[0]["summary"]), (&json!(1), &json!("SELECT users")));
    assert_eq!(
        (&slow[0]["example"]["endpoint"], &slow[0]["example"]["execution_time_ms"]),
        (&json!("/checkout"), &json!(190.0))
    );
    assert_eq!(slow[0]["example"]["trace_id"], format!("{:032x}", 1));
    assert_eq!(slow[0]["used_by"][0]["endpoint"], "/checkout");
    let all = queries(&base, "threshold_ms=0&service=shop&tenant=t1&endpoint=/checkout").await;
    let texts: Vec<&str> = all.iter().map(|query| query["text"].as_str().unwrap()).collect();
    let expected = [
        "SELECT * FROM users WHERE email = ? AND pin = ?",
        "SELECT * FROM products WHERE id = ?",
        "find carts",
        "INSERT INTO orders (user_id, total) VALUES (?, ?)",
        "GET",
    ];
    assert_eq!(texts, expected);
    assert_eq!((&all[1]["calls"], &all[1]["repeated_in_requests"]), (&json!(6), &json!(1)));
    assert!(queries(&base, "threshold_ms=0&tenant=t2").await.is_empty());
    let leaked = "SELECT count(*) FROM (SELECT s::text AS line FROM slow_queries AS s UNION ALL SELECT q::text FROM query_texts AS q
                  UNION ALL SELECT d::text FROM database_spans AS d) AS lines WHERE line LIKE '%bob@%' OR line LIKE '%4711%'";
    assert_eq!(place.database().number(leaked).await, 0);

    // Pages of a window that stays the same.
    let mut seen = Vec::new();
    let mut path = "threshold_ms=0&limit=2".to_owned();
    loop {
        let url = format!("{base}/api/v1/performance/metrics/slow-queries?{path}");
        let page: Value = crate::support::get(url).await.unwrap().json().await.unwrap();
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["text"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("threshold_ms=0&limit=2&cursor={cursor}");
    }
    assert_eq!(seen, expected);
    let table = String::from_utf8(place.run(&["slow-queries", "--threshold", "0"]).stdout).unwrap();
    assert!(
        table.contains("GET /checkout") && table.contains("SELECT * FROM products WHERE id = ?"),
        "{table}"
    );
    let slowest = place.json(&["slow-queries", "--json"]);
    assert_eq!(slowest["items"][0]["text"], expected[0]);
}

#[tokio::test]
async fn calls_find_their_request_in_whatever_batch_it_comes() {
    let (place, _api, base) = start().await;
    let is = async |number: u32, count: i64| {
        let row = format!(
            "SELECT count(*) FROM performance_metrics WHERE trace_id = '{number:032x}' AND db_query_count = {count}"
        );
        place.database().number(&row).await == 1
    };
    // Queries first, as exporters send them; the slow one is told of its endpoint later.
    let early = Spans::new(1);
    send(
        &base,
        &[early.query(2, 1, 10, 200, "SELECT 1 FROM a"), early.query(3, 2, 11, 199, "SELECT 1 FROM a")],
    )
    .await;
    send(&base, &[early.query(4, 1, 300, 301, "SELECT 1 FROM b"), early.server(1, 0, 400, "/early")]).await;
    // The request first.
    let late = Spans::new(2);
    send(&base, &[late.server(1, 0, 400, "/late")]).await;
    send(&base, &[late.query(2, 1, 10, 12, "SELECT 1 FROM c")]).await;
    // The driver's span before the library's: it was counted, and no longer is.
    let nested = Spans::new(3);
    send(&base, &[nested.query(3, 2, 11, 211, "SELECT 1 FROM d")]).await;
    send(&base, &[nested.query(2, 1, 10, 212, "SELECT 1 FROM d"), nested.server(1, 0, 400, "/nested")]).await;
    // Of a program that serves no requests.
    let alone = Spans::new(4);
    send(&base, &[alone.query(2, 0, 10, 211, "SELECT 1 FROM e")]).await;
    for (trace, count) in [(1, 2), (2, 1), (3, 1)] {
        eventually(LONG, "the parts are joined", async || is(trace, count).await).await;
    }
    let told = "SELECT count(*) FROM slow_queries WHERE endpoint IN ('/early', '/nested') AND method = 'GET' AND tenant = 't1'";
    eventually(LONG, "slow queries know their endpoint", async || place.database().number(told).await == 2)
        .await;
    assert_eq!(place.database().number("SELECT count(*) FROM slow_queries").await, 3);
    eventually(LONG, "the rollups follow", async || is_rolled_up(&place).await).await;
    assert_eq!(calls(&base, "threshold_ms=0").await, 5);
    assert_eq!(calls(&base, "threshold_ms=0&endpoint=/early").await, 2);
    let answer = crate::support::get(format!("{base}/api/v1/performance/metrics/endpoints")).await.unwrap();
    let endpoints: Value = answer.json().await.unwrap();
    let early =
        endpoints["items"].as_array().unwrap().iter().find(|item| item["endpoint"] == "/early").unwrap();
    assert!((early["database_share"].as_f64().unwrap() - 191.0 / 400.0).abs() < 1e-9, "{early}");
}
