//! What becomes of that which waits on a channel: which messages are made of it, what waits on, what is not told at all.
//! A pure function, so that each case can be tested.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_alerting::Mutes;
use dogwatch_notify::Limit;
use dogwatch_store::{AlertEvent, OnChannel, Waiting};
use uuid::Uuid;

/// Messages that are made at a time; more become one digest.
const MAX_MESSAGES: usize = 5;
/// How long a channel waits after a digest.
const AFTER_DIGEST: TimeDelta = TimeDelta::minutes(1);
/// How soon it is looked again whether a mute without an end is over.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(30);

/// How many messages a channel takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// So many …
    pub(crate) count: i64,
    /// … in this time.
    pub(crate) per: TimeDelta,
}

impl Limits {
    pub(crate) fn of(limit: Option<Limit>) -> Self {
        let per = limit.and_then(|limit| TimeDelta::from_std(limit.per).ok());
        Self {
            count: limit.map_or(i64::MAX, |limit| limit.count.into()),
            per: per.unwrap_or(TimeDelta::hours(1)),
        }
    }
}

/// What becomes of what waits.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// Messages, each of a group or, without one, a digest.
    pub(crate) messages: Vec<(Option<String>, Vec<Uuid>)>,
    /// What waits, until when, and why.
    pub(crate) held: Vec<(Vec<Uuid>, DateTime<Utc>, Option<String>)>,
    /// What is not told, and why.
    pub(crate) suppressed: Vec<(Vec<Uuid>, String)>,
}

pub(crate) fn plan(
    channel: &str,
    there: &OnChannel,
    mutes: &Mutes,
    limits: &Limits,
    now: DateTime<Utc>,
) -> Plan {
    let mut plan = Plan::default();
    let told: Vec<&Waiting> = plan.mute(channel, &there.waiting, mutes, now);
    let mut groups: BTreeMap<&str, Vec<&Waiting>> = BTreeMap::new();
    for waiting in told {
        groups.entry(&waiting.group).or_default().push(waiting);
    }
    let mut due: Vec<(&str, Vec<&Waiting>)> = Vec::new();
    for (group, waiting) in groups {
        let last = there.last_of_group.get(&Some(group.to_owned()));
        let interval = waiting.iter().map(|one| one.group_interval).min().unwrap_or_default();
        match last.map(|last| *last + interval).filter(|next| *next > now) {
            Some(next) => plan.held.push((ids(&waiting), next, None)),
            // The first one that may be told takes the others of its group with it.
            None if waiting.iter().any(|one| one.due_at <= now) => due.push((group, waiting)),
            None => {}
        }
    }
    plan.make(due, there, limits, now);
    plan
}

impl Plan {
    /// Takes out what is muted; what remains is to be told.
    fn mute<'a>(
        &mut self,
        channel: &str,
        waiting: &'a [Waiting],
        mutes: &Mutes,
        now: DateTime<Utc>,
    ) -> Vec<&'a Waiting> {
        let mut told = Vec::new();
        let mut unsaid = HashSet::new();
        for one in waiting {
            let alert = &one.alert;
            let is_end = one.event == AlertEvent::Resolved;
            // Its beginning was not told, and will not be.
            if is_end && unsaid.contains(&(alert.id, one.sequence)) {
                self.suppressed.push((vec![one.id], "its beginning was not told".to_owned()));
                continue;
            }
            let found = if is_end {
                mutes.quiet(alert.severity, channel, now)
            } else {
                mutes.of(&alert.labels, alert.severity, channel, now)
            };
            match found {
                None => told.push(one),
                Some(mute) if one.is_over && !is_end => {
                    if matches!(one.event, AlertEvent::Raised | AlertEvent::Reopened | AlertEvent::Flapping) {
                        unsaid.insert((alert.id, one.sequence));
                    }
                    self.suppressed.push((vec![one.id], mute.reason));
                }
                Some(mute) => {
                    let until = mute.until.unwrap_or(now + LOOK_AGAIN).min(now + LOOK_AGAIN);
                    self.held.push((vec![one.id], until, Some(mute.reason)));
                }
            }
        }
        told
    }

    /// Makes messages of groups that are due; of too many, or beyond what the channel takes, one digest.
    fn make(
        &mut self,
        due: Vec<(&str, Vec<&Waiting>)>,
        there: &OnChannel,
        limits: &Limits,
        now: DateTime<Utc>,
    ) {
        if due.is_empty() {
            return;
        }
        let all = || due.iter().flat_map(|(_, waiting)| ids(waiting)).collect::<Vec<_>>();
        let last_digest = there.last_of_group.get(&None);
        if let Some(next) = last_digest.map(|last| *last + AFTER_DIGEST).filter(|next| *next > now) {
            self.held.push((all(), next, Some("a digest was sent a moment ago".to_owned())));
            return;
        }
        let allowed = limits.count - there.recent;
        if allowed <= 0 {
            // Room for one comes when the oldest is out of the time; on average so soon.
            let pause = limits.per / i32::try_from(limits.count.max(1)).unwrap_or(i32::MAX);
            let why =
                format!("the channel takes {} messages in {} s", limits.count, limits.per.num_seconds());
            self.held.push((all(), now + pause.max(TimeDelta::seconds(1)), Some(why)));
        } else if due.len() > MAX_MESSAGES
            || i64::try_from(due.len()).is_ok_and(|messages| messages > allowed)
        {
            self.messages.push((None, all()));
        } else {
            self.messages
                .extend(due.into_iter().map(|(group, waiting)| (Some(group.to_owned()), ids(&waiting))));
        }
    }
}

fn ids(waiting: &[&Waiting]) -> Vec<Uuid> {
    waiting.iter().map(|one| one.id).collect()
}
