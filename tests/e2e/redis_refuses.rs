//! A Redis that answers and refuses: what the API, probes and the doctor say of it, and how a wrong address
//! is shown.

use dogwatch_testing::TestDatabase;
use serde_json::{Value, json};

use crate::redis_server::{Server, persistent};
use crate::support::Place;

const JOB: &str = "check_service_health";

async fn place(url: &str) -> (Place, TestDatabase) {
    let database = TestDatabase::new().await;
    let mut place = Place::bare();
    place.set("DATABASE_URL", &database.url());
    place.set("REDIS_URL", url);
    place.write("schedules.toml", "");
    (place, database)
}

fn finding<'a>(doctor: &'a Value, what: &str) -> &'a Value {
    let mut findings = doctor.as_array().unwrap().iter();
    findings.find(|finding| finding["what"] == what).unwrap_or_else(|| panic!("{doctor:#}"))
}

#[tokio::test]
async fn a_redis_that_takes_no_writes_is_not_ready_and_is_described() {
    let server = Server::plain(&[]).await;
    let (place, _database) = place(&server.url()).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = crate::support::http();
    let api = place.start(&["api"]);
    let base = api.api().await;
    let ready = async || {
        let answer = http.get(format!("{base}/readyz")).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    assert_eq!(ready().await.1["redis"], "ok");

    assert_eq!(server.ask("CONFIG SET min-replicas-to-write 1").await, "+OK");
    let (status, found) = ready().await;
    assert_eq!((status, &found["redis"], &found["postgres"]), (503, &json!("refuses"), &json!("ok")));
    assert!(found["redis_error"].as_str().unwrap().starts_with("NOREPLICAS "), "{found}");
    let refused = http.post(format!("{base}/api/v1/jobs")).json(&json!({"job": JOB})).send().await.unwrap();
    assert_eq!(refused.status(), 503);
    let problem: Value = refused.json().await.unwrap();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("Redis refuses for now: NOREPLICAS Not enough"), "{detail}");
    let doctor = place.json(&["doctor", "--json"]);
    assert_eq!(finding(&doctor, "redis writes")["state"], "wrong");
    assert!(finding(&doctor, "redis writes")["remedy"].as_str().unwrap().contains("min-replicas-to-write"));
    let output = place.run(&["enqueue", JOB]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), text.matches("NOREPLICAS").count()), (Some(1), 1), "{text}");
    assert_eq!(server.ask("CONFIG SET min-replicas-to-write 0").await, "+OK");
    assert_eq!(ready().await.0, 200);

    // What Redis will never accept is not said to be an outage.
    assert_eq!(server.ask("DEL dogwatch:queues").await.chars().next(), Some(':'));
    assert_eq!(server.ask("SET dogwatch:queues text").await, "+OK");
    let answer = http.get(format!("{base}/api/v1/queues")).send().await.unwrap();
    assert_eq!(answer.status(), 500, "{}", answer.text().await.unwrap());
    api.says("WRONGTYPE").await;
}

#[tokio::test]
async fn a_user_that_may_not_run_info_has_all_other_rights() {
    let documented = include_str!("../../docs/QUEUE.md");
    let rights = documented.lines().find(|line| line.starts_with("user dogwatch on ")).unwrap();
    let file =
        format!("user default off\n{}\n", rights.replace(">PASSWORD", ">s3cret").replace(" +info", ""));
    let server = Server::start(|folder, port| {
        let acl = folder.join("users.acl");
        std::fs::write(&acl, &file).unwrap();
        let acl = ["--aclfile".to_owned(), acl.to_str().unwrap().to_owned()];
        [vec!["--port".to_owned(), port.to_string()], acl.to_vec(), persistent()].concat()
    })
    .await;
    let (place, _database) = place(&format!("redis://dogwatch:s3cret@127.0.0.1:{}", server.port)).await;
    let doctor = place.json(&["doctor", "--json"]);
    let info = finding(&doctor, "redis info");
    assert_eq!(info["state"], "warning");
    assert!(info["detail"].as_str().unwrap().contains("version, memory and disk are not checked"), "{info}");
    assert_eq!(finding(&doctor, "redis rights")["state"], "ok");
    let wrong = doctor.as_array().unwrap().iter().find(|finding| finding["state"] == "wrong");
    assert_eq!(wrong, None);
}

#[tokio::test]
async fn a_wrong_address_is_wrong_usage_and_shows_no_password() {
    let mut place = Place::bare();
    let (redis, postgres) = ("REDIS_URL", "DATABASE_URL");
    for (variable, url) in [
        (redis, "redis://:hun?ter2@127.0.0.1:6379/0"),
        (redis, "redis://:p@hun:w/ter2%#?x@127.0.0.1:6379"),
        (redis, "redis://:hun#ter2@127.0.0.1:6379/0"),
        (redis, "redis://hunter2:1/ter2@127.0.0.1:6379/0"),
        (redis, "redis://127.0.0.1/0?password=hunter2"),
        (postgres, "postgres://hunter2:1?ter2@127.0.0.1/x"),
        (postgres, "postgres://a:hun/ter2@127.0.0.1/x"),
    ] {
        place.set(redis, "redis://127.0.0.1:1");
        place.set(postgres, "postgres://127.0.0.1:1/x");
        place.set(variable, url);
        let reads: &[&str] = if variable == redis { &["queues", "list"] } else { &["summary"] };
        for command in [reads, &["doctor"], &["worker"], &["api"]] {
            let output = place.run(command);
            let text = [output.stdout, output.stderr]
                .map(|text| String::from_utf8_lossy(&text).into_owned())
                .concat();
            assert!(!text.contains("hun") && !text.contains("ter2"), "{command:?} {url}: {text}");
            assert!(text.contains("%3F"), "{command:?} {url}: {text}");
            let expected = if command == ["doctor"] { 1 } else { 2 };
            assert_eq!(output.status.code(), Some(expected), "{command:?} {url}: {text}");
        }
    }
}

#[tokio::test]
async fn the_doctor_counts_jobs_that_are_in_no_collection() {
    let server = Server::plain(&[]).await;
    let (place, _database) = place(&server.url()).await;
    assert_eq!(finding(&place.json(&["doctor", "--json"]), "redis jobs")["state"], "ok");
    // A producer that died before its second command.
    assert_eq!(server.ask("SADD dogwatch:queues default").await, ":1");
    assert_eq!(server.ask("HSET dogwatch:{default}:data half {}").await, ":1");
    let doctor = place.json(&["doctor", "--json"]);
    let found = finding(&doctor, "redis jobs");
    assert_eq!(found["state"], "warning");
    let detail = found["detail"].as_str().unwrap();
    assert_eq!(detail, "stored and in no collection: 1 of queue `default`");
}
