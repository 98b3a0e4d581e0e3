//! Checks the services that dogwatch.toml names, and Dogwatch's own Postgres and Redis: of each run those that are due.
//!
//! A service becomes unhealthy after some failures in a row and healthy after some successes in a row, so that one
//! lost packet wakes nobody. A check that fails is a finding, not a failure of this job. What is unhealthy may be brought
//! back (`recovery.rs`), and whether that helped is told.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_alerting::Severity;
use dogwatch_queue::{Job, JobError, Retry, Run, mins, secs};
use dogwatch_store::{HealthRule, HealthState, ServiceHealth, StoreError};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use crate::alerts::{Finding, SERVICE_RECOVERED};
use crate::reach::{Eyes, check};
use crate::recovery::recover;
use crate::services::Services;
use crate::target::ServiceTarget;

/// Checked at the same time.
const CONCURRENT: usize = 256;
/// How far ahead a run looks, so that a check begins in its own time and not at the next tick: as often as schedules.toml runs
/// this job.
const AHEAD: Duration = secs(5);
/// What a check may take beside the service's own time, until another looks at the service.
const SETTLING: Duration = secs(10);

/// A service and when it is due.
type Due<'a> = (&'a ServiceTarget, DateTime<Utc>);

/// Arguments.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckServiceHealth {
    /// Only these services, whether they are due or not. Absent: all that are due.
    pub services: Option<Vec<String>>,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
pub struct Checked {
    healthy: Vec<String>,
    degraded: Vec<String>,
    failing: Vec<String>,
    unhealthy: Vec<String>,
}

impl Job for CheckServiceHealth {
    const NAME: &'static str = "check_service_health";
    // Long enough for an outage of some minutes; ticks that come meanwhile are passed over.
    const RETRY: Retry = Retry::exponential(25, secs(2), secs(30));
    const TIMEOUT: Duration = mins(10);
    type Context = Services;
    type Outcome = Checked;

    async fn run(self, cx: &Run<Services>) -> Result<Checked, JobError> {
        let targets = match self.services.as_deref() {
            Some(names) => chosen(&cx.targets, names)?,
            None => claimed(cx).await?,
        };
        let eyes = Eyes { store: &cx.store, http: &cx.http, http_here: &cx.http_here, now: cx.clock.now() };
        // What is found is written as it comes: a service that hangs delays no other.
        let mut checks = Vec::with_capacity(targets.len());
        for (target, due_at) in &targets {
            checks.push(check_and_settle(cx, target, *due_at, &eyes));
        }
        let checks = futures_util::stream::iter(checks).buffer_unordered(CONCURRENT);
        let found: Vec<Result<(ServiceHealth, bool), StoreError>> = checks.collect().await;
        let mut checked = Checked::default();
        for settled in found {
            let (health, ok) = settled?;
            match (health.state, ok) {
                (HealthState::Unhealthy, _) => checked.unhealthy.push(health.service),
                (_, false) => checked.failing.push(health.service),
                (HealthState::Degraded, true) => checked.degraded.push(health.service),
                (_, true) => checked.healthy.push(health.service),
            }
        }
        if self.services.is_none() {
            let names: Vec<String> = cx.targets.iter().map(|target| target.name.clone()).collect();
            cx.store.forget_services_not_in(&names).await?;
        }
        for names in
            [&mut checked.healthy, &mut checked.degraded, &mut checked.failing, &mut checked.unhealthy]
        {
            names.sort();
        }
        Ok(checked)
    }
}

/// Looks at a service when it is due, notes what was found, and does what follows from it.
async fn check_and_settle(
    cx: &Services,
    target: &ServiceTarget,
    due_at: DateTime<Utc>,
    eyes: &Eyes<'_>,
) -> Result<(ServiceHealth, bool), StoreError> {
    tokio::time::sleep((due_at - cx.clock.now()).to_std().unwrap_or_default()).await;
    let check = check(target, eyes).await;
    let rule = HealthRule {
        unhealthy_after: target.unhealthy_after,
        healthy_after: target.healthy_after,
        interval: TimeDelta::from_std(target.interval).unwrap_or(TimeDelta::minutes(1)),
    };
    let now = cx.clock.now();
    let health = cx.store.record_health_check(&check, rule, now).await?;
    if health.changed {
        let error = health.error.as_deref().unwrap_or_default();
        let service = health.service.as_str();
        tracing::info!(service, error, "service `{service}` is {}", health.state);
    }
    if let Some(settings) = &target.recovery {
        if health.state == HealthState::Unhealthy {
            recover(&cx.store, &cx.http, settings, &health, now).await?;
        } else if health.changed {
            tell_recovery(cx, &health).await?;
        }
    }
    Ok((health, check.ok))
}

/// "recovered by itself after 1 attempt, 42 s", as an alert of its own that is over at once.
async fn tell_recovery(cx: &Services, health: &ServiceHealth) -> Result<(), StoreError> {
    let now = cx.clock.now();
    let attempts = cx.store.recovered(&health.service, now - TimeDelta::days(1), now).await?;
    let Some(first) = attempts.first() else { return Ok(()) };
    let (count, seconds) = (attempts.len(), (now - first.began_at).num_seconds());
    let word = if count == 1 { "attempt" } else { "attempts" };
    let finding = Finding {
        fingerprint: format!("{SERVICE_RECOVERED}:{}", health.service),
        alert_type: SERVICE_RECOVERED.to_owned(),
        severity: Some(Severity::Low),
        title: format!("{} recovered by itself after {count} {word}, {seconds} s", health.service),
        description: format!("Dogwatch tried to bring it back; its check finds it {} now", health.state),
        labels: [("service".to_owned(), health.service.clone())].into(),
        ..Finding::default()
    };
    cx.alerting.create_or_update(&cx.store, finding.clone(), false, now).await?;
    cx.alerting.create_or_update(&cx.store, finding, true, now).await.map(drop)
}

/// What nobody else looks at and is due before this job comes again, each with its time.
async fn claimed(cx: &Services) -> Result<Vec<Due<'_>>, StoreError> {
    let now = cx.clock.now();
    let lease = |target: &ServiceTarget| target.timeout * (target.retries + 1) + AHEAD + SETTLING;
    let services: Vec<_> = cx.targets.iter().map(|target| (target.name.clone(), lease(target))).collect();
    let claimed = cx.store.claim_services(&services, now + AHEAD, now).await?;
    let due: HashMap<String, DateTime<Utc>> = claimed.into_iter().collect();
    let mut due: Vec<Due<'_>> =
        cx.targets.iter().filter_map(|target| Some((target, *due.get(&target.name)?))).collect();
    due.sort_by_key(|(_, due_at)| *due_at);
    Ok(due)
}

fn chosen<'a>(targets: &'a [ServiceTarget], names: &[String]) -> Result<Vec<Due<'a>>, JobError> {
    let known: HashSet<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name.as_str())) {
        let known = targets.iter().map(|target| target.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(JobError::discard(format!(
            "argument /services: no service is named `{unknown}`; there are: {known}"
        )));
    }
    let chosen = targets.iter().filter(|target| names.contains(&target.name));
    Ok(chosen.map(|target| (target, DateTime::UNIX_EPOCH)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::Bench;
    use dogwatch_store::HealthCheck;
    use dogwatch_testing::HttpPeer;

    fn target(url: &str) -> ServiceTarget {
        ServiceTarget {
            timeout: Duration::from_millis(300),
            unhealthy_after: 1,
            ..ServiceTarget::new("t", url.to_owned().into())
        }
    }

    async fn look(target: &ServiceTarget) -> HealthCheck {
        let bench = Bench::new("").await;
        let Services { store, http, http_here, .. } = &*bench.cx;
        check(target, &Eyes { store, http, http_here, now: bench.clock.now() }).await
    }

    #[tokio::test]
    async fn an_http_service_is_healthy_with_what_is_expected_only() {
        let peer = HttpPeer::start().await;
        assert!(look(&target(&peer.url())).await.ok);
        peer.answer(503, r#"{"status": "busy", "disks": [{"free": 7}]}"#);
        assert_eq!(look(&target(&peer.url())).await.error.as_deref(), Some("answered 503, expected 200"));
        let picky = ServiceTarget { expect_status: vec![200, 503], ..target(&peer.url()) };
        assert!(look(&picky).await.ok);
        let body = ServiceTarget { expect_body: Some("ready".to_owned()), ..picky.clone() };
        assert_eq!(look(&body).await.error.as_deref(), Some("the body does not contain `ready`"));
        let json =
            ServiceTarget { expect_json: [("/disks/0/free".to_owned(), 7.into())].into(), ..picky.clone() };
        assert!(look(&json).await.ok);
        let json =
            ServiceTarget { expect_json: [("/status".to_owned(), "ok".into())].into(), ..picky.clone() };
        assert_eq!(look(&json).await.error.as_deref(), Some("/status is \"busy\", expected \"ok\""));
        let asked = ServiceTarget {
            method: "HEAD".to_owned(),
            headers: [("x-key".to_owned(), "hunter2".into())].into(),
            ..picky
        };
        look(&asked).await;
        let last = peer.requests().pop().unwrap();
        assert_eq!((last.method.as_str(), last.headers["x-key"].as_str()), ("HEAD", "hunter2"));
    }

    /// Answers every connection with these bytes, and keeps it open.
    async fn answering(answer: Vec<u8>) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer = answer.clone();
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let _ = stream.write_all(&answer).await;
                    std::future::pending::<()>().await;
                });
            }
        });
        url
    }

    fn with_length(headers: &str, body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    }

    #[tokio::test]
    async fn a_body_is_understood_packed_in_other_encodings_and_before_its_end() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut packed, b"all READY").unwrap();
        let packed = with_length("content-encoding: gzip\r\n", &packed.finish().unwrap());
        let latin1 = with_length("content-type: text/plain; charset=ISO-8859-1\r\n", b"Verf\xfcgbar: READY");
        let utf16: Vec<u8> = "\u{feff}READY".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let stream =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\nit is RE\r\n3\r\nADY\r\n".to_vec();
        for answer in [packed, latin1.clone(), with_length("", &utf16), stream] {
            let url = answering(answer.clone()).await;
            let found = look(&ServiceTarget { expect_body: Some("READY".to_owned()), ..target(&url) }).await;
            assert!(found.ok, "{:?}: {}", found.error, String::from_utf8_lossy(&answer));
        }
        let url = answering(latin1).await;
        assert!(look(&ServiceTarget { expect_body: Some("Verfügbar".to_owned()), ..target(&url) }).await.ok);
        let json = with_length("", "\u{feff}{\"i\": 5, \"e\": 1.0E2, \"a\": [1, 2.0]}".as_bytes());
        let expect_json =
            [("/i", serde_json::json!(5.0)), ("/e", 100.into()), ("/a", serde_json::json!([1.0, 2]))];
        let expect_json = expect_json.map(|(pointer, value)| (pointer.to_owned(), value)).into();
        let url = answering(json).await;
        let found = look(&ServiceTarget { expect_json, ..target(&url) }).await;
        assert!(found.ok, "{:?}", found.error);
    }

    #[tokio::test]
    async fn a_redirect_to_an_address_in_utf_8_is_followed() {
        let peer = HttpPeer::start().await;
        let moved =
            format!("HTTP/1.1 301 Moved\r\nlocation: {}größe\r\ncontent-length: 0\r\n\r\n", peer.url());
        let url = answering(moved.into_bytes()).await;
        let found = look(&ServiceTarget { redirects: 1, ..target(&url) }).await;
        assert!(found.ok, "{:?}", found.error);
        assert_eq!(peer.requests()[0].path, "/gr%C3%B6%C3%9Fe");
    }

    #[tokio::test]
    async fn a_service_that_is_slow_is_degraded_and_one_that_does_not_answer_in_time_has_failed() {
        let peer = HttpPeer::start().await;
        peer.delay(Duration::from_millis(50));
        let found = look(&ServiceTarget { degraded_above_ms: Some(20.0), ..target(&peer.url()) }).await;
        assert!(found.ok && found.is_degraded && found.error.unwrap().contains("more than 20 ms"));
        peer.delay(Duration::from_secs(30));
        let found = look(&target(&peer.url())).await;
        assert_eq!(found.error.as_deref(), Some("no answer within 300 ms"));
    }

    #[tokio::test]
    async fn a_port_that_is_closed_has_failed_and_one_that_is_open_has_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("tcp://{}", listener.local_addr().unwrap());
        assert!(look(&target(&url)).await.ok);
        drop(listener);
        assert!(look(&target(&url)).await.error.unwrap().contains("refused"));
    }

    #[tokio::test]
    async fn a_heartbeat_has_to_be_heard_in_time() {
        let mut bench = Bench::new("").await;
        let backup = ServiceTarget { interval: mins(10), ..target("heartbeat:") };
        bench.change(|services| services.targets = vec![backup]);
        let state = async |bench: &Bench| {
            let names = Some(vec!["t".to_owned()]);
            let checked = CheckServiceHealth { services: names }.run(&bench.cx).await.unwrap();
            (checked.healthy.len(), checked.unhealthy.len())
        };
        assert_eq!(state(&bench).await, (0, 1));
        bench.cx.store.beat("t", bench.clock.now()).await.unwrap();
        state(&bench).await;
        assert_eq!(state(&bench).await, (1, 0));
        bench.clock.advance(mins(11));
        assert_eq!(state(&bench).await, (0, 1));
    }

    #[tokio::test]
    async fn each_service_is_checked_in_its_own_time() {
        let peer = HttpPeer::start().await;
        let mut bench = Bench::new("").await;
        let of =
            |name: &str, interval| ServiceTarget { interval, name: name.to_owned(), ..target(&peer.url()) };
        let targets = vec![of("often", secs(10)), of("seldom", mins(5))];
        bench.change(|services| services.targets = targets);
        for _ in 0..30 {
            CheckServiceHealth::default().run(&bench.cx).await.unwrap();
            bench.clock.advance(secs(10));
        }
        let checks = async |name: &str| {
            bench
                .database
                .number(&format!("SELECT count(*) FROM service_health_checks WHERE service = '{name}'"))
                .await
        };
        assert_eq!((checks("often").await, checks("seldom").await), (30, 1));
        assert!(
            (bench.cx.store.uptime(bench.clock.now()).await.unwrap()["often"] - 1.0).abs() < f64::EPSILON
        );
    }

    #[tokio::test]
    async fn a_service_that_hangs_holds_up_no_other_and_is_not_looked_at_twice_at_once() {
        let peer = HttpPeer::start().await;
        peer.delay(secs(30));
        let mut bench = Bench::new("").await;
        let hangs = ServiceTarget { name: "hangs".to_owned(), timeout: mins(1), ..target(&peer.url()) };
        bench.change(|services| services.targets = vec![hangs]);
        let all = CheckServiceHealth::default;
        let first = all().run(&bench.cx);
        let second = async {
            let is_asked = async || !peer.requests().is_empty();
            dogwatch_testing::eventually(secs(10), "the first run looks at it", is_asked).await;
            all().run(&bench.cx).await.unwrap()
        };
        // The first one is still at it when the second has ended.
        tokio::select! {
            _ = first => panic!("it hangs"),
            checked = second => assert!(checked.healthy.is_empty() && checked.failing.is_empty()),
        }
        assert_eq!(peer.requests().len(), 1);
        // The worker was killed: another looks when the lease is over.
        bench.clock.advance(mins(2));
        peer.delay(Duration::ZERO);
        assert_eq!(all().run(&bench.cx).await.unwrap().healthy, ["hangs"]);
    }

    #[tokio::test]
    async fn a_service_is_brought_back_within_its_budget_and_that_is_told() {
        let (peer, fixer) = (HttpPeer::start().await, HttpPeer::start().await);
        let recovery = format!(
            r#"{{"webhook": "{}", "after": 2, "budget": 2, "budget_per": "1h", "cool_down": "1m"}}"#,
            fixer.url()
        );
        let mut bench = Bench::new("").await;
        let shop = ServiceTarget {
            recovery: Some(serde_json::from_str(&recovery).unwrap()),
            healthy_after: 1,
            ..target(&peer.url())
        };
        bench.change(|services| services.targets = vec![shop]);
        peer.answer(500, "down");
        for _ in 0..20 {
            CheckServiceHealth::default().run(&bench.cx).await.unwrap();
            bench.clock.advance(secs(30));
        }
        assert_eq!(fixer.requests().len(), 2, "the budget is two");
        assert!(fixer.requests()[0].body.contains("answered 500"));
        peer.answer(200, "up");
        CheckServiceHealth::default().run(&bench.cx).await.unwrap();
        let alert = bench.cx.store.alert_of("service_recovered:t").await.unwrap().unwrap();
        assert_eq!(alert.title, "t recovered by itself after 2 attempts, 570 s");
        let attempts = bench.cx.store.recovery_attempts("t").await.unwrap();
        assert!(attempts.iter().all(|attempt| attempt.done == Some(true) && attempt.recovered_at.is_some()));
    }

    #[tokio::test]
    async fn a_command_runs_without_a_shell_and_without_our_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let script = folder.path().join("script");
        // It writes more than is read of it.
        let text =
            format!("env > '{}'; yes | head -c 3000000 >&2; yes | head -c 3000000; exit 3", out.display());
        std::fs::write(&script, text).unwrap();
        let peer = HttpPeer::start().await;
        peer.answer(500, "down");
        let mut bench = Bench::new("").await;
        let command = serde_json::json!({ "command": ["sh", script], "after": 1 });
        let shop =
            ServiceTarget { recovery: Some(serde_json::from_value(command).unwrap()), ..target(&peer.url()) };
        bench.change(|services| services.targets = vec![shop]);
        CheckServiceHealth::default().run(&bench.cx).await.unwrap();
        let seen = std::fs::read_to_string(out).unwrap();
        assert!(seen.contains("DOGWATCH_SERVICE=t") && !seen.contains("HOME="), "{seen}");
        let attempt = bench.cx.store.recovery_attempts("t").await.unwrap().remove(0);
        let error = attempt.error.unwrap();
        assert!(error.starts_with("sh ended with exit status: 3: y") && error.len() < 1000, "{error}");
    }

    #[tokio::test]
    async fn a_name_that_is_not_configured_is_told_with_those_that_are() {
        let targets = [target("tcp://a:1")];
        let error = chosen(&targets, &["x".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), "argument /services: no service is named `x`; there are: t");
    }
}
