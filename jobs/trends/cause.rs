//! What a change comes from: the query that takes the added time, the version that came with it, and the other changes that
//! came with it.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_alerting::{Dimension, Metric, Scope};
use dogwatch_detect::{Member, groups};
use dogwatch_store::{
    CausingQuery, FindingKind, FindingState, Store, StoreError, TREND_STEP, TrendDirection, TrendFinding,
    Window,
};
use uuid::Uuid;

/// Before and after a change, this much is compared.
const COMPARED: TimeDelta = TimeDelta::hours(1);
/// A query that takes less of the added time is not its cause.
const LEAST_SHARE: f64 = 0.25;
/// A version can be seen so much earlier than what it does: requests that take long end late.
const VERSION_WITHIN: TimeDelta = TimeDelta::minutes(15);
/// Changes of one run that are looked into: those with the greatest effect.
const MOST: usize = 20;

/// Says of changes that were just found what they come from.
pub(super) async fn explain(
    store: &Store,
    changed: &mut [TrendFinding],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut new: Vec<&mut TrendFinding> = changed
        .iter_mut()
        .filter(|finding| finding.kind == FindingKind::Shift && finding.found_at == now)
        .collect();
    new.sort_by(|one, other| other.effect_s_per_hour.total_cmp(&one.effect_s_per_hour));
    for finding in new.into_iter().take(MOST) {
        let Some(service) = finding.scope.get(Dimension::Service) else { continue };
        let from = finding.earliest - VERSION_WITHIN;
        let to = finding.latest + TREND_STEP;
        finding.cause.version = store.version_seen_between(service, from, to).await?;
        if finding.metric == Metric::ResponseTimeMs && finding.direction == TrendDirection::Worse {
            finding.cause.query = causing_query(store, finding, now).await?;
        }
    }
    Ok(())
}

async fn causing_query(
    store: &Store,
    finding: &TrendFinding,
    now: DateTime<Utc>,
) -> Result<Option<CausingQuery>, StoreError> {
    let before = window(finding.earliest - COMPARED, finding.earliest);
    let after = window(finding.latest, now.min(finding.latest + COMPARED));
    let (before, after) =
        (Times::read(store, before, &finding.scope).await?, Times::read(store, after, &finding.scope).await?);
    let added_ms = after.mean_ms - before.mean_ms;
    if added_ms <= 0.0 {
        return Ok(None);
    }
    let shares = after.queries.iter().map(|(fingerprint, per_request_ms)| {
        let was_ms = before.queries.get(fingerprint).copied().unwrap_or_default();
        // Queries that run at the same time may take longer together than their request.
        (fingerprint, ((per_request_ms - was_ms) / added_ms).min(1.0))
    });
    let most = shares.max_by(|(_, one), (_, other)| one.total_cmp(other));
    let Some((fingerprint, share)) = most.filter(|(_, share)| *share >= LEAST_SHARE) else { return Ok(None) };
    let summary = store.query_summary(fingerprint).await?;
    Ok(Some(CausingQuery { fingerprint: fingerprint.clone(), summary, share }))
}

/// How long requests took, and how much of that each query.
struct Times {
    mean_ms: f64,
    /// By fingerprint: ms of a request.
    queries: HashMap<String, f64>,
}

impl Times {
    async fn read(store: &Store, window: Window, scope: &Scope) -> Result<Self, StoreError> {
        let requests = store.request_figures(window, scope, &[]).await?;
        let (count, mean_ms) = requests
            .first()
            .map_or((1, 0.0), |requests| (requests.count.max(1), requests.mean_ms().unwrap_or_default()));
        let queries = store.query_figures(window, scope, &[Dimension::Query]).await?;
        let per_request = |query: &dogwatch_store::Figures| {
            let sum_ms = query.mean_ms()? * query.count as f64;
            Some((query.scope.get(Dimension::Query)?.to_owned(), sum_ms / count as f64))
        };
        Ok(Self { mean_ms, queries: queries.iter().filter_map(per_request).collect() })
    }
}

fn window(since: DateTime<Utc>, until: DateTime<Utc>) -> Window {
    Window { since, until: Some(until) }
}

/// Puts shifts that came together into one group each; those whose group has changed are among `changed` then.
pub(super) fn group(changed: &mut Vec<TrendFinding>, known: &[TrendFinding], now: DateTime<Utc>) {
    let is_open_shift =
        |finding: &&TrendFinding| finding.kind == FindingKind::Shift && finding.state == FindingState::Open;
    let changed_ids: HashSet<Uuid> = changed.iter().map(|finding| finding.id).collect();
    let is_unchanged = |finding: &&TrendFinding| !changed_ids.contains(&finding.id);
    let open: Vec<TrendFinding> =
        known.iter().filter(is_unchanged).chain(changed.iter()).filter(is_open_shift).cloned().collect();
    let members: Vec<Member> = open.iter().map(member).collect();
    for group in groups(&members) {
        // The first that was found stands for the group, also when others join that users feel more of.
        let first = group.members.iter().min_by_key(|place| open[**place].found_at);
        let Some(leader) = first.map(|place| open[*place].id) else { continue };
        for place in group.members {
            join(changed, &open[place], leader, group.shared.clone(), now);
        }
    }
}

fn member(finding: &TrendFinding) -> Member {
    let own = |dimension| Some(format!("{} {}", Dimension::as_str(dimension), finding.scope.get(dimension)?));
    let causing = finding.cause.query.as_ref().map(|query| format!("query {}", query.fingerprint));
    let shares =
        [causing, own(Dimension::Query), own(Dimension::Service), own(Dimension::Host)].into_iter().flatten();
    Member {
        earliest: finding.earliest.timestamp(),
        latest: finding.latest.timestamp(),
        is_worse: finding.direction == TrendDirection::Worse,
        effect: finding.effect_s_per_hour.abs(),
        shares: shares.collect(),
    }
}

fn join(
    changed: &mut Vec<TrendFinding>,
    finding: &TrendFinding,
    leader: Uuid,
    shared: Option<String>,
    now: DateTime<Utc>,
) {
    if (finding.group_id, &finding.cause.shared) == (leader, &shared) {
        return;
    }
    let place = changed.iter().position(|changed| changed.id == finding.id).unwrap_or_else(|| {
        changed.push(finding.clone());
        changed.len() - 1
    });
    let joined = &mut changed[place];
    (joined.group_id, joined.cause.shared, joined.updated_at) = (leader, shared, now);
}
