use super::super::follow_up::{Origin, error_follow_ups, follow_ups};
use super::super::inspect::command;
use super::super::reply;
use super::super::revoke::revocation;
use super::*;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// Messages that a Celery 5.6 client wrote: name of the case, and the message.
pub(crate) fn golden() -> impl Iterator<Item = (String, Vec<u8>)> {
    include_str!("../../../tests/celery/golden.jsonl").lines().map(|line| {
        let case: Value = serde_json::from_str(line).unwrap();
        (text(&case["case"]).unwrap(), text(&case["raw"]).unwrap().into_bytes())
    })
}

pub(crate) fn case(name: &str) -> Vec<u8> {
    golden().find(|(case, _)| case == name).unwrap().1
}

/// A message of protocol 2 with this body; `change` may change anything else.
pub(crate) fn message(body: &Value, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut envelope: Value = serde_json::from_slice(&case("plain_kwargs")).unwrap();
    envelope["body"] = json!(STANDARD.encode(body.to_string()));
    change(&mut envelope);
    envelope.to_string().into_bytes()
}

/// All that a message says beyond its id, without what is absent.
fn summary(message: &Message) -> Value {
    let tasks = |signatures: &[Signature]| {
        signatures.iter().map(|signature| json!(signature)["task"].clone()).collect::<Value>()
    };
    let ms = |time: Option<Duration>| time.map(|time| time.as_millis());
    let Message { follow_up: follow, reply_fields: reply, .. } = message;
    assert_eq!((&reply.task_id, &follow.traceparent), (&message.id, &message.traceparent));
    assert_eq!(reply.root_id.as_ref().unwrap_or(&message.id), &message.id);
    let mut summary = json!({
        "task": message.task, "args": message.args, "kwargs": message.kwargs, "eta": message.eta,
        "expires": message.expires, "expires_in": ms(message.expires_in), "hard": ms(message.hard_limit),
        "soft": ms(message.soft_limit), "priority": message.priority.filter(|n| *n != 0),
        "ignore": message.ignore_result, "retries": message.retries, "trace": message.traceparent,
        "queue": follow.queue, "chain": tasks(&follow.chain), "callbacks": tasks(&follow.callbacks),
        "errbacks": tasks(&follow.errbacks), "group": reply.group_id, "parent": reply.parent_id,
    });
    let absent = [json!(null), json!([]), json!({}), json!(false), json!(0), json!("celery"), json!("x")];
    summary.as_object_mut().unwrap().retain(|_, value| !absent.contains(value));
    summary
}

#[test]
fn every_golden_message_is_read_as_it_was_meant() {
    let check = "threshold_check";
    let mut read = 0;
    for (case, raw) in golden() {
        let envelope: Value = serde_json::from_slice(&raw).unwrap();
        let id = text(&envelope["properties"]["correlation_id"]);
        let expected = match case.as_str() {
            "plain_kwargs" => json!({"task": check, "kwargs": {"host": "db1", "limit": 0.9}}),
            "args" => json!({"task": check, "args": ["db1", 3]}),
            "countdown_30" => {
                json!({"task": check, "kwargs": {"h": 1}, "eta": "2026-11-23T04:48:26.758431Z"})
            }
            "eta" => json!({"task": check, "eta": "2030-01-01T00:00:00Z"}),
            "expires_120" => {
                json!({"task": check, "expires": "2026-11-23T04:49:56.760976Z", "expires_in": 120_000})
            }
            "time_limit60_soft50" => json!({"task": check, "hard": 60_000, "soft": 50_000}),
            "queue_alerts" => json!({"queue": "alerts"}),
            "ignore_result" => json!({"ignore": true}),
            "typed_json" => {
                let uuid = "00000000-0000-0000-0000-000000000001";
                json!({"kwargs": {"u": uuid, "t": "2026-01-02T03:04:05+00:00", "b": "/wA="}})
            }
            "headers_traceparent" => {
                json!({"trace": "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01"})
            }
            "link_linkerror_shadow" => json!({"callbacks": ["cb"], "errbacks": ["eb"]}),
            "chain" => json!({"task": "a", "args": [1], "chain": ["b"]}),
            "compression_zlib" | "protocol_v1" => json!({"kwargs": {"z": 1}}),
            "global_keyprefix" | "priority_0" => json!({}),
            "chord" => json!({"dependents": ["c48428cc-b88a-4d59-9d05-b1b4f67c4ad6"],
                "exception": "builtins.NotImplementedError", "task": "a",
                "reason": "a chord is not supported; send the tasks one by one and collect their results"}),
            "pickle_must_be_rejected" => json!({"dependents": [],
                "exception": "kombu.exceptions.ContentDisallowed", "task": "x",
                "reason": "the body is pickled Python; set task_serializer = \"json\" at the client"}),
            other => json!({"priority": other.strip_prefix("priority_").unwrap().parse::<u8>().unwrap()}),
        };
        let (its_id, found) = match decode(&raw) {
            Ok(message) => (Some(message.id.clone()), summary(&message)),
            Err(refusal) => {
                let exception = format!("{}.{}", refusal.exc_module, refusal.exc_type);
                let found = json!({"task": refusal.task, "reason": refusal.reason, "exception": exception,
                    "dependents": refusal.dependents});
                (refusal.id, found)
            }
        };
        assert_eq!((its_id, found), (id, expected), "{case}");
        read += 1;
    }
    assert_eq!(read, 30);
}

#[test]
fn what_cannot_be_run_is_refused_with_its_id_and_a_reason() {
    let id = Some("7a7954e4-c0ad-4947-b1af-a750727563d6");
    let group = json!({"task": "celery.group", "subtask_type": "group", "options": {"task_id": "g"},
        "kwargs": {"tasks": [{"task": "b", "options": {"task_id": "b1"}}]}});
    let set = |pointer, value| {
        message(&json!([[], {}, {}]), |envelope| *envelope.pointer_mut(pointer).unwrap() = value)
    };
    let header = |name, value| message(&json!([[], {}, {}]), |envelope| envelope["headers"][name] = value);
    let body = |body| message(&body, |_| {});
    for (raw, exc_type, reason) in [
        (set("/content-type", json!("application/x-yaml")), "ContentDisallowed", "application/x-yaml; set"),
        (set("/content-type", json!("application/x-msgpack")), "ContentDisallowed", "task_serializer"),
        (header("compression", json!("application/x-bz2")), "DecodeError", "task_compression = \"zlib\""),
        (header("compression", json!("zlib")), "DecodeError", "no zlib stream"),
        (set("/properties/body_encoding", json!("rot13")), "DecodeError", "`rot13` is unknown"),
        (set("/body", json!("*")), "DecodeError", "no base64"),
        (set("/body", json!(5)), "DecodeError", "no string"),
        (set("/body", json!("W05hTl0=")), "DecodeError", "no JSON"),
        (header("eta", json!("soon")), "InvalidTaskError", "eta: `\"soon\"` is no ISO 8601 time"),
        (header("expires", json!(5)), "InvalidTaskError", "expires: `5`"),
        (header("timelimit", json!([-1, null])), "InvalidTaskError", "timelimit: `-1`"),
        (body(json!([[], [], {}])), "InvalidTaskError", "kwargs: `[]` is no mapping"),
        (body(json!([5, {}, {}])), "InvalidTaskError", "args: `5` is no list"),
        (body(json!([[{"__type__": "x", "__value__": 1}], {}])), "InvalidTaskError", "args: a value of type"),
        (body(json!([[]])), "InvalidTaskError", "neither of protocol 2 nor of 1"),
        (body(json!([[], {}, {"callbacks": [5]}])), "InvalidTaskError", "callbacks: "),
        (body(json!([[], {}, {"chain": [group]}])), "NotImplementedError", "a group, chain or chord inside"),
    ] {
        let refusal = decode(&raw).unwrap_err();
        assert_eq!((refusal.id.as_deref(), refusal.exc_type), (id, exc_type), "{reason}");
        assert!(refusal.reason.contains(reason), "{}", refusal.reason);
        let expected: &[&str] = if exc_type == "NotImplementedError" { &["g", "b1"] } else { &[] };
        assert_eq!(*refusal.dependents, *expected);
    }
    assert_eq!(decode(b"PING").unwrap_err().id, None);
    let long = "x".repeat(201);
    assert_eq!(decode(&header("id", json!(long))).unwrap_err().id, Some(long));
    assert_eq!(decode(&header("id", json!("x".repeat(1025)))).unwrap_err().id, None);
}

#[test]
fn the_id_is_found_wherever_it_stands() {
    let id = "7a7954e4-c0ad-4947-b1af-a750727563d6";
    let (right, broken) = (message(&json!([[], {}, {}]), |_| {}), json!("*"));
    let of = |change: fn(&mut Value)| message(&json!([[], {}, {}]), change);
    let without_headers = message(&Value::Null, |envelope| {
        envelope["body"] = broken.clone();
        envelope["headers"] = json!({});
    });
    let in_body = message(&json!({"task": "t", "id": id, "args": 5}), |envelope| {
        envelope["headers"] = json!({});
        envelope["properties"]["correlation_id"] = Value::Null;
    });
    for (what, raw) in [
        ("cut off", right[..right.len() - 2].to_vec()),
        ("headers are a string", of(|envelope| envelope["headers"] = json!("{}"))),
        ("no headers", without_headers),
        ("the body alone", in_body),
        ("too large", message(&json!("x".repeat(MAX_BYTES)), |envelope| envelope["headers"] = json!({}))),
        ("pickled", of(|envelope| envelope["content-type"] = json!("application/x-python-serialize"))),
        ("properties are not a mapping", {
            let mut raw = br#"{"properties": {"correlation_id": ""#.to_vec();
            raw.extend_from_slice(id.as_bytes());
            raw.extend_from_slice(b"\", \xff");
            raw
        }),
    ] {
        assert_eq!(decode(&raw).unwrap_err().id.as_deref(), Some(id), "{what}");
    }
    // What a message carries is not searched.
    let body = message(&Value::Null, |envelope| {
        envelope["properties"] = json!({"body_encoding": null});
        envelope["headers"] = json!({});
        envelope["body"] = json!(r#"[{"id": "1", "correlation_id": "2"}"#);
    });
    assert_eq!(decode(&body).unwrap_err().id, None);
}

#[test]
fn a_time_limit_is_bounded() {
    let of = |seconds: Value| {
        let raw = message(&json!([[], {}, {}]), |envelope| envelope["headers"]["timelimit"][0] = seconds);
        decode(&raw).unwrap().hard_limit
    };
    assert_eq!(of(json!(2.5)), Some(Duration::from_millis(2500)));
    assert_eq!(of(json!(1e-9)), Some(Duration::from_millis(1)));
    for none in [json!(0), json!(1e300), json!(4e8)] {
        assert_eq!(of(none.clone()), None, "{none}");
    }
}

#[test]
fn a_body_may_be_plain_and_a_message_may_mix_both_versions() {
    let raw = message(&Value::Null, |envelope| {
        envelope["body"] = json!(r#"{"args": [1], "kwargs": null, "eta": "2030-01-01"}"#);
        envelope["properties"]["body_encoding"] = json!(null);
        envelope["headers"] = json!({"id": 5, "task": "t", "retries": 2, "taskset": "g"});
    });
    let message = decode(&raw).unwrap();
    assert_eq!(message.id, "5");
    let expected =
        json!({"task": "t", "args": [1], "eta": "2030-01-01T00:00:00Z", "retries": 2, "group": "g"});
    assert_eq!(summary(&message), expected);
}

#[test]
fn no_message_costs_more_than_its_bound() {
    let bomb = vec![b' '; 64 * 1024 * 1024];
    let mut compressed = Vec::new();
    let mut zlib = flate2::read::ZlibEncoder::new(&bomb[..], flate2::Compression::fast());
    zlib.read_to_end(&mut compressed).unwrap();
    let raw = message(&Value::Null, |envelope| {
        envelope["headers"]["compression"] = json!("application/x-gzip");
        envelope["body"] = json!(STANDARD.encode(&compressed));
    });
    assert_eq!(decode(&raw).unwrap_err().reason, "the body inflates to more than 4194304 bytes");
    let refusal = decode(&message(&json!("x".repeat(MAX_BYTES)), |_| {})).unwrap_err();
    assert!(refusal.reason.ends_with("bytes are too many; 4194304 are allowed"), "{}", refusal.reason);
    assert_eq!((refusal.id.is_some(), refusal.task.as_deref()), (true, Some("threshold_check")));
    let deep = json!(STANDARD.encode("[".repeat(100_000)));
    let deep = decode(&message(&Value::Null, |envelope| envelope["body"] = deep)).unwrap_err();
    assert!(deep.reason.contains("recursion limit"), "{}", deep.reason);
}

/// Reads it, and answers what can be read: nothing of all that may panic.
fn survive(raw: &[u8]) {
    let now = DateTime::UNIX_EPOCH;
    drop(command(raw).map(|command| revocation(&command)));
    if let Ok(message) = decode(raw) {
        let origin = Origin { task: &message.reply_fields, list: "celery\x06\x163", now };
        let children = follow_ups(&message.follow_up, origin, &json!(1), || "new".to_owned());
        reply::success(&message.reply_fields, &json!(1), &children, now);
        error_follow_ups(&message.follow_up, origin, || "new".to_owned());
        message.follow_up.rest_of_chain().iter().for_each(|id| assert!(is_id(id)));
    }
}

#[test]
fn whatever_bytes_come_nothing_panics() {
    let mut seed = 88_172_645_463_325_252_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % u64::try_from(below).unwrap()).unwrap()
    };
    for (_, raw) in golden() {
        (0..raw.len()).step_by(7).for_each(|end| survive(&raw[..end]));
        let mut envelope: Value = serde_json::from_slice(&raw).unwrap();
        let body = STANDARD.decode(envelope["body"].as_str().unwrap()).unwrap();
        for _ in 0..200 {
            let (mut outer, mut inner) = (raw.clone(), body.clone());
            for _ in 0..=random(3) {
                let byte = u8::try_from(random(256)).unwrap();
                let (at, within) = (random(outer.len()), random(inner.len()));
                (outer[at], inner[within]) = (byte, byte);
            }
            inner.truncate(inner.len() - random(2) * random(inner.len()));
            survive(&outer);
            envelope["body"] = json!(STANDARD.encode(&inner));
            survive(envelope.to_string().as_bytes());
        }
    }
}

#[test]
fn whatever_value_stands_anywhere_nothing_panics() {
    /// What becomes of a JSON when one value of it is another.
    fn replaced(value: &Value, odd: &Value) -> Vec<Value> {
        let mut all = vec![odd.clone()];
        let keys: Vec<String> = match value {
            Value::Object(map) => map.keys().cloned().collect(),
            Value::Array(list) => (0..list.len()).map(|index| index.to_string()).collect(),
            _ => Vec::new(),
        };
        for pointer in keys.iter().map(|key| format!("/{key}")) {
            for part in replaced(value.pointer(&pointer).unwrap(), odd) {
                let mut changed = value.clone();
                *changed.pointer_mut(&pointer).unwrap() = part;
                all.push(changed);
            }
        }
        all
    }
    let options = json!({"task_id": "t", "queue": "q", "priority": 5, "countdown": 1, "eta": null, "expires": 1,
        "time_limit": 1, "headers": {"a": 1}, "stamped_headers": ["s"], "s": 1, "link": [], "chain": []});
    let signature = json!({"task": "b", "args": [1], "kwargs": {}, "options": options, "immutable": false});
    let links = json!({"callbacks": [signature, signature], "errbacks": [signature], "chain": [signature]});
    let (long, typed) = ("x".repeat(300), json!({"__type__": "datetime", "__value__": "+262142-12-31"}));
    let numbers = [json!(-1), json!(1e300), json!(u64::MAX)];
    let others = [json!(null), json!(true), json!(""), json!(long), json!([[[]]]), json!({"task": 5}), typed];
    for odd in numbers.iter().chain(&others) {
        let mut all: Vec<_> = replaced(&json!([[1], {}, links]), odd);
        for body in &mut all {
            *body = serde_json::from_slice(&message(body, |_| {})).unwrap();
        }
        for raw in ["chain", "protocol_v1", "expires_120"].map(case) {
            all.extend(replaced(&serde_json::from_slice(&raw).unwrap(), odd));
        }
        all.iter().map(Value::to_string).for_each(|message| survive(message.as_bytes()));
    }
}
