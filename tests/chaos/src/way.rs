//! The ways in: how a job gets into the queue. Another one is a variant and a function.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use apalis_core::backend::TaskSink;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dogwatch_queue::{NewJob, Producer};
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};

use crate::jobs::ATTEMPTS;
use crate::process::NAMESPACE;

/// Where Celery clients push.
pub(crate) const CELERY_LIST: &str = "celery";
/// Who knows no answer after this time knows nothing.
const LIMIT: Duration = Duration::from_secs(8);

/// How a job gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `Producer::enqueue`
    Native,
    /// `Producer::enqueue_all`
    Group,
    /// Two commands of plain Redis.
    Plain,
    /// The same, with a payload that nobody can read.
    Garbage,
    /// `RedisStorage::push_task` of stock apalis-redis.
    Apalis,
    /// An envelope as a Celery client pushes it.
    Celery,
    /// `Producer::relay`, as the outbox of a database is relayed.
    Relay,
}

/// What the ways use.
pub(crate) struct Entrance {
    pub(crate) producer: Producer,
    url: String,
    plain: Option<MultiplexedConnection>,
    /// Whose outbox is relayed, and its last position that is stored.
    source: String,
    position: u64,
}

impl Way {
    /// All of them, each with how many jobs of a hundred come by it.
    pub(crate) const SHARES: [(Self, u32); 7] = [
        (Self::Native, 35),
        (Self::Group, 30),
        (Self::Plain, 9),
        (Self::Garbage, 1),
        (Self::Apalis, 8),
        (Self::Celery, 8),
        (Self::Relay, 9),
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Group => "group",
            Self::Plain => "plain",
            Self::Garbage => "garbage",
            Self::Apalis => "apalis",
            Self::Celery => "celery",
            Self::Relay => "relay",
        }
    }

    /// Jobs that are sent together.
    pub(crate) fn group(self) -> u32 {
        match self {
            Self::Group => 10,
            Self::Relay => 3,
            _ => 1,
        }
    }

    /// How often the same is sent again when the answer was lost. Plain commands would push an id twice.
    pub(crate) fn repeats(self) -> u32 {
        match self {
            Self::Native | Self::Group => 1,
            // An outbox does not give up.
            Self::Relay => u32::MAX,
            Self::Plain | Self::Garbage | Self::Apalis | Self::Celery => 0,
        }
    }

    /// What of a job can be said by this way.
    pub(crate) fn tell(self, job: NewJob) -> NewJob {
        let queue = "default".to_owned();
        match self {
            // All of one queue.
            Self::Relay => NewJob { queue, unique: None, ..job },
            Self::Celery => NewJob { queue, unique: None, expires: None, ..job },
            _ => job,
        }
    }

    /// How often a job that came this way may be tried.
    pub(crate) fn max_attempts(self, job: &NewJob) -> u32 {
        match self {
            Self::Native | Self::Group | Self::Relay => job.max_attempts.unwrap_or(ATTEMPTS),
            Self::Plain | Self::Apalis | Self::Celery => ATTEMPTS,
            // It is not tried at all, so that a worker that is killed with it in its hands counts and nothing else.
            Self::Garbage => 1000,
        }
    }
}

impl Entrance {
    pub(crate) fn new(producer: Producer, url: &str, source: &str) -> Self {
        Self { producer, url: url.to_owned(), plain: None, source: source.to_owned(), position: 0 }
    }

    /// Sends jobs. Says of each whether it was stored: not, when another holds its unique key.
    pub(crate) async fn send(&mut self, way: Way, jobs: &[NewJob]) -> Result<Vec<bool>> {
        let sent = async {
            match way {
                Way::Native | Way::Group => self.native(way, jobs).await,
                Way::Plain => self.plain(jobs, false).await,
                Way::Garbage => self.plain(jobs, true).await,
                Way::Apalis => self.apalis(jobs).await,
                Way::Celery => self.celery(jobs).await,
                Way::Relay => self.relay(jobs).await,
            }
        };
        let sent = tokio::time::timeout(LIMIT, sent).await.context("no answer in time")?;
        if sent.is_err() {
            self.plain = None;
        }
        sent
    }

    async fn native(&self, way: Way, jobs: &[NewJob]) -> Result<Vec<bool>> {
        let enqueued = if way == Way::Native {
            vec![self.producer.enqueue(jobs[0].clone()).await?]
        } else {
            self.producer.enqueue_all(jobs.to_vec()).await.map_err(|(_, error)| error)?
        };
        Ok(jobs.iter().zip(enqueued).map(|(job, enqueued)| job.id.as_ref() == Some(&enqueued.id)).collect())
    }

    /// As the documentation tells those who have no library; in one transaction, so that no half of it stays.
    async fn plain(&mut self, jobs: &[NewJob], garbage: bool) -> Result<Vec<bool>> {
        let mut connection = self.connection().await?;
        for job in jobs {
            let (prefix, id) =
                (format!("{NAMESPACE}:{{{}}}", job.queue), job.id.as_deref().unwrap_or_default());
            let payload = if garbage { "{neither this".to_owned() } else { payload(job).to_string() };
            redis::pipe()
                .atomic()
                .sadd(format!("{NAMESPACE}:queues"), &job.queue)
                .hset(format!("{prefix}:data"), id, payload)
                .rpush(format!("{prefix}:active"), id)
                .query_async::<()>(&mut connection)
                .await?;
        }
        Ok(vec![true; jobs.len()])
    }

    async fn connection(&mut self) -> Result<MultiplexedConnection> {
        let connection = match &self.plain {
            Some(connection) => connection.clone(),
            None => redis::Client::open(self.url.as_str())?.get_multiplexed_async_connection().await?,
        };
        self.plain = Some(connection.clone());
        Ok(connection)
    }

    /// What kombu writes for `app.send_task(name, kwargs=…, ignore_result=True)`, in the second protocol.
    async fn celery(&mut self, jobs: &[NewJob]) -> Result<Vec<bool>> {
        let mut connection = self.connection().await?;
        for job in jobs {
            let body =
                json!([[], job.args, { "callbacks": null, "errbacks": null, "chain": null, "chord": null }]);
            let headers = json!({
                "lang": "py", "task": job.job, "id": job.id, "root_id": job.id, "eta": null, "expires": null,
                "retries": 0, "timelimit": [null, null], "ignore_result": true,
            });
            let properties = json!({
                "correlation_id": job.id, "body_encoding": "base64", "priority": 0, "delivery_mode": 2,
                "delivery_info": { "exchange": "", "routing_key": CELERY_LIST },
            });
            let envelope = json!({
                "body": BASE64_STANDARD.encode(body.to_string()), "headers": headers, "properties": properties,
                "content-type": "application/json", "content-encoding": "utf-8",
            });
            redis::cmd("LPUSH")
                .arg(CELERY_LIST)
                .arg(envelope.to_string())
                .query_async::<i64>(&mut connection)
                .await?;
        }
        Ok(vec![true; jobs.len()])
    }

    /// As the rows of an outbox that follow the last that is known to be stored.
    async fn relay(&mut self, jobs: &[NewJob]) -> Result<Vec<bool>> {
        let rows: Vec<(u64, NewJob)> = (self.position + 1..).zip(jobs.iter().cloned()).collect();
        let last = rows.last().map_or(self.position, |(position, _)| *position);
        let stored = self.producer.relay(&self.source, "default", rows).await?;
        ensure!(stored >= last, "position {last} was sent, and {stored} is stored");
        self.position = last;
        Ok(vec![true; jobs.len()])
    }

    /// With the producer of stock apalis-redis, which knows nothing of us but the name of the queue.
    async fn apalis(&self, jobs: &[NewJob]) -> Result<Vec<bool>> {
        let connection = apalis_redis::connect(self.url.as_str()).await?;
        for job in jobs {
            let queue = format!("{NAMESPACE}:{{{}}}", job.queue);
            let config = apalis_redis::Config::default().queue(&queue);
            let mut storage =
                apalis_redis::RedisStorage::<Value>::new(connection.clone()).with_config(config);
            let id = TaskId::from_string(job.id.clone().unwrap_or_default());
            storage.push_task(TaskBuilder::new(payload(job)).task_id(id).build()).await?;
        }
        Ok(vec![true; jobs.len()])
    }
}

fn payload(job: &NewJob) -> Value {
    json!({ "job": job.job, "args": job.args })
}
