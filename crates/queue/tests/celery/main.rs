//! Unmodified Celery clients before our workers: each case of `client.py`, against a real Redis.
//!
//! The test makes a virtual environment of Python with Celery from `PyPI`, once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod backends;
mod hostile;
mod lists;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use dogwatch_embedded::RedisOptions;
use dogwatch_queue::{
    CelerySettings, CeleryTask, Client, Inspector, Job, JobError, JobState, Registry, Retry, Run, Settings,
    Stop, UnknownTasks, Worker, mins, secs,
};
use dogwatch_testing::{PrivateRedis, eventually, free_port, python_with};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// Clients at the same time; their cases wait more than they work.
const CLIENTS: usize = 8;

/// Returns its arguments.
#[derive(Serialize, Deserialize)]
struct Echo(Map<String, Value>);

impl Job for Echo {
    const NAME: &'static str = "echo";
    const RETRY: Retry = Retry::none();
    const TIMEOUT: Duration = secs(10);
    type Context = ();
    type Outcome = Map<String, Value>;
    async fn run(self, _: &Run<()>) -> Result<Map<String, Value>, JobError> {
        Ok(self.0)
    }
}

/// Adds two numbers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    x: i64,
    y: i64,
}

impl Job for Add {
    const NAME: &'static str = "add";
    const RETRY: Retry = Retry::none();
    const TIMEOUT: Duration = secs(10);
    type Context = ();
    type Outcome = i64;
    async fn run(self, _: &Run<()>) -> Result<i64, JobError> {
        Ok(self.x + self.y)
    }
}

/// Fails with a message.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fail {
    message: String,
}

impl Job for Fail {
    const NAME: &'static str = "fail";
    const RETRY: Retry = Retry::none();
    const TIMEOUT: Duration = secs(10);
    type Context = ();
    type Outcome = ();
    async fn run(self, _: &Run<()>) -> Result<(), JobError> {
        Err(JobError::discard(self.message))
    }
}

/// Sleeps, unless it is told to stop.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Slow {
    seconds: f64,
}

impl Job for Slow {
    const NAME: &'static str = "slow";
    const RETRY: Retry = Retry::none();
    const TIMEOUT: Duration = mins(5);
    type Context = ();
    type Outcome = ();
    async fn run(self, cx: &Run<()>) -> Result<(), JobError> {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs_f64(self.seconds)) => Ok(()),
            () = cx.cancelled() => Err(JobError::discard("told to stop")),
        }
    }
}

/// A worker with a Redis of its own.
struct Side {
    redis: PrivateRedis,
    url: String,
    settings: Settings,
    stop: Stop,
    worker: JoinHandle<()>,
}

impl Side {
    /// Refuses tasks that it does not know, so that each case gets an answer.
    async fn start(concurrency: usize) -> Self {
        Self::with(|settings, _| {
            settings.concurrency = concurrency;
            settings.celery.unknown = UnknownTasks::Refuse;
        })
        .await
    }

    /// With other settings; the address of Redis may be a part of them.
    async fn with(change: impl FnOnce(&mut Settings, &str)) -> Self {
        let port = free_port();
        let redis = PrivateRedis::start(RedisOptions { port: Some(port) }).await;
        let url = format!("redis://127.0.0.1:{port}/0");
        let add = CeleryTask { job: "add".to_owned(), args: vec!["x".to_owned(), "y".to_owned()] };
        let mut settings = Settings {
            concurrency: 8,
            celery: CelerySettings {
                queues: vec!["celery".to_owned()],
                tasks: BTreeMap::from([("app.tasks.add".to_owned(), add)]),
                ..CelerySettings::default()
            },
            ..Settings::for_tests("celery-test")
        };
        change(&mut settings, &url);
        let (stop, worker) = start_worker(&url, &settings);
        Self { redis, url, settings, stop, worker }
    }

    async fn stop_worker(&mut self) {
        self.stop.drain.cancel();
        (&mut self.worker).await.unwrap();
    }

    fn start_worker(&mut self) {
        (self.stop, self.worker) = start_worker(&self.url, &self.settings);
    }

    async fn end(self) {
        self.stop.now.cancel();
        self.stop.drain.cancel();
        self.worker.await.unwrap();
        self.redis.stop().await;
    }
}

fn start_worker(url: &str, settings: &Settings) -> (Stop, JoinHandle<()>) {
    let client = Client::open(url, "celery-test").unwrap();
    let registry = registry();
    let (stop, settings) = (Stop::default(), settings.clone());
    let worker = tokio::spawn(Worker::new(client, registry, (), settings, "test").run(stop.clone()));
    (stop, worker)
}

fn registry() -> Registry<()> {
    Registry::new().with::<Echo>().with::<Add>().with::<Fail>().with::<Slow>()
}

fn script(name: &str) -> String {
    format!("{}/tests/celery/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Python with Celery.
async fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("celery-5.6");
    python_with(&folder, &["celery[redis]>=5.6,<5.8"]).await.join("python")
}

async fn run(command: &mut Command) -> String {
    let command = command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(mins(3), command.output()).await.expect("it ends in time").unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{out}\n{err}");
    out
}

async fn client(python: &Path, url: &str, cases: &[&str]) {
    client_with(python, url, &[], cases).await;
}

/// With these variables in its environment.
async fn client_with(python: &Path, url: &str, variables: &[(&str, &str)], cases: &[&str]) {
    let mut command = Command::new(python);
    command.arg(script("client.py")).arg(url).args(cases).envs(variables.iter().copied());
    let output = run(&mut command).await;
    for case in cases {
        assert!(output.lines().any(|line| line == format!("ok {case}")), "{case}: {output}");
    }
}

/// A worker of Celery on these lists.
fn python_worker(python: &Path, url: &str, lists: &str) -> Child {
    let mut worker = Command::new(python);
    worker.arg(script("python_worker.py")).arg(url).arg(lists);
    worker
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // Shown when the test fails.
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn an_unmodified_client_sees_what_it_expects() {
    let python = python().await;
    let side = Side::start(32).await;
    let cases = run(Command::new(&python).arg(script("client.py")).arg(&side.url).arg("list")).await;
    let apart = [
        "priority",
        "migration",
        "chain_to_python",
        "beside_python",
        "left_for_python",
        "fetched_by_python",
        "sent_to_wait",
        "revoked_later",
    ];
    let cases: Vec<&str> = cases.lines().filter(|case| !apart.contains(case)).collect();
    assert!(cases.len() >= 34, "{cases:?}");
    let part = |n: usize| cases.iter().skip(n).step_by(CLIENTS).copied().collect::<Vec<_>>();
    let parts: Vec<Vec<&str>> = (0..CLIENTS).map(part).collect();
    let clients = parts.iter().map(|cases| client(&python, &side.url, cases));
    futures_util::future::join_all(clients).await;
    side.end().await;
}

#[tokio::test]
async fn priorities_are_kept() {
    let python = python().await;
    let side = Side::start(1).await;
    client(&python, &side.url, &["priority"]).await;
    side.end().await;
}

#[tokio::test]
async fn python_workers_go_on_beside_ours_on_the_same_list_while_one_moves() {
    let python = python().await;
    let side = Side::start(8).await;
    let workers = [python_worker(&python, &side.url, "celery"), python_worker(&python, &side.url, "python")];
    client(&python, &side.url, &["migration", "chain_to_python"]).await;
    drop(workers);
    side.end().await;
}

/// A task's queue is the one that it was moved into, whatever is configured since.
#[tokio::test]
async fn a_revocation_finds_the_queue_of_its_task() {
    let python = python().await;
    let mut side = Side::with(|_, _| {}).await;
    client(&python, &side.url, &["sent_to_wait"]).await;
    let inspector = Inspector::new(Client::open(&side.url, "celery-test").unwrap());
    let scheduled = async || inspector.counts().await.unwrap().iter().any(|queue| queue.scheduled == 1);
    eventually(secs(20), "it was moved", scheduled).await;
    side.stop_worker().await;
    side.settings.celery.into = "other".to_owned();
    side.settings.queues.push("other".to_owned());
    side.start_worker();
    // The worker listens when it answers.
    client(&python, &side.url, &["inspect", "revoked_later"]).await;
    side.end().await;
}

/// The documented lines of redis-py, as they stand but for the job.
#[tokio::test]
async fn a_plain_redis_client_of_python_enqueues() {
    let python = python().await;
    let side = Side::start(4).await;
    let text = include_str!("../../../../docs/ENQUEUE.md");
    let example = text.split_once("```python\n").unwrap().1.split_once("```").unwrap().0;
    let example = example.replace("check_service_health", "echo").replace("dogwatch:", "celery-test:");
    let program = format!("REDIS_URL = {:?}\n{example}\nprint(job_id)", side.url);
    let id = run(Command::new(&python).arg("-c").arg(program)).await.trim().to_owned();
    let inspector = Inspector::new(Client::open(&side.url, "celery-test").unwrap());
    let succeeded = async || {
        let job = inspector.job(&id).await.unwrap();
        job.is_some_and(|job| job.state == JobState::Succeeded)
    };
    eventually(secs(20), "it has run", succeeded).await;
    side.end().await;
}
