//! The ways in that lead through the program: its API, its command line, and its outbox in Postgres.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use clap::Args;
use dogwatch_queue::{NewJob, UniqueUntil};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tokio::process::Command;

use crate::fleet::OWNER;
use crate::process::NAMESPACE;

/// Where the doors are.
#[derive(Args, Clone, Debug)]
pub(crate) struct Addresses {
    /// The program.
    #[arg(long, required = false)]
    pub(crate) program: PathBuf,
    /// Its API.
    #[arg(long, required = false)]
    pub(crate) api: String,
    /// Its Postgres.
    #[arg(long, required = false)]
    pub(crate) database: String,
}

/// What those use who go through them.
pub(crate) struct Doors {
    addresses: Addresses,
    redis: String,
    client: reqwest::Client,
    database: Option<PgConnection>,
}

impl Doors {
    pub(crate) fn new(addresses: Addresses, redis: &str) -> Self {
        Self { addresses, redis: redis.to_owned(), client: reqwest::Client::new(), database: None }
    }

    /// Says whether it was stored: not, when another holds its unique key.
    pub(crate) async fn http(&self, job: &NewJob) -> Result<bool> {
        let url = format!("{}/api/v1/jobs", self.addresses.api);
        let mut body = json!({
            "job": job.job, "args": job.args, "queue": job.queue, "id": job.id, "priority": job.priority,
            "max_attempts": job.max_attempts, "delay": format!("{}ms", job.delay.as_millis()),
        });
        for (field, time) in [("timeout", job.timeout), ("expires", job.expires)] {
            if let Some(time) = time {
                body[field] = format!("{}ms", time.as_millis()).into();
            }
        }
        if let Some(unique) = &job.unique {
            body["unique_key"] = unique.key.clone().into();
            body["unique_until"] = until(unique.until).into();
        }
        let answer = self.client.post(url).bearer_auth(OWNER).json(&body).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status == 202, "{status}: {text}");
        let enqueued: Value = serde_json::from_str(&text)?;
        Ok(enqueued["id"].as_str() == job.id.as_deref())
    }

    /// The same.
    pub(crate) async fn command_line(&self, job: &NewJob) -> Result<bool> {
        let id = job.id.as_deref().context("a job without an id")?;
        let mut command = Command::new(&self.addresses.program);
        command.env("REDIS_URL", &self.redis).env("DOGWATCH_QUEUE_NAMESPACE", NAMESPACE);
        command.args([
            "enqueue",
            &job.job,
            "--args",
            &job.args.to_string(),
            "--queue",
            &job.queue,
            "--id",
            id,
        ]);
        command.args(["--priority", &job.priority.to_string()]);
        let ms = |time: std::time::Duration| format!("{}ms", time.as_millis());
        let options = [
            ("--max-attempts", job.max_attempts.map(|n| n.to_string())),
            ("--delay", Some(ms(job.delay))),
            ("--timeout", job.timeout.map(ms)),
            ("--expires", job.expires.map(ms)),
            ("--unique-key", job.unique.as_ref().map(|unique| unique.key.clone())),
            ("--unique-until", job.unique.as_ref().map(|unique| until(unique.until))),
        ];
        for (flag, value) in options {
            command.args(value.iter().flat_map(|value| [flag, value]));
        }
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).trim() == id)
    }

    /// In one transaction, which commits.
    pub(crate) async fn outbox(&mut self, jobs: &[NewJob]) -> Result<()> {
        let mut connection = match self.database.take() {
            Some(connection) => connection,
            None => PgConnection::connect(&self.addresses.database).await?,
        };
        let mut transaction = connection.begin().await?;
        for job in jobs {
            sqlx::query(
                "SELECT dogwatch.enqueue($1, $2, $3, delay => $4, id => $5, max_attempts => $6, timeout => $7, priority => $8)",
            )
            .bind(&job.job)
            .bind(&job.args)
            .bind(&job.queue)
            .bind(job.delay)
            .bind(&job.id)
            .bind(job.max_attempts.map(u32::cast_signed))
            .bind(job.timeout)
            .bind(i32::from(job.priority))
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        // One that has failed is not used again.
        self.database = Some(connection);
        Ok(())
    }

    /// The same jobs in a transaction that is rolled back.
    pub(crate) async fn withdrawn(&mut self, jobs: &[NewJob]) -> Result<()> {
        let mut connection = PgConnection::connect(&self.addresses.database).await?;
        let mut transaction = connection.begin().await?;
        for job in jobs {
            let query = sqlx::query("SELECT dogwatch.enqueue($1, $2, $3, id => $4)");
            let query = query.bind(&job.job).bind(&job.args).bind(&job.queue).bind(&job.id);
            query.execute(&mut *transaction).await?;
        }
        Ok(transaction.rollback().await?)
    }
}

fn until(until: UniqueUntil) -> String {
    match until {
        UniqueUntil::Started => "started".to_owned(),
        UniqueUntil::Done => "done".to_owned(),
        UniqueUntil::Window(window) => format!("{}ms", window.as_millis()),
    }
}
