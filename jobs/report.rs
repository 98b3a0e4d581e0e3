//! What happened in a period, beside the period before: traffic, errors and times, endpoints, queries, services, alerts,
//! machines, and when disks will be full. As data; `text` and `page` set it for people.

mod page;
mod text;

use std::collections::HashMap;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use dogwatch_alerting::{Dimension, Scope, Status};
use dogwatch_queue::error_chain;
use dogwatch_store::{
    Alert, AlertFilter, DiskGrowth, DiskUsage, EndpointTiming, Figures, FindingState, HostUsage,
    MetricFilter, QueryTiming, RequestSummary, ServiceHealth, Store, StoreError, TrendDirection,
    TrendFinding, Window,
};
use serde::Serialize;

use crate::trends::{TrendTold, told};

/// Endpoints, and queries, in a report.
const TOP: usize = 10;
/// Alerts in a report.
const ALERTS: u32 = 500;
/// Points of a chart.
const STEPS: i32 = 48;
/// How far back the filling of disks is looked at.
const GROWTH: TimeDelta = TimeDelta::days(14);
/// An endpoint that is slower by so much, and by so many milliseconds, has become slower.
const SLOWER: f64 = 1.2;
const SLOWER_MS: f64 = 20.0;
/// With fewer requests in one of the periods, that says nothing.
const MIN_COUNT: i64 = 30;

/// Which period, and whose.
#[derive(Clone, Debug)]
pub struct ReportQuestion {
    /// Where the period begins.
    pub since: DateTime<Utc>,
    /// Where it ends.
    pub until: DateTime<Utc>,
    /// Of this tenant alone.
    pub tenant: Option<String>,
    /// Of this service alone.
    pub service: Option<String>,
}

/// What happened in a period.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// One line.
    pub title: String,
    /// Where the period begins.
    pub window_start: DateTime<Utc>,
    /// Where it ends.
    pub window_end: DateTime<Utc>,
    /// Minutes of it, and of the period before, whose requests are not counted yet.
    pub minutes_missing: i64,
    /// Of this tenant alone.
    pub tenant: Option<String>,
    /// Of this service alone.
    pub service: Option<String>,
    /// All requests.
    pub requests: RequestSummary,
    /// In the period before.
    pub requests_before: RequestSummary,
    /// Over the period.
    pub history: Vec<Step>,
    /// The endpoints with the highest p95, at most ten.
    pub slowest_endpoints: Vec<EndpointTiming>,
    /// What changed for good, was unusual or will be full: what trend analysis found, what users feel most first.
    pub changes: Vec<ReportedChange>,
    /// Endpoints that became slower, the most first.
    pub slower_endpoints: Vec<Slower>,
    /// The queries that took most time together.
    pub costly_queries: Vec<QueryTiming>,
    /// CPU and memory.
    pub hosts: Vec<HostUsage>,
    /// Disks.
    pub disks: Vec<DiskUsage>,
    /// How they fill.
    pub disk_growth: Vec<DiskGrowth>,
    /// The services, and how long they were up in the period.
    pub services: Vec<ServiceInPeriod>,
    /// Alerts that were open at some time in the period.
    pub alerts: Vec<Alert>,
    /// How they were handled.
    pub alert_times: AlertTimes,
}

/// A part of the period.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Step {
    /// Where it ends.
    pub at: DateTime<Utc>,
    /// Requests a minute.
    pub per_minute: f64,
    /// Part of them that failed, in percent; absent when there was none.
    pub error_rate: Option<f64>,
    /// 95th percentile.
    pub p95_ms: Option<f64>,
    /// 95th percentile in the period before.
    pub p95_ms_before: Option<f64>,
}

/// Something that trend analysis found.
#[derive(Clone, Debug, Serialize)]
pub struct ReportedChange {
    /// In words, with figures.
    pub sentence: String,
    /// Whether it still holds.
    pub state: FindingState,
    /// Whether it is for the worse.
    pub direction: TrendDirection,
}

/// An endpoint that became slower.
#[derive(Clone, Debug, Serialize)]
pub struct Slower {
    /// The service.
    pub service: String,
    /// Method and route.
    pub endpoint: String,
    /// 95th percentile in the period before.
    pub p95_ms_before: f64,
    /// 95th percentile.
    pub p95_ms: f64,
    /// Its requests.
    pub count: i64,
}

/// A service, and how much of the period it was up, 0 to 1.
#[derive(Clone, Debug, Serialize)]
pub struct ServiceInPeriod {
    /// How it is.
    #[serde(flatten)]
    pub health: ServiceHealth,
    /// Absent when it was not checked.
    pub uptime: Option<f64>,
}

/// How alerts were handled.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AlertTimes {
    /// How many there were.
    pub count: usize,
    /// Those that are still open.
    pub open: usize,
    /// Mean time from the raise to the acknowledgement, in seconds; absent when nobody acknowledged one.
    pub to_acknowledge_s: Option<f64>,
    /// Mean time from the raise to the end.
    pub to_resolve_s: Option<f64>,
}

impl Report {
    /// What is missing, where something is.
    fn missing(&self) -> Option<String> {
        let plural = if self.minutes_missing == 1 { "" } else { "s" };
        (self.minutes_missing > 0).then(|| {
            format!(
                "Incomplete: the requests of {} minute{plural} are stored and not counted yet. Make it again later, or look \
                 at `dogwatch doctor`.",
                self.minutes_missing
            )
        })
    }

    /// Reads everything.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn build(store: &Store, question: &ReportQuestion) -> Result<Self, StoreError> {
        let minute = TimeDelta::minutes(1);
        // What came a moment ago counts. Without it the report says how much is missing.
        match store.roll_up().await {
            Err(error) if error.is_unavailable() => return Err(error),
            Err(error) => tracing::error!(error = error_chain(&error), "rollups cannot be made"),
            Ok(_) => {}
        }
        // At whole minutes everything is read from rollups: the one that is under way counts as far as it has gone.
        let until = question.until.duration_trunc(minute).unwrap_or(question.until);
        let since = question.since.duration_trunc(minute).unwrap_or(question.since);
        let end = if until < question.until { until + minute } else { until };
        let (now, before) = (window(since, end), window(since - (until - since), since));
        let minutes_missing = store.minutes_not_rolled_up(since - (until - since), until).await?;
        let filter = MetricFilter {
            tenant: question.tenant.clone(),
            service: question.service.clone(),
            ..MetricFilter::default()
        };
        let requests = store.requests(now, &filter).await?;
        let requests_before = store.requests(before, &filter).await?;
        let is_meant = |service: &Option<String>| question.service.is_none() || *service == question.service;
        let mut services = store.service_health().await?;
        // Hosts and checked services are of everybody: a tenant reads its own report.
        let is_of_all = question.tenant.is_none();
        services.retain(|health| is_of_all && is_meant(&Some(health.service.clone())));
        let mut costly_queries = store.query_timings(now, &filter, 0.0, None, TOP).await?;
        if !is_of_all {
            costly_queries = costly_queries.into_iter().map(QueryTiming::of_one_tenant).collect();
        }
        // What was sampled, or found, in the minute that is under way counts too.
        let (mut hosts, mut disks, mut disk_growth) = Default::default();
        if is_of_all {
            hosts = store.host_usage(since, question.until).await?;
            disks = store.disk_usage(since, question.until).await?;
            disk_growth = store.disk_growth(until - GROWTH, question.until).await?;
        }
        let uptime = store.uptime(since).await?;
        let alerts = alerts(store, question, since).await?;
        Ok(Self {
            title: title(question),
            window_start: since,
            window_end: until,
            minutes_missing,
            tenant: question.tenant.clone(),
            service: question.service.clone(),
            requests: requests.all,
            requests_before: requests_before.all,
            history: history(store, question, since, until).await?,
            changes: if is_of_all { changes(store, question, since).await? } else { Vec::new() },
            slower_endpoints: slower(&requests.endpoints, &requests_before.endpoints),
            slowest_endpoints: slowest(requests.endpoints),
            costly_queries,
            hosts,
            disks,
            disk_growth,
            services: services
                .into_iter()
                .map(|health| ServiceInPeriod { uptime: uptime.get(&health.service).copied(), health })
                .collect(),
            alert_times: times(&alerts),
            alerts,
        })
    }
}

fn window(since: DateTime<Utc>, until: DateTime<Utc>) -> Window {
    Window { since, until: Some(until) }
}

fn title(question: &ReportQuestion) -> String {
    let hours = (question.until - question.since).num_hours();
    let length = match hours {
        24 => "of a day".to_owned(),
        168 => "of a week".to_owned(),
        _ if hours % 24 == 0 => format!("of {} days", hours / 24),
        1 => "of an hour".to_owned(),
        _ => format!("of {hours} hours"),
    };
    let whose = [("service", &question.service), ("tenant", &question.tenant)];
    let whose = whose.into_iter().filter_map(|(word, name)| Some(format!(", {word} {}", name.as_ref()?)));
    format!("Performance {length}{}", whose.collect::<String>())
}

async fn alerts(
    store: &Store,
    question: &ReportQuestion,
    since: DateTime<Utc>,
) -> Result<Vec<Alert>, StoreError> {
    let filter = AlertFilter {
        tenant: question.tenant.clone(),
        service: question.service.clone(),
        since: Some(since),
        limit: ALERTS,
        ..AlertFilter::default()
    };
    let mut alerts = store.alerts(&filter).await?;
    alerts.retain(|alert| alert.first_seen_at < question.until);
    Ok(alerts)
}

/// What was found before the end of the period, and still held when it began. One that stands for others tells of them.
async fn changes(
    store: &Store,
    question: &ReportQuestion,
    since: DateTime<Utc>,
) -> Result<Vec<ReportedChange>, StoreError> {
    let found = told(store.trend_findings(since).await?).into_iter();
    let is_of_service = |finding: &TrendFinding| {
        question.service.is_none() || finding.scope.get(Dimension::Service) == question.service.as_deref()
    };
    let found = found.filter(|TrendTold { finding, .. }| {
        finding.found_at < question.until && finding.group_id == finding.id && is_of_service(finding)
    });
    let change = |TrendTold { finding, sentence, .. }: TrendTold| ReportedChange {
        sentence,
        state: finding.state,
        direction: finding.direction,
    };
    Ok(found.take(TOP).map(change).collect())
}

fn times(alerts: &[Alert]) -> AlertTimes {
    let mean = |times: Vec<TimeDelta>| {
        (!times.is_empty())
            .then(|| times.iter().map(|time| time.as_seconds_f64()).sum::<f64>() / times.len() as f64)
    };
    let since_raised = |alert: &Alert, at: Option<DateTime<Utc>>| Some(at? - alert.raised_at?);
    AlertTimes {
        count: alerts.len(),
        open: alerts.iter().filter(|alert| alert.status != Status::Resolved).count(),
        to_acknowledge_s: mean(
            alerts.iter().filter_map(|alert| since_raised(alert, alert.acknowledged_at)).collect(),
        ),
        to_resolve_s: mean(
            alerts.iter().filter_map(|alert| since_raised(alert, alert.resolved_at)).collect(),
        ),
    }
}

fn slowest(mut endpoints: Vec<EndpointTiming>) -> Vec<EndpointTiming> {
    endpoints.sort_by(|one, other| other.p95_ms.total_cmp(&one.p95_ms));
    endpoints.truncate(TOP);
    endpoints
}

fn slower(now: &[EndpointTiming], before: &[EndpointTiming]) -> Vec<Slower> {
    let name =
        |timing: &EndpointTiming| (timing.service.clone(), timing.method.clone(), timing.endpoint.clone());
    let before: HashMap<_, _> = before.iter().map(|timing| (name(timing), timing)).collect();
    let both = now.iter().filter_map(|timing| Some((timing, *before.get(&name(timing))?)));
    let mut slower: Vec<Slower> = both
        .filter(|(now, before)| now.count.min(before.count) >= MIN_COUNT)
        .filter(|(now, before)| now.p95_ms > before.p95_ms * SLOWER && now.p95_ms - before.p95_ms > SLOWER_MS)
        .map(|(now, before)| Slower {
            service: now.service.clone(),
            endpoint: format!("{} {}", now.method, now.endpoint),
            p95_ms_before: before.p95_ms,
            p95_ms: now.p95_ms,
            count: now.count,
        })
        .collect();
    slower.sort_by(|one, other| {
        (other.p95_ms / other.p95_ms_before).total_cmp(&(one.p95_ms / one.p95_ms_before))
    });
    slower.truncate(TOP);
    slower
}

async fn history(
    store: &Store,
    question: &ReportQuestion,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<Step>, StoreError> {
    let step = whole_minutes((until - since) / STEPS);
    let parts = [(Dimension::Tenant, &question.tenant), (Dimension::Service, &question.service)];
    let only = Scope::of(parts.into_iter().filter_map(|(part, value)| Some((part, value.clone()?))));
    let (length, mut at) = (until - since, since + step);
    let mut steps = Vec::new();
    while at <= until {
        let now = store.request_figures(window(at - step, at), &only, &[]).await?;
        let before = store.request_figures(window(at - step - length, at - length), &only, &[]).await?;
        let count = now.first().map_or(0, |figures| figures.count);
        steps.push(Step {
            at,
            per_minute: count as f64 / (step.as_seconds_f64() / 60.0),
            error_rate: now.first().map(|figures| 100.0 * figures.errors as f64 / figures.count as f64),
            p95_ms: now.first().and_then(p95),
            p95_ms_before: before.first().and_then(p95),
        });
        at += step;
    }
    Ok(steps)
}

fn p95(figures: &Figures) -> Option<f64> {
    figures.quantile_ms(0.95)
}

/// As many whole minutes as it takes, at least one.
fn whole_minutes(length: TimeDelta) -> TimeDelta {
    TimeDelta::minutes((length.num_seconds() + 59).div_euclid(60).max(1))
}
