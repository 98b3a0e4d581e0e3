//! What waits in Celery's lists, for people: how much, and which tasks no job is known for.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;

use super::Settings;
use super::ingest::STEPS;
use super::translate::{Translator, Verdict};
use crate::client::Client;
use crate::clock::Clock;
use crate::error::QueueError;
use crate::registry::Catalog;
use crate::script::Step;

/// Messages and bytes that are read at each end of a list.
const READ: usize = 100;
const READ_BYTES: usize = 1024 * 1024;
/// Names of tasks that are reported.
const MAX_TASKS: usize = 10;
const MAX_NAME_CHARS: usize = 100;

/// What waits in one of Celery's lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CeleryList {
    /// The list as clients call it, with its prefix; its priorities are counted together.
    pub list: String,
    /// Messages that wait.
    pub messages: usize,
    /// Messages at its ends that were read.
    pub read: usize,
    /// Of these, how many stay in the list for Celery's own workers.
    pub left: usize,
    /// Tasks of those that stay, at most ten.
    pub tasks: Vec<String>,
}

impl Settings {
    /// What waits in the configured lists. Only the ends of each are read.
    ///
    /// # Errors
    /// [`QueueError::Redis`].
    pub async fn survey(&self, client: &Client, catalog: &Catalog) -> Result<Vec<CeleryList>, QueueError> {
        let translator = Translator {
            catalog: catalog.clone(),
            settings: self.clone(),
            backend: super::Backend::default(),
        };
        let mut all = Vec::new();
        for list in self.lists() {
            all.push(survey_list(client, &translator, list).await?);
        }
        Ok(all)
    }

    /// Checks that the Redis of results answers. Nothing where it is the queue's.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn check_results(&self) -> Result<Option<String>, QueueError> {
        let Some(results) = &self.results else { return Ok(None) };
        let client = Client::open(results.expose_secret(), "results")?;
        client.time_ms().await?;
        Ok(Some(client.address().to_owned()))
    }
}

async fn survey_list(
    client: &Client,
    translator: &Translator,
    list: String,
) -> Result<CeleryList, QueueError> {
    let (mut messages, mut read, mut left) = (0, 0, 0);
    let mut tasks: BTreeMap<String, usize> = BTreeMap::new();
    for (suffix, priority) in STEPS {
        let key = format!("{list}{suffix}");
        let mut from = 0;
        for end in ["right", "left"] {
            let mut call = client.plain_step(Step::CeleryPage);
            call.key(&key).arg(end).arg(0).arg(READ).arg(READ_BYTES);
            let page: redis::Value = call
                .invoke_async(&mut client.connection())
                .await
                .map_err(QueueError::redis("read messages of Celery"))?;
            let (length, page) =
                super::scan::split(page).map_err(QueueError::redis("read messages of Celery"))?;
            // What was read at the one end is not read again at the other.
            let fresh = page.len().min(length.saturating_sub(from));
            for raw in &page[..fresh] {
                read += 1;
                if let Verdict::Leave(task) = translator.judge(raw, &key, priority, Clock::system().now())? {
                    left += 1;
                    let task = task.unwrap_or_else(|| "without a readable task".to_owned());
                    *tasks.entry(task.chars().take(MAX_NAME_CHARS).collect()).or_default() += 1;
                }
            }
            if from == 0 {
                messages += length;
            }
            from += page.len();
            if from >= length {
                break;
            }
        }
    }
    let mut tasks: Vec<(String, usize)> = tasks.into_iter().collect();
    tasks.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let tasks = tasks.into_iter().take(MAX_TASKS).map(|(task, _)| task).collect();
    Ok(CeleryList { list, messages, read, left, tasks })
}
