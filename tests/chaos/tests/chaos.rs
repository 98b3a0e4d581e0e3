//! The chaos run as a test: a random one in which every promise is kept, and one for each protection that is switched
//! off, in which the checker has to find what comes of it.
//!
//! `CHAOS_SEED` repeats the faults and jobs of a run that failed, `CHAOS_DURATION` (such as `1h`) makes it longer.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::process::Command;

/// Faults for so long; the rest of the time goes for draining and looking.
const DURATION: &str = "75s";

/// Runs it. Returns whether every promise was kept, and the report.
fn chaos(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_chaos")).arg("run").args(arguments).output();
    let output = output.expect("the program");
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    println!("{report}");
    assert!(
        report.contains("9. every stored job is in one collection"),
        "it did not come to its end: {report}\n{errors}"
    );
    (output.status.success(), report)
}

#[test]
fn every_promise_is_kept_whatever_fails() {
    let duration = std::env::var("CHAOS_DURATION").unwrap_or_else(|_| DURATION.to_owned());
    let mut arguments = vec!["--duration", &duration];
    let seed = std::env::var("CHAOS_SEED").ok();
    if let Some(seed) = &seed {
        arguments.extend(["--seed", seed]);
    }
    let (every_promise_was_kept, report) = chaos(&arguments);
    assert!(every_promise_was_kept, "{report}");
}

#[test]
fn without_the_fence_outcomes_of_stale_runs_are_accepted() {
    // Which of the two it is hangs on who is first: the stale run, or the one that came after it.
    breaks("fence", &["3. no claim and no job has two accepted outcomes: BROKEN", "the stale run's `"]);
}

#[test]
fn without_a_lease_from_the_claim_on_a_job_that_runs_is_in_no_collection() {
    // The reconciler finds those of killed workers, so that they end all the same.
    breaks("claim", &["9. every stored job is in one collection: BROKEN"]);
}

#[test]
fn without_the_slot_as_a_key_a_failover_enqueues_it_twice() {
    breaks("slot", &["5. every slot of a schedule was enqueued once: BROKEN"]);
}

#[test]
fn without_the_heartbeat_a_job_that_runs_is_run_again() {
    breaks("heartbeat", &["4. runs overlap only where a lease had lapsed: BROKEN"]);
}

#[test]
fn without_checks_before_the_first_write_jobs_are_in_no_collection() {
    breaks("write-first", &["9. every stored job is in one collection: BROKEN"]);
}

/// Without a protection the report has one of the signs. Several faults, so that not all miss every job that runs.
#[track_caller]
fn breaks(sabotage: &str, signs: &[&str]) {
    let (every_promise_was_kept, report) = chaos(&["--duration", "18s", "--sabotage", sabotage]);
    assert!(!every_promise_was_kept && signs.iter().any(|sign| report.contains(sign)), "{report}");
}
