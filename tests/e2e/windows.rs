//! What happened in a window, as the API tells it.

use serde_json::{Value, json};

use crate::support::Place;

async fn get(base: &str, path: &str) -> (u16, Value) {
    let answer = crate::support::get(format!("{base}/api/v1/performance/metrics/{path}")).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Each order lists all endpoints, the greatest first, page by page as at once.
async fn the_order_may_be_another(base: &str) {
    for order in ["count", "error_rate", "mean_ms", "p95_ms"] {
        let (_, all) = get(base, &format!("endpoints?sort={order}")).await;
        let all = all["items"].as_array().unwrap().clone();
        let values: Vec<f64> = all.iter().map(|item| item[order].as_f64().unwrap()).collect();
        assert!(values.len() > 2 && values.is_sorted_by(|a, b| a >= b), "{order}: {values:?}");
        let (mut pages, mut cursor) = (Vec::new(), String::new());
        loop {
            let (_, page) = get(base, &format!("endpoints?sort={order}&limit=1{cursor}")).await;
            pages.extend(page["items"].as_array().unwrap().clone());
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(pages, all, "{order}");
    }
}

#[tokio::test]
async fn summary_endpoints_and_slow_requests_are_those_of_the_window_and_of_the_filter() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let place = Place::new().await;
    let api = place.start(&["api"]);
    let base = api.api().await;
    let metric = |number: u32| {
        json!({"service": if number < 90 { "shop" } else { "blog" }, "endpoint": format!("/{}", number % 2), "method": "get",
               "status_code": if number < 10 { 500 } else { 200 }, "response_time_ms": f64::from(number) * 10.0,
               "tenant": if number.is_multiple_of(2) { "a" } else { "b" }, "db_query_time_ms": f64::from(number)})
    };
    let metrics: Vec<Value> = (1..=100).map(metric).collect();
    let client = crate::support::http();
    let stored =
        client.post(format!("{base}/api/v1/performance/metrics")).json(&metrics).send().await.unwrap();
    assert_eq!(stored.status(), 201);
    dogwatch_testing::eventually(crate::support::LONG, "they are rolled up", async || {
        get(&base, "summary").await.1["count"] == 100
    })
    .await;

    let (_, all) = get(&base, "summary?hours=1").await;
    assert_eq!(
        (&all["errors"], &all["error_rate"], &all["max_ms"]),
        (&json!(9), &json!(0.09), &json!(1000.0))
    );
    assert!((all["p95_ms"].as_f64().unwrap() / 950.5 - 1.0).abs() < 0.01, "{all}");
    assert!((all["database_share"].as_f64().unwrap() - 0.1).abs() < 1e-9, "{all}");
    let (_, shop) = get(&base, "summary?service=shop&tenant=a").await;
    assert_eq!(shop["count"], 44);
    let (_, endpoints) = get(&base, "endpoints?service=shop").await;
    let endpoints = endpoints["items"].as_array().unwrap();
    assert_eq!(endpoints.len(), 2);
    assert_eq!(
        (&endpoints[0]["endpoint"], &endpoints[0]["count"], &endpoints[0]["method"]),
        (&json!("/1"), &json!(45), &json!("GET"))
    );
    assert_eq!(endpoints[0]["before"], Value::Null);
    the_order_may_be_another(&base).await;
    let (_, nothing) = get(&base, "summary?until=2020-01-01T00:00:00Z").await;
    assert_eq!(
        (&nothing["count"], &nothing["p50_ms"], &nothing["error_rate"]),
        (&json!(0), &Value::Null, &Value::Null)
    );

    // Pages, while rows arrive.
    let mut seen = Vec::new();
    let mut path = "slow-requests?threshold_ms=500&limit=20".to_owned();
    loop {
        let (_, page) = get(&base, &path).await;
        seen.extend(
            page["items"].as_array().unwrap().iter().map(|item| item["response_time_ms"].as_f64().unwrap()),
        );
        let more = client
            .post(format!("{base}/api/v1/performance/metrics"))
            .json(&metric(1000))
            .send()
            .await
            .unwrap();
        assert_eq!(more.status(), 201);
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("slow-requests?threshold_ms=500&limit=20&cursor={cursor}");
    }
    let expected: Vec<f64> = (50..=100).rev().map(|number| f64::from(number) * 10.0).collect();
    assert_eq!(seen, expected);

    for (path, told) in [
        ("summary?hours=0", "hours: `0` is not between 1 and 8784"),
        ("summary?hours=x", "hours"),
        ("summary?hours=1&since=2026-01-01T00:00:00Z", "write one of them"),
        ("summary?since=2199-01-01T00:00:00Z", "is not before"),
        ("summary?since=-4800-01-01T00:00:00Z", "the year -4800 is not between 1970 and 2200"),
        ("summary?hour=1", "unknown field `hour`"),
        ("slow-requests?threshold_ms=NaN", "threshold_ms"),
        ("slow-requests?threshold_ms=1", "threshold_ms: `1` is not between 50"),
        ("slow-requests?limit=0", "limit: `0` is not between 1 and 500"),
        ("slow-requests?cursor=7", "cursor: `7` is no cursor"),
    ] {
        let (status, problem) = get(&base, path).await;
        assert_eq!(status, 400, "{path}");
        assert!(problem["detail"].as_str().unwrap().contains(told), "{problem}");
    }
}

#[tokio::test]
async fn rollups_are_made_anew_by_command() {
    let place = Place::new().await;
    place
        .database()
        .execute(
            "SELECT create_day_partition('performance_metrics', '2026-05-20');
             INSERT INTO performance_metrics (occurred_at, service, endpoint, method, status_code, response_time_ms)
             SELECT '2026-05-20 10:00Z'::timestamptz + n * interval '1 second', 'shop', '/', 'GET', 200, n
             FROM generate_series(1, 150) AS n",
        )
        .await;
    let told =
        place.json(&["rollups", "rebuild", "--from", "2026-05-20", "--to", "2026-05-21T00:00:00Z", "--json"]);
    assert_eq!(told, json!({"minutes": 3, "failed": 0}));
    let count = "SELECT sum(count)::bigint FROM rollups WHERE resolution = 1440";
    assert_eq!(place.database().number(count).await, 150);
    let again = place.run(&["rollups", "rebuild", "--from", "2026-05-20"]);
    assert_eq!(
        String::from_utf8_lossy(&again.stdout),
        "3 minutes were made anew, with their hours and days\n"
    );
    let wrong = place.run(&["rollups", "rebuild", "--from", "yesterday"]);
    assert_eq!(wrong.status.code(), Some(2));
    let backwards = place.run(&["rollups", "rebuild", "--from", "2026-05-20", "--to", "2026-05-19"]);
    assert_eq!(backwards.status.code(), Some(2));
}
