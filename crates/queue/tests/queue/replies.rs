//! Error replies of a real Redis: which of them mean "later", and how they are shown.

use dogwatch_embedded::RedisOptions;
use dogwatch_queue::{Class, Client, QueueError, error_chain};
use dogwatch_testing::{PrivateRedis, TestRedis, eventually, free_port};

use crate::support::{LONG, Queue, note};

type Admin = redis::aio::MultiplexedConnection;

async fn run(admin: &mut Admin, command: &str) {
    let mut words = command.split(' ');
    let mut cmd = redis::cmd(words.next().unwrap());
    words.for_each(|word| {
        cmd.arg(word);
    });
    cmd.query_async::<redis::Value>(admin).await.unwrap_or_else(|error| panic!("{command}: {error}"));
}

/// The error is of this class, is shown once, and begins with this reply.
fn assert_later(error: &QueueError, reply: &str) {
    let text = error_chain(error);
    let fault = error.fault().unwrap_or_else(|| panic!("{text}"));
    assert_eq!(fault.class(), Class::Later, "{text}");
    assert!(text.contains(&format!(": {reply}")), "{text}");
    assert_eq!(text.matches(reply).count(), 1, "{text}");
    assert!(fault.remedy().is_some(), "{text}");
    assert!(error.is_unavailable() && error.refusal().is_some(), "{text}");
}

#[tokio::test]
async fn a_redis_that_takes_no_writes_says_so_to_a_probe_and_takes_them_later() {
    let redis = TestRedis::private().await;
    let queue = Queue::on(&redis.url(), "replies");
    queue.enqueue(note("a")).await;
    let mut admin = queue.redis().await;
    let nowhere = free_port();
    let cases = [
        ("NOREPLICAS", "CONFIG SET min-replicas-to-write 1".to_owned(), "CONFIG SET min-replicas-to-write 0"),
        ("OOM", "CONFIG SET maxmemory 1".to_owned(), "CONFIG SET maxmemory 0"),
        ("READONLY", format!("REPLICAOF 127.0.0.1 {nowhere}"), "REPLICAOF NO ONE"),
    ];
    for (reply, begin, end) in cases {
        queue.client.check_writes().await.unwrap();
        run(&mut admin, &begin).await;
        assert_later(&queue.client.check_writes().await.unwrap_err(), reply);
        assert_later(&queue.producer.enqueue(note("b")).await.unwrap_err(), reply);
        run(&mut admin, end).await;
        queue.client.check_writes().await.unwrap();
    }
    run(&mut admin, "CONFIG SET replica-serve-stale-data no").await;
    run(&mut admin, &format!("REPLICAOF 127.0.0.1 {nowhere}")).await;
    assert_later(&queue.inspector.queues().await.unwrap_err(), "MASTERDOWN");
    run(&mut admin, "REPLICAOF NO ONE").await;
    assert!(queue.inspector.queues().await.unwrap().contains("default"));
}

#[tokio::test]
async fn a_redis_that_cannot_write_to_its_disk_is_noticed() {
    // Its socket lies in the folder that is removed.
    let port = free_port();
    let redis = PrivateRedis::start(RedisOptions { port: Some(port) }).await;
    let queue = Queue::on(&redis.server.tcp_url().unwrap(), "disk");
    let mut admin = queue.redis().await;
    let (_, folder): (String, String) =
        redis::cmd("CONFIG").arg("GET").arg("dir").query_async(&mut admin).await.unwrap();
    let mut save = redis::cmd("CONFIG");
    save.arg("SET").arg("save").arg("3600 1").query_async::<()>(&mut admin).await.unwrap();
    let moved = format!("{folder}.away");
    std::fs::rename(&folder, &moved).unwrap();
    std::fs::remove_dir_all(&moved).unwrap();
    run(&mut admin, "BGSAVE").await;
    let failed =
        async || queue.client.info("rdb_last_bgsave_status").await.unwrap().as_deref() == Some("err");
    eventually(LONG, "the snapshot has failed", failed).await;
    assert_later(&queue.client.check_writes().await.unwrap_err(), "MISCONF");
}

#[tokio::test]
async fn a_busy_redis_and_one_with_too_many_clients_are_unavailable() {
    let port = free_port();
    let redis = PrivateRedis::start(RedisOptions { port: Some(port) }).await;
    let queue = Queue::on(&redis.url(), "busy");
    queue.enqueue(note("a")).await;
    let (mut admin, mut other) = (queue.redis().await, queue.redis().await);
    run(&mut admin, "CONFIG SET busy-reply-threshold 1").await;
    let endless = tokio::spawn(async move {
        let mut script = redis::cmd("EVAL");
        script.arg("while true do end").arg(0);
        script.query_async::<()>(&mut other).await
    });
    let mut busy = None;
    eventually(LONG, "Redis is busy", async || {
        busy = queue.client.check_writes().await.err().filter(|error| error.refusal().is_some());
        busy.is_some()
    })
    .await;
    assert_later(&busy.unwrap(), "BUSY");
    run(&mut admin, "SCRIPT KILL").await;
    let _ = endless.await.unwrap();
    queue.client.check_writes().await.unwrap();

    run(&mut admin, "CONFIG SET maxclients 1").await;
    let late = Client::open(&format!("redis://127.0.0.1:{port}/0"), "busy").unwrap();
    let error = late.check_writes().await.unwrap_err();
    assert!(error.is_unavailable(), "{}", error_chain(&error));
    run(&mut admin, "CONFIG SET maxclients 1000").await;
    late.check_writes().await.unwrap();
}

#[tokio::test]
async fn a_refused_login_or_right_is_unavailable_and_named() {
    let port = free_port();
    let redis = PrivateRedis::start(RedisOptions { port: Some(port) }).await;
    let queue = Queue::on(&redis.url(), "login");
    queue.enqueue(note("a")).await;
    let mut admin = queue.redis().await;
    run(&mut admin, "ACL SETUSER few on >few ~* -@all +hello +time +smembers +evalsha +script|load").await;
    run(&mut admin, "CONFIG SET requirepass s3cret").await;
    let open = |login: &str, db: &str| {
        Client::open(&format!("redis://{login}127.0.0.1:{port}/{db}"), "login").unwrap()
    };
    assert_later(&open("", "0").check_writes().await.unwrap_err(), "NOAUTH");
    // The driver asks for the database before any command.
    let error = open("", "3").check_writes().await.unwrap_err();
    assert!(error.refusal().is_some_and(|text| text.contains("Authentication required")), "{error:?}");
    let error = open(":wrong@", "0").check_writes().await.unwrap_err();
    assert!(error.refusal().is_some_and(|text| text.contains("authentication failed")), "{error:?}");
    open(":s3cret@", "3").check_writes().await.unwrap();
    assert_later(&open("few:few@", "0").check_writes().await.unwrap_err(), "NOPERM");
    // A command in a script.
    let few = open("few:few@", "0");
    let error =
        dogwatch_queue::Control::new(few, crate::support::catalog()).purge("default").await.unwrap_err();
    assert!(error.refusal().is_some(), "{}", error_chain(&error));
    assert!(error.fault().unwrap().remedy().unwrap().contains("Access control"), "{error:?}");
}

#[tokio::test]
async fn a_key_of_another_kind_is_never_accepted() {
    let queue = Queue::new().await;
    let mut set = redis::cmd("SET");
    set.arg(format!("{}:queues", queue.namespace)).arg("no set");
    set.query_async::<()>(&mut queue.redis().await).await.unwrap();
    let error = queue.inspector.queues().await.unwrap_err();
    assert_eq!(error.fault().unwrap().class(), Class::Never);
    assert!(!error.is_unavailable() && error.refusal().is_none());
    let text = error_chain(&error);
    assert!(text.starts_with("cannot list the queues: WRONGTYPE Operation against a key"), "{text}");
    assert_eq!(text.matches("WRONGTYPE").count(), 1, "{text}");
}

#[tokio::test]
async fn a_redis_that_cannot_be_reached_is_unreachable_and_refuses_nothing() {
    let client = Client::open(&format!("redis://127.0.0.1:{}", free_port()), "none").unwrap();
    let error = client.check_writes().await.unwrap_err();
    assert_eq!(error.fault().unwrap().class(), Class::Unreachable);
    assert!(error.is_unavailable() && error.refusal().is_none());
    assert!(error_chain(&error).matches("refused").count() == 1, "{}", error_chain(&error));
}
