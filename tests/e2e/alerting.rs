//! From errors that a service reports to a message at a receiver: once, also when the receiver was down.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use dogwatch_testing::{HttpPeer, Request};
use serde_json::{Value, json};

use crate::support::{LONG, Place, Process};

const SCHEDULES: &str = r#"
[schedules.check_performance_thresholds]
every = "1s"
args = { window_minutes = 1 }
[schedules.send_performance_alerts]
every = "1s"
overlap = "allow"
"#;

async fn start(receiver: &HttpPeer) -> (Place, Process, Process, Process, String) {
    let place = Place::new().await;
    place.write("schedules.toml", SCHEDULES);
    place.write(
        "dogwatch.toml",
        &format!(
            "[[notify.webhooks]]\nname = \"ops\"\nurl = \"{}\"\n\
             [[routes]]\nchannels = [\"ops\"]\ngroup_wait = \"0s\"\ngroup_interval = \"0s\"\n",
            receiver.url()
        ),
    );
    let api = place.start(&["api"]);
    let url = api.api().await;
    let (worker, scheduler) = (place.start(&["worker"]), place.start(&["scheduler"]));
    (place, api, worker, scheduler, url)
}

/// Twenty requests, of which so many failed, that leave the window of a minute after `stay`.
#[expect(clippy::disallowed_methods, reason = "the program has the real time too")]
async fn post(api: &str, service: &str, failed: usize, stay: Duration) {
    let at = Utc::now() - TimeDelta::seconds(60) + TimeDelta::from_std(stay).unwrap();
    let metric = |status: u16| {
        json!({"service": service, "endpoint": "/pay", "method": "POST", "status_code": status,
               "response_time_ms": 12.5, "occurred_at": at})
    };
    let metrics: Vec<Value> = (0..20).map(|n| metric(if n < failed { 500 } else { 200 })).collect();
    let client = crate::support::http();
    let response =
        client.post(format!("{api}/api/v1/performance/metrics")).json(&metrics).send().await.unwrap();
    assert_eq!(response.status(), 201, "{:?}", response.text().await);
}

fn bodies(requests: &[Request]) -> Vec<(String, String)> {
    let body = |request: &Request| serde_json::from_str::<Value>(&request.body).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let alert = |body: Value| (text(&body["alerts"][0]["event"]), text(&body["alerts"][0]["fingerprint"]));
    requests.iter().map(body).map(alert).collect()
}

fn pair(event: &str, fingerprint: &str) -> (String, String) {
    (event.to_owned(), fingerprint.to_owned())
}

fn tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[tokio::test]
async fn an_alert_reaches_its_receiver_once_and_its_end_is_told() {
    tls();
    let receiver = HttpPeer::start().await;
    let (place, _api, _worker, _scheduler, url) = start(&receiver).await;
    post(&url, "shop", 10, Duration::from_secs(8)).await;
    receiver.wait_for(1, LONG).await;
    // What is not known does not end it.
    post(&url, "shop", 0, Duration::from_secs(50)).await;
    let requests = receiver.wait_for(2, LONG).await;
    assert_eq!(bodies(&requests), [pair("raised", "error_rate:shop"), pair("resolved", "error_rate:shop")]);
    let raised: Value = serde_json::from_str(&requests[0].body).unwrap();
    let alert = &raised["alerts"][0];
    assert_eq!(
        (&alert["severity"], &alert["value"], &alert["unit"]),
        (&json!("high"), &json!(50.0), &json!("%"))
    );
    assert_eq!(raised["title"], "shop: 50.0 % of requests fail");
    assert_eq!(requests[0].headers["webhook-id"], raised["id"].as_str().unwrap());

    let alerts = place.json(&["alerts", "list", "--json"]);
    let alerts = alerts["items"].as_array().unwrap();
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0]["status"], "resolved");
    assert!(alerts[0]["occurrences"].as_i64().unwrap() > 2, "each checker counts: {}", alerts[0]);
}

#[tokio::test]
async fn a_receiver_that_is_down_gets_the_alert_once_when_it_is_back() {
    tls();
    let receiver = HttpPeer::start().await;
    receiver.pause().await;
    let (place, _api, worker, _scheduler, url) = start(&receiver).await;
    post(&url, "shop", 10, Duration::from_secs(50)).await;
    worker.says("`send_performance_alerts` failed and will be tried again").await;
    assert!(!place.jobs("retrying").is_empty() || worker.log().matches("tried again").count() > 1);
    receiver.resume().await;
    receiver.wait_for(1, LONG).await;
    // Another alert through the same channel: what came before it came once.
    post(&url, "later", 10, Duration::from_secs(50)).await;
    let requests = receiver.wait_for(2, LONG).await;
    assert_eq!(bodies(&requests), [pair("raised", "error_rate:shop"), pair("raised", "error_rate:later")]);
}
