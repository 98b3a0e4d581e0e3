//! What becomes of that which waits on a channel: which messages are made of it, what waits on, what is not told at all.
//! A pure function, so that each case can be tested.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_alerting::{CANARY, Mutes, Severity};
use dogwatch_notify::Limit;
use dogwatch_store::{Alert, AlertEvent, OnChannel, Waiting};
use uuid::Uuid;

/// Messages that are made at a time; more become one digest.
const MAX_MESSAGES: usize = 5;
/// How long a channel waits after a digest.
const AFTER_DIGEST: TimeDelta = TimeDelta::minutes(1);
/// How soon it is looked again whether a mute without an end is over.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(30);

/// How many messages a channel takes, and how that is divided, so that nobody can keep the others from being heard:
///
/// - a quarter is for digests of what is beyond the rest, sent at even intervals: whatever happens, a channel says so;
/// - a quarter more is for groups with a high or critical alert;
/// - one origin (a key, a tenant, a service, a host) causes at most a third.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    limit: Option<Limit>,
    /// A group is an incident there, which is open until its own end is told.
    keeps_incidents: bool,
}

impl Limits {
    pub(crate) fn new(limit: Option<Limit>, keeps_incidents: bool) -> Self {
        Self { limit, keeps_incidents }
    }

    /// How far back messages count.
    pub(crate) fn per(&self) -> TimeDelta {
        let per = self.limit.and_then(|limit| TimeDelta::from_std(limit.per).ok());
        per.unwrap_or(TimeDelta::hours(1))
    }

    fn count(&self) -> i64 {
        self.limit.map_or(i64::MAX, |limit| limit.count.into())
    }

    /// Digests of what is beyond the rest.
    fn digests(&self) -> i64 {
        (self.count() / 4).max(1)
    }

    /// Messages about groups; digests have the rest.
    fn groups(&self, is_urgent: bool) -> i64 {
        if is_urgent { self.count() - self.digests() } else { self.count() / 2 }
    }

    /// Messages that one origin causes.
    fn of_origin(&self) -> i64 {
        (self.count() / 3).max(1)
    }

    /// Between two digests of what is beyond the rest.
    fn interval(&self) -> TimeDelta {
        let interval = self.per() / i32::try_from(self.digests()).unwrap_or(i32::MAX);
        interval.max(AFTER_DIGEST)
    }

    /// For people.
    pub(crate) fn words(&self) -> String {
        let minutes = (self.interval().num_seconds() as f64 / 60.0).ceil();
        format!(
            "it takes {} messages in {} s; further alerts are one digest every {minutes} min",
            self.count(),
            self.per().num_seconds()
        )
    }
}

/// What is told together, of what waits.
type Group<'a> = (&'a str, Vec<&'a Waiting>);

/// A message to be made.
#[derive(Debug, PartialEq)]
pub(crate) struct NewMessage {
    /// Without one it is a digest.
    pub(crate) group: Option<String>,
    /// Who caused it; absent: several.
    pub(crate) origin: Option<String>,
    /// What it tells.
    pub(crate) ids: Vec<Uuid>,
}

/// What becomes of what waits.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// Messages to be made.
    pub(crate) messages: Vec<NewMessage>,
    /// What waits, until when, and why.
    pub(crate) held: Vec<(Vec<Uuid>, DateTime<Utc>, Option<String>)>,
    /// What is not told, and why.
    pub(crate) suppressed: Vec<(Vec<Uuid>, String)>,
    /// How much of it is beyond what the channel takes: in a digest, or held.
    pub(crate) beyond_limit: usize,
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
        let last = there.last_of_group.get(group);
        let interval = waiting.iter().map(|one| one.group_interval).min().unwrap_or_default();
        match last.map(|last| *last + interval).filter(|next| *next > now) {
            Some(next) => plan.held.push((ids(&waiting), next, None)),
            // The first one that may be told takes the others of its group with it.
            None if waiting.iter().any(|one| one.due_at <= now) => due.push((group, waiting)),
            None => {}
        }
    }
    Making { plan: &mut plan, there, limits, now, made: there.recent.clone() }.make(due);
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
}

/// Makes messages of groups that are due.
struct Making<'a> {
    plan: &'a mut Plan,
    there: &'a OnChannel,
    limits: &'a Limits,
    now: DateTime<Utc>,
    /// Messages that count, of each origin.
    made: HashMap<Option<String>, i64>,
}

impl Making<'_> {
    fn make(&mut self, due: Vec<Group<'_>>) {
        let mut by_origin: BTreeMap<Option<String>, Vec<Group<'_>>> = BTreeMap::new();
        for group in due {
            by_origin.entry(origin_of_group(&group)).or_default().push(group);
        }
        // What one origin floods does not take the others into its digest.
        let (storms, calm): (Vec<_>, Vec<_>) = by_origin
            .into_iter()
            .partition(|(origin, groups)| origin.is_some() && groups.len() > MAX_MESSAGES);
        let mut beyond = Vec::new();
        for (origin, groups) in storms {
            self.storm(origin, groups, &mut beyond);
        }
        if calm.iter().map(|(_, groups)| groups.len()).sum::<usize>() > MAX_MESSAGES {
            self.storm(None, calm.into_iter().flat_map(|(_, groups)| groups).collect(), &mut beyond);
        } else {
            for (origin, groups) in calm {
                for group in groups {
                    if self.has_room(origin.as_ref(), is_urgent(&group)) {
                        self.tell_group(origin.clone(), group);
                    } else {
                        beyond.push(group);
                    }
                }
            }
        }
        self.beyond(beyond);
    }

    fn count(&self) -> i64 {
        self.made.values().sum()
    }

    fn has_room(&self, origin: Option<&String>, is_urgent: bool) -> bool {
        let of_origin = origin.and_then(|origin| self.made.get(&Some(origin.clone()))).copied();
        self.count() < self.limits.groups(is_urgent) && of_origin.unwrap_or(0) < self.limits.of_origin()
    }

    /// Many groups at once are one digest, and a moment later another.
    fn storm<'a>(&mut self, origin: Option<String>, groups: Vec<Group<'a>>, beyond: &mut Vec<Group<'a>>) {
        if !self.has_room(origin.as_ref(), groups.iter().any(is_urgent)) {
            beyond.extend(groups);
            return;
        }
        let last = self.there.last_digest.get(&origin);
        match last.map(|last| *last + AFTER_DIGEST).filter(|next| *next > self.now) {
            Some(next) => {
                self.plan.held.push((
                    ids_of(&groups),
                    next,
                    Some("a digest was sent a moment ago".to_owned()),
                ));
            }
            None => self.digest(origin, groups),
        }
    }

    /// What has no room is one digest, at even intervals.
    fn beyond(&mut self, groups: Vec<Group<'_>>) {
        if groups.is_empty() {
            return;
        }
        self.plan.beyond_limit = groups.iter().map(|(_, waiting)| waiting.len()).sum();
        let last = self.there.last_digest.values().max();
        let next = last.map(|last| *last + self.limits.interval()).filter(|next| *next > self.now);
        let next = next.or_else(|| (self.count() >= self.limits.count()).then(|| self.now + AFTER_DIGEST));
        match next {
            Some(next) => {
                let reason = format!("the channel has reached its limit: {}", self.limits.words());
                self.plan.held.push((ids_of(&groups), next, Some(reason)));
            }
            None => self.digest(None, groups),
        }
    }

    /// One message of many groups. An incident that is open ends, and is told of, by itself.
    fn digest(&mut self, origin: Option<String>, groups: Vec<Group<'_>>) {
        if !self.limits.keeps_incidents {
            self.tell(None, origin, ids_of(&groups));
            return;
        }
        let is_new = |one: &&Waiting| !one.was_told;
        let new: Vec<Uuid> = groups
            .iter()
            .flat_map(|(_, waiting)| waiting.iter().copied().filter(is_new))
            .map(|one| one.id)
            .collect();
        if !new.is_empty() {
            self.tell(None, origin.clone(), new);
        }
        let mut held = Vec::new();
        for (group, waiting) in groups {
            let known: Vec<_> = waiting.into_iter().filter(|one| one.was_told).collect();
            if known.is_empty() {
                continue;
            }
            if self.count() < self.limits.count() {
                self.tell_group(origin.clone(), (group, known));
            } else {
                held.extend(ids(&known));
            }
        }
        if !held.is_empty() {
            let reason = format!("the channel has reached its limit: {}", self.limits.words());
            self.plan.held.push((held, self.now + AFTER_DIGEST, Some(reason)));
        }
    }

    fn tell_group(&mut self, origin: Option<String>, (group, waiting): Group<'_>) {
        self.tell(Some(group.to_owned()), origin, ids(&waiting));
    }

    fn tell(&mut self, group: Option<String>, origin: Option<String>, ids: Vec<Uuid>) {
        *self.made.entry(origin.clone()).or_default() += 1;
        self.plan.messages.push(NewMessage { group, origin, ids });
    }
}

/// Who caused an alert: the key that reported it, or else what it is about.
pub(crate) fn origin(alert: &Alert) -> Option<String> {
    let named = |kind: &str, name: &Option<String>| Some(format!("{kind}:{}", name.as_ref()?));
    named("key", &alert.reported_by)
        .or_else(|| named("tenant", &alert.tenant))
        .or_else(|| named("service", &alert.service))
        .or_else(|| named("host", &alert.host))
}

/// A key that joins a group of others pays for it.
fn origin_of_group((_, waiting): &Group<'_>) -> Option<String> {
    let reported = waiting.iter().filter(|one| one.alert.reported_by.is_some());
    if let Some(reported) = reported.map(|one| origin(&one.alert)).min() {
        return reported;
    }
    let first = waiting.first().and_then(|one| origin(&one.alert))?;
    waiting.iter().all(|one| origin(&one.alert).as_ref() == Some(&first)).then_some(first)
}

fn is_urgent((_, waiting): &Group<'_>) -> bool {
    waiting.iter().any(|one| one.alert.severity >= Severity::High)
}

fn ids_of(groups: &[Group<'_>]) -> Vec<Uuid> {
    groups.iter().flat_map(|(_, waiting)| ids(waiting)).collect()
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
                reported_by: None,
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

    const HOUR: std::time::Duration = std::time::Duration::from_hours(1);

    fn limits(count: u32, keeps_incidents: bool) -> Limits {
        Limits::new(Some(Limit { count, per: HOUR }), keeps_incidents)
    }

    fn made(waiting: Vec<Waiting>, limits: Limits) -> Plan {
        let there = OnChannel { waiting, ..OnChannel::default() };
        plan("pager", &there, &Mutes::default(), &limits, NOW)
    }

    fn raised(service: &str) -> Waiting {
        waiting(service, AlertEvent::Raised, false)
    }

    fn reported(key: &str, service: &str, severity: Severity) -> Waiting {
        let mut one = raised(service);
        (one.alert.reported_by, one.alert.severity) = (Some(key.to_owned()), severity);
        one
    }

    #[test]
    fn many_groups_are_a_digest() {
        let plan = made((0..5).map(|n| raised(&n.to_string())).collect(), limits(30, false));
        assert_eq!(plan.messages.len(), 5);
        let plan = made((0..6).map(|n| raised(&n.to_string())).collect(), limits(30, false));
        assert_eq!((plan.messages.len(), plan.messages[0].ids.len()), (1, 6));
        assert_eq!(plan.messages[0].group, None);
    }

    #[test]
    fn an_incident_that_is_open_ends_by_itself_also_in_a_storm() {
        let mut all: Vec<_> = (0..10).map(|n| raised(&format!("new-{n}"))).collect();
        all.extend((0..3).map(|n| waiting(&format!("old-{n}"), AlertEvent::Resolved, true)));
        // It began and ended meanwhile: both go together.
        all.push(waiting("new-0", AlertEvent::Resolved, false));
        let plan = made(all, limits(30, true));
        let groups: Vec<_> =
            plan.messages.iter().map(|message| (message.group.as_deref(), message.ids.len())).collect();
        assert_eq!(
            groups,
            [(None, 11), (Some("service=old-0"), 1), (Some("service=old-1"), 1), (Some("service=old-2"), 1)]
        );
    }

    #[test]
    fn ends_beyond_what_a_pager_takes_wait() {
        let ends = (0..10).map(|n| waiting(&n.to_string(), AlertEvent::Resolved, true)).collect();
        let plan = made(ends, limits(4, true));
        assert_eq!((plan.messages.len(), plan.held[0].0.len()), (4, 6));
    }

    #[test]
    fn a_flood_of_one_origin_is_its_own_digest_and_leaves_room_for_the_others() {
        let flood = (0..100).map(|n| reported("noisy", &format!("x{n}"), Severity::Critical));
        let plan = made(flood.chain([raised("shop")]).collect(), limits(30, false));
        let messages: Vec<_> =
            plan.messages.iter().map(|message| (message.origin.as_deref(), message.ids.len())).collect();
        assert_eq!(messages, [(Some("key:noisy"), 100), (Some("service:shop"), 1)]);
    }

    #[test]
    fn a_key_that_joins_the_group_of_others_pays_for_it() {
        let mut joining = reported("noisy", "shop", Severity::Low);
        joining.alert.id = Uuid::now_v7();
        let plan = made(vec![raised("shop"), joining], limits(30, false));
        assert_eq!(plan.messages[0].origin.as_deref(), Some("key:noisy"));
    }

    /// Puts together what is raised every 10 s for hours: when messages were made, and how long the slowest waited.
    fn simulate(
        limits: Limits,
        raise: impl Fn(i64) -> Vec<Waiting>,
    ) -> (Vec<(DateTime<Utc>, NewMessage)>, TimeDelta) {
        let mut there = OnChannel::default();
        let (mut told, mut longest): (Vec<(DateTime<Utc>, NewMessage)>, _) = (Vec::new(), TimeDelta::zero());
        let mut since: HashMap<Uuid, DateTime<Utc>> = HashMap::new();
        for step in 0..6 * 60 * 6 {
            let now = NOW + TimeDelta::seconds(step * 10);
            for mut one in raise(step) {
                one.due_at = now;
                since.insert(one.id, now);
                there.waiting.push(one);
            }
            there.recent.clear();
            for (_, message) in told.iter().filter(|(at, _)| *at > now - limits.per()) {
                *there.recent.entry(message.origin.clone()).or_default() += 1;
            }
            let plan = plan("ops", &there, &Mutes::default(), &limits, now);
            for (ids, until, _) in plan.held {
                for one in there.waiting.iter_mut().filter(|one| ids.contains(&one.id)) {
                    one.due_at = until;
                }
            }
            for message in plan.messages {
                there.waiting.retain(|one| !message.ids.contains(&one.id));
                longest = message.ids.iter().map(|id| now - since[id]).max().unwrap().max(longest);
                match &message.group {
                    Some(group) => there.last_of_group.insert(group.clone(), now),
                    None => there.last_digest.insert(message.origin.clone(), now),
                };
                told.push((now, message));
            }
        }
        (told, longest)
    }

    #[test]
    fn a_channel_never_gets_more_than_its_limit_and_nothing_waits_longer_than_to_the_next_digest() {
        for count in [1, 2, 3, 4, 7, 30, 100] {
            for origins in [1, 2, 40] {
                let limits = limits(count, false);
                let raise = |step: i64| {
                    vec![reported(&(step % origins).to_string(), &step.to_string(), Severity::Critical)]
                };
                let (told, longest) = simulate(limits, raise);
                for (at, _) in &told {
                    let window =
                        told.iter().filter(|(other, _)| *other <= *at && *other > *at - limits.per());
                    assert!(window.count() <= count as usize, "limit {count}, {origins} origins");
                }
                let most = limits.interval() + TimeDelta::seconds(70);
                assert!(longest <= most, "limit {count}, {origins} origins: waited {longest}, not {most}");
            }
        }
    }

    #[test]
    fn who_floods_a_channel_does_not_delay_the_others() {
        let raise = |step: i64| {
            let mut all = vec![reported("noisy", &format!("x{step}"), Severity::Critical)];
            if step % 60 == 0 {
                all.push(raised("shop"));
            }
            all
        };
        let (told, _) = simulate(limits(30, false), raise);
        // Every ten minutes, each in a message of its own.
        let of_shop = told.iter().filter(|(_, message)| message.origin.as_deref() == Some("service:shop"));
        assert_eq!(of_shop.count(), 36);
    }
}
