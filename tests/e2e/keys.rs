//! Who comes in, and sees what. Every operation of /openapi.json is tried with each kind of key: a new one is covered by itself.

use std::collections::BTreeSet;

use dogwatch_testing::eventually;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{LONG, OWNER, Place, Process};

struct Side {
    place: Place,
    base: String,
    http: Client,
    _api: Process,
}

/// An operation as it is described.
#[derive(Debug)]
struct Operation {
    method: Method,
    /// As it is described.
    template: String,
    /// With an id, or a name.
    path: String,
    scope: Option<String>,
    /// Whether keys of a tenant come in.
    is_of_tenants: bool,
    /// A body that its schema takes, where it needs one.
    body: Option<Value>,
}

impl Side {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let place = Place::new().await;
        place.write("schedules.toml", include_str!("../../schedules.toml"));
        place.write("dogwatch.toml", "[[services]]\nname = \"backup\"\nurl = \"heartbeat:\"\n");
        let api = place.start(&["api"]);
        let base = api.api().await;
        Self { place, base, http: Client::new(), _api: api }
    }

    fn key(&self, name: &str, arguments: &[&str]) -> String {
        let made = self.place.json(&[&["keys", "create", name, "--json"], arguments].concat());
        made["secret"].as_str().unwrap().to_owned()
    }

    async fn ask(
        &self,
        key: Option<&str>,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> (StatusCode, String) {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// There are keys: also exporters need one.
    async fn is_closed(&self) -> bool {
        let spans = self.http.post(format!("{}/v1/traces", self.base)).json(&json!({}));
        spans.send().await.unwrap().status() == StatusCode::UNAUTHORIZED
    }

    async fn operations(&self) -> Vec<Operation> {
        let (_, text) = self.ask(None, &Method::GET, "/openapi.json", None).await;
        let description: Value = serde_json::from_str(&text).unwrap();
        let mut operations = Vec::new();
        for (path, item) in description["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let scope = operation["security"][0]["key"][0].as_str().map(str::to_owned);
                operations.push(Operation {
                    method: method.to_uppercase().parse().unwrap(),
                    template: path.clone(),
                    path: path
                        .replace("{id}", "00000000-0000-0000-0000-000000000000")
                        .replace("{name}", "backup"),
                    scope,
                    is_of_tenants: operation["x-tenants"] == "own",
                    body: operation.get("requestBody").map(|_| json!({})),
                });
            }
        }
        operations
    }
}

/// Data of two tenants; what is of the other one holds this word.
const OTHERS: &str = "globex";

async fn fill(side: &Side, admin: &str) {
    for tenant in ["acme", OTHERS] {
        let metric = |ms: f64| {
            json!({"service": format!("{tenant}-shop"), "endpoint": format!("/{tenant}"), "method": "GET", "status_code": 500,
                   "response_time_ms": ms, "tenant": tenant, "user_id": format!("{tenant}-user"),
                   "error": format!("{tenant} failed")})
        };
        let metrics = json!([metric(12.0), metric(9000.0)]);
        let alert = json!({"alert_type": format!("{tenant}_trouble"), "tenant": tenant, "title": format!("{tenant} is down")});
        let silence = json!({"match": {"tenant": tenant}, "comment": format!("{tenant} deploys")});
        for (path, body) in [
            ("performance/metrics", metrics),
            ("performance/alerts", alert),
            ("performance/silences", silence),
        ] {
            let (status, text) =
                side.ask(Some(admin), &Method::POST, &format!("/api/v1/{path}"), Some(&body)).await;
            assert!(status.is_success(), "{path}: {text}");
        }
        let report = json!({"job": "generate_performance_report", "args": {"hours": 1, "tenant": tenant}});
        side.ask(Some(admin), &Method::POST, "/api/v1/jobs", Some(&report)).await;
    }
    let _worker = side.place.start(&["worker"]);
    let reported = async || {
        let (_, text) = side.ask(Some(admin), &Method::GET, "/api/v1/performance/reports", None).await;
        serde_json::from_str::<Value>(&text).unwrap()["items"].as_array().unwrap().len() == 2
    };
    eventually(LONG, "both reports are stored", reported).await;
}

#[tokio::test]
async fn without_a_key_nobody_comes_in_once_there_is_one() {
    let side = Side::start().await;
    let jobs = "/api/v1/jobs";
    // The first run asks exporters for nothing, and others for what the owner alone can read.
    let spans = side.http.post(format!("{}/v1/traces", side.base)).json(&json!({}));
    assert_eq!(spans.send().await.unwrap().status(), 200);
    let (status, text) = side.ask(None, &Method::GET, jobs, None).await;
    assert!(
        status == 401 && text.contains(".dogwatch/authorization") && text.contains("dogwatch sign-in"),
        "{text}"
    );
    assert_eq!(crate::support::get(format!("{}{jobs}", side.base)).await.unwrap().status(), 200);
    let admin = side.key("ops", &["--scope", "admin"]);
    eventually(LONG, "it is closed some seconds later", async || side.is_closed().await).await;
    assert_eq!(side.ask(Some(OWNER), &Method::GET, jobs, None).await.0, 401, "the owner needs a key too");
    assert_eq!(side.ask(Some(&admin), &Method::GET, jobs, None).await.0, 200);
    assert_eq!(side.ask(Some("dw_none"), &Method::GET, jobs, None).await.0, 401);
    // Spans too, on each port.
    let spans = side.http.post(format!("{}/v1/traces", side.base)).json(&json!({}));
    assert_eq!(spans.send().await.unwrap().status(), 401);
    let spans = side.http.post(format!("{}/v1/traces", side.base)).json(&json!({})).bearer_auth(&admin);
    assert_eq!(spans.send().await.unwrap().status(), 200);
    let list = side.place.json(&["keys", "list", "--json"]);
    assert_eq!((&list["items"][0]["name"], &list["items"][0]["scopes"]), (&json!("ops"), &json!(["admin"])));
    assert!(!list.to_string().contains(admin.rsplit('_').next().unwrap()), "secrets are kept nowhere");
    assert!(side.place.run(&["keys", "revoke", "ops"]).status.success());
    let revoked =
        async || side.ask(Some(&admin), &Method::GET, jobs, None).await.0 == StatusCode::UNAUTHORIZED;
    eventually(LONG, "it opens nothing some seconds later", revoked).await;
}

/// A scope, and those that it holds.
fn implied(scope: &str) -> &[&str] {
    match scope {
        "ingest" => &["ingest"],
        "read" => &["read"],
        "enqueue" => &["enqueue"],
        "alerts" => &["alerts"],
        "write" => &["write", "read", "enqueue", "alerts"],
        _ => &["admin", "write", "read", "ingest", "enqueue", "alerts"],
    }
}

#[tokio::test]
async fn every_operation_lets_those_in_who_may_and_nobody_else() {
    let side = Side::start().await;
    let scopes = ["ingest", "read", "enqueue", "alerts", "write", "admin"];
    let keys: Vec<String> = scopes.iter().map(|scope| side.key(scope, &["--scope", scope])).collect();
    let of_tenant: Vec<String> = scopes[..5]
        .iter()
        .map(|scope| side.key(&format!("acme-{scope}"), &["--scope", scope, "--tenant", "acme"]))
        .collect();
    eventually(LONG, "it is closed", async || side.is_closed().await).await;
    let (mut tried, operations) = (0, side.operations().await);
    assert!(operations.len() > 25, "{}", operations.len());
    for operation in &operations {
        let Operation { method, path, scope, is_of_tenants, body, .. } = operation;
        let Some(scope) = scope else {
            assert!(path.ends_with("/session"), "{operation:?} needs no key");
            continue;
        };
        let (status, _) = side.ask(None, method, path, body.as_ref()).await;
        assert_eq!(status, 401, "{operation:?} without a key");
        let tenants = scopes[..5].iter().zip(&of_tenant).map(|(has, key)| (has, key, *is_of_tenants));
        for (has, key, is_tenant_let_in) in
            scopes.iter().zip(&keys).map(|(has, key)| (has, key, true)).chain(tenants)
        {
            let (status, text) = side.ask(Some(key), method, path, body.as_ref()).await;
            let may = implied(has).contains(&scope.as_str()) && is_tenant_let_in;
            assert_eq!(status != StatusCode::FORBIDDEN, may, "{operation:?} with {has}: {status} {text}");
            assert_ne!(status, StatusCode::UNAUTHORIZED, "{operation:?} with {has}");
            tried += 1;
        }
    }
    println!("{} operations, {tried} tries with keys", operations.len());
    // The documentation has each of them, with the scope that it needs.
    let documented: BTreeSet<&str> =
        include_str!("../../docs/API.md").lines().filter(|line| line.starts_with("| `/")).collect();
    let row = |operation: &Operation| {
        let path = operation.template.trim_start_matches("/api/v1");
        let scope = operation.scope.as_ref().map_or("no key".to_owned(), |scope| format!("`{scope}`"));
        let tenants = if operation.is_of_tenants || operation.scope.is_none() { "yes" } else { "no" };
        format!("| `{path}` | {} | {scope} | {tenants} |", operation.method)
    };
    let described: Vec<String> = operations.iter().map(row).collect();
    let described: BTreeSet<&str> = described.iter().map(String::as_str).collect();
    assert_eq!(
        documented,
        described,
        "docs/API.md should have:\n{}",
        Vec::from_iter(described.clone()).join("\n")
    );
}

#[tokio::test]
async fn what_removes_data_or_mails_to_any_address_is_for_administrators() {
    let side = Side::start().await;
    let (write, admin) = (side.key("write", &["--scope", "write"]), side.key("admin", &["--scope", "admin"]));
    let enqueue = side.key("enqueue", &["--scope", "enqueue"]);
    let report = |to: Value| json!({"job": "generate_performance_report", "args": {"hours": 1, "to": to}});
    for (job, status) in [
        (json!({"job": "cleanup_old_performance_data", "args": {"days": 1}}), 403),
        (json!([{"job": "monitor_system_resources"}, {"job": "cleanup_old_performance_data"}]), 403),
        (report(json!(["somebody@example.com"])), 403),
        (report(json!("somebody@example.com")), 403),
        (report(json!([])), 202),
        (json!({"job": "monitor_system_resources"}), 202),
    ] {
        for key in [&write, &enqueue] {
            let (answered, text) = side.ask(Some(key), &Method::POST, "/api/v1/jobs", Some(&job)).await;
            assert_eq!(answered, status, "{job}: {text}");
        }
    }
    let cleanup = json!({"job": "cleanup_old_performance_data", "id": "c", "delay": "1h"});
    let (status, text) = side.ask(Some(&admin), &Method::POST, "/api/v1/jobs", Some(&cleanup)).await;
    assert_eq!(status, 202, "{text}");
    // Nor can its arguments be changed by others afterwards.
    let (status, text) = side
        .ask(Some(&write), &Method::POST, "/api/v1/jobs/c/retry", Some(&json!({"args": {"days": 1}})))
        .await;
    assert_eq!(status, 403, "{text}");
    assert_eq!(side.ask(Some(&enqueue), &Method::GET, "/api/v1/jobs", None).await.0, 403);
}

#[tokio::test]
async fn who_did_what_from_where_is_in_the_audit_log() {
    let side = Side::start().await;
    let admin = side.key("ops", &["--scope", "admin"]);
    eventually(LONG, "it is closed", async || side.is_closed().await).await;
    let post = async |path: &str, body: Value| {
        let (status, text) =
            side.ask(Some(&admin), &Method::POST, &format!("/api/v1/{path}"), Some(&body)).await;
        assert!(status.is_success(), "{path}: {text}");
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let wrong = format!("dw_{}_nothing", uuid::Uuid::nil().simple());
    side.ask(Some(&wrong), &Method::GET, "/api/v1/jobs", None).await;
    post("session", json!({"key": admin})).await;
    let made = post("keys", json!({"name": "shop", "scopes": ["ingest"]})).await;
    post("performance/silences", json!({"match": {"service": "shop"}, "by": "ann", "comment": "deploy"}))
        .await;
    let alert = post("performance/alerts", json!({"alert_type": "reported", "title": "it fails"})).await;
    post(&format!("performance/alerts/{}/acknowledge", alert["id"].as_str().unwrap()), json!({"by": "ann"}))
        .await;
    post("jobs", json!({"job": "monitor_system_resources", "queue": "q", "delay": "1h"})).await;
    post("queues/q/purge", json!({})).await;
    let change = json!({"jobs.thresholds.cpu_percent": 80.0});
    let (status, text) =
        side.ask(Some(&admin), &Method::PATCH, "/api/v1/performance/config", Some(&change)).await;
    assert!(status.is_success(), "{text}");
    let path = format!("/api/v1/keys/{}", made["id"].as_str().unwrap());
    side.ask(Some(&admin), &Method::DELETE, &path, None).await;
    assert!(side.place.run(&["queues", "pause", "q"]).status.success());
    let log = async || side.place.json(&["audit", "--json"])["items"].as_array().unwrap().clone();
    eventually(LONG, "the refused key is noted", async || log().await.len() >= 10).await;
    let log = log().await;
    let line = |action: &str, actor: &str, from: &str, target: Value| {
        let is_it = |event: &&Value| {
            (&event["action"], &event["actor"], &event["target"]) == (&json!(action), &json!(actor), &target)
                && event["address"].as_str().unwrap().starts_with(from)
        };
        assert!(log.iter().any(|event| is_it(&event)), "{action}: {log:#?}");
    };
    line("key_refused", "unknown", "127.0.0.1", json!(uuid::Uuid::nil().to_string()));
    line("signed_in", "ops", "127.0.0.1", Value::Null);
    line("key_created", "ops", "127.0.0.1", json!("shop"));
    line("key_revoked", "ops", "127.0.0.1", json!("shop"));
    line("silence_created", "ops", "127.0.0.1", json!("service=shop"));
    line("alert_acknowledged", "ops", "127.0.0.1", json!("it fails"));
    line("queue_purged", "ops", "127.0.0.1", json!("q"));
    line("settings_changed", "ops", "127.0.0.1", Value::Null);
    // Processes of tests have no USER.
    line("queue_paused", "cli", "command line on ", json!("q"));
    assert!(!json!(log).to_string().contains(admin.rsplit('_').next().unwrap()), "no secrets");
    // Nobody acts in another's name: the key is said too.
    let (_, shown) = side.ask(Some(&admin), &Method::GET, "/api/v1/performance/alerts", None).await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["items"][0]["acknowledged_by"], "ann (key ops)");
    let page = "/api/v1/audit?limit=2&action=key_created";
    let (_, page) = side.ask(Some(&admin), &Method::GET, page, None).await;
    let page: Value = serde_json::from_str(&page).unwrap();
    assert_eq!((page["items"].as_array().unwrap().len(), &page["items"][0]["target"]), (2, &json!("shop")));
}

#[tokio::test]
async fn a_key_is_replaced_while_the_one_before_goes_on() {
    let side = Side::start().await;
    let old = side.key("shop", &["--scope", "read", "--tenant", "acme", "--expires-in", "30d"]);
    let rotated = side.place.json(&["keys", "rotate", "shop", "--overlap", "1h", "--json"]);
    let new = rotated["secret"].as_str().unwrap();
    assert_eq!((&rotated["key"]["name"], &rotated["key"]["tenant"]), (&json!("shop"), &json!("acme")));
    let alerts = "/api/v1/performance/alerts";
    assert_eq!(side.ask(Some(&old), &Method::GET, alerts, None).await.0, 200);
    assert_eq!(side.ask(Some(new), &Method::GET, alerts, None).await.0, 200);
    let rotated = side.place.json(&["keys", "rotate", "shop", "--overlap", "0s", "--json"]);
    let newest = rotated["secret"].as_str().unwrap();
    let has_ended =
        async || side.ask(Some(new), &Method::GET, alerts, None).await.0 == StatusCode::UNAUTHORIZED;
    eventually(LONG, "the one before has ended", has_ended).await;
    assert_eq!(side.ask(Some(newest), &Method::GET, alerts, None).await.0, 200);
    assert_eq!(side.ask(Some(&old), &Method::GET, alerts, None).await.0, 200, "its hour is not over");
    let list = side.place.json(&["keys", "list", "--json"]);
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_key_of_a_tenant_sees_nothing_of_another() {
    let side = Side::start().await;
    let admin = side.key("ops", &["--scope", "admin"]);
    fill(&side, &admin).await;
    let acme = side.key("acme", &["--scope", "write", "--scope", "ingest", "--tenant", "acme"]);
    let (mut looked, mut own) = (0, 0);
    // Where an id is asked for, those of the other tenant, and of everything else that is listed.
    let mut ids = Vec::new();
    for list in ["performance/alerts", "performance/silences", "performance/reports"] {
        let (_, text) = side.ask(Some(&admin), &Method::GET, &format!("/api/v1/{list}"), None).await;
        let list: Value = serde_json::from_str(&text).unwrap();
        ids.extend(
            list["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(ids.len(), 6);
    for operation in side.operations().await.iter().filter(|operation| operation.method == Method::GET) {
        let paths: Vec<String> = if operation.path.contains("00000000") {
            ids.iter().map(|id| operation.path.replace("00000000-0000-0000-0000-000000000000", id)).collect()
        } else {
            let path = &operation.path;
            let windows = ["", "?tenant=acme", "?tenant=globex", "?hours=24", "?service=globex-shop"];
            windows.iter().map(|question| format!("{path}{question}")).collect()
        };
        for path in paths {
            for form in ["", "&format=html", "&format=text"] {
                let path = if form.is_empty() { path.clone() } else { format!("{path}?{}", &form[1..]) };
                let (status, text) = side.ask(Some(&acme), &Method::GET, &path, None).await;
                let asked_for = text.replace("globex-shop", "").replace("?tenant=globex", "");
                assert!(!asked_for.contains(OTHERS), "{path}: {status} {text}");
                looked += 1;
                own += usize::from(status.is_success() && text.contains("acme"));
            }
        }
    }
    assert!(own >= 8, "it sees its own: {own}");
    println!("looked {looked} times, found its own {own} times");
    // It tells of nobody else either, and touches nothing that is not its own.
    let metric = json!({"service": "s", "endpoint": "/", "method": "GET", "status_code": 200, "response_time_ms": 1.0,
                        "tenant": OTHERS});
    assert_eq!(
        side.ask(Some(&acme), &Method::POST, "/api/v1/performance/metrics", Some(&metric)).await.0,
        403
    );
    for action in ["acknowledge", "resolve", "silence"] {
        let (mut done, mut refused) = (0, 0);
        for id in &ids[..2] {
            let path = format!("/api/v1/performance/alerts/{id}/{action}");
            match side.ask(Some(&acme), &Method::POST, &path, None).await.0 {
                StatusCode::NOT_FOUND => refused += 1,
                status => done += usize::from(status.is_success()),
            }
        }
        assert_eq!((done, refused), (1, 1), "{action}");
    }
    let ended: Vec<StatusCode> = {
        let mut ended = Vec::new();
        for id in &ids[2..4] {
            ended.push(
                side.ask(Some(&acme), &Method::DELETE, &format!("/api/v1/performance/silences/{id}"), None)
                    .await
                    .0,
            );
        }
        ended.sort();
        ended
    };
    assert_eq!(ended, [204, 404]);
    // An alert of everybody is not taken for its own, however they are named.
    let path = "/api/v1/performance/alerts";
    let of_all = json!({"alert_type": "pay", "service": "acme", "title": "of all"});
    let its_own = json!({"alert_type": "pay"});
    let (_, of_all) = side.ask(Some(&admin), &Method::POST, path, Some(&of_all)).await;
    let (_, its_own) = side.ask(Some(&acme), &Method::POST, path, Some(&its_own)).await;
    let id = |text: &str| serde_json::from_str::<Value>(text).unwrap()["id"].clone();
    assert_ne!(id(&of_all), id(&its_own));
    // What it silences is its own, whatever it asks for.
    let everything = json!({"match": {"alert_type": "*"}});
    let (_, text) =
        side.ask(Some(&acme), &Method::POST, "/api/v1/performance/silences", Some(&everything)).await;
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["match"]["tenant"], "acme");
}

#[tokio::test]
async fn the_owner_signs_a_browser_in_by_a_link_that_works_once() {
    let mut side = Side::start().await;
    let session = format!("{}/api/v1/session", side.base);
    assert_eq!(side.http.get(&session).send().await.unwrap().status(), 401);
    let address = side.base.trim_start_matches("http://").to_owned();
    side.place.set("DOGWATCH_API_LISTEN", &address);
    let printed = side.place.run(&["sign-in"]);
    let link = String::from_utf8(printed.stdout).unwrap();
    let code = link.trim().strip_prefix(&format!("{}/sign-in#code=", side.base)).unwrap();
    let sign_in =
        async |code: &str| side.http.post(&session).json(&json!({"code": code})).send().await.unwrap();
    let answer = sign_in(code).await;
    assert_eq!(answer.status(), 200);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let who = async || side.http.get(&session).header("cookie", &cookie).send().await.unwrap();
    let owner: Value = who().await.json().await.unwrap();
    assert_eq!((&owner["name"], &owner["has_key"]), (&json!("local"), &json!(false)));
    assert_eq!(sign_in(code).await.status(), 401, "once");
    assert_eq!(sign_in("").await.status(), 401);
    // Another user of this machine can send what is measured, and no more.
    let metric = json!({"service": "s", "endpoint": "/", "method": "GET", "status_code": 200, "response_time_ms": 1.0});
    let metrics = "/api/v1/performance/metrics";
    assert_eq!(side.ask(None, &Method::POST, metrics, Some(&metric)).await.0, 201);
    let key = json!({"name": "mine", "scopes": ["admin"]});
    assert_eq!(side.ask(None, &Method::POST, "/api/v1/keys", Some(&key)).await.0, 401);
    assert_eq!(side.ask(Some("dwl_wrong"), &Method::GET, "/api/v1/jobs", None).await.0, 401);
    // With the first key that ends.
    side.key("ops", &["--scope", "admin"]);
    eventually(LONG, "it is closed", async || side.is_closed().await && who().await.status() == 401).await;
    assert_eq!(side.ask(Some(OWNER), &Method::POST, "/api/v1/session/codes", None).await.0, 401);
}

#[tokio::test]
async fn a_browser_signs_in_and_other_sites_cannot_use_that() {
    let side = Side::start().await;
    let key = side.key("ops", &["--scope", "write"]);
    let session = format!("{}/api/v1/session", side.base);
    let answer = side.http.post(&session).json(&json!({"key": "dw_wrong"})).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let answer = side.http.post(&session).json(&json!({"key": key})).send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    for word in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    assert!(!cookie.contains(&key), "the cookie is not the key");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let pause = |headers: &[(&'static str, String)]| {
        let mut request =
            side.http.post(format!("{}/api/v1/queues/default/pause", side.base)).header("cookie", &cookie);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        async { request.send().await.unwrap().status().as_u16() }
    };
    let who = side.http.get(&session).header("cookie", &cookie).send().await.unwrap();
    let who: Value = who.json().await.unwrap();
    assert_eq!(
        (&who["name"], &who["scopes"]),
        (&json!("ops"), &json!(["read", "enqueue", "alerts", "write"]))
    );
    assert_eq!(pause(&[("sec-fetch-site", "cross-site".to_owned())]).await, 403);
    assert_eq!(pause(&[("origin", "http://evil.example".to_owned())]).await, 403);
    // Our own pages may; whether there is such a queue yet is another question.
    assert_eq!(pause(&[("sec-fetch-site", "same-origin".to_owned())]).await, 404);
    side.http.delete(&session).header("cookie", &cookie).send().await.unwrap();
    assert_eq!(side.http.get(&session).header("cookie", &cookie).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn sessions_are_bounded_listed_and_ended_and_end_when_they_are_not_used() {
    let side = Side::start().await;
    let admin = side.key("ops", &["--scope", "admin"]);
    let session = format!("{}/api/v1/session", side.base);
    let mut cookies = Vec::new();
    for _ in 0..52 {
        let answer = side.http.post(&session).json(&json!({"key": admin})).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        cookies.push(cookie);
    }
    let status = async |cookie: &str| {
        side.http.get(&session).header("cookie", cookie).send().await.unwrap().status().as_u16()
    };
    assert_eq!((status(&cookies[0]).await, status(&cookies[51]).await), (401, 200), "the oldest have ended");
    let (_, list) = side.ask(Some(&admin), &Method::GET, "/api/v1/sessions", None).await;
    let list: Value = serde_json::from_str(&list).unwrap();
    let items = list["items"].as_array().unwrap();
    assert_eq!(
        (items.len(), &items[0]["key"], &items[0]["address"]),
        (50, &json!("ops"), &json!("127.0.0.1"))
    );
    // The one that is not used for a week.
    side.place.database().execute("UPDATE sessions SET last_used_at = now() - interval '8 days'").await;
    assert_eq!(status(&cookies[50]).await, 401);
    // It was asked for before, and is known for some seconds.
    eventually(LONG, "it has ended", async || status(&cookies[51]).await == 401).await;
    let again = side.http.post(&session).json(&json!({"key": admin})).send().await.unwrap();
    let cookie = again.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let (_, list) = side.ask(Some(&admin), &Method::GET, "/api/v1/sessions", None).await;
    let list: Value = serde_json::from_str(&list).unwrap();
    let path = format!("/api/v1/sessions/{}", list["items"][0]["id"].as_str().unwrap());
    assert_eq!(side.ask(Some(&admin), &Method::DELETE, &path, None).await.0, 204);
    eventually(LONG, "it is signed out", async || status(&cookie).await == 401).await;
}

#[tokio::test]
async fn answers_are_not_kept_by_caches_and_pages_are_not_framed() {
    let side = Side::start().await;
    for path in ["/api/v1/jobs", "/docs/", "/", "/api/v1/performance/config"] {
        let answer = side.http.get(format!("{}{path}", side.base)).send().await.unwrap();
        let header =
            |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin", "{path}");
        if path.starts_with("/api") {
            assert_eq!(header("cache-control"), "no-store", "{path}");
        } else {
            assert!(header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        }
    }
    // Times of other ages, wherever one is taken.
    let far = "+262142-12-31T23:30:00Z";
    for (path, body) in [
        ("performance/silences", json!({"match": {"service": "a"}, "starts_at": far})),
        ("keys", json!({"name": "far", "scopes": ["read"], "expires_at": far})),
        ("jobs", json!({"job": "monitor_system_resources", "run_at": far})),
    ] {
        let (status, text) =
            side.ask(Some(OWNER), &Method::POST, &format!("/api/v1/{path}"), Some(&body)).await;
        assert!(status == 422 && text.contains("between 1970 and 2200"), "{path}: {status} {text}");
    }
}

#[tokio::test]
async fn an_address_that_others_reach_needs_a_key_first() {
    let mut place = Place::new().await;
    place.write("schedules.toml", "");
    assert!(place.run(&["migrate"]).status.success());
    place.set("DOGWATCH_API_LISTEN", "0.0.0.0:0");
    let refused = place.run(&["api"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(2) && said.contains("dogwatch keys create"), "{said}");
    place.json(&["keys", "create", "ops", "--scope", "admin", "--json"]);
    let api = place.start(&["api"]);
    let base = api.api().await.replace("0.0.0.0", "127.0.0.1");
    let _ = rustls::crypto::ring::default_provider().install_default();
    assert_eq!(Client::new().get(format!("{base}/api/v1/jobs")).send().await.unwrap().status(), 401);
    assert_eq!(Client::new().get(format!("{base}/livez")).send().await.unwrap().status(), 200);
}
