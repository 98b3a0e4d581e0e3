//! Jobs that a service enqueues inside its own Postgres transaction: once, in the order of commits, whatever is killed.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use dogwatch_embedded::{Postgres, PostgresOptions, RedisOptions};
use dogwatch_testing::{HttpPeer, PrivateRedis, TestDatabase, eventually, free_port, unique_name};
use serde_json::json;

use crate::support::{LONG, Place};

/// A relay that runs no job: a worker of another queue.
const RELAY: [&str; 3] = ["worker", "--queues", "idle"];

/// Writers note each job in the transaction that enqueues it, and when its commit began and ended.
const WRITER: &str = "
CREATE TABLE written (id text PRIMARY KEY, queue text, began timestamptz, ended timestamptz);
CREATE PROCEDURE write_jobs(jobs integer, args jsonb, queues text[]) LANGUAGE plpgsql AS $$
DECLARE
    enqueued text;
    target text;
    commits_at timestamptz;
BEGIN
    FOR n IN 1..jobs LOOP
        target := queues[1 + floor(random() * cardinality(queues))];
        enqueued := dogwatch.enqueue('check_service_health', args, target);
        INSERT INTO written VALUES (enqueued, target);
        -- So that transactions do not commit in the order in which they began.
        PERFORM pg_sleep(random() * 0.02);
        commits_at := clock_timestamp();
        COMMIT;
        UPDATE written SET began = commits_at, ended = clock_timestamp() WHERE id = enqueued;
        COMMIT;
    END LOOP;
END
$$";

/// A database with writers, and a Redis into which a test can look and which it can kill.
struct Outbox {
    place: Place,
    database: Arc<TestDatabase>,
    redis: PrivateRedis,
    port: u16,
}

impl Outbox {
    async fn new() -> Self {
        Self::on(TestDatabase::new().await).await
    }

    async fn on(database: TestDatabase) -> Self {
        let port = free_port();
        let redis = PrivateRedis::start(RedisOptions { port: Some(port) }).await;
        database.execute(WRITER).await;
        let mut place = Place::bare();
        place.write("schedules.toml", "");
        place.set("DATABASE_URL", &database.url());
        place.set("REDIS_URL", &redis.url());
        place.set("DOGWATCH_QUEUE_NAMESPACE", "dogwatch");
        Self { place, database: Arc::new(database), redis, port }
    }

    /// Eight at once; each ends when it has written its jobs, or when its connection is lost.
    fn write(&self, jobs: usize, args: &str, queues: &str) -> Vec<tokio::task::JoinHandle<()>> {
        let call = format!("CALL write_jobs({jobs}, '{args}', '{queues}')");
        let writer = || {
            let (database, call) = (self.database.clone(), call.clone());
            tokio::spawn(async move { database.execute(&call).await })
        };
        (0..8).map(|_| writer()).collect()
    }

    /// What stands in a list of Redis; nothing when Redis is away.
    fn list(&self, queue: &str, family: &str) -> Vec<String> {
        self.redis(&format!("LRANGE dogwatch:{{{queue}}}:{family} 0 -1")).unwrap_or_default()
    }

    /// What Redis answers to a command that returns a list or a number.
    fn redis(&self, command: &str) -> std::io::Result<Vec<String>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        let mut lines = BufReader::new(stream).lines();
        let first = lines.next().unwrap()?;
        let Some(count) = first.strip_prefix('*') else {
            return Ok(vec![first]);
        };
        // Each is behind a line with its length.
        (0..count.parse().unwrap()).map(|_| lines.nth(1).unwrap()).collect()
    }

    async fn is_empty(&self) {
        let waiting = async || self.database.number("SELECT count(*) FROM dogwatch.job_outbox").await;
        eventually(LONG, "the outbox is empty", async || waiting().await == 0).await;
    }

    /// Every job that was committed stands in Redis, once, and nothing else does.
    async fn each_is_there_once(&self, queue: &str) {
        self.is_empty().await;
        let ids = self.list(queue, "active");
        let distinct: BTreeSet<&String> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len(), "a job is there twice");
        self.note_order(queue).await;
        let differs =
            "SELECT count(*) FROM written FULL JOIN stands USING (id) WHERE queue IS NULL OR place IS NULL";
        assert_eq!(self.database.number(differs).await, 0, "{} jobs are there", ids.len());
    }

    /// Tells the database in which order the jobs stand.
    async fn note_order(&self, queue: &str) {
        let ids = self.list(queue, "active").join(",");
        let statement = format!(
            "DROP TABLE IF EXISTS stands;
             CREATE TABLE stands AS
             SELECT id, place FROM unnest(string_to_array('{ids}', ',')) WITH ORDINALITY AS stands (id, place)"
        );
        self.database.execute(&statement).await;
    }
}

#[tokio::test]
async fn jobs_of_a_queue_stand_in_the_order_of_commits_whether_the_relay_was_there_or_not() {
    let outbox = Outbox::new().await;
    let mut relay = None;
    for (queues, when) in [(["a", "b"], "after a backlog"), (["c", "d"], "at once")] {
        for writer in outbox.write(40, "{}", &format!("{{{}}}", queues.join(","))) {
            writer.await.unwrap();
        }
        relay.get_or_insert_with(|| outbox.place.start(&RELAY));
        outbox.is_empty().await;
        for queue in queues {
            outbox.note_order(queue).await;
            let pairs = "SELECT count(*) FROM written AS a JOIN stands AS x USING (id), \
                         written AS b JOIN stands AS y USING (id) WHERE a.ended < b.began";
            let compared = outbox.database.number(pairs).await;
            let wrong = outbox.database.number(&format!("{pairs} AND x.place > y.place")).await;
            assert!(compared > 1000 && wrong == 0, "{when}: {wrong} of {compared}");
        }
    }
}

#[tokio::test]
async fn the_examples_of_the_documentation_work() {
    let outbox = Outbox::new().await;
    let _relay = outbox.place.start(&RELAY);
    let blocks = include_str!("../../docs/ENQUEUE.md").split("```sql\n").skip(1);
    let examples: Vec<&str> = blocks.map(|block| block.split_once("```").unwrap().0).collect();
    outbox.database.execute("CREATE ROLE shop").await;
    outbox.database.execute(&examples.join("SET ROLE shop;\n")).await;
    outbox.is_empty().await;
    assert_eq!(outbox.list("default", "active").len(), 1);
    let later = outbox.place.jobs("scheduled");
    assert_eq!((later.len(), &later[0]["queue"]), (1, &json!("low")));
    outbox.database.execute("DROP OWNED BY shop; DROP ROLE shop").await;
}

#[tokio::test]
async fn what_was_rolled_back_is_not_enqueued() {
    let outbox = Outbox::new().await;
    let _relay = outbox.place.start(&RELAY);
    outbox
        .database
        .execute(
            "BEGIN; SELECT dogwatch.enqueue('check_service_health', id => 'whole'); ROLLBACK;
             BEGIN;
             SELECT dogwatch.enqueue('check_service_health', id => 'first');
             SAVEPOINT part; SELECT dogwatch.enqueue('check_service_health', id => 'part'); ROLLBACK TO part;
             SELECT dogwatch.enqueue('check_service_health', id => 'last');
             COMMIT",
        )
        .await;
    let there = async || outbox.list("default", "active") == ["first", "last"];
    eventually(LONG, "what was committed is there", there).await;
}

#[tokio::test]
async fn two_thousand_jobs_run_once_each_although_their_relays_are_killed() {
    let outbox = Outbox::new().await;
    let peer = HttpPeer::start().await;
    let services = format!("[[services]]\nname = \"peer\"\nurl = \"{}\"\n", peer.url());
    outbox.place.write("dogwatch.toml", &format!("[queue]\nqueues = [\"idle\"]\n{services}"));
    let writers = outbox.write(250, r#"{"services": ["peer"]}"#, "{default}");
    for (after, relay) in [(200, &["up"][..]), (700, &RELAY), (1300, &["up"]), (1700, &RELAY)] {
        let relay = outbox.place.start(relay);
        let relayed = async || outbox.list("default", "active").len() >= after;
        eventually(LONG, &format!("{after} jobs are relayed"), relayed).await;
        relay.signal("KILL");
    }
    let (_one, _other) = (outbox.place.start(&RELAY), outbox.place.start(&RELAY));
    for writer in writers {
        writer.await.unwrap();
    }
    outbox.each_is_there_once("default").await;

    let _worker = outbox.place.start(&["worker", "--queues", "default"]);
    for count in [500, 1000, 1500, 2000] {
        let done = async || outbox.list("default", "done").len() >= count;
        eventually(LONG, &format!("{count} have succeeded"), done).await;
    }
    assert_eq!(peer.requests().len(), 2000, "runs");
}

/// The moment that matters: Redis has the jobs, and Postgres does not know it.
#[tokio::test]
async fn a_relay_that_is_killed_between_redis_and_postgres_leaves_nothing_that_is_sent_twice() {
    let outbox = Outbox::new().await;
    let enqueue = "SELECT dogwatch.enqueue('check_service_health', id => ";
    outbox.database.execute(&format!("{enqueue} 'a'); {enqueue} 'b')")).await;
    let keep = "BEGIN; SELECT FROM dogwatch.job_outbox FOR UPDATE; SELECT pg_sleep(600)";
    let keeper = tokio::spawn({
        let database = outbox.database.clone();
        async move { database.execute(keep).await }
    });
    let sessions = |what: &str, which: &str| {
        format!("SELECT {what} FROM pg_stat_activity WHERE datname = current_database() AND {which}")
    };
    let (keeps, waits) = ("wait_event = 'PgSleep'", "wait_event_type = 'Lock'");
    let count = async |which| outbox.database.number(&sessions("count(*)", which)).await;
    let end = async |which| outbox.database.execute(&sessions("pg_terminate_backend(pid)", which)).await;
    eventually(LONG, "rows are kept", async || count(keeps).await == 1).await;
    let relay = outbox.place.start(&RELAY);
    eventually(LONG, "it waits to delete them", async || count(waits).await == 1).await;
    assert_eq!(outbox.list("default", "active"), ["a", "b"]);
    relay.signal("KILL");
    drop(relay);
    // Postgres would go on with what it was told.
    end(waits).await;
    eventually(LONG, "nobody waits", async || count(waits).await == 0).await;
    end(keeps).await;
    assert!(keeper.await.is_err());
    assert_eq!(outbox.database.number("SELECT count(*) FROM dogwatch.job_outbox").await, 2);

    // They were run and have been forgotten, so that their ids tell nothing.
    outbox.redis("DEL dogwatch:{default}:data dogwatch:{default}:active").unwrap();
    outbox.database.execute(&format!("{enqueue} 'c')")).await;
    let _relay = outbox.place.start(&RELAY);
    outbox.is_empty().await;
    assert_eq!(outbox.list("default", "active"), ["c"]);
}

#[tokio::test]
async fn each_job_is_relayed_once_although_redis_is_killed() {
    let mut outbox = Outbox::new().await;
    let _relays = [outbox.place.start(&RELAY), outbox.place.start(&RELAY)];
    let writers = outbox.write(100, "{}", "{default}");
    for after in [100, 400] {
        let relayed = async || outbox.list("default", "active").len() >= after;
        eventually(LONG, &format!("{after} jobs are relayed"), relayed).await;
        outbox.redis.kill();
        tokio::time::sleep(Duration::from_millis(300)).await;
        outbox.redis.restart().await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    outbox.each_is_there_once("default").await;
}

#[tokio::test]
async fn each_job_that_was_committed_is_relayed_once_although_postgres_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let start = async || Postgres::start(folder.path(), PostgresOptions::default(), &|_| ()).await.unwrap();
    let mut postgres = start().await;
    let outbox = Outbox::on(TestDatabase::on(&postgres.url()).await).await;
    let _relays = [outbox.place.start(&RELAY), outbox.place.start(&RELAY)];
    for after in [100, 300] {
        let writers = outbox.write(100, "{}", "{default}");
        let relayed = async || outbox.list("default", "active").len() >= after;
        eventually(LONG, &format!("{after} jobs are relayed"), relayed).await;
        postgres.kill();
        drop(postgres);
        for writer in writers {
            // It has lost its connection; its last transaction may have been committed or not.
            let _ = writer.await;
        }
        postgres = start().await;
    }
    outbox.each_is_there_once("default").await;
}

/// Redis has seen higher positions than such a database remembers.
#[tokio::test]
async fn no_job_of_a_database_that_was_restored_is_passed_over() {
    let outbox = Outbox::new().await;
    let _relay = outbox.place.start(&RELAY);
    for (id, there) in [("a", &["a"][..]), ("b", &["a", "b"])] {
        let enqueue = format!("SELECT dogwatch.enqueue('check_service_health', id => '{id}')");
        outbox.database.execute(&enqueue).await;
        outbox.is_empty().await;
        assert_eq!(outbox.list("default", "active"), there);
        outbox.database.execute("UPDATE dogwatch.job_outbox_relay SET position = 0, batch = '{}'").await;
    }
}

#[tokio::test]
async fn what_is_certainly_wrong_is_an_error_in_the_callers_transaction() {
    let database = TestDatabase::new().await;
    database
        .execute(
            "CREATE FUNCTION said(call text) RETURNS text LANGUAGE plpgsql AS $$
             DECLARE hint text;
             BEGIN
                 EXECUTE 'SELECT dogwatch.enqueue(' || call || ')';
                 RETURN 'nothing';
             EXCEPTION WHEN invalid_parameter_value THEN
                 GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
                 RETURN SQLERRM || '; ' || hint;
             END
             $$",
        )
        .await;
    for (call, expected) in [
        ("'clean up'", "job cannot be ''clean up''; A name has 1 to 100 letters, digits,"),
        ("NULL", "job cannot be NULL"),
        ("'x', '[1]'", "args cannot be ''[1]''; Arguments are a JSON object, such as {\"days\": 30}."),
        ("'x', NULL", "args cannot be NULL"),
        ("'x', jsonb_build_object('a', repeat('b', 300000))", "250000 bytes are allowed"),
        ("'x', queue => 'a b'", "queue cannot be ''a b''; A name has"),
        ("'x', queue => E'a\\n'", "queue cannot be"),
        ("'x', delay => '-1s'", "delay cannot be ''-00:00:01''; It is zero to ten years."),
        ("'x', run_at => 'infinity'", "run_at cannot be ''infinity''; It is a time before the year 10000."),
        ("'x', id => ''", "id cannot be ''''; It has 1 to 200 bytes."),
        ("'x', max_attempts => 0", "max_attempts cannot be ''0''; It is from 1 to 1000."),
        (
            "'x', timeout => '0'",
            "timeout cannot be ''00:00:00''; It is more than zero, and at most ten years.",
        ),
        ("'x', priority => 10", "priority cannot be ''10''; It is from 0 (first) to 9 (last)."),
        ("'x', unique_key => repeat('k', 201)", "It has 1 to 200 bytes."),
        ("'x'", "nothing"),
    ] {
        let query = format!("SELECT strpos(said($call${call}$call$), '{expected}')::bigint");
        assert!(database.number(&query).await > 0, "{call}: {expected}");
    }
}

#[tokio::test]
async fn what_no_worker_can_run_is_a_dead_letter_and_holds_nothing_back() {
    let mut outbox = Outbox::new().await;
    outbox.place.set("DOGWATCH_QUEUE_UNKNOWN_FOR", "1s");
    let _worker = outbox.place.start(&["worker"]);
    outbox
        .database
        .execute(
            r#"SELECT dogwatch.enqueue('clenup_old_performance_data');
               SELECT dogwatch.enqueue('check_service_health', '{"services": 1}', max_attempts => 1);
               SELECT dogwatch.enqueue('check_service_health', '{"services": 1e400}', max_attempts => 1);
               INSERT INTO dogwatch.job_outbox (id, queue, job, args, priority) VALUES ('odd', 'default', 'x', '{}', 12);
               SELECT dogwatch.enqueue('check_service_health', '{"services": []}', id => 'good')"#,
        )
        .await;
    eventually(LONG, "the good one has succeeded", async || outbox.list("default", "done") == ["good"]).await;
    eventually(LONG, "the others are dead", async || outbox.place.jobs("dead").len() == 4).await;
    let dead: String = outbox.place.jobs("dead").iter().map(ToString::to_string).collect();
    for expected in [
        "did you mean `cleanup_old_performance_data`?",
        "argument /services: invalid type: integer",
        "argument /: it is a string; write a JSON object",
        "priority `12`: write a number from 0 (first) to 9 (last)",
    ] {
        assert!(dead.contains(expected), "{dead}");
    }
}

#[tokio::test]
async fn the_options_of_a_job_reach_the_queue() {
    let outbox = Outbox::new().await;
    let _relay = outbox.place.start(&RELAY);
    let call = "SELECT dogwatch.enqueue('check_service_health', '{\"services\": []}', queue => 'later', \
                delay => '1 hour', id => 'one', max_attempts => 3, timeout => '1.5s', priority => 2, unique_key => 'k')";
    outbox.database.execute(&format!("{call}; {}", call.replace("'one'", "'two'"))).await;
    outbox.is_empty().await;
    let jobs = outbox.place.jobs("scheduled");
    let expected = json!({"id": "one", "queue": "later", "args": {"services": []}, "max_attempts": 3, "unique_key": "k"});
    assert_eq!(jobs.len(), 1, "the second one is not unique");
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&jobs[0][key], value, "{key}");
    }
}

#[tokio::test]
async fn a_service_needs_one_right() {
    let outbox = Outbox::new().await;
    let role = unique_name("service");
    outbox
        .database
        .execute(&format!(
            "CREATE ROLE {role};
             GRANT EXECUTE ON FUNCTION dogwatch.enqueue TO {role};
             SET ROLE {role};
             SELECT dogwatch.enqueue('check_service_health');"
        ))
        .await;
    let others = format!(
        "SELECT (has_table_privilege('{role}', 'dogwatch.job_outbox', 'SELECT, INSERT, UPDATE, DELETE')
             OR has_schema_privilege('{role}', 'dogwatch', 'CREATE'))::int::bigint"
    );
    assert_eq!(outbox.database.number(&others).await, 0);
    let public = "SELECT count(*) FROM pg_proc, aclexplode(proacl) WHERE pronamespace = 'dogwatch'::regnamespace AND grantee = 0";
    assert_eq!(outbox.database.number(public).await, 0);
    outbox.database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}
