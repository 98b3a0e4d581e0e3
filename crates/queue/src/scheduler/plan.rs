//! What to enqueue now, given what was enqueued last. Pure: the time is an argument.

use std::time::Duration;

use jiff::Timestamp;

use super::cadence::Cadence;
use super::file::Misfire;

/// A tick that is at most so late is enqueued under every rule: a failover takes up to 4 s, a busy machine some more.
const GRACE: Duration = Duration::from_secs(30);
/// Slots enqueued at once under `misfire = "all"`; the earlier ones are passed over.
const MOST: usize = 100;
/// How far back missed slots are looked for.
const LOOK_BACK: [Duration; 4] =
    [Duration::from_mins(2), Duration::from_mins(20), Duration::from_hours(3), Duration::from_hours(24)];

/// What is due of one schedule.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// Slots to enqueue, oldest first.
    pub(super) enqueue: Vec<Timestamp>,
    /// The latest slot that is over, enqueued or not.
    pub(super) passed: Option<Timestamp>,
    /// The first slot that is to come.
    pub(super) next: Option<Timestamp>,
}

/// Slots in `(last, now]`, of which those are enqueued that the rule for missed ones says, and the next one.
pub(super) fn due(cadence: &Cadence, last: Timestamp, now: Timestamp, misfire: Misfire) -> Due {
    let (mut over, mut next) = (Vec::new(), None);
    // Looked for from near to far: of a schedule that is due every second, a day would be 86,400 times.
    for back in LOOK_BACK {
        let from = last.max(now - back);
        over.clear();
        next = cadence.next_after(from);
        while let Some(slot) = next.filter(|slot| *slot <= now) {
            over.push(slot);
            next = cadence.next_after(slot);
        }
        let enough = if misfire == Misfire::All { MOST } else { 1 };
        if from == last || over.len() >= enough {
            break;
        }
    }
    over.drain(..over.len().saturating_sub(MOST));
    let passed = over.last().copied();
    match misfire {
        Misfire::All => {}
        Misfire::Once => over = passed.into_iter().collect(),
        Misfire::Skip => over = passed.into_iter().filter(|slot| now <= *slot + GRACE).collect(),
    }
    Due { enqueue: over, passed, next }
}

/// The next `count` times due after `now`.
pub fn upcoming(cadence: &Cadence, now: Timestamp, count: usize) -> Vec<Timestamp> {
    std::iter::successors(cadence.next_after(now), |at| cadence.next_after(*at)).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::ToSpan;

    fn at(text: &str) -> Timestamp {
        format!("2026-05-01T{text}Z").parse().unwrap()
    }

    fn minutely(misfire: Misfire, last: &str, now: &str) -> (Vec<String>, Option<Timestamp>) {
        let due = due(&Cadence::Every(Duration::from_mins(1)), at(last), at(now), misfire);
        (due.enqueue.iter().map(|slot| slot.strftime("%H:%M:%S").to_string()).collect(), due.next)
    }

    #[test]
    fn nothing_is_due_before_the_next_slot() {
        assert_eq!(minutely(Misfire::All, "10:00:00", "10:00:59"), (vec![], Some(at("10:01:00"))));
    }

    #[test]
    fn a_slot_is_due_at_its_time_under_every_rule() {
        for misfire in [Misfire::Skip, Misfire::Once, Misfire::All] {
            let expected = (vec!["10:01:00".to_owned()], Some(at("10:02:00")));
            assert_eq!(minutely(misfire, "10:00:00", "10:01:00"), expected);
        }
    }

    #[test]
    fn missed_slots_follow_the_rule() {
        let missed = |misfire| minutely(misfire, "10:00:00", "10:03:40").0;
        assert_eq!(missed(Misfire::Skip), Vec::<String>::new());
        assert_eq!(missed(Misfire::Once), ["10:03:00"]);
        assert_eq!(missed(Misfire::All), ["10:01:00", "10:02:00", "10:03:00"]);
    }

    #[test]
    fn a_tick_that_is_a_little_late_is_not_a_missed_one() {
        assert_eq!(minutely(Misfire::Skip, "10:00:00", "10:01:30").0, ["10:01:00"]);
        assert_eq!(minutely(Misfire::Skip, "10:00:00", "10:01:31").0, Vec::<String>::new());
    }

    #[test]
    fn what_is_enqueued_after_a_long_time_down_is_bounded() {
        let every = Cadence::Every(Duration::from_secs(1));
        let due = due(&every, at("10:00:00") - 24_000.hours(), at("10:00:00"), Misfire::All);
        assert_eq!(due.enqueue.len(), MOST);
        assert_eq!(due.enqueue.last(), Some(&at("10:00:00")));
        assert_eq!(due.passed, Some(at("10:00:00")));
    }
}
