//! Where events are written: one file for each process, one line for each event.
//!
//! A line is appended with a single write, so that it is there as a whole or not at all when its writer is killed the
//! next moment. Nothing is buffered, and nothing passes through the system that is tested.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::time::{ClockId, clock_gettime};

use crate::event::{Event, What};

const EXTENSION: &str = "jsonl";

/// The ledger of one process.
#[derive(Debug)]
pub(crate) struct Ledger {
    file: File,
    by: String,
}

impl Ledger {
    /// Opens the ledger of the process `by` in a folder.
    pub(crate) fn open(folder: &Path, by: &str) -> Result<Self> {
        let path = path(folder, by);
        let file = OpenOptions::new().append(true).create(true).open(&path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { file, by: by.to_owned() })
    }

    /// Writes one event with the time.
    ///
    /// # Panics
    /// When it cannot: a history with holes proves nothing.
    pub(crate) fn write(&self, what: What) {
        let event = Event { at: monotonic_us(), wall: wall_us(), by: self.by.clone(), what };
        self.append(&event);
    }

    #[expect(clippy::expect_used, reason = "a history with holes proves nothing")]
    fn append(&self, event: &Event) {
        let mut line = serde_json::to_vec(event).expect("an event is plain data");
        line.push(b'\n');
        let written = (&self.file).write(&line).expect("a ledger that can be written");
        assert_eq!(written, line.len(), "a line of the ledger was written in part");
    }
}

/// Where the ledger of the process `by` is.
pub(crate) fn path(folder: &Path, by: &str) -> PathBuf {
    folder.join(by).with_added_extension(EXTENSION)
}

/// Reads all ledgers of a folder, in the order of time.
pub(crate) fn read(folder: &Path) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            events.extend(read_one(&path)?);
        }
    }
    events.sort_by_key(|event| event.at);
    Ok(events)
}

/// Reads one ledger. There is none before its process has begun.
pub(crate) fn read_one(path: &Path) -> Result<Vec<Event>> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text).with_context(|| format!("cannot read {}", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Reads a ledger. A torn last line is what a full disk or a lost machine leaves; a torn line before it is a bug of ours.
fn parse(text: &str) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        match serde_json::from_str(line) {
            Ok(event) => events.push(event),
            Err(_) if lines.peek().is_none() && !text.ends_with('\n') => {}
            Err(error) => bail!("line {}: {error}", index + 1),
        }
    }
    Ok(events)
}

/// The clock that orders events: of the machine, not of the process, and never stepped.
pub(crate) fn monotonic_us() -> u64 {
    u64::try_from(micros(ClockId::CLOCK_MONOTONIC)).unwrap_or_default()
}

/// The time of day. Only for people, and for the slots of schedules.
pub(crate) fn wall_us() -> i64 {
    micros(ClockId::CLOCK_REALTIME)
}

#[expect(clippy::expect_used, reason = "both clocks are there on every system that this is built for")]
fn micros(clock: ClockId) -> i64 {
    let time = clock_gettime(clock).expect("a clock");
    time.tv_sec() * 1_000_000 + time.tv_nsec() / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Answer;

    #[test]
    fn what_is_written_is_read_again_in_the_order_of_time() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) =
            (Ledger::open(folder.path(), "b-1.1").unwrap(), Ledger::open(folder.path(), "a-1.1").unwrap());
        first.write(What::Leads { epoch: 1 });
        second.write(What::SchedulersStop);
        let cancelled = What::Cancelled { id: "x".to_owned(), answer: Answer::Told };
        first.write(cancelled.clone());
        let events = read(folder.path()).unwrap();
        let seen: Vec<(&str, &What)> = events.iter().map(|event| (event.by.as_str(), &event.what)).collect();
        let expected =
            [("b-1.1", &What::Leads { epoch: 1 }), ("a-1.1", &What::SchedulersStop), ("b-1.1", &cancelled)];
        assert_eq!(seen, expected);
        assert!(events[0].at > 0 && events[0].wall > events[0].at.cast_signed());
    }

    #[test]
    fn only_the_last_line_may_be_torn() {
        let line = r#"{"at":1,"wall":2,"by":"a","event":"schedulers_stop"}"#;
        assert_eq!(parse(&format!("{line}\n{line}\n{}", &line[..20])).unwrap().len(), 2);
        assert!(parse(&format!("{line}\n{}\n{line}\n", &line[..20])).is_err());
    }
}
