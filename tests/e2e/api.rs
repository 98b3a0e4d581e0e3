//! The HTTP API: what it takes, what it refuses and how, and what it says while a server is away.

use dogwatch_testing::eventually;
use reqwest::Client;
use serde_json::{Value, json};

use crate::support::{LONG, Place};

fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    crate::support::http()
}

#[tokio::test]
async fn jobs_are_enqueued_listed_and_looked_at() {
    let (place, http) = (Place::new().await, client());
    let (api, _worker) = (place.start(&["api"]), place.start(&["worker"]));
    let jobs = format!("{}/api/v1/jobs", api.api().await);
    let answer = http
        .post(&jobs)
        .json(&json!({"job": "generate_performance_report", "args": {"hours": 1}}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 202);
    let id = answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    let look = async || http.get(format!("{jobs}/{id}")).send().await.unwrap().json::<Value>().await.unwrap();
    eventually(LONG, "the job has succeeded", async || look().await["state"] == "succeeded").await;
    let job = look().await;
    assert_eq!((&job["attempt"], &job["args"]), (&json!(1), &json!({"hours": 1})));

    let many =
        json!([{"job": "check_service_health", "id": "a"}, {"job": "check_service_health", "delay": "1d"}]);
    let answer: Value = http.post(&jobs).json(&many).send().await.unwrap().json().await.unwrap();
    assert_eq!((answer.as_array().unwrap().len(), &answer[0]["id"]), (2, &json!("a")));
    let list: Value = http.get(format!("{jobs}?state=scheduled")).send().await.unwrap().json().await.unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_request_that_comes_again_does_nothing_twice() {
    let (place, http) = (Place::new().await, client());
    let api = place.start(&["api"]);
    let jobs = format!("{}/api/v1/jobs", api.api().await);
    let post = async |key: &str, body: Value| {
        let answer = http.post(&jobs).header("idempotency-key", key).json(&body).send().await.unwrap();
        let is_replayed = answer.headers().contains_key("idempotency-replayed");
        (answer.status().as_u16(), is_replayed, answer.json::<Value>().await.unwrap())
    };
    let job = json!({"job": "check_service_health"});
    let (status, is_replayed, first) = post("a", job.clone()).await;
    assert_eq!((status, is_replayed), (202, false));
    assert_eq!(post("a", job.clone()).await, (202, true, first));
    assert_eq!(post("a", json!({"job": "generate_performance_report"})).await.0, 422, "another request");
    // What was refused is refused again.
    let wrong = post("b", json!({"job": "nope"})).await;
    assert_eq!((wrong.0, post("b", json!({"job": "nope"})).await.1), (422, true));
    // Many at once: one of them is carried out, the others have its answer or are told to come again.
    let mut all = Vec::new();
    for _ in 0..20 {
        let request = http.post(&jobs).header("idempotency-key", "c").json(&job).send();
        all.push(tokio::spawn(request));
    }
    let mut carried_out = 0;
    for one in all {
        let answer = one.await.unwrap().unwrap();
        assert!(matches!(answer.status().as_u16(), 202 | 409), "{answer:?}");
        carried_out +=
            usize::from(answer.status() == 202 && !answer.headers().contains_key("idempotency-replayed"));
    }
    assert_eq!((carried_out, place.jobs("ready").len()), (1, 2));
    assert_eq!(http.post(&jobs).header("idempotency-key", "").json(&job).send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_wrong_request_gets_a_problem_document_that_points_at_the_fault() {
    let (place, http) = (Place::new().await, client());
    let api = place.start(&["api"]);
    let base = api.api().await;
    let metric = json!({"service": "s", "endpoint": "/", "method": "GET", "status_code": 200, "response_time_ms": 1.0});
    let with = |key: &str, value: Value| {
        let mut metric = metric.clone();
        metric[key] = value;
        metric
    };
    for (path, body, status, pointer) in [
        ("jobs", json!({"job": "nope"}), 422, "/job"),
        (
            "jobs",
            json!([{"job": "check_service_health"}, {"job": "cleanup_old_performance_data", "args": {"days": "x"}}]),
            422,
            "/1/args/days",
        ),
        ("jobs", json!({"job": "check_service_health", "delay": "soon"}), 422, "/delay"),
        ("jobs", json!({"job": "check_service_health", "delay": "87601h"}), 422, "/delay"),
        ("jobs", json!({"job": "check_service_health", "timeout": "0s"}), 422, "/timeout"),
        ("jobs", json!({"job": "check_service_health", "expires": "0.4ms"}), 422, "/expires"),
        (
            "jobs",
            json!([
                {"job": "check_service_health"},
                {"job": "check_service_health", "unique_key": "k", "unique_until": "0.4ms"}
            ]),
            422,
            "/1/unique_until",
        ),
        ("jobs", json!({"job": "check_service_health", "max_attempts": 0}), 422, "/max_attempts"),
        ("jobs", json!({"job": "check_service_health", "jb": 1}), 422, "/jb"),
        (
            "performance/metrics",
            json!([metric.clone(), with("status_code", json!(99))]),
            422,
            "/1/status_code",
        ),
        ("performance/metrics", with("response_time_ms", json!(-1)), 422, "/response_time_ms"),
        ("performance/metrics", with("occurred_at", json!("2001-01-01T00:00:00Z")), 422, "/occurred_at"),
        ("performance/metrics", with("service", json!(7)), 422, "/service"),
        ("performance/metrics", with("response_time_ms", json!(1e200)), 422, "/response_time_ms"),
        ("performance/metrics", with("db_query_time_ms", json!(1.7e308)), 422, "/db_query_time_ms"),
        ("performance/metrics", with("cache_hits", json!(-1)), 422, "/cache_hits"),
        ("performance/silences", json!({"match": {"service!": "shop"}}), 422, "/match"),
        ("performance/silences", json!({"match": {"service": "~shop"}}), 422, "/match"),
        ("performance/metrics", with("user_id", json!("a\u{0}b")), 422, "/user_id"),
        ("performance/metrics", json!([]), 422, ""),
    ] {
        let answer = http.post(format!("{base}/api/v1/{path}")).json(&body).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert_eq!(answer.status(), status, "{body}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        assert_eq!(problem["status"], status);
    }
    // A zero byte, wherever it is.
    for (path, body) in [
        ("performance/silences", json!({"match": {"service": "a\u{0}"}})),
        ("performance/silences", json!({"match": {"service": "a"}, "comment": "\u{0}"})),
        ("performance/alerts", json!({"alert_type": "x", "labels": {"\u{0}": "a"}})),
    ] {
        let answer = http.post(format!("{base}/api/v1/{path}")).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 422, "{body}");
    }
    let question = http.get(format!("{base}/api/v1/performance/alerts?service=%00")).send().await.unwrap();
    assert_eq!(question.status(), 422);
    let none: Value = http.get(format!("{base}/api/v1/jobs")).send().await.unwrap().json().await.unwrap();
    assert_eq!(none["items"], json!([]), "nothing of a refused array is stored");

    let post = |body: &'static str, kind: &'static str| {
        http.post(format!("{base}/api/v1/jobs")).header("content-type", kind).body(body).send()
    };
    assert_eq!(post("{", "application/json").await.unwrap().status(), 400);
    assert_eq!(post("{}", "text/plain").await.unwrap().status(), 415);
    let large = http
        .post(format!("{base}/api/v1/jobs"))
        .header("content-type", "application/json")
        .body(vec![b' '; 2 << 20]);
    assert_eq!(large.send().await.unwrap().status(), 413);
    assert_eq!(http.get(format!("{base}/nowhere")).send().await.unwrap().status(), 404);
    assert_eq!(http.delete(format!("{base}/api/v1/jobs")).send().await.unwrap().status(), 405);
    assert_eq!(http.get(format!("{base}/api/v1/jobs/none")).send().await.unwrap().status(), 404);
    assert_eq!(http.get(format!("{base}/api/v1/jobs?state=lost")).send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn jobs_are_listed_page_by_page_as_at_once() {
    let place = Place::new().await;
    let (api, http) = (place.start(&["api"]), client());
    let jobs = format!("{}/api/v1/jobs", api.api().await);
    let later: Vec<Value> = (0..7).map(|_| json!({"job": "check_service_health", "delay": "1h"})).collect();
    assert_eq!(http.post(&jobs).json(&later).send().await.unwrap().status(), 202);
    let page = async |question: &str| -> Value {
        http.get(format!("{jobs}?{question}")).send().await.unwrap().json().await.unwrap()
    };
    let at_once = page("state=scheduled").await;
    let mut paged = Vec::new();
    let mut cursor = String::new();
    for expected in [3, 3, 1] {
        let next = page(&format!("state=scheduled&limit=3{cursor}")).await;
        let items = next["items"].as_array().unwrap();
        assert_eq!(items.len(), expected);
        paged.extend(items.iter().cloned());
        cursor = next["next_cursor"].as_str().map(|next| format!("&cursor={next}")).unwrap_or_default();
    }
    assert_eq!(cursor, "", "the last page is the last");
    assert_eq!(json!(paged), at_once["items"]);
    assert_eq!(http.get(format!("{jobs}?cursor=yesterday")).send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_server_that_is_away_is_answered_with_503_and_when_to_try_again() {
    let mut place = Place::new().await;
    place.set("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none");
    place.set("REDIS_URL", "redis://127.0.0.1:1");
    place.set("DOGWATCH_STORE_ACQUIRE_TIMEOUT", "1s");
    let (api, http) = (place.start(&["api"]), client());
    let base = api.api().await;
    let metric = json!({"service": "s", "endpoint": "/", "method": "GET", "status_code": 200, "response_time_ms": 1.0});
    for (path, body) in [("performance/metrics", metric), ("jobs", json!({"job": "check_service_health"}))] {
        let answer = http.post(format!("{base}/api/v1/{path}")).json(&body).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()),
            (503, "5"),
            "{path}"
        );
    }
    assert_eq!(http.get(format!("{base}/livez")).send().await.unwrap().status(), 200);
    assert_eq!(http.get(format!("{base}/readyz")).send().await.unwrap().status(), 503);
}
