//! A script stores all of what it is asked for, or nothing.

use std::time::Duration;

use dogwatch_queue::{NewJob, Unique, UniqueUntil};
use redis::AsyncCommands;

use crate::support::{Queue, note};

fn unique(window: Duration) -> NewJob {
    let unique = Unique { key: "k".to_owned(), until: UniqueUntil::Window(window) };
    NewJob { unique: Some(unique), ..note("bad") }
}

#[tokio::test]
async fn a_unique_window_of_less_than_a_millisecond_is_refused_with_its_whole_request() {
    let queue = Queue::new().await;
    for window in [Duration::ZERO, Duration::from_micros(400)] {
        let jobs = vec![
            NewJob { id: Some("n1".to_owned()), ..note("a") },
            NewJob { id: Some("n2".to_owned()), ..note("b") },
            unique(window),
        ];
        let (index, error) = queue.producer.enqueue_all(jobs).await.unwrap_err();
        assert_eq!(index, 2);
        assert!(error.to_string().starts_with("unique_until"), "{error}");
    }
    let mut redis = queue.redis().await;
    let keys: Vec<String> = redis.keys(format!("{}*", queue.namespace)).await.unwrap();
    assert_eq!(keys, Vec::<String>::new());
}

/// What a program of another version, or with a bug, sends.
#[tokio::test]
async fn a_script_that_gets_one_bad_job_stores_none() {
    let queue = Queue::new().await;
    let mut redis = queue.redis().await;
    let good = ["n1", r#"{"job": "note"}"#, "0", "0", ""];
    for (delay, at, options) in [
        ("0", "0", r#"{"unique_key": "q", "unique_ms": 0}"#),
        ("0", "0", r#"{"unique_key": {}, "unique_ms": 5}"#),
        ("0", "0", r#"{"priority": "high"}"#),
        ("0", "0", "{"),
        ("soon", "0", ""),
        ("0", "nan", ""),
        ("-1", "0", ""),
    ] {
        for (script, first) in [("enqueue", vec![]), ("relay", vec!["source", "1"])] {
            let source = lua(script);
            let bad = ["bad", r#"{"job": "note"}"#, delay, at, options];
            let mut call = redis::cmd("EVAL");
            call.arg(source).arg(1).arg(queue.prefix()).arg(&first).arg(&good);
            if script == "relay" {
                call.arg(2);
            }
            let answer: redis::RedisResult<redis::Value> = call.arg(&bad).query_async(&mut redis).await;
            let error = answer.unwrap_err().to_string();
            assert!(error.contains("job `bad`"), "{error}");
            let keys: Vec<String> = redis.keys(format!("{}*", queue.namespace)).await.unwrap();
            assert_eq!(keys, Vec::<String>::new(), "{script} {options}");
        }
    }
}

fn lua(script: &str) -> String {
    let read = |name: &str| {
        let path = format!("{}/lua/{name}.lua", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    };
    format!("#!lua\n{}{}{}", read("lib"), read("new"), read(script))
}
