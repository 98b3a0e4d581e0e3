//! Every key in Redis, in one place.
//!
//! The keys of a queue are those of `apalis_redis::Config` for a queue named `dogwatch:{default}`, and a few more of
//! the same form. All carry one hash tag, the queue's name in braces, so that Redis Cluster keeps a queue together.

/// The keys of one queue, in the order that `lua/lib.lua` gives them names.
#[derive(Clone, Debug)]
pub(crate) struct QueueKeys {
    pub(crate) data: String,
    pub(crate) active: String,
    pub(crate) scheduled: String,
    pub(crate) leases: String,
    pub(crate) done: String,
    pub(crate) dead: String,
    meta: String,
    fence: String,
    pub(crate) slots: String,
}

impl QueueKeys {
    pub(crate) fn new(namespace: &str, queue: &str) -> Self {
        let key = |family: &str| format!("{namespace}:{{{queue}}}:{family}");
        Self {
            data: key("data"),
            active: key("active"),
            scheduled: key("scheduled"),
            leases: key("leases"),
            done: key("done"),
            dead: key("dead"),
            meta: key("meta"),
            fence: key("fence"),
            slots: key("slots"),
        }
    }

    /// In the order of `lua/lib.lua`.
    pub(crate) fn all(&self) -> [&str; 9] {
        let Self { data, active, scheduled, leases, done, dead, meta, fence, slots } = self;
        [data, active, scheduled, leases, done, dead, meta, fence, slots]
    }

    /// The hash with a job's metadata.
    pub(crate) fn meta(&self, id: &str) -> String {
        format!("{}:{id}", self.meta)
    }
}

/// The keys that belong to no queue.
#[derive(Clone, Debug)]
pub(crate) struct GlobalKeys {
    /// SET of the names of queues that were ever used.
    pub(crate) queues: String,
    /// STRING, who leads the schedulers; expires with the lease.
    pub(crate) leader: String,
    /// STRING, how often the lead has changed.
    pub(crate) epoch: String,
    /// STRING, there since every schedule was enqueued for the first time.
    pub(crate) started: String,
}

impl GlobalKeys {
    pub(crate) fn new(namespace: &str) -> Self {
        let scheduler = |family: &str| format!("{namespace}:{{scheduler}}:{family}");
        Self {
            queues: format!("{namespace}:queues"),
            leader: scheduler("leader"),
            epoch: scheduler("epoch"),
            started: scheduler("started"),
        }
    }
}

/// Names of queues and schedules become parts of keys, URLs and labels; this is what all of them can carry.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > 100 || !name.chars().all(fits) {
        return Err("a name has 1 to 100 letters, digits, `_`, `-` or `.`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::QueueKeys;

    #[test]
    fn keys_are_those_of_apalis_redis() {
        let ours = QueueKeys::new("dogwatch", "default");
        let theirs = apalis_redis::Config::default().queue("dogwatch:{default}");
        assert_eq!(ours.data, theirs.job_data_hash());
        assert_eq!(ours.active, theirs.active_jobs_list());
        assert_eq!(ours.scheduled, theirs.scheduled_jobs_set());
        assert_eq!(ours.done, theirs.done_jobs_set());
        assert_eq!(ours.dead, theirs.dead_jobs_set());
        assert_eq!(ours.meta("7"), format!("{}:7", theirs.job_meta_hash()));
    }
}
