//! Calls of `lua/tick.lua`: what is noted or enqueued of a schedule in one step.

use std::collections::BTreeMap;

use jiff::Timestamp;
use redis::ScriptInvocation;

use super::agenda::Entry;
use super::book::Book;
use crate::client::Client;
use crate::error::QueueError;
use crate::new_job::Encoded;
use crate::script::Step;

use super::leader::Lead;

/// Ticks in one script call: some milliseconds of Redis's time.
const BATCH: usize = 200;

/// What a tick is about; `lua/tick.lua` describes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Next,
    Start,
    First,
    End,
    Forget,
}

impl Mode {
    fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Start => "start",
            Self::First => "first",
            Self::End => "end",
            Self::Forget => "forget",
        }
    }
}

/// One step of one schedule.
#[derive(Clone, Debug)]
pub(super) struct Tick {
    pub(super) queue: String,
    pub(super) schedule: String,
    pub(super) slot: Timestamp,
    pub(super) mode: Mode,
    /// Its place in the agenda; absent for one that is not in force.
    pub(super) index: Option<usize>,
}

/// What Redis answered to one tick.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) tick: Tick,
    pub(super) what: String,
    pub(super) last: Timestamp,
    pub(super) definition: String,
}

/// In groups of one queue each, in their order.
pub(super) fn by_queue(ticks: Vec<Tick>) -> Vec<Vec<Tick>> {
    let mut by_queue: BTreeMap<String, Vec<Tick>> = BTreeMap::new();
    for tick in ticks {
        by_queue.entry(tick.queue.clone()).or_default().push(tick);
    }
    by_queue
        .into_values()
        .flat_map(|ticks| ticks.chunks(BATCH).map(<[Tick]>::to_vec).collect::<Vec<_>>())
        .collect()
}

/// Sends a group. `None` when another scheduler leads.
pub(super) async fn send(
    client: &Client,
    book: &Book,
    entries: &[Entry],
    group: Vec<Tick>,
    lead: &Lead,
) -> Result<Option<Vec<Answer>>, QueueError> {
    let Some(first) = group.first() else { return Ok(Some(Vec::new())) };
    let keys = client.queue(&first.queue);
    let mut call = client.step(Step::Tick, &keys);
    call.arg(lead.epoch).arg(book.prefix());
    for tick in &group {
        add(&mut call, tick, entries, lead.now())?;
    }
    let answer: redis::Value =
        call.invoke_async(&mut client.connection()).await.map_err(QueueError::redis("enqueue ticks"))?;
    // `deposed` comes alone; all others as a list for each tick.
    let Ok(answers) = redis::from_redis_value::<Vec<(String, i64, String)>>(answer) else { return Ok(None) };
    let answer = |(tick, (what, last_ms, definition))| {
        let last = Timestamp::from_millisecond(last_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        Answer { tick, what, last, definition }
    };
    Ok(Some(group.into_iter().zip(answers).map(answer).collect()))
}

fn add(
    call: &mut ScriptInvocation<'_>,
    tick: &Tick,
    entries: &[Entry],
    now: Timestamp,
) -> Result<(), QueueError> {
    let slot_ms = tick.slot.as_millisecond();
    call.arg(&tick.schedule).arg(slot_ms);
    let Some(entry) = tick.index.and_then(|index| entries.get(index)) else {
        call.arg("").arg(tick.mode.as_str()).arg(0).arg(&["", "", "", "", "", ""]);
        return Ok(());
    };
    let ahead = u64::try_from(entry.schedule.cadence.kept_ahead().as_millis()).unwrap_or(u64::MAX);
    call.arg(&entry.definition).arg(tick.mode.as_str()).arg(ahead).arg(entry.schedule.overlap.as_str());
    let delay = entry.schedule.jitter.mul_f64(rand::random::<f64>());
    Encoded::tick(&entry.job, now.as_millisecond(), slot_ms, delay)?.add_to(call);
    Ok(())
}
