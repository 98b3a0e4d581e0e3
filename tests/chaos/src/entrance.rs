//! How jobs are sent by each of the ways in.

use std::time::Duration;

use anyhow::{Context, Result};
use apalis_core::backend::TaskSink;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dogwatch_queue::{NewJob, Producer};
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};

use crate::doors::Doors;
use crate::process::NAMESPACE;
use crate::way::Way;

/// Where Celery clients push.
pub(crate) const CELERY_LIST: &str = "celery";
/// Who knows no answer after this time knows nothing.
const LIMIT: Duration = Duration::from_secs(8);

/// What the ways use.
pub(crate) struct Entrance {
    pub(crate) producer: Producer,
    url: String,
    plain: Option<MultiplexedConnection>,
    doors: Option<Doors>,
}

impl Entrance {
    pub(crate) fn new(producer: Producer, url: &str, doors: Option<Doors>) -> Self {
        Self { producer, url: url.to_owned(), plain: None, doors }
    }

    fn doors(&mut self) -> Result<&mut Doors> {
        self.doors.as_mut().context("the program is not there")
    }

    /// Sends jobs. Says of each whether it was stored: not, when another holds its unique key.
    pub(crate) async fn send(&mut self, way: Way, jobs: &[NewJob]) -> Result<Vec<bool>> {
        let sent = async {
            match way {
                Way::Native | Way::Group => self.native(way, jobs).await,
                Way::Plain | Way::Half | Way::Garbage => self.plain(jobs, way).await,
                Way::Apalis => self.apalis(jobs).await,
                Way::Celery => self.celery(jobs).await,
                Way::Http => self.doors()?.http(&jobs[0]).await.map(|stored| vec![stored]),
                Way::CommandLine => self.doors()?.command_line(&jobs[0]).await.map(|stored| vec![stored]),
                Way::Outbox => self.doors()?.outbox(jobs).await.map(|()| vec![true; jobs.len()]),
            }
        };
        let sent = tokio::time::timeout(LIMIT, sent).await.context("no answer in time")?;
        if sent.is_err() {
            self.plain = None;
        }
        sent
    }

    /// Enqueues jobs in a transaction that is rolled back.
    pub(crate) async fn withdraw(&mut self, jobs: &[NewJob]) -> Result<()> {
        tokio::time::timeout(LIMIT, self.doors()?.withdrawn(jobs)).await.context("no answer in time")?
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
    async fn plain(&mut self, jobs: &[NewJob], way: Way) -> Result<Vec<bool>> {
        let mut connection = self.connection().await?;
        for job in jobs {
            let (prefix, id) =
                (format!("{NAMESPACE}:{{{}}}", job.queue), job.id.as_deref().unwrap_or_default());
            let payload =
                if way == Way::Garbage { "{neither this".to_owned() } else { payload(job).to_string() };
            let mut pipe = redis::pipe();
            pipe.atomic().sadd(format!("{NAMESPACE}:queues"), &job.queue).hset(
                format!("{prefix}:data"),
                id,
                payload,
            );
            if way != Way::Half {
                pipe.rpush(format!("{prefix}:active"), id);
            }
            pipe.query_async::<()>(&mut connection).await?;
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
