//! Finds the messages of a Celery list that are moved, also behind ones that stay.
//!
//! While tasks that only Celery's own workers know stay in a list, it is read in pages of a bounded size:
//! once as a whole, and then only what has arrived. Producers push at the left end, and consumers take from
//! the right end, at the same time; so places are counted from the right end, and each page begins with some
//! messages of the page before, by which it is seen how far everything has moved in between.

use std::time::{Duration, Instant};

use super::ingest::{Mover, is_near};
use super::translate::{Moved, Verdict};
use crate::client::Client;
use crate::error::QueueError;
use crate::script::Step;

/// How often a list whose messages stay is read as a whole again.
const READ_AGAIN: Duration = Duration::from_mins(10);
/// Messages and bytes of a page.
const PAGE: usize = 256;
const PAGE_BYTES: usize = 512 * 1024;
/// Messages that a page has in common with the one before.
const OVERLAP: usize = 16;
/// Messages that are read at the left end until the ones that are known are met; if these are not enough, the
/// whole list is read.
const ARRIVALS: [usize; 3] = [16, 128, 1024];
/// Messages at the right end that are read when it has changed: workers that stop put back what they had
/// taken.
const RETURNED: usize = 64;
/// How much of a message's end distinguishes it from others. `celery_ends.lua` has the same number.
const MARK_BYTES: usize = 200;

/// One list, and what is known of it.
pub(super) struct ListScan {
    pub(super) list: String,
    pub(super) priority: u8,
    seen: Option<Seen>,
}

/// The ends of a list all of whose messages stay.
struct Seen {
    left: Vec<u8>,
    right: Vec<u8>,
    read: Instant,
}

/// What is at the ends of a list: its length and the marks of the messages.
pub(super) struct Ends {
    pub(super) length: usize,
    left: Vec<u8>,
    right: Vec<u8>,
}

/// A part of a list.
struct Page {
    length: usize,
    messages: Vec<Vec<u8>>,
}

/// A message that is moved or removed.
pub(super) struct Found {
    /// How far it is from the right end.
    pub(super) distance: usize,
    /// And how far from the nearer end.
    pub(super) depth: usize,
    pub(super) raw: Vec<u8>,
    /// Absent for one that is only removed.
    pub(super) moved: Option<Moved>,
}

/// What came of a visit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Visit {
    /// There may be more to do at once.
    Again,
    /// Everything that is there stays.
    Idle,
}

impl ListScan {
    pub(super) fn new(list: String, priority: u8) -> Self {
        Self { list, priority, seen: None }
    }

    /// Moves what there is to move.
    pub(super) async fn visit(&mut self, ends: &Ends, ingest: &mut Mover) -> Result<Visit, QueueError> {
        if ends.length == 0 {
            self.seen = None;
            return Ok(Visit::Idle);
        }
        let Some(seen) = self.seen.take_if(|seen| seen.read.elapsed() < READ_AGAIN) else {
            return self.read_all(ingest).await;
        };
        let (left, right) = (seen.left != ends.left, seen.right != ends.right);
        // Kept when something fails on the way: what was not read yet is read the next time.
        self.seen = Some(seen);
        if right && self.read_returned(ingest).await? == Visit::Again {
            return Ok(Visit::Again);
        }
        if left { self.read_arrivals(ingest).await } else { Ok(Visit::Idle) }
    }

    /// The whole list, from the oldest on.
    async fn read_all(&mut self, ingest: &mut Mover) -> Result<Visit, QueueError> {
        let began = Instant::now();
        let is_new = self.seen.take().is_none();
        let (mut offset, mut last, mut right) = (0_usize, None::<Vec<u8>>, Vec::new());
        let mut overlap = OVERLAP;
        loop {
            let from = if last.is_some() { offset.saturating_sub(overlap) } else { offset };
            let page = self.page(ingest, "right", from, PAGE).await?;
            let known = last
                .as_ref()
                .and_then(|last| page.messages.iter().position(|message| mark(message) == *last));
            let fresh = match known {
                Some(index) => index + 1,
                // More was taken from the right end than two pages have in common: go back until it is met.
                None if from > 0 => {
                    offset = if overlap == OVERLAP { from.saturating_sub(PAGE) } else { 0 };
                    continue;
                }
                None => 0,
            };
            let end = from + page.messages.len();
            // A page of large messages has few of them.
            overlap = if page.messages.len() < PAGE && end < page.length { 1 } else { OVERLAP };
            let (length, mut stays) = (page.length, Vec::new());
            let messages = page.messages.into_iter().enumerate().skip(fresh);
            let messages = messages.map(|(index, raw)| (from + index, raw));
            let found = self.judge(ingest, messages, length, is_new, &mut stays)?;
            if fresh == end - from {
                break;
            }
            let count = found.len();
            let moved = ingest.take(&self.list, found).await?;
            if moved.places < count {
                // The others have moved meanwhile; they are read again.
                continue;
            }
            if let Some((_, first)) = stays.first().filter(|_| right.is_empty()) {
                right.clone_from(first);
            }
            stays.extend(moved.replaced);
            stays.sort_by_key(|(distance, _)| *distance);
            if let Some((_, mark)) = stays.pop() {
                last = Some(mark);
            }
            offset = end - moved.removed;
            if end >= length {
                break;
            }
        }
        let Some(left) = last else { return Ok(Visit::Again) };
        self.seen = Some(Seen { left, right, read: began });
        Ok(Visit::Idle)
    }

    /// What was pushed since the list was read.
    async fn read_arrivals(&mut self, ingest: &mut Mover) -> Result<Visit, QueueError> {
        for size in ARRIVALS {
            let page = self.page(ingest, "left", 0, size).await?;
            let is_whole = page.messages.len() == page.length;
            let Some(seen) = &self.seen else { break };
            let Some(count) = page.messages.iter().position(|message| mark(message) == seen.left) else {
                if is_whole {
                    break;
                }
                continue;
            };
            let (length, mut stays) = (page.length, Vec::new());
            let arrived = page.messages.into_iter().take(count).enumerate();
            let arrived = arrived.map(|(index, raw)| (length - 1 - index, raw));
            let mut found = self.judge(ingest, arrived, length, true, &mut stays)?;
            found.reverse();
            let count = found.len();
            let moved = ingest.take(&self.list, found).await?;
            if moved.places < count {
                return Ok(Visit::Again);
            }
            stays.extend(moved.replaced);
            stays.sort_by_key(|(distance, _)| *distance);
            if let (Some(seen), Some((_, left))) = (&mut self.seen, stays.pop()) {
                seen.left = left;
            }
            return Ok(Visit::Idle);
        }
        // Too many, or the one that was known is no longer there.
        self.read_all(ingest).await
    }

    /// What stands at the right end, after it has changed.
    async fn read_returned(&mut self, ingest: &mut Mover) -> Result<Visit, QueueError> {
        let page = self.page(ingest, "right", 0, RETURNED).await?;
        let (length, mut stays) = (page.length, Vec::new());
        let messages = page.messages.into_iter().enumerate();
        let found = self.judge(ingest, messages, length, false, &mut stays)?;
        let count = found.len();
        let moved = ingest.take(&self.list, found).await?;
        if moved.places < count {
            return Ok(Visit::Again);
        }
        if let (Some(seen), Some((_, right))) = (&mut self.seen, stays.into_iter().next()) {
            seen.right = right;
        }
        Ok(Visit::Idle)
    }

    /// What is to be moved of these messages, each with its distance; the others stay, with their marks.
    fn judge(
        &self,
        ingest: &mut Mover,
        messages: impl Iterator<Item = (usize, Vec<u8>)>,
        length: usize,
        is_new: bool,
        stays: &mut Vec<(usize, Vec<u8>)>,
    ) -> Result<Vec<Found>, QueueError> {
        let mut found = Vec::new();
        for (distance, raw) in messages {
            let depth = distance.min(length.saturating_sub(distance + 1));
            let moved = match ingest.judge(&raw, &self.list, self.priority)? {
                Verdict::Move(moved) => Some(moved),
                Verdict::Remove if is_near(depth) => None,
                Verdict::Remove => {
                    stays.push((distance, mark(&raw)));
                    continue;
                }
                Verdict::Leave(task) => {
                    stays.push((distance, mark(&raw)));
                    if is_new {
                        ingest.note_left(task);
                    }
                    continue;
                }
            };
            found.push(Found { distance, depth, raw, moved });
        }
        Ok(found)
    }

    async fn page(&self, ingest: &Mover, end: &str, from: usize, count: usize) -> Result<Page, QueueError> {
        let mut call = ingest.client.plain_step(Step::CeleryPage);
        call.key(&self.list).arg(end).arg(from).arg(count).arg(PAGE_BYTES);
        let (length, messages) = call
            .invoke_async::<redis::Value>(&mut ingest.client.connection())
            .await
            .and_then(split)
            .map_err(QueueError::redis("read messages of Celery"))?;
        Ok(Page { length, messages })
    }
}

/// The length and the messages in the answer of `celery_page.lua`.
pub(super) fn split(value: redis::Value) -> redis::RedisResult<(usize, Vec<Vec<u8>>)> {
    let mut values: Vec<redis::Value> = redis::from_redis_value(value)?;
    let messages = values.split_off(1.min(values.len()));
    let length = values.pop().map_or(Ok(0), redis::from_redis_value)?;
    let messages = messages.into_iter().map(redis::from_redis_value);
    Ok((length, messages.collect::<Result<_, _>>()?))
}

/// What is at the ends of these lists.
pub(super) async fn ends(client: &Client, scans: &[ListScan]) -> Result<Vec<Ends>, QueueError> {
    let mut call = client.plain_step(Step::CeleryEnds);
    for scan in scans {
        call.key(&scan.list);
    }
    let ends: Vec<(usize, Vec<u8>, Vec<u8>)> = call
        .invoke_async(&mut client.connection())
        .await
        .map_err(QueueError::redis("read messages of Celery"))?;
    Ok(ends.into_iter().map(|(length, left, right)| Ends { length, left, right }).collect())
}

/// What distinguishes a message from others, as `celery_ends.lua` writes it.
pub(super) fn mark(message: &[u8]) -> Vec<u8> {
    let mut mark = format!("{}:", message.len()).into_bytes();
    mark.extend_from_slice(&message[message.len().saturating_sub(MARK_BYTES)..]);
    mark
}
