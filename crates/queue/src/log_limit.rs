//! Bounds what is logged about something that many jobs or messages have in common: one line a minute for each name, and
//! at most a hundred names.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const EVERY: Duration = Duration::from_mins(1);
/// Names come from outside. All others share one line.
const MOST_NAMES: usize = 100;
const OTHERS: &str = "(others)";
const LONGEST_NAME: usize = 100;

/// Counts by name, and says when a line is due.
#[derive(Debug, Default)]
pub struct LogLimit(Mutex<HashMap<String, Line>>);

#[derive(Debug)]
struct Line {
    logged: Instant,
    /// Since then.
    count: u64,
}

/// A line to log.
#[derive(Debug, PartialEq, Eq)]
pub struct Due {
    /// What it is about, at most a hundred characters; `(others)` when there are too many names.
    pub name: String,
    /// How often it happened since the last line, this time included.
    pub count: u64,
}

impl LogLimit {
    /// Counts one more. Returns what to log, when a line is due.
    pub fn count(&self, name: &str) -> Option<Due> {
        let name = name.char_indices().nth(LONGEST_NAME).map_or(name, |(end, _)| &name[..end]);
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if lines.len() >= MOST_NAMES && !lines.contains_key(name) {
            lines.retain(|_, line| now - line.logged < EVERY);
        }
        let name = if lines.len() < MOST_NAMES || lines.contains_key(name) { name } else { OTHERS };
        let Some(line) = lines.get_mut(name) else {
            lines.insert(name.to_owned(), Line { logged: now, count: 0 });
            return Some(Due { name: name.to_owned(), count: 1 });
        };
        line.count += 1;
        if now - line.logged < EVERY {
            return None;
        }
        line.logged = now;
        Some(Due { name: name.to_owned(), count: std::mem::take(&mut line.count) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_name_is_logged_once_a_minute_with_its_count() {
        let limit = LogLimit::default();
        let due = |name: &str, count| Some(Due { name: name.to_owned(), count });
        assert_eq!(limit.count("a"), due("a", 1));
        assert_eq!((limit.count("a"), limit.count("a")), (None, None));
        assert_eq!(limit.count("b"), due("b", 1));
        tokio::time::advance(EVERY).await;
        assert_eq!(limit.count("a"), due("a", 3));
        assert_eq!(limit.count("a"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_names_share_a_line() {
        let limit = LogLimit::default();
        for n in 0..MOST_NAMES {
            assert!(limit.count(&n.to_string()).is_some());
        }
        assert_eq!(limit.count("more").unwrap().name, OTHERS);
        assert_eq!(limit.count("still more"), None);
        tokio::time::advance(EVERY).await;
        assert_eq!(limit.count("later").unwrap().name, "later");
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_name_is_cut() {
        let limit = LogLimit::default();
        assert_eq!(limit.count(&"ä".repeat(5000)).unwrap().name, "ä".repeat(LONGEST_NAME));
    }
}
