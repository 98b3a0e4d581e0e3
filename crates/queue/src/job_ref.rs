//! Names one job, in commands and in errors.

use std::fmt;

/// Which job is meant: its id, and its queue where that is known.
///
/// An id is unique within a queue only, since a queue is one slot of a cluster and no step reads two of them. Without
/// a queue, the only job of this id is meant; several are an error ([`crate::QueueError::Ambiguous`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobRef<'a> {
    /// The id.
    pub id: &'a str,
    /// The queue; absent: the only one that has a job of this id.
    pub queue: Option<&'a str>,
}

impl<'a> JobRef<'a> {
    /// The job with this id, in this queue where one is given.
    pub fn new(id: &'a str, queue: Option<&'a str>) -> Self {
        Self { id, queue }
    }

    /// Says that there is no such job.
    pub fn not_found(&self) -> String {
        let queue = self.queue.map(|queue| format!(" in queue `{queue}`")).unwrap_or_default();
        format!("no job has the id `{}`{queue}; ended jobs are kept for a limited time only", self.id)
    }
}

impl<'a> From<&'a str> for JobRef<'a> {
    fn from(id: &'a str) -> Self {
        Self { id, queue: None }
    }
}

impl<'a> From<&'a String> for JobRef<'a> {
    fn from(id: &'a String) -> Self {
        Self { id, queue: None }
    }
}

impl fmt::Display for JobRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job `{}`", self.id)?;
        self.queue.map_or(Ok(()), |queue| write!(f, " in queue `{queue}`"))
    }
}
