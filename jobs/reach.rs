//! One look at a service: does it answer as it should, and is something not as it should be. Each kind in its own way, all
//! within the service's own time.

mod http;
pub(crate) mod names;
mod tls;

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use dogwatch_store::{HealthCheck, Store};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use secrecy::ExposeSecret;
use url::Url;

use crate::target::{Kind, ServiceTarget};

/// Addresses of a host that are tried, and how long after one the next is.
const MAX_ADDRESSES: usize = 8;
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// What a look needs.
pub(crate) struct Eyes<'a> {
    pub(crate) store: &'a Store,
    pub(crate) http: &'a reqwest::Client,
    /// Goes by no proxy.
    pub(crate) http_here: &'a reqwest::Client,
    pub(crate) now: DateTime<Utc>,
}

/// What is not as it should be though the service answers; `None`: all is well.
type Seen = Result<Option<String>, String>;

/// Checks one service, within its time, and again at once as often as it may.
pub(crate) async fn check(target: &ServiceTarget, eyes: &Eyes<'_>) -> HealthCheck {
    let mut found = once(target, eyes).await;
    for _ in 0..target.retries {
        if found.ok {
            break;
        }
        found = once(target, eyes).await;
    }
    found
}

async fn once(target: &ServiceTarget, eyes: &Eyes<'_>) -> HealthCheck {
    let started = Instant::now();
    let seen = match tokio::time::timeout(target.timeout, reach(target, eyes)).await {
        Ok(seen) => seen,
        Err(_) => Err(format!("no answer within {} ms", target.timeout.as_millis())),
    };
    let response_time_ms = started.elapsed().as_secs_f64() * 1000.0;
    let slow = target.degraded_above_ms.filter(|limit| response_time_ms > *limit);
    let slow = slow.map(|limit| format!("took {response_time_ms:.0} ms, more than {limit} ms"));
    let degraded = seen.as_ref().ok().and_then(Clone::clone).or(slow);
    HealthCheck {
        service: target.name.clone(),
        kind: target.kind().map_or("?", Kind::as_str).to_owned(),
        target: target.display(),
        ok: seen.is_ok(),
        is_degraded: seen.is_ok() && degraded.is_some(),
        response_time_ms,
        error: seen.err().or(degraded),
    }
}

async fn reach(target: &ServiceTarget, eyes: &Eyes<'_>) -> Seen {
    let url = target.url.expose_secret();
    match target.kind()? {
        Kind::Http => http::look(target, eyes).await,
        Kind::Tcp => {
            let (host, port) = host_and_port(url)?;
            connect(&host, port).await.map(|()| None)
        }
        Kind::Tls => {
            let (host, port) = host_and_port(url)?;
            tls::look(&host, port, target.min_days_left, eyes.now).await
        }
        Kind::Dns => names::look(url, &target.expect_records, target.timeout).await,
        Kind::Postgres => {
            dogwatch_store::probe(url, target.query.as_deref(), target.timeout).await.map(|()| None)
        }
        Kind::Redis => dogwatch_queue::probe(url, target.max_lag_bytes, target.timeout).await,
        Kind::Heartbeat => heartbeat(target, eyes).await,
    }
}

/// Connects to one of the addresses of a host: one that does not answer keeps no other from being tried
/// (RFC 8305, section 5).
async fn connect(host: &str, port: u16) -> Result<(), String> {
    let addresses = tokio::net::lookup_host((host, port)).await.map_err(|error| error.to_string())?;
    let mut tries: FuturesUnordered<_> = (0..)
        .zip(addresses.take(MAX_ADDRESSES))
        .map(|(number, address)| async move {
            tokio::time::sleep(NEXT_ADDRESS * number).await;
            let connected = tokio::net::TcpStream::connect(address).await;
            connected.map(drop).map_err(|error| format!("{address}: {error}"))
        })
        .collect();
    let mut failed = Vec::new();
    while let Some(tried) = tries.next().await {
        match tried {
            Ok(()) => return Ok(()),
            Err(reason) => failed.push(reason),
        }
    }
    Err(if failed.is_empty() { format!("{host} has no address") } else { failed.join("; ") })
}

/// Heard within its interval, and a little.
async fn heartbeat(target: &ServiceTarget, eyes: &Eyes<'_>) -> Seen {
    let last = eyes.store.last_beat(&target.name).await.map_err(|error| error.to_string())?;
    let Some(last) = last else { return Err("was never heard".to_owned()) };
    let silent_for = (eyes.now - last).to_std().unwrap_or(Duration::ZERO);
    if silent_for > target.interval + target.timeout {
        let (silent, expected) = (silent_for.as_secs(), target.interval.as_secs());
        return Err(format!("was not heard for {silent} s, expected every {expected} s"));
    }
    Ok(None)
}

fn host_and_port(url: &str) -> Result<(String, u16), String> {
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    Ok((host, url.port().unwrap_or_default()))
}
