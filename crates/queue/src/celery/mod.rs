//! Celery: unmodified clients enqueue for our workers.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::registry::Catalog;

/// What is taken from Celery's lists.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Lists that Celery clients write to; empty: none.
    pub queues: Vec<String>,
    /// By name of Celery's task: which job it is.
    pub tasks: BTreeMap<String, Task>,
}

/// How one task of Celery becomes a job.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The job.
    pub job: String,
    /// Names of the positional arguments.
    #[serde(default)]
    pub args: Vec<String>,
}

pub(crate) struct Intake;

impl Intake {
    pub(crate) fn all(_: &Client, _: &Catalog, _: &crate::Settings) -> Vec<Self> {
        Vec::new()
    }
    pub(crate) async fn run(self, _: CancellationToken) {}
}

/// Where a job came from.
#[derive(Clone, Debug, Default, serde::Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) id: String,
}

/// How an attempt ended, as a client hears it.
pub(crate) enum Ending<'a> {
    Succeeded(&'a Value),
    Retried(&'a str),
    Failed(&'a str),
    Revoked(&'a str),
    None,
}

impl Origin {
    pub(crate) fn news(&self, _: Ending<'_>) -> serde_json::Map<String, Value> {
        serde_json::Map::new()
    }
}
