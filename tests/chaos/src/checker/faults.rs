//! What was wrong with the world, and when: who could not reach Redis for how long, and what Redis may have lost.

use crate::event::{Event, FaultKind, Fsync, Phase, What, place};

/// Redis with `everysec` may lose what happened so long before it was killed.
const LOSS: u64 = 2_000_000;
/// After a broken connection, whoever tries again pauses up to a second, connects, and loads its scripts.
const TAIL_OF_A_BREAK: u64 = 1_000_000;
/// After a standstill, everything that waited comes at once.
const TAIL_OF_A_STANDSTILL: u64 = 300_000;
/// The place whose ledger holds how long Redis did not answer.
pub(crate) const REDIS: &str = "redis";

/// All faults of a run.
pub(super) struct Faults<'a> {
    spans: Vec<Span<'a>>,
    losses: Vec<Loss>,
}

/// A fault and how long it lasted.
struct Span<'a> {
    /// Whom it hit; absent: everyone.
    place: Option<&'a str>,
    /// Absent: the machine did not run the process.
    kind: Option<FaultKind>,
    from: u64,
    to: u64,
}

struct Loss {
    from: u64,
    to: u64,
    from_ms: i64,
    to_ms: i64,
}

impl<'a> Faults<'a> {
    pub(super) fn of(events: &'a [Event], fsync: Fsync, end: u64) -> Self {
        let mut faults = Self { spans: Vec::new(), losses: Vec::new() };
        let mut open: Vec<(u64, usize)> = Vec::new();
        for event in events {
            match &event.what {
                What::Fault { number, kind, target, phase: Phase::Begin } => {
                    let place = (!kind.hits_redis()).then(|| place(target));
                    open.push((*number, faults.spans.len()));
                    faults.spans.push(Span { place, kind: Some(*kind), from: event.at, to: end });
                    if *kind == FaultKind::KillRedis && fsync == Fsync::Everysec {
                        let wall_ms = event.wall / 1000;
                        let lost_ms = (LOSS / 1000).cast_signed();
                        let (from, from_ms) = (event.at.saturating_sub(LOSS), wall_ms - lost_ms);
                        faults.losses.push(Loss { from, to: end, from_ms, to_ms: i64::MAX });
                    }
                }
                What::Fault { number, kind, phase: Phase::End, .. } => {
                    if let Some((_, index)) = open.iter().find(|(open, _)| open == number) {
                        faults.spans[*index].to = event.at;
                    }
                    if let Some(loss) = faults.losses.last_mut().filter(|_| *kind == FaultKind::KillRedis) {
                        (loss.to, loss.to_ms) = (event.at, event.wall / 1000);
                    }
                }
                What::Stalled { us } => {
                    let place = place(&event.by);
                    let place = (place != REDIS).then_some(place);
                    let from = event.at.saturating_sub(*us);
                    faults.spans.push(Span { place, kind: None, from, to: event.at });
                }
                _ => {}
            }
        }
        faults.spans.sort_by_key(|span| span.from);
        faults
    }

    /// The longest time in `[from, to]` in which the process at this place could not renew a lease.
    pub(super) fn longest_without_renewal(&self, place: &str, from: u64, to: u64) -> u64 {
        let (mut longest, mut since, mut until) = (0, 0, 0);
        let hit = self.spans.iter().filter(|span| span.keeps_from_renewing(place));
        for span in hit {
            let (begin, end) = (span.from.max(from), (span.to + span.tail()).min(to));
            if begin >= end {
                continue;
            }
            if begin > until {
                since = begin;
            }
            until = until.max(end);
            longest = longest.max(until - since);
        }
        longest
    }

    /// Whether Redis could not be used by everyone at all times in `[from, to]`.
    pub(super) fn redis_was_hit(&self, from: u64, to: u64) -> bool {
        let mut of_redis = self.spans.iter().filter(|span| span.place.is_none());
        of_redis.any(|span| span.from < to && span.to + span.tail() > from)
    }

    /// For how long in `[from, to]` Redis could not be used, with `again` for each time: what was begun is begun anew.
    pub(super) fn redis_hit_for(&self, from: u64, to: u64, again: u64) -> u64 {
        let of_redis = self.spans.iter().filter(|span| span.place.is_none() && span.kind.is_some());
        let lengths =
            of_redis.map(|span| (span.to + span.tail()).min(to).saturating_sub(span.from.max(from)));
        lengths.filter(|length| *length > 0).map(|length| length + again).sum()
    }

    /// Whether something hit this place in `[from, to]`.
    pub(super) fn was_hit(&self, place: &str, from: u64, to: u64) -> bool {
        self.of_place(place).any(|span| span.from < to && span.to + span.tail() > from)
    }

    /// Whether something that hit this place began in `[from, to]`.
    pub(super) fn began_to_be_hit(&self, place: &str, from: u64, to: u64) -> bool {
        self.of_place(place).any(|span| (from..to).contains(&span.from))
    }

    fn of_place<'b>(&'b self, place: &'b str) -> impl Iterator<Item = &'b Span<'a>> {
        self.spans.iter().filter(move |span| span.place == Some(place))
    }

    /// Whether what happened then may be lost.
    pub(super) fn may_lose(&self, at: u64) -> bool {
        self.losses.iter().any(|loss| (loss.from..=loss.to).contains(&at))
    }

    /// The same by the wall clock.
    pub(super) fn may_lose_at_ms(&self, ms: i64) -> bool {
        self.losses.iter().any(|loss| (loss.from_ms..=loss.to_ms).contains(&ms))
    }
}

impl Span<'_> {
    fn keeps_from_renewing(&self, place: &str) -> bool {
        self.place.is_none_or(|hit| hit == place) && self.kind.is_none_or(FaultKind::keeps_from_renewing)
    }

    fn tail(&self) -> u64 {
        use FaultKind::{BlackHole, ClientKill, CutLink, KillRedis};
        match self.kind {
            Some(KillRedis | ClientKill | CutLink | BlackHole) => TAIL_OF_A_BREAK,
            _ => TAIL_OF_A_STANDSTILL,
        }
    }
}
