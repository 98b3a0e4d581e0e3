//! A connection that was cut while it was idle fails no request, and a command is never carried out twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use dogwatch_embedded::RedisOptions;
use dogwatch_queue::scheduler::Book;
use dogwatch_queue::{Cancelled, DeadFilter, JobFilter, JobState, NewJob};
use dogwatch_testing::{PrivateRedis, TestRedis, eventually, free_port};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{LONG, Queue, behave, note};

/// Cuts all connections but this one.
async fn cut(admin: &mut redis::aio::MultiplexedConnection) {
    let _: i64 = redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").query_async(admin).await.unwrap();
}

#[tokio::test]
async fn no_command_fails_since_its_connection_was_cut_before() {
    let redis = TestRedis::private().await;
    let queue = Queue::on(&redis.url(), "cut");
    let (control, inspector) = (queue.control(), &queue.inspector);
    let admin = &mut queue.redis().await;
    let worker = queue.work();
    let dead = queue.enqueue(behave("discard")).await;
    assert_eq!(queue.end_of(&dead).await.state, JobState::Dead);
    worker.drain().await;
    let later = NewJob { delay: Duration::from_hours(1), ..note("later") };
    let (first, second) = (queue.enqueue(later.clone()).await, queue.enqueue(later).await);

    cut(admin).await;
    assert!(inspector.queues().await.unwrap().contains("default"));
    cut(admin).await;
    assert_eq!(inspector.counts().await.unwrap()[0].scheduled, 2);
    cut(admin).await;
    let filter = JobFilter { limit: 10, ..JobFilter::default() };
    assert_eq!(inspector.jobs(&filter).await.unwrap().len(), 3);
    cut(admin).await;
    assert!(inspector.job(&first).await.unwrap().is_some());
    cut(admin).await;
    assert!(inspector.workers().await.unwrap().is_empty());
    cut(admin).await;
    inspector.history(Duration::from_mins(5)).await.unwrap();
    cut(admin).await;
    inspector.last_successes().await.unwrap();
    cut(admin).await;
    inspector.last_ticks(&Book::default()).await.unwrap();
    cut(admin).await;
    inspector.scheduler_status(&Book::default()).await.unwrap();
    cut(admin).await;
    queue.client.time_ms().await.unwrap();
    cut(admin).await;
    queue.client.check_writes().await.unwrap();
    cut(admin).await;
    queue.client.info("redis_version").await.unwrap().unwrap();
    cut(admin).await;
    control.pause("default").await.unwrap();
    cut(admin).await;
    control.resume("default").await.unwrap();
    cut(admin).await;
    assert_eq!(control.cancel(&first).await.unwrap(), Some(Cancelled::Cancelled));
    cut(admin).await;
    assert_eq!(control.retry(&second, None).await.unwrap(), Some(true));
    cut(admin).await;
    assert_eq!(control.replay(&DeadFilter::default()).await.unwrap(), 1);
    cut(admin).await;
    assert_eq!(control.purge("default").await.unwrap(), 2);
    cut(admin).await;
    assert!(!control.discard(&dead).await.unwrap());
    // A queue that was not announced before: two commands.
    cut(admin).await;
    let new = NewJob { queue: "other".to_owned(), ..note("new") };
    assert!(queue.producer.enqueue(new).await.unwrap().is_new);
    cut(admin).await;
    let unique = NewJob { priority: 1, ..note("new") };
    assert!(queue.producer.enqueue(unique).await.unwrap().is_new);
}

/// Stands between a client and Redis. When it is armed, it passes the next script on, and cuts instead of
/// answering.
struct Thief {
    url: String,
    armed: Arc<AtomicBool>,
    stolen: Arc<AtomicU32>,
}

impl Thief {
    async fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let thief = Self { url, armed: Arc::default(), stolen: Arc::default() };
        let (armed, stolen) = (thief.armed.clone(), thief.stolen.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                tokio::spawn(pass(client, server, armed.clone(), stolen.clone()));
            }
        });
        thief
    }

    fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, armed: Arc<AtomicBool>, stolen: Arc<AtomicU32>) {
    let (mut sent, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    let mut is_script = false;
    loop {
        tokio::select! {
            Ok(n @ 1..) = client.read(&mut sent) => {
                let bytes = &sent[..n];
                is_script = bytes.windows(7).any(|word| word == b"EVALSHA");
                server.write_all(bytes).await.unwrap();
            }
            Ok(n @ 1..) = server.read(&mut answered) => {
                let is_missing = answered.starts_with(b"-NOSCRIPT");
                if is_script && !is_missing && armed.swap(false, Ordering::SeqCst) {
                    stolen.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                client.write_all(&answered[..n]).await.unwrap();
            }
            else => return,
        }
    }
}

#[tokio::test]
async fn a_command_whose_answer_was_lost_is_sent_again_where_twice_is_the_same_as_once() {
    let port = free_port();
    let redis = PrivateRedis::start(RedisOptions { port: Some(port) }).await;
    let thief = Thief::before(port).await;
    let (queue, direct) = (Queue::on(&thief.url, "lost"), Queue::on(&redis.url(), "lost"));

    // Scripts that Redis does not know yet are loaded; after that, one is one command.
    queue.enqueue(note("first")).await;
    thief.arm();
    let enqueued = queue.producer.enqueue(note("second")).await.unwrap();
    assert!(enqueued.is_new, "the first copy stored it");
    thief.arm();
    let later = NewJob { delay: Duration::from_hours(1), ..note("third") };
    assert!(queue.producer.enqueue(later).await.unwrap().is_new);
    assert_eq!(thief.stolen.load(Ordering::SeqCst), 2);
    let counts = &direct.inspector.counts().await.unwrap()[0];
    assert_eq!((counts.ready, counts.scheduled), (2, 1), "each once");
    thief.arm();
    assert_eq!(queue.control().cancel(&enqueued.id).await.unwrap(), Some(Cancelled::Cancelled));

    // A purge whose answer was lost is not sent again: how many it purged is not known.
    thief.arm();
    queue.control().purge("default").await.unwrap_err();
    assert_eq!(thief.stolen.load(Ordering::SeqCst), 4);
    let counts = &direct.inspector.counts().await.unwrap()[0];
    assert_eq!((counts.ready, counts.scheduled), (0, 0), "it was carried out");
}

#[tokio::test]
async fn a_worker_runs_each_job_once_though_every_other_answer_is_lost() {
    let port = free_port();
    let redis = PrivateRedis::start(RedisOptions { port: Some(port) }).await;
    let thief = Thief::before(port).await;
    let (queue, direct) = (Queue::on(&thief.url, "both"), Queue::on(&redis.url(), "both"));
    let worker = queue.work();
    for _ in 0..20 {
        thief.arm();
        let id = queue.enqueue(NewJob::new("note", json!({"text": "a"}))).await;
        thief.arm();
        let ended = async || direct.job(&id).await.state.has_ended();
        eventually(LONG, "it has ended", ended).await;
        assert_eq!(direct.job(&id).await.attempt, 1);
    }
    assert!(thief.stolen.load(Ordering::SeqCst) >= 10);
    assert_eq!(queue.ledger.count(), 20, "once each");
    worker.drain().await;
}
