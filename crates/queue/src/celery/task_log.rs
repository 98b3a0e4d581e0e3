//! Logs what happens to many messages: once a minute for each task, with how many there were.
//!
//! Task names come from outside, so their number is bounded: what exceeds it is logged under one name.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How often the same is logged again.
const AGAIN: Duration = Duration::from_mins(1);
const MAX_TASKS: usize = 100;
const MAX_NAME_CHARS: usize = 100;
/// Stands for all tasks that exceed the number.
const OTHERS: &str = "(other tasks)";

/// What is counted: an event and a task.
type Subject = (&'static str, String);

/// Counts between two lines of the log.
#[derive(Debug, Default)]
pub(super) struct TaskLog(HashMap<Subject, Counted>);

#[derive(Debug)]
struct Counted {
    logged: Instant,
    since: u64,
}

impl TaskLog {
    /// Counts one event of a task. Returns the name to log and how many there were since the last line, when
    /// it is time to log.
    pub(super) fn count(&mut self, event: &'static str, task: &str, now: Instant) -> Option<(String, u64)> {
        let mut name: String = task.chars().take(MAX_NAME_CHARS).collect();
        if !self.0.contains_key(&(event, name.clone())) && self.0.len() >= MAX_TASKS {
            self.0.retain(|_, counted| counted.since > 0 || now - counted.logged < AGAIN);
            if self.0.len() >= MAX_TASKS {
                OTHERS.clone_into(&mut name);
            }
        }
        let Some(counted) = self.0.get_mut(&(event, name.clone())) else {
            self.0.insert((event, name.clone()), Counted { logged: now, since: 0 });
            return Some((name, 1));
        };
        counted.since += 1;
        if now - counted.logged < AGAIN {
            return None;
        }
        counted.logged = now;
        Some((name, std::mem::take(&mut counted.since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_logged_once_a_minute_with_its_number() {
        let (mut log, start) = (TaskLog::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(log.count("left", "a", at(0)), Some(("a".to_owned(), 1)));
        assert_eq!(log.count("left", "a", at(1)), None);
        assert_eq!(log.count("refused", "a", at(2)), Some(("a".to_owned(), 1)));
        assert_eq!(log.count("left", "a", at(61)), Some(("a".to_owned(), 2)));
        assert_eq!(log.count("left", "a", at(62)), None);
    }

    #[test]
    fn the_number_of_names_is_bounded() {
        let (mut log, start) = (TaskLog::default(), Instant::now());
        let logged = (0..1000).filter_map(|n| log.count("left", &format!("task-{n}"), start)).count();
        assert_eq!(logged, MAX_TASKS + 1);
        assert_eq!(log.0.len(), MAX_TASKS + 1);
        // Names that were not counted lately make room.
        let later = start + Duration::from_mins(2);
        assert_eq!(log.count("left", "new", later), Some(("new".to_owned(), 1)));
    }
}
