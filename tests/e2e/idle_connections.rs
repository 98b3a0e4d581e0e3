//! Redis, firewalls and load balancers cut idle connections: no request fails for it, no probe, and no
//! command that waits.

use dogwatch_testing::{TestDatabase, eventually};
use reqwest::Client;
use serde_json::{Value, json};

use crate::redis_server::Server;
use crate::support::{LONG, Place};

const JOB: &str = "check_service_health";

async fn place(server: &Server) -> (Place, TestDatabase) {
    let database = TestDatabase::new().await;
    let mut place = Place::bare();
    place.set("DATABASE_URL", &database.url());
    place.set("REDIS_URL", &server.url());
    place.write("schedules.toml", "");
    (place, database)
}

fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    crate::support::http()
}

#[tokio::test]
async fn no_request_and_no_probe_fails_since_its_connection_was_cut_before() {
    let server = Server::plain(&[]).await;
    let ((place, _database), http) = (place(&server).await, client());
    let api = place.start(&["api"]);
    let base = api.api().await;
    let later = json!({"job": JOB, "id": "later", "delay": "1h"});
    let requests = [
        ("POST", "/api/v1/jobs", later, 202),
        ("GET", "/api/v1/jobs", Value::Null, 200),
        ("GET", "/api/v1/jobs/later", Value::Null, 200),
        ("GET", "/api/v1/queues", Value::Null, 200),
        ("GET", "/api/v1/schedules", Value::Null, 200),
        ("GET", "/readyz", Value::Null, 200),
        ("GET", "/healthz", Value::Null, 200),
        ("GET", "/livez", Value::Null, 200),
        ("POST", "/api/v1/queues/default/pause", Value::Null, 204),
        ("POST", "/api/v1/queues/default/resume", Value::Null, 204),
        ("POST", "/api/v1/jobs/later/cancel", Value::Null, 200),
        ("POST", "/api/v1/jobs", json!({"job": JOB, "queue": "another"}), 202),
    ];
    for (method, path, body, status) in requests {
        server.cut().await;
        let mut request = http.request(method.parse().unwrap(), format!("{base}{path}"));
        if method == "POST" {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let (found, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert!(
            found == status || (found / 100 == 2 && status / 100 == 2),
            "{method} {path}: {found} {text}"
        );
    }
    server.cut().await;
    let metrics = http.get(format!("{base}/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("dogwatch_up{part=\"redis\"} 1"), "{metrics}");
}

#[tokio::test]
async fn probes_are_ready_though_redis_closes_idle_connections_between_them() {
    let server = Server::plain(&["--timeout", "1"]).await;
    let ((place, _database), http) = (place(&server).await, client());
    let api = place.start(&["api"]);
    let base = api.api().await;
    for _ in 0..3 {
        server.has_no_clients().await;
        let ready = http.get(format!("{base}/readyz")).send().await.unwrap();
        assert_eq!(ready.status(), 200, "{}", ready.text().await.unwrap());
    }
    server.has_no_clients().await;
    let enqueued = http.post(format!("{base}/api/v1/jobs")).json(&json!({"job": JOB})).send().await.unwrap();
    assert_eq!(enqueued.status(), 202);
    assert_eq!(enqueued.json::<Value>().await.unwrap()["is_new"], true);
}

#[tokio::test]
async fn who_waits_for_a_job_waits_through_cut_connections_and_an_outage() {
    let mut server = Server::plain(&["--appendfsync", "always"]).await;
    let (place, _database) = place(&server).await;
    let waits = place.start(&["enqueue", JOB, "--id", "w", "--wait", "--json"]);
    let there = async || !place.jobs("ready").is_empty();
    eventually(LONG, "it is enqueued", there).await;
    for _ in 0..5 {
        server.ask("CLIENT KILL TYPE normal").await;
    }
    server.kill();
    waits.says("cannot see job w for now").await;
    server.restart().await;
    let worker = place.start(&["worker"]);
    assert_eq!(waits.end().await, Some(0), "the job succeeds: {}", worker.log());
}
