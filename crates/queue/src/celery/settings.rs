//! The `[celery]` section of dogwatch.toml.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// Longer prefixes and names of lists are refused.
const MAX_NAME_BYTES: usize = 200;

/// How Celery's clients are served.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Lists that Celery clients write to; none: nothing is taken.
    pub queues: Vec<String>,
    /// The queue that their messages are moved into.
    #[serde(default = "default_queue")]
    pub into: String,
    /// What happens to tasks that no job is known for.
    #[serde(default)]
    pub unknown: Unknown,
    /// `global_keyprefix` of the clients' broker transport options.
    #[serde(default)]
    pub prefix: String,
    /// The clients' result backend, when it is another Redis or another database than the queue's.
    #[serde(default)]
    pub results: Option<SecretString>,
    /// `global_keyprefix` of the clients' result backend transport options.
    #[serde(default)]
    pub results_prefix: String,
    /// By name of Celery's task: which job it is. A task whose name is a job's needs no entry.
    #[serde(default)]
    pub tasks: BTreeMap<String, Task>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            queues: Vec::new(),
            into: default_queue(),
            unknown: Unknown::default(),
            prefix: String::new(),
            results: None,
            results_prefix: String::new(),
            tasks: BTreeMap::new(),
        }
    }
}

fn default_queue() -> String {
    "default".to_owned()
}

/// What happens to tasks that no job is known for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    /// They stay in the list, in their order, for Celery workers.
    #[default]
    Leave,
    /// They become dead letters, and their senders get `NotRegistered`.
    Refuse,
}

/// How one task of Celery becomes a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The job.
    pub job: String,
    /// Names of the positional arguments, in their order.
    #[serde(default)]
    pub args: Vec<String>,
}

impl Settings {
    /// Checks what the types cannot. The error names the key in this section, its value and what would be
    /// right.
    ///
    /// # Errors
    /// The key and a sentence.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        for list in &self.queues {
            if list.is_empty() || list.len() > MAX_NAME_BYTES {
                return Err(("queues", format!("`{list}`: write the name of a list, of 1 to 200 bytes")));
            }
        }
        crate::keys::check_name(&self.into)
            .map_err(|reason| ("into", format!("`{}`: {reason}", self.into)))?;
        for (key, prefix) in [("prefix", &self.prefix), ("results_prefix", &self.results_prefix)] {
            if prefix.len() > MAX_NAME_BYTES {
                return Err((key, format!("{} bytes are too many; 200 are allowed", prefix.len())));
            }
        }
        let Some(results) = &self.results else { return Ok(()) };
        crate::client::Client::open(results.expose_secret(), "results")
            .map(drop)
            .map_err(|error| ("results", error.to_string()))
    }

    /// The lists with the prefix that the clients' broker puts before them.
    pub(crate) fn lists(&self) -> impl Iterator<Item = String> {
        self.queues.iter().map(|list| format!("{}{list}", self.prefix))
    }

    /// What result keys begin with: Celery ends a prefix that does not end in a separator with `_`.
    pub(crate) fn result_key_prefix(&self) -> String {
        match self.results_prefix.chars().last() {
            None => String::new(),
            Some(':' | '_' | '-' | '.') => self.results_prefix.clone(),
            Some(_) => format!("{}_", self.results_prefix),
        }
    }

    /// Whether results are stored in another Redis, or another database, than the queue's.
    pub(crate) fn results_elsewhere(&self, queue: Option<&SecretString>) -> Option<&SecretString> {
        let queue = queue.map(ExposeSecret::expose_secret);
        self.results.as_ref().filter(|results| Some(results.expose_secret()) != queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_those_that_celery_writes() {
        for (given, expected) in [("", ""), ("myapp", "myapp_"), ("myapp:", "myapp:"), ("a.", "a.")] {
            let settings = Settings { results_prefix: given.to_owned(), ..Settings::default() };
            assert_eq!(settings.result_key_prefix(), expected);
        }
        let settings = Settings {
            prefix: "myapp:".to_owned(),
            queues: vec!["celery".to_owned()],
            ..Settings::default()
        };
        assert_eq!(settings.lists().collect::<Vec<_>>(), ["myapp:celery"]);
    }

    #[test]
    fn wrong_values_are_refused_by_key() {
        let right = Settings::default();
        assert_eq!(right.validate(), Ok(()));
        let wrong = [
            ("queues", Settings { queues: vec![String::new()], ..right.clone() }),
            ("into", Settings { into: "a b".to_owned(), ..right.clone() }),
            ("prefix", Settings { prefix: "x".repeat(201), ..right.clone() }),
            ("results_prefix", Settings { results_prefix: "x".repeat(201), ..right.clone() }),
            ("results", Settings { results: Some("http://:hunter2@h".into()), ..right.clone() }),
        ];
        for (key, settings) in wrong {
            let (named, reason) = settings.validate().unwrap_err();
            assert_eq!(named, key);
            assert!(!reason.contains("hunter2"), "{reason}");
        }
    }
}
