//! Writes a report of a period (`report.rs`): stores it as data, as text and as a page, and sends it by mail to whom the
//! arguments name.
//!
//! `dogwatch report` builds the same one without storing it. Who gets which report stands in schedules.toml: a schedule
//! for each.

use std::time::Duration;

use chrono::TimeDelta;
use dogwatch_notify::{Document, SendError};
use dogwatch_queue::{Job, JobError, Retry, Run, mins, secs};
use dogwatch_store::StoredReport;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::report::{Report, ReportQuestion};
use crate::services::Services;

/// Arguments.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GeneratePerformanceReport {
    /// Hours that the report covers; default 24.
    pub hours: Option<u32>,
    /// Or a day, a week, a month of thirty days.
    pub period: Option<Period>,
    /// Of this tenant alone.
    pub tenant: Option<String>,
    /// Of this service alone.
    pub service: Option<String>,
    /// The channel of mail by which it is sent; absent: it is stored alone.
    pub channel: Option<String>,
    /// To whom; absent: to those of the channel.
    pub to: Vec<String>,
}

/// A usual length.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// 24 hours.
    Day,
    /// 7 days.
    Week,
    /// 30 days.
    Month,
}

/// Where the report is.
#[derive(Debug, Serialize)]
pub struct Generated {
    report_id: Uuid,
    requests: i64,
    alerts: usize,
    is_sent: bool,
}

impl Job for GeneratePerformanceReport {
    const NAME: &'static str = "generate_performance_report";
    const RETRY: Retry = Retry::exponential(5, secs(10), mins(10));
    const TIMEOUT: Duration = mins(5);
    type Context = Services;
    type Outcome = Generated;

    async fn run(self, cx: &Run<Services>) -> Result<Generated, JobError> {
        let until = cx.clock.now();
        let length = self.length().map_err(JobError::discard)?;
        let question = ReportQuestion {
            since: until - length,
            until,
            tenant: self.tenant.clone(),
            service: self.service.clone(),
        };
        let report = Report::build(&cx.store, &question).await?;
        let stored = StoredReport {
            // A job that is tried again writes the same report, and a mail that comes twice is one.
            id: Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("report of job {}", cx.id()).as_bytes()),
            created_at: until,
            window_start: report.window_start,
            window_end: report.window_end,
            tenant: report.tenant.clone(),
            body: serde_json::to_value(&report).map_err(JobError::discard)?,
            title: report.title.clone(),
            text: report.text(),
            html: report.html().map_err(JobError::discard)?,
        };
        cx.store.insert_report(&stored).await?;
        let is_sent = match &self.channel {
            Some(channel) => self.send(cx, channel, &stored).await.map(|()| true)?,
            None => false,
        };
        let (requests, alerts) = (report.requests.count, report.alerts.len());
        Ok(Generated { report_id: stored.id, requests, alerts, is_sent })
    }
}

impl GeneratePerformanceReport {
    fn length(&self) -> Result<TimeDelta, String> {
        let hours = match (self.hours, self.period) {
            (Some(_), Some(_)) => {
                return Err("argument /period: stands beside `hours`; write one of them".to_owned());
            }
            (None, Some(Period::Day) | None) => 24,
            (None, Some(Period::Week)) => 168,
            (None, Some(Period::Month)) => 720,
            (Some(hours), None) => hours,
        };
        if (1..=24 * 400).contains(&hours) {
            Ok(TimeDelta::hours(hours.into()))
        } else {
            Err(format!("argument /hours: `{hours}` is not between 1 and 9600"))
        }
    }

    async fn send(&self, cx: &Services, channel: &str, stored: &StoredReport) -> Result<(), JobError> {
        let document = Document {
            id: stored.id,
            at: stored.created_at,
            to: &self.to,
            subject: &stored.title,
            text: &stored.text,
            html: &stored.html,
        };
        let sent = cx.notifier.send_document(channel, &document).await;
        if let Err(SendError::Partly { reason, .. }) = &sent {
            // Once more would be once more for those who have it.
            tracing::warn!(reason, "a report did not reach everybody");
            return Ok(());
        }
        sent.map_err(|error| match error {
            SendError::NoSuchChannel(_) | SendError::Permanent { .. } => JobError::discard(error),
            error => error.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::Bench;
    use dogwatch_testing::SmtpPeer;

    async fn filled() -> Bench {
        let bench = Bench::new("").await;
        let at = bench.clock.now() - TimeDelta::hours(1);
        bench.requests(at, 98, 200, 20.0).await;
        bench.requests(at, 2, 503, 900.0).await;
        bench.requests(at - TimeDelta::hours(24), 50, 200, 10.0).await;
        bench
    }

    #[tokio::test]
    async fn the_minute_that_is_under_way_counts_and_what_is_not_rolled_up_is_said() {
        let bench = Bench::new("").await;
        bench.clock.advance(secs(20));
        bench.requests(bench.clock.now() - TimeDelta::seconds(10), 7, 200, 20.0).await;
        let generated = GeneratePerformanceReport::default().run(&bench.cx).await.unwrap();
        assert_eq!(generated.requests, 7);
        // A minute that cannot be made for now.
        bench
            .database
            .execute(
                "INSERT INTO rollup_backlog VALUES (1, 'request', '2026-05-20 11:00Z');
                 INSERT INTO rollup_failures (resolution, subject, bucket, failures, failed_at, retry_at, error)
                 VALUES (1, 'request', '2026-05-20 11:00Z', 1, now(), now() + interval '1 hour', 'x')",
            )
            .await;
        let hours = GeneratePerformanceReport { hours: Some(25), ..GeneratePerformanceReport::default() };
        let generated = hours.run(&bench.cx).await.unwrap();
        let report = bench.cx.store.report(generated.report_id).await.unwrap().unwrap();
        assert_eq!(report.body["minutes_missing"], 1);
        let said = "Incomplete: the requests of 1 minute are stored and not counted yet.";
        assert!(report.text.contains(said) && report.html.contains(said), "{}", report.text);
    }

    #[tokio::test]
    async fn a_report_is_stored_as_data_as_text_and_as_a_page() {
        let bench = filled().await;
        let generated = GeneratePerformanceReport::default().run(&bench.cx).await.unwrap();
        assert_eq!((generated.requests, generated.alerts, generated.is_sent), (100, 0, false));
        let report = bench.cx.store.report(generated.report_id).await.unwrap().unwrap();
        assert_eq!(report.body["requests"]["errors"], 2);
        insta::assert_snapshot!(report.text, @r"
        Performance of a day, 2026-05-19 12:00 to 2026-05-20 12:00 UTC

        Requests
                                now       before    change
          requests              100           50    +100 %
          failed, %            2.00         0.00
          p50, ms                20           10    +101 %
          p95, ms                20           10    +101 %
          p99, ms               900           10   +8900 %

          requests     ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁█▁
          failed                                                     █
          p95                                                        █

        Slowest endpoints
            p95 ms  requests   failed  endpoint
                20       100        2  shop POST /pay

        Services
          none checked

        Alerts
          none

        Machines
          no samples
        ");
        for part in ["<h1>Performance of a day</h1>", "<svg", "shop <code>POST /pay</code>"] {
            assert!(report.html.contains(part), "{part}");
        }
        for elsewhere in ["src=", "href=", "url(", "@import"] {
            assert!(!report.html.contains(elsewhere), "{elsewhere}: a page that stands alone");
        }
        // Tried again, it is the same report.
        assert_eq!(
            GeneratePerformanceReport::default().run(&bench.cx).await.unwrap().report_id,
            generated.report_id
        );
        assert_eq!(bench.cx.store.reports(None, 9).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn an_empty_database_has_a_report_too() {
        let bench = Bench::new("").await;
        let job = GeneratePerformanceReport { hours: Some(1), ..Default::default() };
        let generated = job.run(&bench.cx).await.unwrap();
        let report = bench.cx.store.report(generated.report_id).await.unwrap().unwrap();
        assert!(report.text.contains("Requests\n  none"), "{}", report.text);
        assert!(report.html.contains("There were no requests"));
    }

    #[tokio::test]
    async fn a_report_is_sent_to_whom_it_is_for() {
        let peer = SmtpPeer::start().await;
        let notify = serde_json::json!({
            "log": {"enabled": true, "min_severity": "low"},
            "email": [{"name": "mail", "host": "127.0.0.1", "port": peer.port(), "security": "none",
                       "from": "dogwatch@example.com", "to": ["ops@example.com"]}],
        });
        let bench = Bench::with(serde_json::from_value(notify).unwrap()).await;
        let job = |channel: &str, to: &[&str]| GeneratePerformanceReport {
            period: Some(Period::Week),
            channel: Some(channel.to_owned()),
            to: to.iter().map(|to| (*to).to_owned()).collect(),
            ..Default::default()
        };
        assert!(job("mail", &[]).run(&bench.cx).await.unwrap().is_sent);
        assert!(job("mail", &["boss@example.com"]).run(&bench.cx).await.unwrap().is_sent);
        let mails = peer.mails();
        assert_eq!((mails[0].to.len(), mails[1].to.len()), (1, 1));
        assert!(mails[0].to[0].contains("ops@") && mails[1].to[0].contains("boss@"));
        assert_eq!(mails[0].header("Subject"), "Performance of a week");
        assert_eq!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
        let error = job("log", &[]).run(&bench.cx).await.unwrap_err();
        assert_eq!(error.next(), dogwatch_queue::NextStep::Discard);
    }

    #[test]
    fn arguments_of_yesterday_are_understood() {
        for args in ["{}", r#"{"hours": 24}"#, r#"{"period": "month", "service": "shop"}"#] {
            let job: GeneratePerformanceReport = serde_json::from_str(args).unwrap();
            assert!(job.length().is_ok(), "{args}");
        }
        let both =
            GeneratePerformanceReport { hours: Some(1), period: Some(Period::Day), ..Default::default() };
        assert!(both.length().is_err());
    }
}
