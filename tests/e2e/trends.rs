//! What trend analysis says of a service that became slow with a new version: from its spans to a sentence, an alert and the
//! pages that show it.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use dogwatch_testing::eventually;
use serde_json::{Value, json};

use crate::otlp::{PROTOBUF, attributes, now, post, protobuf, start};
use crate::support::LONG;

const STEP: TimeDelta = TimeDelta::minutes(5);
/// Requests of a step.
const REQUESTS: i32 = 24;
const HOURS: i64 = 52;
/// Since so many hours it is slow.
const SLOW_HOURS: i64 = 2;

/// An hour of requests, each with a query, that takes some milliseconds of the time.
fn hour(from: DateTime<Utc>, request_ms: i64, query_ms: i64, version: &str) -> Value {
    let span = |number: i32, kind: u8, ms: i64, values: &Value| {
        let end = from + STEP / REQUESTS * number + TimeDelta::milliseconds(500);
        // Some noise.
        let begin = end - TimeDelta::microseconds(ms * (900 + i64::from(number) * 7919 % 200));
        let nanos = |time: DateTime<Utc>| time.timestamp_nanos_opt().unwrap().to_string();
        let id = from.timestamp() * 1000 + i64::from(number);
        json!({
            "traceId": format!("{id:032x}"), "spanId": format!("{:016x}", id * 10 + i64::from(kind)),
            "parentSpanId": if kind == 2 { String::new() } else { format!("{:016x}", id * 10 + 2) },
            "name": "x", "kind": kind, "startTimeUnixNano": nanos(begin), "endTimeUnixNano": nanos(end),
            "attributes": attributes(values),
        })
    };
    let http =
        json!({"http.request.method": "GET", "http.route": "/checkout", "http.response.status_code": 200});
    let sql = json!({"db.system.name": "postgresql", "db.query.text": "SELECT * FROM carts WHERE id = 7"});
    let both = |number| [span(number, 2, request_ms, &http), span(number, 3, query_ms, &sql)];
    let spans: Vec<Value> = (0..12 * REQUESTS).flat_map(both).collect();
    let resource = json!({"service.name": "shop", "service.version": version});
    json!({"resourceSpans": [{"resource": {"attributes": attributes(&resource)},
                              "scopeSpans": [{"scope": {"name": "test"}, "spans": spans}]}]})
}

#[tokio::test]
async fn a_service_that_became_slow_with_a_version_is_told_in_a_sentence_with_its_cause() {
    let (place, _api, base) = start().await;
    let _worker = place.start(&["worker"]);
    // Whole steps: half of one would be less traffic than usual, which is told as well.
    let begin = now().duration_trunc(STEP).unwrap() - TimeDelta::hours(HOURS);
    for number in 0..HOURS {
        let is_slow = number >= HOURS - SLOW_HOURS;
        let (request_ms, query_ms, version) = if is_slow { (300, 220, "1.4.2") } else { (100, 20, "1.4.1") };
        let body = hour(begin + TimeDelta::hours(number), request_ms, query_ms, version);
        let answer = post(&base, PROTOBUF, None, protobuf(&body)).await;
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    }

    // One that is killed in the midst of it has found nothing, and lost nothing.
    let killed = place.start(&["analyze"]);
    let is_under_way = async || place.database().number("SELECT count(*) FROM trend_progress").await == 1;
    eventually(LONG, "some steps are analysed", is_under_way).await;
    killed.signal("KILL");
    drop(killed);
    let held = "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
                WHERE datname = current_database() AND locktype = 'advisory' AND objid = 0
                  AND classid::bigint = hashtext('dogwatch trends')::bigint & 4294967295";
    eventually(LONG, "its turn is over", async || place.database().number(held).await == 0).await;
    assert_eq!(place.database().number("SELECT count(*) FROM trend_findings").await, 0);

    let found = place.json(&["analyze", "--json"]);
    let found = found["items"].as_array().unwrap();
    let of = |metric: &str| found.iter().filter(|finding| finding["metric"] == metric).count();
    assert_eq!((of("response_time_ms"), of("query_time_ms"), found.len()), (2, 1, 3), "{found:#?}");
    let alone: Vec<&Value> = found.iter().filter(|finding| finding["group_id"] == finding["id"]).collect();
    assert_eq!(alone.len(), 1, "they have one cause: {found:#?}");
    assert_eq!(alone[0]["others"], 2);
    let fingerprint = found.iter().find_map(|finding| finding["query"].as_str()).unwrap();
    for finding in found {
        assert_eq!(finding["cause"]["shared"], format!("query {fingerprint}"));
        assert_eq!(finding["cause"]["version"]["version"], "1.4.2", "{finding:#}");
        assert_eq!((&finding["direction"], &finding["state"]), (&json!("worse"), &json!("open")));
    }
    let checkout = found.iter().find(|finding| finding["endpoint"] == "/checkout").unwrap();
    let share = checkout["cause"]["query"]["share"].as_f64().unwrap();
    assert!((0.9..=1.0).contains(&share) && checkout["cause"]["query"]["fingerprint"] == fingerprint);
    let sentence = checkout["sentence"].as_str().unwrap();
    assert!(sentence.starts_with("p95 of GET /checkout (shop) went from 10"), "{sentence}");
    assert!(sentence.contains("(SELECT carts); version 1.4.2"), "{sentence}");

    let far: Value = crate::support::get(format!(
        "{base}/api/v1/performance/trends?service=shop&endpoint=GET%20/checkout"
    ))
    .await
    .unwrap()
    .json()
    .await
    .unwrap();
    assert_eq!(far["items"][0]["sentence"], sentence);
    let shown = place.run(&["analyze"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert_eq!(shown.matches("worse").count(), 1, "one for all three: {shown}");

    // By the rule that is always there; once for all that has one cause.
    assert!(place.run(&["check-thresholds"]).status.success());
    let alerts = place.json(&["alerts", "list", "--json"]);
    let alerts = alerts["items"].as_array().unwrap();
    let trends: Vec<&Value> = alerts.iter().filter(|alert| alert["alert_type"] == "trend").collect();
    assert_eq!(trends.len(), 1, "{alerts:#?}");
    let description = trends[0]["description"].as_str().unwrap();
    assert!(description.contains(alone[0]["sentence"].as_str().unwrap()), "{description}");

    let report = place.run(&["report", "--hours", "3"]);
    let report = String::from_utf8_lossy(&report.stdout).into_owned();
    assert!(report.contains("What changed\n  - p95 of "), "{report}");
}
