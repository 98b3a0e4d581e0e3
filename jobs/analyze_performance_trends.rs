//! Finds what has changed for good, what is where it never is, and what will meet its limit: for each endpoint, query,
//! service, host and disk that has enough data. Says so once, groups what has one cause, and takes it back when it is over.
//!
//! What to think of a figure is decided in `dogwatch-detect`; how a run goes is told in `trends`. Each run goes on where the
//! last one ended; run twice, it finds nothing twice.

use std::time::Duration;

use dogwatch_queue::{Job, JobError, Retry, Run, mins, secs};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::services::Services;
use crate::trends::{Analysis, analyze};

/// No arguments.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnalyzePerformanceTrends {}

impl Job for AnalyzePerformanceTrends {
    const NAME: &'static str = "analyze_performance_trends";
    const RETRY: Retry = Retry::exponential(3, secs(10), mins(5));
    const TIMEOUT: Duration = mins(10);
    type Context = Services;
    type Outcome = Analysis;

    async fn run(self, cx: &Run<Services>) -> Result<Analysis, JobError> {
        // What came a moment ago counts.
        cx.store.roll_up().await?;
        let min_percent = cx.settings_now().await?.trend_min_change_percent;
        let progress = |done, all| cx.progress(json!({ "steps": done, "of": all }));
        // Another run is at it: it does what this one would.
        Ok(analyze(&cx.store, min_percent, cx.clock.now(), progress).await?.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::{Bench, request};
    use crate::trends::told;
    use chrono::{DateTime, TimeDelta, Utc};
    use dogwatch_store::FindingState;

    /// Requests of some hours, up to now, at two endpoints; as slow as said, with some noise.
    async fn requests(bench: &Bench, hours: i64, response_time_ms: f64) {
        let until = bench.clock.now();
        let steps = (0..hours * 12).rev().flat_map(|step| {
            let at = until - TimeDelta::minutes(5 * step + 2);
            (0..25).map(move |number| (at, response_time_ms * noise(step * 25 + number)))
        });
        let both = steps.flat_map(|(at, ms)| ["/pay", "/buy"].map(|endpoint| request(at, endpoint, 200, ms)));
        bench.store(both).await;
        bench.clock.advance(secs(120));
    }

    /// About 1, and the same for the same number.
    fn noise(number: i64) -> f64 {
        let hash = number.wrapping_mul(0x5DEE_CE66_D00B).rotate_left(17).wrapping_mul(0x9E37_79B9);
        0.9 + 0.2 * (hash.rem_euclid(1000) as f64 / 1000.0)
    }

    async fn run(bench: &Bench) -> Analysis {
        AnalyzePerformanceTrends {}.run(&bench.cx).await.unwrap()
    }

    async fn findings(bench: &Bench) -> Vec<crate::trends::TrendTold> {
        told(bench.cx.store.trend_findings(DateTime::UNIX_EPOCH).await.unwrap())
    }

    #[tokio::test]
    async fn a_shift_is_found_once_told_in_a_sentence_and_taken_back_when_it_is_over() {
        let bench = Bench::new("").await;
        requests(&bench, 51, 100.0).await;
        let analysis = run(&bench).await;
        assert_eq!((analysis.found, analysis.left), (0, 0), "{analysis:?}");

        bench.clock.advance(secs(3600 * 2));
        requests(&bench, 2, 300.0).await;
        let analysis = run(&bench).await;
        assert_eq!((analysis.found, analysis.worse), (3, 3), "both endpoints and the service: {analysis:?}");
        let found = findings(&bench).await;
        let leaders: Vec<&str> =
            found.iter().filter(|told| told.others > 0).map(|told| told.sentence.as_str()).collect();
        assert_eq!(
            leaders,
            [
                "p95 of shop went from 109 ms to 326 ms at 2026-05-20 12:05 UTC and stayed; users feel it most at POST /buy, from 108 ms to 325 ms; 2 more figures of service shop changed with it."
            ]
        );
        // The same again: another process, or a job that was run twice.
        assert_eq!(run(&bench).await, Analysis::default());

        bench.clock.advance(secs(3600 * 2));
        requests(&bench, 2, 100.0).await;
        let analysis = run(&bench).await;
        assert_eq!((analysis.found, analysis.ended), (0, 3), "{analysis:?}");
        let found = findings(&bench).await;
        assert!(found.iter().all(|told| told.finding.state == FindingState::Recovered));
        assert!(found[0].sentence.contains("and came back at 2026-05-20 14:"), "{}", found[0].sentence);
    }

    #[tokio::test]
    async fn what_was_interrupted_is_made_up_for_and_nothing_is_nothing() {
        let bench = Bench::new("").await;
        assert_eq!(run(&bench).await, Analysis::default());
        let turn = bench.cx.store.trend_turn().await.unwrap().unwrap();
        requests(&bench, 3, 100.0).await;
        assert_eq!(run(&bench).await, Analysis::default(), "somebody else is at it");
        turn.end().await.unwrap();
        let analysis = run(&bench).await;
        assert_eq!((analysis.steps, analysis.left), (36, 0));
        assert_eq!(
            analysis.series, 7,
            "p95 and error rate of two endpoints and the service, and its traffic"
        );
        let through: Option<DateTime<Utc>> = bench.cx.store.trends_analysed_through().await.unwrap();
        assert_eq!(through, Some("2026-05-20T12:00:00Z".parse().unwrap()));
    }

    #[test]
    fn arguments_of_yesterday_are_understood() {
        assert!(serde_json::from_str::<AnalyzePerformanceTrends>("{}").is_ok());
    }
}
