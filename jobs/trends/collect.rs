//! The figures of one step: of endpoints, services and queries from their rollups, of hosts and disks from their samples.

use chrono::{DateTime, Utc};
use dogwatch_alerting::{Dimension, Metric, Scope};
use dogwatch_store::{Figures, Store, StoreError, TREND_STEP, TrendSeries, Window};

/// Fewer requests or calls than this in a step have no percentile worth following.
const MIN_COUNT: i64 = 20;
/// The part of requests that are no slower than the figure.
const P95: f64 = 0.95;

/// A figure of a series in a step.
pub(super) struct Figure {
    pub(super) series: TrendSeries,
    pub(super) value: f64,
    pub(super) count: f64,
}

/// What there is to know of the step that begins at `at`.
pub(super) async fn figures(store: &Store, at: DateTime<Utc>) -> Result<Vec<Figure>, StoreError> {
    let until = at + TREND_STEP;
    let window = Window { since: at, until: Some(until) };
    let all = Scope::default();
    let mut figures = Vec::new();
    for endpoint in store.request_figures(window, &all, &[Dimension::Service, Dimension::Endpoint]).await? {
        figures.extend(of_requests(&endpoint));
    }
    for service in store.request_figures(window, &all, &[Dimension::Service]).await? {
        figures.extend(of_requests(&service));
        let per_minute = service.count as f64 / TREND_STEP.num_minutes() as f64;
        figures.push(figure(Metric::RequestRate, &service.scope, per_minute, service.count));
    }
    for query in store.query_figures(window, &all, &[Dimension::Service, Dimension::Query]).await? {
        figures.extend(time(Metric::QueryTimeMs, &query));
    }
    for host in store.host_usage(at, until).await? {
        let scope = Scope::of([(Dimension::Host, host.host)]);
        figures.push(figure(Metric::CpuPercent, &scope, host.cpu_percent_mean, host.samples));
        figures.push(figure(Metric::MemoryPercent, &scope, host.memory_percent_mean, host.samples));
    }
    for disk in store.disk_usage(at, until).await? {
        let scope = Scope::of([(Dimension::Host, disk.host), (Dimension::Mount, disk.mount)]);
        figures.push(figure(Metric::DiskPercent, &scope, disk.used_percent, 1));
    }
    Ok(figures)
}

fn of_requests(requests: &Figures) -> impl Iterator<Item = Figure> {
    let failed = requests.errors as f64 / requests.count.max(1) as f64;
    let error_rate = (requests.count >= MIN_COUNT)
        .then(|| figure(Metric::ErrorRate, &requests.scope, failed, requests.count));
    time(Metric::ResponseTimeMs, requests).into_iter().chain(error_rate)
}

fn time(metric: Metric, figures: &Figures) -> Option<Figure> {
    let p95_ms = figures.quantile_ms(P95).filter(|_| figures.count >= MIN_COUNT)?;
    Some(figure(metric, &figures.scope, p95_ms, figures.count))
}

fn figure(metric: Metric, scope: &Scope, value: f64, count: i64) -> Figure {
    Figure { series: TrendSeries { metric, scope: scope.clone() }, value, count: count as f64 }
}
