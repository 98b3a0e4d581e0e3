//! The report as people read it.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::checker::{PROMISES, Report};
use crate::event::{Event, FaultKind, Phase, What};

/// Violations shown of each promise; all of them are in the ledgers.
const SHOWN: usize = 12;

/// Puts a report into words.
pub(crate) fn text(events: &[Event], report: &Report) -> String {
    let mut text = String::new();
    let mut line = |words: String| {
        let _ = writeln!(text, "{words}");
    };
    for event in events {
        if let What::Began { seed, fsync, lease_ms } = &event.what {
            line(format!("seed {seed}, appendfsync {}, lease {lease_ms} ms", fsync.as_str()));
        }
    }
    let seconds = match (events.first(), events.last()) {
        (Some(first), Some(last)) => (last.at - first.at) as f64 / 1e6,
        _ => 0.0,
    };
    let totals = &report.totals;
    line(format!(
        "{seconds:.0} s, {} jobs ({} acknowledged), {} runs, {} retries, {} slots of schedules",
        totals.jobs, totals.acknowledged, totals.runs, totals.retries, totals.slots
    ));
    line(format!(
        "outcomes: {} accepted, {} refused, {} unsent; {} runs overlapped, {} of them since Redis was away",
        totals.accepted, totals.refused, totals.unsent, totals.overlaps, totals.overlaps_by_redis
    ));
    line(format!("ways in: {}", ways(events)));
    line(format!("faults: {}", faults(events)));
    let excused: u64 = report.counts.iter().map(|count| count.excused).sum();
    line(format!("excused: {excused}"));
    for (n, (promise, count)) in PROMISES.iter().zip(&report.counts).enumerate() {
        let bad = count.violations.len();
        let verdict = if bad == 0 { "kept".to_owned() } else { format!("BROKEN {bad} times") };
        line(format!(
            "{}. {promise}: {verdict} ({} looked at, {} excused)",
            n + 1,
            count.checked,
            count.excused
        ));
        for violation in count.violations.iter().take(SHOWN) {
            line(format!("     {violation}"));
        }
        if bad > SHOWN {
            line(format!("     … and {} more", bad - SHOWN));
        }
    }
    for died in &report.died {
        line(format!("ENDED BY ITSELF, OR DID NOT STOP AS IT WAS TOLD: {died}"));
    }
    text
}

fn ways(events: &[Event]) -> String {
    let mut ways: BTreeMap<&str, u64> = BTreeMap::new();
    for event in events {
        if let What::Asked { way, .. } = &event.what {
            *ways.entry(way).or_default() += 1;
        }
    }
    ways.iter().map(|(way, n)| format!("{n} {way}")).collect::<Vec<_>>().join(", ")
}

fn faults(events: &[Event]) -> String {
    let mut kinds: BTreeMap<FaultKind, u64> = BTreeMap::new();
    for event in events {
        if let What::Fault { kind, phase: Phase::Begin, .. } = &event.what {
            *kinds.entry(*kind).or_default() += 1;
        }
    }
    let stalls = events.iter().filter(|event| matches!(event.what, What::Stalled { .. })).count();
    let mut words: Vec<String> = kinds.iter().map(|(kind, n)| format!("{n} {}", kind.name())).collect();
    words.push(format!("{stalls} standstills noticed"));
    words.join(", ")
}
