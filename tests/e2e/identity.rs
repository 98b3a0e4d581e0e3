//! The same id in two queues is two jobs: every command and every route names the queue where it has to.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::Place;

const JOB: &str = "check_service_health";
const ID: &str = "order-8";

fn texts(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn states(place: &Place) -> Vec<String> {
    let show = |queue: &str| place.json(&["jobs", "show", ID, "--queue", queue, "--json"]);
    ["default", "zlow"].map(|queue| show(queue)["state"].as_str().unwrap().to_owned()).to_vec()
}

fn enqueue_twice(place: &Place) {
    for queue in ["default", "zlow"] {
        let enqueue = ["enqueue", JOB, "--id", ID, "--queue", queue, "--delay", "1h", "--json"];
        assert_eq!(place.json(&enqueue), json!({"id": ID, "is_new": true}));
    }
}

#[tokio::test]
async fn a_command_names_the_queues_of_an_id_and_acts_on_the_one_that_is_given() {
    let place = Place::new().await;
    enqueue_twice(&place);
    for command in [&["jobs", "show"][..], &["jobs", "cancel"], &["jobs", "retry"], &["jobs", "replay"]] {
        let (code, _, error) = texts(&place.run(&[command, &[ID]].concat()));
        let expected =
            "job `order-8` exists in 2 queues: `default`, `zlow`; name one of them, such as --queue default";
        assert!(code == Some(1) && error.contains(expected), "{command:?}: {error}");
    }
    assert_eq!(texts(&place.run(&["jobs", "discard", ID])).0, Some(1));
    assert_eq!(states(&place), ["scheduled", "scheduled"]);
    assert!(place.run(&["jobs", "cancel", ID, "--queue", "zlow"]).status.success());
    assert_eq!(states(&place), ["scheduled", "cancelled"]);
    assert!(place.run(&["jobs", "retry", ID, "--queue", "default"]).status.success());
    assert_eq!(states(&place), ["ready", "cancelled"]);
    let (code, _, error) = texts(&place.run(&["jobs", "cancel", ID, "--queue", "nowhere"]));
    assert!(code == Some(1) && error.contains("no job has the id `order-8` in queue `nowhere`"), "{error}");
    let (_, list, _) = texts(&place.run(&["jobs", "list"]));
    let header = list.lines().next().unwrap();
    assert!(header.contains("QUEUE") && list.contains("zlow"), "{list}");
}

#[tokio::test]
async fn the_api_answers_409_with_the_queues_of_an_id_and_takes_the_queue() {
    let mut place = Place::new().await;
    enqueue_twice(&place);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (api, http) = (place.start(&["api"]), crate::support::http());
    let base = api.api().await;
    let job = format!("{base}/api/v1/jobs/{ID}");
    for request in [
        http.get(&job),
        http.delete(&job),
        http.post(format!("{job}/cancel")),
        http.post(format!("{job}/retry")),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.url().path().contains(ID)), (409, true));
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["queues"], json!(["default", "zlow"]), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("such as ?queue=default"), "{problem}");
    }
    assert_eq!(states(&place), ["scheduled", "scheduled"]);
    let cancelled = http.post(format!("{job}/cancel?queue=zlow")).send().await.unwrap();
    let cancelled: Value = cancelled.json().await.unwrap();
    assert_eq!((&cancelled["queue"], &cancelled["state"]), (&json!("zlow"), &json!("cancelled")));
    assert_eq!(states(&place), ["scheduled", "cancelled"]);
    let code = async |address: String| http.get(address).send().await.unwrap().status().as_u16();
    assert_eq!(code(format!("{job}?queue=zlow")).await, 200);
    assert_eq!(code(format!("{job}?queue=nowhere")).await, 404);
    let alive = http.delete(format!("{job}?queue=zlow")).send().await.unwrap();
    assert_eq!(alive.status(), 409, "it is no dead letter");

    // The command line over HTTP does the same.
    place.set("DOGWATCH_URL", &base);
    let (code, _, error) = texts(&place.run(&["jobs", "cancel", ID]));
    assert!(code == Some(1) && error.contains("--queue default"), "{error}");
    assert!(place.run(&["jobs", "cancel", ID, "--queue", "default"]).status.success());
    assert_eq!(states(&place), ["cancelled", "cancelled"]);
    let (code, _, error) = texts(&place.run(&["jobs", "show", ".."]));
    assert!(code == Some(2) && error.contains("`..` cannot be part of an address"), "{error}");
    let (code, _, error) = texts(&place.run(&["enqueue", JOB, "--id", ".."]));
    assert!(code == Some(2) && error.contains("write another id"), "{error}");
}

#[tokio::test]
async fn an_id_that_exists_says_that_nothing_was_enqueued() {
    let place = Place::new().await;
    let _worker = place.start(&["worker"]);
    let enqueue = |more: &[&str]| texts(&place.run(&[&["enqueue", JOB, "--id", "nightly"], more].concat()));
    let (code, _, note) = enqueue(&["--wait"]);
    assert_eq!((code, note.as_str()), (Some(0), ""));
    let there = "job `nightly` exists already in queue `default` (succeeded); nothing was enqueued";
    assert_eq!(enqueue(&[]), (Some(0), "nightly\n".to_owned(), format!("{there}\n")));
    let (code, shown, note) = enqueue(&["--wait"]);
    assert_eq!((code, note), (Some(0), format!("{there}; --wait shows the outcome of that job\n")));
    assert!(shown.contains("succeeded"), "{shown}");
    let (_, answer, _) = enqueue(&["--json"]);
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap(), json!({"id": "nightly", "is_new": false}));

    let unique = ["enqueue", JOB, "--unique-key", "k", "--delay", "1h"];
    let (_, first, _) = texts(&place.run(&unique));
    let (code, second, note) = texts(&place.run(&unique));
    let (id, holds) = (first.trim(), "in queue `default` (scheduled) holds the unique key `k`");
    assert_eq!((code, &second), (Some(0), &first));
    assert_eq!(note, format!("job `{id}` {holds}; nothing was enqueued\n"));
}
