//! Checks the services that dogwatch.toml names, and Dogwatch's own Postgres and Redis.
//!
//! A service becomes unhealthy after some failures in a row and healthy after some successes in a row, so that one
//! lost packet wakes nobody. A check that fails is a finding, not a failure of this job.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use dogwatch_queue::{Job, JobError, Retry, Run, error_chain, mins, secs};
use dogwatch_store::{HealthCheck, HealthRule, HealthState};
use futures_util::StreamExt;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::services::Services;
use crate::target::{Kind, ServiceTarget};

/// Checked at the same time.
const CONCURRENT: usize = 16;

/// Arguments.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckServiceHealth {
    /// Only these services. Absent: all.
    pub services: Option<Vec<String>>,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
pub struct Checked {
    healthy: Vec<String>,
    failing: Vec<String>,
    unhealthy: Vec<String>,
}

impl Job for CheckServiceHealth {
    const NAME: &'static str = "check_service_health";
    // Long enough for an outage of some minutes; ticks that come meanwhile are passed over.
    const RETRY: Retry = Retry::exponential(25, secs(2), secs(30));
    const TIMEOUT: Duration = mins(2);
    type Context = Services;
    type Outcome = Checked;

    async fn run(self, cx: &Run<Services>) -> Result<Checked, JobError> {
        let targets = chosen(&cx.targets, self.services.as_deref())?;
        let checks = targets.into_iter().map(|target| {
            let http = cx.http.clone();
            async move {
                let check = check(&target, &http).await;
                (target, check)
            }
        });
        // All are checked before any is stored: a database that is slow must not look like services that are.
        let checks = futures_util::stream::iter(checks).buffer_unordered(CONCURRENT);
        let checks: Vec<(ServiceTarget, HealthCheck)> = checks.collect().await;
        let mut found = Checked::default();
        for (target, check) in checks {
            let rule =
                HealthRule { unhealthy_after: target.unhealthy_after, healthy_after: target.healthy_after };
            let ok = check.ok;
            let health = cx.store.record_health_check(&check, rule, cx.clock.now()).await?;
            if health.changed {
                let error = health.error.as_deref().unwrap_or_default();
                tracing::info!(
                    service = health.service,
                    error,
                    "service `{}` is {}",
                    health.service,
                    health.state
                );
            }
            match (health.state, ok) {
                (HealthState::Unhealthy, _) => found.unhealthy.push(health.service),
                (_, true) => found.healthy.push(health.service),
                (_, false) => found.failing.push(health.service),
            }
        }
        if self.services.is_none() {
            let names: Vec<String> = cx.targets.iter().map(|target| target.name.clone()).collect();
            cx.store.forget_services_not_in(&names).await?;
        }
        for names in [&mut found.healthy, &mut found.failing, &mut found.unhealthy] {
            names.sort();
        }
        Ok(found)
    }
}

fn chosen(targets: &[ServiceTarget], names: Option<&[String]>) -> Result<Vec<ServiceTarget>, JobError> {
    let Some(names) = names else {
        return Ok(targets.to_vec());
    };
    let known: HashSet<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name.as_str())) {
        let known = targets.iter().map(|target| target.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(JobError::discard(format!(
            "argument /services: no service is named `{unknown}`; there are: {known}"
        )));
    }
    Ok(targets.iter().filter(|target| names.contains(&target.name)).cloned().collect())
}

/// Checks one service, within its time.
async fn check(target: &ServiceTarget, http: &reqwest::Client) -> HealthCheck {
    let started = Instant::now();
    let outcome = match tokio::time::timeout(target.timeout, reach(target, http)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("no answer within {} ms", target.timeout.as_millis())),
    };
    HealthCheck {
        service: target.name.clone(),
        kind: target.kind().map_or("?", Kind::as_str).to_owned(),
        target: target.display(),
        ok: outcome.is_ok(),
        response_time_ms: started.elapsed().as_secs_f64() * 1000.0,
        error: outcome.err(),
    }
}

async fn reach(target: &ServiceTarget, http: &reqwest::Client) -> Result<(), String> {
    let url = target.url.expose_secret();
    match target.kind()? {
        Kind::Http => {
            let response = http.get(url).send().await.map_err(|error| error_chain(&error.without_url()))?;
            let status = response.status().as_u16();
            if status == target.expect_status {
                return Ok(());
            }
            Err(format!("answered {status}, expected {}", target.expect_status))
        }
        Kind::Tcp => {
            let url = Url::parse(url).map_err(|error| error.to_string())?;
            let address = (url.host_str().unwrap_or_default(), url.port().unwrap_or_default());
            tokio::net::TcpStream::connect(address).await.map(drop).map_err(|error| error.to_string())
        }
        Kind::Postgres => dogwatch_store::probe(url, target.timeout).await,
        Kind::Redis => dogwatch_queue::probe(url, target.timeout).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dogwatch_testing::HttpPeer;

    fn target(url: &str) -> ServiceTarget {
        ServiceTarget {
            timeout: Duration::from_millis(300),
            ..ServiceTarget::new("t", url.to_owned().into())
        }
    }

    fn http() -> reqwest::Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::new()
    }

    #[tokio::test]
    async fn an_http_service_is_healthy_with_the_expected_status_only() {
        let peer = HttpPeer::start().await;
        assert!(check(&target(&peer.url()), &http()).await.ok);
        peer.answer(503, "busy");
        let found = check(&target(&peer.url()), &http()).await;
        assert_eq!(found.error.as_deref(), Some("answered 503, expected 200"));
        let picky = ServiceTarget { expect_status: 503, ..target(&peer.url()) };
        assert!(check(&picky, &http()).await.ok);
    }

    #[tokio::test]
    async fn a_service_that_does_not_answer_in_time_has_failed() {
        let peer = HttpPeer::start().await;
        peer.delay(Duration::from_secs(30));
        let found = check(&target(&peer.url()), &http()).await;
        assert_eq!(found.error.as_deref(), Some("no answer within 300 ms"));
    }

    #[tokio::test]
    async fn a_port_that_is_closed_has_failed_and_one_that_is_open_has_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("tcp://{}", listener.local_addr().unwrap());
        assert!(check(&target(&url), &http()).await.ok);
        drop(listener);
        assert!(check(&target(&url), &http()).await.error.unwrap().contains("refused"));
    }

    #[tokio::test]
    async fn a_name_that_is_not_configured_is_told_with_those_that_are() {
        let targets = [target("tcp://a:1")];
        let error = chosen(&targets, Some(&["x".to_owned()])).unwrap_err();
        assert_eq!(error.to_string(), "argument /services: no service is named `x`; there are: t");
    }
}
