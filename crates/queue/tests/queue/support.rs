//! Jobs that do nothing but what a test watches, and a worker that runs them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dogwatch_queue::{
    Catalog, Client, Control, Inspector, Job, JobError, JobRecord, NewJob, Producer, Registry, Retry, Run,
    Settings, Stop, Worker, mins, secs,
};
use dogwatch_testing::{TestRedis, eventually};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::JoinHandle;

pub(crate) const LONG: Duration = Duration::from_mins(1);

/// What jobs write down, and what tells them how to behave.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) runs: Mutex<Vec<String>>,
    pub(crate) failures_left: AtomicU32,
}

impl Ledger {
    pub(crate) fn count(&self) -> usize {
        self.runs.lock().unwrap().len()
    }
}

/// Writes its name down.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    pub(crate) text: String,
}

impl Job for Note {
    const NAME: &'static str = "note";
    const RETRY: Retry = Retry::exponential(3, Duration::from_millis(20), Duration::from_millis(100));
    const TIMEOUT: Duration = secs(5);
    type Context = Arc<Ledger>;
    type Outcome = usize;
    async fn run(self, ledger: &Run<Arc<Ledger>>) -> Result<usize, JobError> {
        ledger.runs.lock().unwrap().push(self.text);
        Ok(ledger.count())
    }
}

/// Writes its name down, then does as it is told.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Behave {
    how: String,
}

impl Job for Behave {
    const NAME: &'static str = "behave";
    const RETRY: Retry = Retry::exponential(3, Duration::from_millis(20), Duration::from_millis(100));
    const TIMEOUT: Duration = secs(2);
    type Context = Arc<Ledger>;
    type Outcome = ();
    async fn run(self, ledger: &Run<Arc<Ledger>>) -> Result<(), JobError> {
        ledger.runs.lock().unwrap().push(self.how.clone());
        let fails = ledger
            .failures_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
            .is_ok();
        match self.how.as_str() {
            "fail" if fails => Err(std::io::Error::other("it did not work"))?,
            "retry_after" if fails => return Err(JobError::retry_after(Duration::from_millis(300), "busy")),
            "snooze" if fails => return Err(JobError::snooze(Duration::from_millis(10))),
            "discard" => return Err(JobError::discard("makes no sense")),
            "panic" if fails => panic!("oh no"),
            "hang" if fails => tokio::time::sleep(mins(10)).await,
            _ => {}
        }
        Ok(())
    }
}

/// Writes down when it begins and when it ends, and takes its time in between.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sleep {
    pub(crate) ms: u64,
}

impl Job for Sleep {
    const NAME: &'static str = "sleep";
    const RETRY: Retry = Retry::exponential(5, Duration::from_millis(20), Duration::from_millis(100));
    const TIMEOUT: Duration = mins(1);
    type Context = Arc<Ledger>;
    type Outcome = ();
    async fn run(self, ledger: &Run<Arc<Ledger>>) -> Result<(), JobError> {
        ledger.runs.lock().unwrap().push("begin".to_owned());
        tokio::time::sleep(Duration::from_millis(self.ms)).await;
        ledger.runs.lock().unwrap().push("end".to_owned());
        Ok(())
    }
}

/// Tells of its progress, waits, and stops when it is told to.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Obedient {
    pub(crate) ms: u64,
}

impl Job for Obedient {
    const NAME: &'static str = "obedient";
    const RETRY: Retry = Retry::none();
    const TIMEOUT: Duration = mins(1);
    type Context = Arc<Ledger>;
    type Outcome = ();
    async fn run(self, ledger: &Run<Arc<Ledger>>) -> Result<(), JobError> {
        ledger.runs.lock().unwrap().push("begin".to_owned());
        ledger.progress(json!({ "done": 1, "of": 2 }));
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(self.ms)) => Ok(()),
            () = ledger.cancelled() => {
                ledger.runs.lock().unwrap().push("told to stop".to_owned());
                Err(JobError::retry("stopped half way"))
            }
        }
    }
}

pub(crate) fn registry() -> Registry<Arc<Ledger>> {
    Registry::new().with::<Note>().with::<Behave>().with::<Sleep>().with::<Obedient>()
}

pub(crate) fn catalog() -> Catalog {
    registry().catalog()
}

pub(crate) fn note(text: &str) -> NewJob {
    NewJob::new("note", json!({ "text": text }))
}

pub(crate) fn behave(how: &str) -> NewJob {
    NewJob::new("behave", json!({ "how": how }))
}

/// One Redis, with all that is needed to enqueue and look.
pub(crate) struct Queue {
    pub(crate) client: Client,
    pub(crate) producer: Producer,
    pub(crate) inspector: Inspector,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) settings: Settings,
    pub(crate) namespace: String,
    pub(crate) url: String,
}

impl Queue {
    pub(crate) async fn new() -> Self {
        let redis = TestRedis::shared().await;
        Self::on(&redis.url(), &redis.namespace())
    }

    pub(crate) fn on(url: &str, namespace: &str) -> Self {
        let client = Client::open(url, namespace).unwrap();
        Self {
            producer: Producer::new(client.clone(), catalog()),
            inspector: Inspector::new(client.clone()),
            client,
            ledger: Arc::default(),
            settings: Settings::for_tests(namespace),
            namespace: namespace.to_owned(),
            url: url.to_owned(),
        }
    }

    pub(crate) fn key(&self, family: &str) -> String {
        format!("{}:{family}", self.prefix())
    }

    /// What all keys of the queue begin with.
    pub(crate) fn prefix(&self) -> String {
        format!("{}:{{default}}", self.namespace)
    }

    pub(crate) fn control(&self) -> Control {
        Control::new(self.client.clone(), catalog())
    }

    /// Whether a worker blocks on the queue.
    pub(crate) async fn is_watched(&self) -> bool {
        let info: String =
            redis::cmd("CLIENT").arg("LIST").query_async(&mut self.redis().await).await.unwrap();
        info.lines().any(|line| line.contains("cmd=blmove"))
    }

    /// Keys that only exist while something waits or runs.
    pub(crate) async fn left_over(&self) -> Vec<String> {
        let mut redis = self.redis().await;
        let mut left = Vec::new();
        for family in [
            "active",
            "prioritized",
            "scheduled",
            "retrying",
            "leases",
            "parked",
            "place",
            "permit",
            "holders:*",
            "waiters:*",
            "waiting:*",
            "alarms",
            "limits",
            "stray",
            "unknown",
        ] {
            let keys: Vec<String> =
                redis::cmd("KEYS").arg(glob(&self.key(family))).query_async(&mut redis).await.unwrap();
            left.extend(keys);
        }
        left
    }

    /// A connection to look where the product does not.
    pub(crate) async fn redis(&self) -> redis::aio::MultiplexedConnection {
        redis::Client::open(self.url.as_str()).unwrap().get_multiplexed_async_connection().await.unwrap()
    }

    /// Starts a worker.
    pub(crate) fn work(&self) -> Running {
        self.work_with(registry())
    }

    /// Starts a worker that knows these jobs.
    pub(crate) fn work_with(&self, registry: Registry<Arc<Ledger>>) -> Running {
        let stop = Stop::default();
        let (client, settings) = (self.client.clone(), self.settings.clone());
        let worker = Worker::new(client, registry, self.ledger.clone(), settings, "test");
        let identity = worker.identity().to_owned();
        let task = tokio::spawn(worker.run(stop.clone()));
        Running { stop, task, identity }
    }

    pub(crate) async fn enqueue(&self, job: NewJob) -> String {
        self.producer.enqueue(job).await.unwrap().id
    }

    pub(crate) async fn job(&self, id: &str) -> JobRecord {
        self.inspector.job(id).await.unwrap().unwrap()
    }

    /// Waits until the job has ended, and returns it.
    pub(crate) async fn end_of(&self, id: &str) -> JobRecord {
        let ended = async || self.job(id).await.state.has_ended();
        eventually(LONG, &format!("job {id} has ended"), ended).await;
        self.job(id).await
    }
}

/// A pattern of KEYS for a key in which only `*` is special.
fn glob(key: &str) -> String {
    key.replace('{', "\\{").replace('}', "\\}")
}

/// A worker that runs.
pub(crate) struct Running {
    pub(crate) stop: Stop,
    pub(crate) task: JoinHandle<()>,
    pub(crate) identity: String,
}

impl Running {
    /// Drains it.
    pub(crate) async fn drain(self) {
        self.stop.drain.cancel();
        tokio::time::timeout(LONG, self.task).await.expect("the worker drains in time").unwrap();
    }
}
