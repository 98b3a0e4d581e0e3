//! Settings that are changed while everything runs: who may, what is refused, and that other processes go by them.

use dogwatch_testing::eventually;
use serde_json::{Value, json};

use crate::support::{LONG, Place};

#[tokio::test]
async fn a_changed_setting_holds_in_every_process_and_says_who_changed_it() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (place, http) = (Place::new().await, crate::support::http());
    let (one, other, _worker) = (place.start(&["api"]), place.start(&["api"]), place.start(&["worker"]));
    let (one, other) = (one.api().await, other.api().await);
    let change = async |values: Value| {
        let answer =
            http.patch(format!("{one}/api/v1/performance/config")).json(&values).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let setting = |settings: &Value, name: &str| {
        let all = settings["settings"].as_array().unwrap();
        all.iter().find(|setting| setting["name"] == name).unwrap().clone()
    };
    let metric = json!({"service": "s", "endpoint": "/", "method": "GET", "status_code": 500, "response_time_ms": 1.0});
    let tell = async |base: &str, count: usize| {
        let metrics = vec![metric.clone(); count];
        let url = format!("{base}/api/v1/performance/metrics");
        http.post(url).json(&metrics).send().await.unwrap().status().as_u16()
    };

    // One that is wrong changes none.
    let wrong = json!({"jobs.thresholds.min_requests": 1000, "jobs.thresholds.cpu_percent": 180});
    let (status, problem) = change(wrong).await;
    let detail = "jobs.thresholds.cpu_percent: `180` is no percentage; write a number from 0 to 100";
    assert_eq!((status, problem["detail"].as_str()), (400, Some(detail)));
    let (status, problem) = change(json!({"queue.url": "redis://elsewhere"})).await;
    assert_eq!(status, 400);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .starts_with("queue.url: cannot be changed while Dogwatch runs; these can: ")
    );

    // A job goes by it.
    let (status, settings) = change(json!({"jobs.thresholds.min_requests": 1000})).await;
    let changed = setting(&settings, "jobs.thresholds.min_requests");
    assert_eq!((status, &changed["value"], &changed["default"]), (200, &json!(1000), &json!(10)));
    assert_eq!(changed["changed_by"], "local");
    assert!(changed["changed_at"].is_string());
    let check = async |expected: usize| {
        let job = place.json(&["enqueue", "check_performance_thresholds", "--wait", "--json"]);
        assert_eq!(job["state"], "succeeded", "{job}");
        let open = format!("{one}/api/v1/performance/alerts?status=active");
        let alerts: Value = http.get(open).send().await.unwrap().json().await.unwrap();
        assert_eq!(alerts["items"].as_array().unwrap().len(), expected, "{alerts}");
    };
    assert_eq!(tell(&one, 100).await, 201);
    check(0).await;
    assert_eq!(change(json!({"jobs.thresholds.min_requests": null})).await.0, 200);
    check(1).await;

    // So do the other processes that take metrics.
    assert_eq!(change(json!({"monitoring.enabled": false})).await.0, 200);
    assert_eq!(tell(&one, 1).await, 202, "the process that was told goes by it at once");
    eventually(LONG, "the other one goes by it too", async || tell(&other, 1).await == 202).await;
    let (_, settings) = change(json!({"monitoring.enabled": null})).await;
    assert_eq!(setting(&settings, "monitoring.enabled")["value"], true);
    eventually(LONG, "and by what the file says again", async || tell(&other, 1).await == 201).await;
}

#[tokio::test]
async fn commands_on_the_machine_itself_go_by_changed_settings() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (place, http) = (Place::new().await, crate::support::http());
    let api = place.start(&["api"]);
    let base = api.api().await;
    let metric = json!({"service": "s", "endpoint": "/", "method": "GET", "status_code": 200, "response_time_ms": 90.0});
    let stored = http.post(format!("{base}/api/v1/performance/metrics")).json(&metric).send().await.unwrap();
    assert_eq!(stored.status(), 201);
    let slow = || place.json(&["slow-requests", "--json"])["items"].as_array().unwrap().len();
    assert_eq!(slow(), 0);
    let ended = "INSERT INTO silences VALUES (gen_random_uuid(), '{}', now() - interval '6 days',
                                              now() - interval '5 days', 'test', 'ended')";
    place.database().execute(ended).await;
    let expired = || place.json(&["cleanup", "--dry-run", "--json"])["rows_removed"].as_i64().unwrap();
    assert_eq!(expired(), 0);

    let changes = json!({"monitoring.slow_request_ms": 80, "jobs.retention_days": 3});
    let change = http.patch(format!("{base}/api/v1/performance/config")).json(&changes).send().await.unwrap();
    assert_eq!(change.status(), 200);
    assert_eq!((slow(), expired()), (1, 1));
}
