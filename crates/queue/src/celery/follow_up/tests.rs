use super::super::message::tests::{case, message};
use super::super::message::{Message, decode};
use super::super::reply::success;
use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The follow-ups of `message`, taken from `list`, with its new ids 1, 2, 3 …
fn after(message: &Message, list: &str, error: bool) -> Vec<Outgoing> {
    let origin = Origin { task: &message.reply_fields, list, now: at("2026-11-23T10:38:49.885032Z") };
    let mut ids = (1..).map(|id: u32| id.to_string());
    let new_id = || ids.next().unwrap();
    // As it is kept in between.
    let kept: FollowUp = serde_json::from_value(json!(message.follow_up)).unwrap();
    assert_eq!(kept, message.follow_up);
    if error {
        error_follow_ups(&kept, origin, new_id)
    } else {
        follow_ups(&kept, origin, &json!({"x": 1}), new_id)
    }
}

fn sent(outgoing: &Outgoing) -> (Message, Value) {
    (decode(&outgoing.envelope).unwrap(), serde_json::from_slice(&outgoing.envelope).unwrap())
}

#[test]
fn the_next_of_a_chain_gets_the_result_first_and_the_rest_to_pass_on() {
    let eta = json!({"__type__": "datetime", "__value__": "2030-01-01T00:00:00+00:00"});
    let chain = json!([
        {"task": "d", "args": [], "options": {"task_id": "id-d"}, "immutable": true, "chord_size": null},
        {"task": "c", "args": [3], "kwargs": null, "options": {"task_id": "id-c", "eta": eta}},
        {"task": "b", "args": [2], "kwargs": {"k": 1}, "options": {
            "task_id": "id-b", "reply_to": "me", "queue": "other", "priority": 5, "countdown": 30, "expires": 60,
            "time_limit": 9, "soft_time_limit": 8, "headers": {"k": "v"}, "stamped_headers": ["s"], "s": ["1"],
            "link": {"task": "cb"}, "link_error": [{"task": "eb"}],
        }, "subtask_type": null, "immutable": false},
    ]);
    let first = decode(&message(&json!([[1], {}, {"chain": chain}]), |envelope| {
        envelope["headers"]["root_id"] = json!("root");
        envelope["headers"]["traceparent"] = json!("00-a-b-01");
    }));
    let first = first.unwrap();
    assert_eq!(first.follow_up.rest_of_chain(), ["id-d", "id-c", "id-b"]);
    let outgoing = after(&first, "celery\x06\x169", false);
    assert_eq!((outgoing.len(), &*outgoing[0].id, &*outgoing[0].list), (1, "id-b", "other\x06\x163"));
    let (next, envelope) = sent(&outgoing[0]);
    assert_eq!((&*next.id, &*next.task, &next.args), ("id-b", "b", &vec![json!({"x": 1}), json!(2)]));
    assert_eq!((next.priority, next.traceparent.as_deref()), (Some(5), Some("00-a-b-01")));
    // As a Celery worker wrote these, but for what names the sender.
    let expected = json!({
        "lang": "rust", "task": "b", "id": "id-b", "shadow": null, "eta": "2026-11-23T10:39:19.885032+00:00",
        "expires": "2026-11-23T10:39:49.885032+00:00", "group": null, "group_index": null, "retries": 0,
        "timelimit": [9, 8], "root_id": "root", "parent_id": first.id, "argsrepr": null, "kwargsrepr": null,
        "origin": "dogwatch", "ignore_result": null, "replaced_task_nesting": 0, "stamped_headers": ["s"],
        "stamps": {"s": ["1"]}, "k": "v", "traceparent": "00-a-b-01",
    });
    assert_eq!(envelope["headers"], expected);
    let expected = json!({
        "correlation_id": "id-b", "reply_to": "me", "delivery_mode": 2, "expiration": "60000", "priority": 5,
        "delivery_info": {"exchange": "", "routing_key": "other"}, "body_encoding": "base64", "delivery_tag": "1",
    });
    assert_eq!(envelope["properties"], expected);
    let body = STANDARD.decode(envelope["body"].as_str().unwrap()).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body[2]["callbacks"], json!([{"task": "cb"}]));
    assert_eq!(body[2]["errbacks"], json!([{"task": "eb"}]));
    assert_eq!(body[2]["chain"][0]["chord_size"], json!(null));
    assert_eq!(body[2]["chain"][1]["options"]["eta"], eta);

    let (second, _) = sent(&after(&next, &outgoing[0].list, false)[1]);
    assert_eq!((&*second.task, second.args.len(), second.eta), ("c", 2, Some(at("2030-01-01T00:00:00Z"))));
    assert_eq!(second.reply_fields.root_id.as_deref(), Some("root"));
    let (third, _) = sent(&after(&second, "other", false)[0]);
    assert_eq!((&*third.task, third.args.len(), third.follow_up.chain.len()), ("d", 0, 0));
    assert_eq!(after(&third, "other", false), []);
    assert!(third.follow_up.is_empty() && !second.follow_up.is_empty());
}

#[test]
fn links_are_called_with_the_result_and_named_as_children() {
    let one = decode(&case("link_linkerror_shadow")).unwrap();
    let outgoing = after(&one, "celery", false);
    let (callback, _) = sent(&outgoing[0]);
    assert_eq!(
        (&*callback.id, &*callback.task, &callback.args),
        ("1", "cb", &vec![json!({"x": 1}), json!(1)])
    );
    assert_eq!((outgoing.len(), callback.reply_fields.parent_id.as_deref()), (1, Some("my-id-1")));
    let children = |outgoing: &[Outgoing]| {
        let reply = success(&one.reply_fields, &json!(1), outgoing, DateTime::UNIX_EPOCH);
        serde_json::from_str::<Value>(&reply).unwrap()["children"].clone()
    };
    assert_eq!(children(&outgoing), json!([[["1", null], null]]));

    let links = json!([{"task": "cb1", "args": [9]}, {"task": "cb2", "args": [8], "immutable": true}]);
    let chain = json!([{"task": "n", "options": {"task_id": "id-n"}}]);
    let body = json!([[], {}, {"callbacks": links, "errbacks": links, "chain": chain}]);
    let many = decode(&message(&body, |_| {})).unwrap();
    let outgoing = after(&many, "celery", false);
    assert_eq!(
        children(&outgoing),
        json!([[["1", null], [[["2", null], null], [["4", null], null]]], [["id-n", null], null]])
    );
    let calls = |outgoing: &[Outgoing]| -> Vec<Value> {
        let sent = outgoing.iter().map(|outgoing| (sent(outgoing).0, sent(outgoing).1["headers"].clone()));
        sent.map(|(call, headers)| json!([call.task, call.args, headers["group"], headers["group_index"]]))
            .collect()
    };
    let expected = [
        json!(["cb1", [{"x": 1}, 9], "1", 0]),
        json!(["cb2", [8], "1", 1]),
        json!(["n", [{"x": 1}], null, null]),
    ];
    assert_eq!(calls(&outgoing), expected);

    // After a failure: with the id instead, as a group even when there is but one, and no chain.
    let expected = [json!(["cb1", [many.id, 9], "1", 0]), json!(["cb2", [8], "1", 1])];
    assert_eq!(calls(&after(&many, "celery", true)), expected);
    assert_eq!(calls(&after(&one, "celery", true)), [json!(["eb", ["my-id-1"], "1", 0])]);
}

#[test]
fn a_follow_up_goes_where_its_signature_says_or_where_the_task_came_from() {
    let list_for = |options: Value, from: &str, queue: &str| {
        let body = json!([[], {}, {"chain": [{"task": "b", "options": options}]}]);
        let read = decode(&message(&body, |envelope| {
            envelope["properties"]["delivery_info"]["routing_key"] = json!(queue);
        }));
        after(&read.unwrap(), from, false)[0].list.clone()
    };
    for (options, from, queue, expected) in [
        (json!({}), "celery", "celery", "celery"),
        (json!({}), "alerts\x06\x166", "alerts", "alerts"),
        (json!({"priority": 9}), "celery", "celery", "celery\x06\x169"),
        (json!({"priority": 2}), "celery", "celery", "celery"),
        (json!({"routing_key": "r"}), "celery", "celery", "r"),
        (json!({"routing_key": "r", "queue": "q"}), "celery", "celery", "q"),
        // A prefix of the client's holds for all its keys.
        (json!({}), "myapp:celery", "celery", "myapp:celery"),
        (json!({"queue": "q", "priority": 3}), "myapp:celery\x06\x163", "celery", "myapp:q\x06\x163"),
        // Not a queue but a key of a topic exchange.
        (json!({"queue": "q"}), "media", "media.video", "q"),
        (json!({}), "media", "media.video", "media"),
    ] {
        assert_eq!(list_for(options, from, queue), expected);
    }
}
