//! Every key in Redis, in one place.
//!
//! The keys of a queue are those of `apalis_redis::Config` for a queue named `dogwatch:{default}`, and a few more of
//! the same form. All carry one hash tag, the queue's name in braces, so that Redis Cluster keeps a queue together.

/// The keys of one queue. `lua/lib.lua` lists them all; here are those that plain commands use.
#[derive(Clone, Debug)]
pub(crate) struct QueueKeys(String);

impl QueueKeys {
    pub(crate) fn new(namespace: &str, queue: &str) -> Self {
        Self(format!("{namespace}:{{{queue}}}"))
    }

    /// What all of them begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.0
    }

    /// The key of a family, such as `active` or `dead`.
    pub(crate) fn family(&self, family: &str) -> String {
        format!("{}:{family}", self.0)
    }

    /// What ended in one minute since 1970.
    pub(crate) fn stats(&self, minute: i64) -> String {
        format!("{}:stats:{minute}", self.0)
    }
}

/// The keys that belong to no queue.
#[derive(Clone, Debug)]
pub(crate) struct GlobalKeys {
    /// SET of the names of queues that were ever used.
    pub(crate) queues: String,
    /// STRING, written to see whether Redis takes writes; expires at once.
    pub(crate) probe: String,
    /// ZSET of the workers' identities by the time of their last sign of life.
    pub(crate) workers: String,
}

impl GlobalKeys {
    pub(crate) fn new(namespace: &str) -> Self {
        Self {
            queues: format!("{namespace}:queues"),
            probe: format!("{namespace}:probe"),
            workers: format!("{namespace}:{{workers}}:seen"),
        }
    }
}

impl GlobalKeys {
    /// STRING, what a worker says of itself; expires with it.
    pub(crate) fn worker(&self, identity: &str) -> String {
        format!("{}:{identity}", self.workers)
    }
}

/// The keys of the schedulers of one book.
#[derive(Clone, Debug)]
pub(crate) struct BookKeys {
    /// STRING, the scheduler that leads; expires with the lease.
    pub(crate) leader: String,
    /// STRING, how often the lead has changed.
    pub(crate) epoch: String,
    /// STRING, why the leader refuses the file of schedules as it is now; absent when it does not.
    pub(crate) refused: String,
}

impl BookKeys {
    /// `book` is absent for the default one, whose keys are those of the time before there were books.
    pub(crate) fn new(namespace: &str, book: Option<&str>) -> Self {
        let book = book.map(|book| format!(":{book}")).unwrap_or_default();
        let key = |family: &str| format!("{namespace}:{{scheduler}}{book}:{family}");
        Self { leader: key("leader"), epoch: key("epoch"), refused: key("refused") }
    }
}

/// Names of queues, books and schedules become parts of keys, URLs and labels; this is what all of them can carry.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > 100 || !name.chars().all(fits) {
        return Err("a name has 1 to 100 letters, digits, `_`, `-` or `.`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{BookKeys, QueueKeys};

    #[test]
    fn the_default_book_has_no_name_in_its_keys() {
        assert_eq!(BookKeys::new("dogwatch", None).leader, "dogwatch:{scheduler}:leader");
        assert_eq!(BookKeys::new("dogwatch", Some("shop")).epoch, "dogwatch:{scheduler}:shop:epoch");
    }

    #[test]
    fn keys_are_those_of_apalis_redis() {
        let ours = QueueKeys::new("dogwatch", "default");
        let theirs = apalis_redis::Config::default().queue("dogwatch:{default}");
        assert_eq!(ours.family("data"), theirs.job_data_hash());
        assert_eq!(ours.family("active"), theirs.active_jobs_list());
        assert_eq!(ours.family("scheduled"), theirs.scheduled_jobs_set());
        // The scripts remove what its producers write beside the job.
        assert_eq!(ours.family("meta"), theirs.job_meta_hash());
    }
}
