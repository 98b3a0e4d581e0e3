//! What becomes of that which waits on a channel: which messages are made of it, what waits on, what is not told at all.
//! A pure function, so that each case can be tested.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_alerting::{CANARY, Mutes};
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
    /// A group is an incident there, which is open until its own end is told.
    pub(crate) keeps_incidents: bool,
}

impl Limits {
    pub(crate) fn of(limit: Option<Limit>, keeps_incidents: bool) -> Self {
        let per = limit.and_then(|limit| TimeDelta::from_std(limit.per).ok());
        Self {
            count: limit.map_or(i64::MAX, |limit| limit.count.into()),
            per: per.unwrap_or(TimeDelta::hours(1)),
            keeps_incidents,
        }
    }

    /// Room for one comes when the oldest is out of the time; on average so soon.
    fn pause(&self) -> TimeDelta {
        let pause = self.per / i32::try_from(self.count.max(1)).unwrap_or(i32::MAX);
        pause.max(TimeDelta::seconds(1))
    }

    fn reason(&self) -> String {
        format!("the channel takes {} messages in {} s", self.count, self.per.num_seconds())
    }
}

/// What is told together, of what waits.
type Group<'a> = (&'a str, Vec<&'a Waiting>);

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
    let mut due: Vec<Group<'_>> = Vec::new();
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
        let mut waits: BTreeMap<(DateTime<Utc>, String), Vec<Uuid>> = BTreeMap::new();
        let mut over: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
        for one in waiting {
            let alert = &one.alert;
            // What would mute it would look like a way that is broken.
            if alert.alert_type == CANARY {
                told.push(one);
                continue;
            }
            let is_end = one.event == AlertEvent::Resolved;
            // Its beginning was not told, and will not be.
            if is_end && unsaid.contains(&(alert.id, one.sequence)) {
                over.entry("its beginning was not told".to_owned()).or_default().push(one.id);
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
                    if !one.was_told
                        && matches!(
                            one.event,
                            AlertEvent::Raised | AlertEvent::Reopened | AlertEvent::Flapping
                        )
                    {
                        unsaid.insert((alert.id, one.sequence));
                    }
                    over.entry(mute.reason).or_default().push(one.id);
                }
                Some(mute) => {
                    let until = mute.until.unwrap_or(now + LOOK_AGAIN).min(now + LOOK_AGAIN);
                    waits.entry((until, mute.reason)).or_default().push(one.id);
                }
            }
        }
        self.held.extend(waits.into_iter().map(|((until, reason), ids)| (ids, until, Some(reason))));
        self.suppressed.extend(over.into_iter().map(|(reason, ids)| (ids, reason)));
        told
    }

    /// Makes messages of groups that are due; of too many, or beyond what the channel takes, one digest.
    fn make(&mut self, due: Vec<Group<'_>>, there: &OnChannel, limits: &Limits, now: DateTime<Utc>) {
        if due.is_empty() {
            return;
        }
        let all = || due.iter().flat_map(|(_, waiting)| ids(waiting)).collect::<Vec<_>>();
        let last_digest = there.last_of_group.get(&None);
        if let Some(next) = last_digest.map(|last| *last + AFTER_DIGEST).filter(|next| *next > now) {
            self.held.push((all(), next, Some("a digest was sent a moment ago".to_owned())));
            return;
        }
        let allowed = usize::try_from(limits.count - there.recent).unwrap_or(0);
        if allowed == 0 {
            self.held.push((all(), now + limits.pause(), Some(limits.reason())));
        } else if due.len() <= MAX_MESSAGES.min(allowed) {
            self.tell_groups(due);
        } else if limits.keeps_incidents {
            self.tell_incidents(due, allowed, limits, now);
        } else {
            self.messages.push((None, all()));
        }
    }

    fn tell_groups(&mut self, groups: Vec<Group<'_>>) {
        let message = |(group, waiting): Group<'_>| (Some(group.to_owned()), ids(&waiting));
        self.messages.extend(groups.into_iter().map(message));
    }

    /// What is new there is one digest. An incident that is open ends, and is told of, by itself.
    fn tell_incidents(&mut self, due: Vec<Group<'_>>, allowed: usize, limits: &Limits, now: DateTime<Utc>) {
        let is_new = |one: &&Waiting| !one.was_told;
        let new: Vec<Uuid> = due
            .iter()
            .flat_map(|(_, waiting)| waiting.iter().copied().filter(is_new))
            .map(|one| one.id)
            .collect();
        let known = due.into_iter().map(|(group, waiting)| {
            (group, waiting.into_iter().filter(|one| one.was_told).collect::<Vec<_>>())
        });
        let mut known: Vec<Group<'_>> = known.filter(|(_, waiting)| !waiting.is_empty()).collect();
        let has_digest = !new.is_empty();
        if has_digest {
            self.messages.push((None, new));
        }
        let held = known.split_off((allowed - usize::from(has_digest)).min(known.len()));
        self.tell_groups(known);
        let held: Vec<Uuid> = held.iter().flat_map(|(_, waiting)| ids(waiting)).collect();
        if !held.is_empty() {
            self.held.push((held, now + limits.pause(), Some(limits.reason())));
        }
    }
}

fn ids(waiting: &[&Waiting]) -> Vec<Uuid> {
    waiting.iter().map(|one| one.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dogwatch_alerting::{Severity, Status};
    use dogwatch_store::Alert;

    const NOW: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).unwrap();

    fn waiting(service: &str, event: AlertEvent, was_told: bool) -> Waiting {
        Waiting {
            id: Uuid::now_v7(),
            event,
            sequence: 0,
            group: format!("service={service}"),
            was_told,
            due_at: NOW,
            group_interval: TimeDelta::minutes(1),
            alert: Alert {
                id: Uuid::new_v5(&Uuid::NAMESPACE_OID, service.as_bytes()),
                fingerprint: service.to_owned(),
                alert_type: "test".to_owned(),
                severity: Severity::High,
                title: service.to_owned(),
                description: String::new(),
                tenant: None,
                service: Some(service.to_owned()),
                endpoint: None,
                host: None,
                labels: BTreeMap::new(),
                value: None,
                threshold: None,
                unit: None,
                status: Status::Active,
                occurrences: 1,
                first_seen_at: NOW,
                last_seen_at: NOW,
                raised_at: Some(NOW),
                reopened: 0,
                is_flapping: false,
                acknowledged_at: None,
                acknowledged_by: None,
                note: None,
                resolved_at: None,
                pending_since: None,
                calm_since: None,
                changes: Vec::new(),
            },
            is_over: false,
        }
    }

    fn pager(count: i64) -> Limits {
        Limits { count, per: TimeDelta::hours(1), keeps_incidents: true }
    }

    fn made(waiting: Vec<Waiting>, limits: Limits) -> Plan {
        let there = OnChannel { waiting, ..OnChannel::default() };
        plan("pager", &there, &Mutes::default(), &limits, NOW)
    }

    #[test]
    fn many_groups_are_a_digest() {
        let raised = |n: usize| waiting(&n.to_string(), AlertEvent::Raised, false);
        let mail = Limits { keeps_incidents: false, ..pager(30) };
        let plan = made((0..5).map(raised).collect(), mail);
        assert_eq!(plan.messages.len(), 5);
        let plan = made((0..6).map(raised).collect(), mail);
        assert_eq!((plan.messages.len(), plan.messages[0].1.len()), (1, 6));
        assert_eq!(plan.messages[0].0, None);
    }

    #[test]
    fn an_incident_that_is_open_ends_by_itself_also_in_a_storm() {
        let mut all: Vec<_> =
            (0..10).map(|n| waiting(&format!("new-{n}"), AlertEvent::Raised, false)).collect();
        all.extend((0..3).map(|n| waiting(&format!("old-{n}"), AlertEvent::Resolved, true)));
        // It began and ended meanwhile: both go together.
        all.push(waiting("new-0", AlertEvent::Resolved, false));
        let plan = made(all, pager(30));
        let groups: Vec<_> = plan.messages.iter().map(|(group, ids)| (group.as_deref(), ids.len())).collect();
        assert_eq!(
            groups,
            [(None, 11), (Some("service=old-0"), 1), (Some("service=old-1"), 1), (Some("service=old-2"), 1)]
        );
    }

    #[test]
    fn ends_beyond_what_a_pager_takes_wait() {
        let ends = (0..10).map(|n| waiting(&n.to_string(), AlertEvent::Resolved, true)).collect();
        let plan = made(ends, pager(4));
        assert_eq!((plan.messages.len(), plan.held[0].0.len()), (4, 6));
        let all = vec![waiting("a", AlertEvent::Raised, false), waiting("b", AlertEvent::Resolved, true)];
        let plan = made(all, pager(1));
        assert_eq!((plan.messages.len(), plan.messages[0].0.as_deref(), plan.held[0].0.len()), (1, None, 1));
    }
}
