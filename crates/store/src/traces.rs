//! What the database calls of a trace come to: which request each was made for, which of them is told of twice, and what
//! each request has used. Pure, so that it is the same where a batch comes in and where the parts of a trace are joined
//! later.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};

use crate::database_spans::began_at;

/// So many calls of one query in one request are told of: each row of a list has asked again.
const MANY: i32 = 5;
/// Calls and requests of a trace that are placed; a trace that has more is a batch job, not a request.
pub(crate) const MAX_OF_TRACE: u32 = 10_000;
/// Spans of one process are timed by clocks that differ a little.
const SLACK: TimeDelta = TimeDelta::milliseconds(5);

/// Systems whose calls are lookups in a cache, and no queries of a database.
const CACHES: [&str; 3] = ["redis", "valkey", "memcached"];

/// A request of the trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TracedRequest<'a> {
    pub(crate) service: &'a str,
    pub(crate) tenant: Option<&'a str>,
    pub(crate) began_at: DateTime<Utc>,
    pub(crate) ended_at: DateTime<Utc>,
}

/// A database call of the trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TracedCall<'a> {
    pub(crate) span_id: i64,
    pub(crate) parent_span_id: Option<i64>,
    /// Which library tells of it.
    pub(crate) scope_key: i32,
    pub(crate) service: &'a str,
    pub(crate) tenant: Option<&'a str>,
    pub(crate) system: &'a str,
    pub(crate) fingerprint: i64,
    pub(crate) ended_at: DateTime<Utc>,
    pub(crate) duration_ms: f64,
    pub(crate) cache_hit: Option<bool>,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Index of the request that it was made for.
    pub(crate) request: Option<usize>,
    /// It is part of another, or told of twice.
    pub(crate) is_nested: bool,
}

/// What a request has used. `None`: nobody told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Used {
    pub(crate) db_query_count: Option<i32>,
    pub(crate) db_query_time_ms: Option<f64>,
    pub(crate) cache_hits: Option<i32>,
    pub(crate) cache_misses: Option<i32>,
    /// Queries that came many times.
    pub(crate) repeated: Vec<Repeated>,
}

/// The same query in one request (N+1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Repeated {
    pub(crate) fingerprint: i64,
    pub(crate) calls: i32,
    pub(crate) total_ms: f64,
}

/// Places each call of a trace. Cost: O(n log n).
pub(crate) fn place(requests: &[TracedRequest<'_>], calls: &[TracedCall<'_>]) -> Vec<Placed> {
    let spans: HashSet<_> = calls.iter().map(|call| (call.span_id, call.system, call.tenant)).collect();
    let requests = Requests::new(requests);
    let placed = |(call, is_told_of): (&TracedCall<'_>, bool)| Placed {
        request: requests.innermost(call),
        is_nested: is_told_of
            || call.parent_span_id.is_some_and(|parent| spans.contains(&(parent, call.system, call.tenant))),
    };
    calls.iter().zip(told_of_above(calls)).map(placed).collect()
}

/// Whether each call went on within one of the same query that another library tells of: `SQLAlchemy` tells of a query, and
/// psycopg2 below it of the same one, without the one span being the other's parent. What one library makes at the same
/// time it has made twice.
fn told_of_above(calls: &[TracedCall<'_>]) -> Vec<bool> {
    let mut queries: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (index, call) in calls.iter().enumerate() {
        queries.entry((call.service, call.tenant, call.system, call.fingerprint)).or_default().push(index);
    }
    let mut told = vec![false; calls.len()];
    for mut same in queries.into_values() {
        // Whatever may enclose a call comes before it.
        same.sort_by_key(|index| {
            let call = &calls[*index];
            (began_at(call.ended_at, call.duration_ms), Reverse(call.ended_at), call.span_id)
        });
        let mut latest = LatestEnds::default();
        for index in same {
            let TracedCall { scope_key, ended_at, .. } = calls[index];
            told[index] = latest.of_others(scope_key).is_some_and(|end| end >= ended_at);
            if !told[index] {
                latest.insert(scope_key, ended_at);
            }
        }
    }
    told
}

/// The latest end of a library's calls, and the latest of all other libraries.
#[derive(Debug, Default)]
struct LatestEnds {
    first: Option<(i32, DateTime<Utc>)>,
    /// Of another library than the first.
    second: Option<DateTime<Utc>>,
}

impl LatestEnds {
    fn of_others(&self, scope_key: i32) -> Option<DateTime<Utc>> {
        match self.first {
            Some((first, _)) if first == scope_key => self.second,
            first => first.map(|(_, end)| end),
        }
    }

    fn insert(&mut self, scope_key: i32, end: DateTime<Utc>) {
        match &mut self.first {
            Some((first, latest)) if *first == scope_key => *latest = end.max(*latest),
            Some((first, latest)) if end > *latest => {
                self.second = Some(*latest);
                (*first, *latest) = (scope_key, end);
            }
            Some(_) => self.second = self.second.max(Some(end)),
            None => self.first = Some((scope_key, end)),
        }
    }
}

/// The requests of a trace by service, and by service and tenant.
struct Requests<'a> {
    of_service: HashMap<&'a str, Timeline>,
    of_tenant: HashMap<(&'a str, Option<&'a str>), Timeline>,
}

impl<'a> Requests<'a> {
    fn new(requests: &[TracedRequest<'a>]) -> Self {
        let mut of_service: HashMap<_, Vec<_>> = HashMap::new();
        let mut of_tenant: HashMap<_, Vec<_>> = HashMap::new();
        for (index, request) in requests.iter().enumerate() {
            let interval = Interval { began_at: request.began_at, ended_at: request.ended_at, index };
            of_service.entry(request.service).or_default().push(interval);
            of_tenant.entry((request.service, request.tenant)).or_default().push(interval);
        }
        Self {
            of_service: of_service.into_iter().map(|(key, all)| (key, Timeline::new(all))).collect(),
            of_tenant: of_tenant.into_iter().map(|(key, all)| (key, Timeline::new(all))).collect(),
        }
    }

    /// The innermost request of the same service that was under way when the call ended. Whoever knows the id of a trace
    /// can tell of requests of it: those of one tenant never take the calls of another.
    fn innermost(&self, call: &TracedCall<'_>) -> Option<usize> {
        let at =
            |timeline: Option<&Timeline>| timeline.and_then(|timeline| timeline.innermost(call.ended_at));
        let found = match call.tenant {
            None => at(self.of_service.get(call.service)),
            tenant => {
                let own = at(self.of_tenant.get(&(call.service, tenant)));
                own.max(at(self.of_tenant.get(&(call.service, None))))
            }
        };
        found.map(|(_, index)| index)
    }
}

#[derive(Clone, Copy)]
struct Interval {
    began_at: DateTime<Utc>,
    ended_at: DateTime<Utc>,
    index: usize,
}

/// Intervals in the order of their begins, below a binary tree whose nodes have the latest end of all below them.
struct Timeline {
    intervals: Vec<Interval>,
    /// The root is at 1, the children of `n` at `2 n` and `2 n + 1`, and the leaves are the second half.
    latest_ends: Vec<DateTime<Utc>>,
}

impl Timeline {
    fn new(mut intervals: Vec<Interval>) -> Self {
        intervals.sort_by_key(|interval| (interval.began_at, interval.index));
        let leaves = intervals.len().next_power_of_two();
        let mut latest_ends = vec![DateTime::<Utc>::MIN_UTC; 2 * leaves];
        for (interval, end) in intervals.iter().zip(&mut latest_ends[leaves..]) {
            *end = interval.ended_at;
        }
        for node in (1..leaves).rev() {
            latest_ends[node] = latest_ends[2 * node].max(latest_ends[2 * node + 1]);
        }
        Self { intervals, latest_ends }
    }

    /// Of the intervals around this time, the one that began last: its begin and index. Cost: O(log n).
    fn innermost(&self, at: DateTime<Utc>) -> Option<(DateTime<Utc>, usize)> {
        let begun = self.intervals.partition_point(|interval| interval.began_at - SLACK <= at);
        let leaves = self.latest_ends.len() / 2;
        let last = self.last_until(1, 0..leaves, begun, at - SLACK)?;
        self.intervals.get(last).map(|interval| (interval.began_at, interval.index))
    }

    /// The last leaf before `before` that ends at `end` or later. `range` has the leaves below `node`.
    fn last_until(
        &self,
        node: usize,
        range: Range<usize>,
        before: usize,
        end: DateTime<Utc>,
    ) -> Option<usize> {
        if range.start >= before || self.latest_ends[node] < end {
            return None;
        }
        if range.len() == 1 {
            return Some(range.start);
        }
        let middle = usize::midpoint(range.start, range.end);
        let later = self.last_until(2 * node + 1, middle..range.end, before, end);
        later.or_else(|| self.last_until(2 * node, range.start..middle, before, end))
    }
}

/// What each request has used.
pub(crate) fn account(requests: usize, calls: &[TracedCall<'_>], placed: &[Placed]) -> Vec<Used> {
    let mut used = vec![Used::default(); requests];
    let mut times: BTreeMap<(usize, i64), Repeated> = BTreeMap::new();
    for (call, placed) in calls.iter().zip(placed).filter(|(_, placed)| !placed.is_nested) {
        let Some(index) = placed.request else { continue };
        let request = &mut used[index];
        if CACHES.contains(&call.system) {
            if let Some(is_hit) = call.cache_hit {
                *request.cache_hits.get_or_insert(0) += i32::from(is_hit);
                *request.cache_misses.get_or_insert(0) += i32::from(!is_hit);
            }
        } else {
            *request.db_query_count.get_or_insert(0) += 1;
            *request.db_query_time_ms.get_or_insert(0.0) += call.duration_ms;
        }
        let fingerprint = call.fingerprint;
        let repeated =
            times.entry((index, fingerprint)).or_insert(Repeated { fingerprint, calls: 0, total_ms: 0.0 });
        repeated.calls += 1;
        repeated.total_ms += call.duration_ms;
    }
    for ((index, _), repeated) in times {
        if repeated.calls >= MANY {
            used[index].repeated.push(repeated);
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(ms)
    }

    fn request(service: &str, began: i64, ended: i64) -> TracedRequest<'_> {
        TracedRequest { service, tenant: None, began_at: at(began), ended_at: at(ended) }
    }

    fn call(span_id: i64, parent: i64, system: &'static str, ended: i64) -> TracedCall<'static> {
        TracedCall {
            span_id,
            parent_span_id: Some(parent),
            scope_key: 1,
            service: "shop",
            tenant: None,
            system,
            fingerprint: 7,
            ended_at: at(ended),
            duration_ms: 2.0,
            cache_hit: None,
        }
    }

    #[test]
    fn a_call_belongs_to_the_innermost_request_of_its_service_that_was_under_way() {
        let requests = [
            request("shop", 0, 1000),
            // The shop asks itself, and another service.
            request("shop", 100, 200),
            request("stock", 120, 180),
        ];
        let calls = [50, 150, 500, 2000].map(|ended| call(ended, 1, "postgresql", ended));
        let placed = place(&requests, &calls);
        let expected = [Some(0), Some(1), Some(0), None];
        assert_eq!(placed.iter().map(|placed| placed.request).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn who_knows_the_trace_of_another_tenant_neither_takes_nor_hides_its_calls() {
        let own = |tenant| TracedRequest { tenant, ..request("shop", 0, 1000) };
        let intruder = TracedRequest { tenant: Some("other"), ..request("shop", 10, 1000) };
        let mine = TracedCall { tenant: Some("mine"), ..call(2, 1, "postgresql", 20) };
        let cover = TracedCall { tenant: Some("other"), scope_key: 2, ..call(1, 9, "postgresql", 21) };
        for tenant in [Some("mine"), None] {
            let placed = place(&[own(tenant), intruder], &[mine, cover]);
            assert_eq!(placed[0], Placed { request: Some(0), is_nested: false }, "{tenant:?}");
        }
    }

    #[test]
    fn a_query_that_is_told_twice_counts_once_and_lookups_in_a_cache_are_no_queries() {
        let requests = [request("shop", 0, 1000)];
        let mut hit = call(4, 1, "redis", 30);
        hit.cache_hit = Some(true);
        let calls = [
            call(2, 1, "postgresql", 20),
            // The driver's span ends first.
            call(3, 2, "postgresql", 19),
            hit,
            // Nobody told whether it was found.
            call(5, 1, "redis", 31),
            // A query that a procedure of another system makes is one of its own.
            call(6, 4, "postgresql", 40),
        ];
        let placed = place(&requests, &calls);
        assert!(placed[1].is_nested);
        let used = account(1, &calls, &placed);
        let expected = Used {
            db_query_count: Some(2),
            db_query_time_ms: Some(4.0),
            cache_hits: Some(1),
            cache_misses: Some(0),
            repeated: Vec::new(),
        };
        assert_eq!(used, [expected]);
    }

    #[test]
    fn a_query_that_comes_many_times_in_one_request_is_told_of() {
        let requests = [request("shop", 0, 1000), request("shop", 2000, 3000)];
        let early = (0..5).map(|number| call(number, 99, "postgresql", number * 10));
        let late = (5..9).map(|number| call(number, 99, "postgresql", 2000 + number * 10));
        let calls: Vec<_> = early.chain(late).collect();
        let used = account(2, &calls, &place(&requests, &calls));
        assert_eq!(used[0].repeated, [Repeated { fingerprint: 7, calls: 5, total_ms: 10.0 }]);
        assert_eq!((used[1].db_query_count, used[1].repeated.len()), (Some(4), 0));
    }

    #[test]
    fn a_query_that_two_libraries_tell_of_side_by_side_counts_once() {
        let of = |span_id, scope_key, ended, duration_ms| TracedCall {
            scope_key,
            duration_ms,
            ..call(span_id, 99, "postgresql", ended)
        };
        let other = TracedCall { fingerprint: 8, ..of(9, 2, 14, 1.0) };
        let calls = [
            of(1, 1, 20, 10.0),
            of(2, 2, 19, 8.0),
            // By the clock of both, the next one of this query.
            of(3, 1, 30, 10.0),
            of(4, 2, 30, 10.0),
            // At the same time as another, and made by the same library.
            of(5, 1, 18, 5.0),
            // Goes on when the one before has ended.
            of(6, 2, 31, 6.0),
            other,
        ];
        let nested: Vec<_> = place(&[], &calls).iter().map(|placed| placed.is_nested).collect();
        assert_eq!(nested, [false, true, false, true, false, false, false]);
    }

    #[test]
    fn what_nobody_told_stays_unknown() {
        assert_eq!(account(1, &[], &[]), [Used::default()]);
    }

    /// The same in the plainest way.
    fn plainly(requests: &[TracedRequest<'_>], call: &TracedCall<'_>) -> Option<usize> {
        let was_under_way = |request: &TracedRequest<'_>| {
            request.service == call.service
                && (request.tenant == call.tenant || request.tenant.is_none() || call.tenant.is_none())
                && call.ended_at >= request.began_at - SLACK
                && call.ended_at <= request.ended_at + SLACK
        };
        let candidates = requests.iter().enumerate().filter(|(_, request)| was_under_way(request));
        candidates.max_by_key(|(_, request)| request.began_at).map(|(index, _)| index)
    }

    fn plainly_told_of_above(calls: &[TracedCall<'_>]) -> Vec<bool> {
        let order = |call: &TracedCall<'_>| {
            (began_at(call.ended_at, call.duration_ms), Reverse(call.ended_at), call.span_id)
        };
        let mut sorted: Vec<usize> = (0..calls.len()).collect();
        sorted.sort_by_key(|index| order(&calls[*index]));
        let mut told = vec![false; calls.len()];
        for (position, &index) in sorted.iter().enumerate() {
            let call = &calls[index];
            told[index] = sorted[..position].iter().any(|&above| {
                let other = &calls[above];
                !told[above] && other.scope_key != call.scope_key && other.ended_at >= call.ended_at
            });
        }
        told
    }

    #[test]
    fn calls_are_placed_as_in_the_plainest_way() {
        let mut below = {
            let mut state = 7_u64;
            move |bound: u64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % bound
            }
        };
        let names = ["shop", "pay"];
        let tenants = [None, Some("acme"), Some("globex")];
        for round in 0..300 {
            let mut pick = |most| usize::try_from(below(most)).unwrap();
            let requests: Vec<TracedRequest<'_>> = (0..pick(40))
                .map(|_| {
                    let began = i64::try_from(pick(200)).unwrap();
                    let ended = began + i64::try_from(pick(100)).unwrap();
                    TracedRequest { tenant: tenants[pick(3)], ..request(names[pick(2)], began, ended) }
                })
                .collect();
            let calls: Vec<TracedCall<'_>> = (0..60)
                .map(|span| TracedCall {
                    service: names[pick(2)],
                    tenant: tenants[pick(3)],
                    ..call(span, -1, "redis", i64::try_from(pick(310)).unwrap())
                })
                .collect();
            for (call, placed) in calls.iter().zip(place(&requests, &calls)) {
                assert_eq!(placed.request, plainly(&requests, call), "round {round}");
            }
            let same: Vec<TracedCall<'_>> = (0..40)
                .map(|span| TracedCall {
                    scope_key: i32::try_from(pick(4)).unwrap(),
                    duration_ms: f64::from(u32::try_from(pick(50)).unwrap()),
                    ..call(span, -1, "redis", i64::try_from(pick(100)).unwrap())
                })
                .collect();
            assert_eq!(told_of_above(&same), plainly_told_of_above(&same), "round {round}");
        }
    }
}
