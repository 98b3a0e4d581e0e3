//! What people and programs do with alerts, over the API and on the command line: raise, look, acknowledge, silence, resolve.

use dogwatch_testing::{HttpPeer, eventually};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::support::{LONG, Place, Process};

struct Side {
    place: Place,
    receiver: HttpPeer,
    base: String,
    http: Client,
    _processes: [Process; 3],
}

impl Side {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (place, receiver) = (Place::new().await, HttpPeer::start().await);
        let schedules = "[schedules.send_performance_alerts]\nevery = \"1s\"\n\
                         [schedules.check_performance_thresholds]\nevery = \"1m\"\nrun_at_start = true\n";
        place.write("schedules.toml", schedules);
        let settings = format!(
            "[[notify.webhooks]]\nname = \"ops\"\nurl = \"{}\"\n\
             [[routes]]\nchannels = [\"ops\"]\ngroup_wait = \"0s\"\ngroup_interval = \"0s\"\n\
             [[services]]\nname = \"backup\"\nurl = \"heartbeat:\"\n",
            receiver.url()
        );
        place.write("dogwatch.toml", &settings);
        let api = place.start(&["api"]);
        let base = format!("{}/api/v1", api.api().await);
        let processes = [api, place.start(&["worker"]), place.start(&["scheduler"])];
        Self { place, receiver, base, http: crate::support::http(), _processes: processes }
    }

    /// Status and body of an answer.
    async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = self.http.request(method, format!("{}/{path}", self.base));
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask(Method::POST, path, body).await
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(Method::GET, path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    fn told(&self) -> Vec<String> {
        let body =
            |request: &dogwatch_testing::Request| serde_json::from_str::<Value>(&request.body).unwrap();
        let title = |body: Value| body["title"].as_str().unwrap().to_owned();
        self.receiver.requests().iter().map(body).map(title).collect()
    }
}

fn finding(service: &str) -> Value {
    json!({"alert_type": "payment_provider", "service": service, "severity": "high", "value": 12.5, "unit": "%",
           "labels": {"team": "payments"}})
}

#[tokio::test]
async fn an_alert_lives_through_the_api() {
    let side = Side::start().await;
    let (status, first) = side.post("performance/alerts", finding("shop")).await;
    assert_eq!((status, &first["status"], &first["occurrences"]), (200, &json!("active"), &json!(1)));
    let (_, again) = side.post("performance/alerts", finding("shop")).await;
    assert_eq!((&again["id"], &again["occurrences"]), (&first["id"], &json!(2)), "by type and scope");
    eventually(LONG, "it is told", async || side.told().len() == 1).await;
    let path = format!("performance/alerts/{}", first["id"].as_str().unwrap());
    let said = json!({"by": "ann", "note": "looking"});
    let (status, seen) = side.post(&format!("{path}/acknowledge"), said).await;
    assert_eq!((status, &seen["acknowledged_by"], &seen["note"]), (200, &json!("ann"), &json!("looking")));
    let (status, _) = side.post(&format!("{path}/resolve"), json!({"by": "ann"})).await;
    assert_eq!(status, 200);
    let (status, problem) = side.post(&format!("{path}/resolve"), Value::Null).await;
    assert_eq!((status, problem["detail"].as_str().unwrap().contains("is resolved")), (409, true));

    eventually(LONG, "both are told", async || side.told().len() == 2).await;
    assert_eq!(side.told(), ["shop: payment provider", "Resolved: shop: payment provider"]);
    let whole = side.get(&path).await;
    let words = |list: &Value, key: &str| {
        list.as_array().unwrap().iter().map(|one| one[key].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(words(&whole["events"], "event"), ["raised", "acknowledged", "resolved"]);
    let noted = async || words(&side.get(&path).await["notifications"], "state") == ["delivered"; 2];
    eventually(LONG, "and noted as told", noted).await;
}

#[tokio::test]
async fn alerts_are_listed_by_pages_and_silenced() {
    let side = Side::start().await;
    for n in 0..5 {
        side.post("performance/alerts", finding(&format!("service-{n}"))).await;
    }
    let (mut path, mut seen) = ("performance/alerts?limit=2&status=active".to_owned(), Vec::new());
    loop {
        let page = side.get(&path).await;
        seen.extend(page["items"].as_array().unwrap().iter().map(|alert| alert["service"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("performance/alerts?limit=2&status=active&cursor={cursor}");
    }
    assert_eq!(seen.len(), 5);
    assert_eq!(seen[0], "service-4", "those seen last first");
    assert_eq!(side.get("performance/alerts?service=service-1").await["items"].as_array().unwrap().len(), 1);
    for (path, status) in [
        ("performance/alerts?limit=0", 400),
        ("performance/alerts?cursor=x", 400),
        ("performance/alerts?sort=x", 400),
        ("performance/alerts/00000000-0000-0000-0000-000000000000", 404),
        ("performance/silences/00000000-0000-0000-0000-000000000000", 405),
    ] {
        assert_eq!(side.ask(Method::GET, path, Value::Null).await.0, status, "{path}");
    }
    for (body, pointer) in [
        (json!({"alert_type": "a b"}), "/alert_type"),
        (json!({"alert_type": "canary"}), "/alert_type"),
        // They would mute what follows from them.
        (json!({"alert_type": "service_health", "service": "shop"}), "/alert_type"),
        (json!({"alert_type": "schedule_overdue"}), "/alert_type"),
        (json!({"alert_type": "x", "labels": {"source": "rule"}}), "/labels"),
        (json!({"alert_type": "x", "service": "shop\u{1b}[2J"}), "/service"),
        (json!({"alert_type": "x", "description": "shop\u{7}"}), "/description"),
        (json!([vec![json!({"alert_type": "x"}); 501]][0]), ""),
        (json!({"alert_type": "x", "severity": "fatal"}), "/severity"),
        (json!({"alert_type": "x", "title": "y".repeat(5000)}), "/title"),
        (json!([{"alert_type": "x"}, {"alert_type": "x", "status": "gone"}]), "/1/status"),
    ] {
        let (status, problem) = side.post("performance/alerts", body).await;
        assert_eq!((status, problem["errors"][0]["pointer"].as_str()), (422, Some(pointer)), "{problem}");
    }

    // Silences, by labels and of one alert.
    let (status, silence) = side
        .post("performance/silences", json!({"match": {"service": "cart"}, "by": "ann", "comment": "deploy"}))
        .await;
    assert_eq!((status, &silence["matching_alerts"]), (201, &json!(0)));
    assert_eq!(side.post("performance/silences", json!({"match": {}})).await.0, 422);
    side.post("performance/alerts", finding("cart")).await;
    let held = async || {
        !side.place.json(&["notifications", "list", "--state", "held", "--json"])["items"]
            .as_array()
            .unwrap()
            .is_empty()
    };
    eventually(LONG, "it is held", held).await;
    let held = side.place.json(&["notifications", "list", "--state", "held", "--json"]);
    assert!(held["items"][0]["reason"].as_str().unwrap().contains("deploy"), "{held}");
    let path = format!("performance/silences/{}", silence["id"].as_str().unwrap());
    assert_eq!(side.ask(Method::DELETE, &path, Value::Null).await.0, 204);
    assert_eq!(side.ask(Method::DELETE, &path, Value::Null).await.0, 404);
    let told = async || side.told().iter().any(|title| title.contains("cart"));
    eventually(LONG, "it is told after the silence", told).await;
    let first = side.get("performance/alerts?service=service-1").await["items"][0]["id"].clone();
    let path = format!("performance/alerts/{}/silence", first.as_str().unwrap());
    let (status, silence) = side.post(&path, json!({"duration": "2h", "by": "ann"})).await;
    assert_eq!(
        (status, &silence["match"]),
        (201, &json!({"alert_type": "payment_provider", "service": "service-1"}))
    );
    assert_eq!(silence["matching_alerts"], 1);
    assert_eq!(side.post(&path, json!({"duration": "9000h"})).await.0, 422);
    assert_eq!(side.get("performance/silences").await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn heartbeats_reports_and_figures_are_there() {
    let side = Side::start().await;
    assert_eq!(side.post("heartbeats/backup", Value::Null).await.0, 204);
    assert_eq!(side.post("heartbeats/nobody", Value::Null).await.0, 404);
    let (_, job) = side.post("jobs", json!({"job": "check_service_health"})).await;
    assert!(job["id"].is_string());
    let healthy = async || {
        let health = side.get("performance/services/health").await;
        health["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["service"] == "backup" && one["state"] == "healthy")
    };
    eventually(LONG, "the heartbeat counts", healthy).await;

    side.post("jobs", json!({"job": "generate_performance_report", "args": {"hours": 1}})).await;
    let stored = async || !side.get("performance/reports").await["items"].as_array().unwrap().is_empty();
    eventually(LONG, "the report is stored", stored).await;
    let id = side.get("performance/reports").await["items"][0]["id"].as_str().unwrap().to_owned();
    for (format, kind, text) in [
        ("json", "application/json", "\"requests\""),
        ("html", "text/html", "<h1"),
        ("text", "text/plain", "Performance of an hour"),
    ] {
        let url = format!("{}/performance/reports/{id}?format={format}", side.base);
        let answer = side.http.get(&url).send().await.unwrap();
        let kind_of = answer.headers()["content-type"].to_str().unwrap().to_owned();
        let tag = answer.headers()["etag"].clone();
        let body = answer.text().await.unwrap();
        assert!(kind_of.starts_with(kind) && body.contains(text), "{format}: {body}");
        let again = side.http.get(&url).header("if-none-match", tag).send().await.unwrap();
        assert_eq!((again.status().as_u16(), again.bytes().await.unwrap().len()), (304, 0), "{format}");
    }

    let root = side.base.trim_end_matches("/api/v1");
    let figures = side.http.get(format!("{root}/metrics")).send().await.unwrap().text().await.unwrap();
    for figure in [
        "dogwatch_up{part=\"redis\"} 1",
        "dogwatch_notifications_undelivered ",
        "dogwatch_schedule_overdue{schedule=\"send_performance_alerts\"",
        "dogwatch_schedule_overdue{schedule=\"canary\"",
    ] {
        assert!(figures.contains(figure), "no {figure} in\n{figures}");
    }
}

#[tokio::test]
async fn an_alert_is_handled_on_the_command_line() {
    let side = Side::start().await;
    let (_, alert) = side.post("performance/alerts", finding("shop")).await;
    let id = alert["id"].as_str().unwrap();
    let run = |arguments: &[&str]| {
        let output = side.place.run(arguments);
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let (code, list) = run(&["alerts", "list"]);
    assert!(code == Some(0) && list.contains("shop: payment provider") && list.contains("high"), "{list}");
    let (code, said) = run(&["alerts", "acknowledge", id, "--note", "looking", "--by", "bob"]);
    assert!(code == Some(0), "{said}");
    let (_, shown) = run(&["alerts", "show", id]);
    assert!(shown.contains("looking") && shown.contains("bob"), "{shown}");
    let (code, said) = run(&["alerts", "silence", id, "--duration", "2h"]);
    assert!(code == Some(0), "{said}");
    let silences = side.place.json(&["alerts", "silences", "--json"]);
    assert_eq!(silences["items"][0]["match"], json!({"alert_type": "payment_provider", "service": "shop"}));
    let (code, _) = run(&["alerts", "unsilence", silences["items"][0]["id"].as_str().unwrap()]);
    assert_eq!(code, Some(0));
    assert_eq!(run(&["alerts", "resolve", id]).0, Some(0));
    let (code, said) = run(&["alerts", "resolve", id]);
    assert!(code == Some(1) && said.contains("is resolved"), "{said}");
    let delivered = async || {
        let list = side.place.json(&["notifications", "list", "--state", "delivered", "--json"]);
        list["items"].as_array().unwrap().len() >= 2
    };
    eventually(LONG, "who was told is listed", delivered).await;
}
