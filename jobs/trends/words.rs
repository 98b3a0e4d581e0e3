//! A finding in a sentence of plain words, with its figures.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use dogwatch_alerting::{Dimension, Metric};
use dogwatch_store::{FindingKind, FindingState, LimitAt, TrendFinding};
use uuid::Uuid;

/// A finding as it is told.
#[derive(Clone, Debug)]
pub struct TrendTold {
    /// The finding.
    pub finding: TrendFinding,
    /// How many others have the same cause; of one that does not stand for its group, 0.
    pub others: usize,
    /// In words.
    pub sentence: String,
}

/// Puts findings into words.
pub fn told(findings: Vec<TrendFinding>) -> Vec<TrendTold> {
    let mut others: HashMap<Uuid, Vec<&TrendFinding>> = HashMap::new();
    for finding in findings.iter().filter(|finding| finding.id != finding.group_id) {
        others.entry(finding.group_id).or_default().push(finding);
    }
    let tell = |finding: &TrendFinding| {
        let others = others.get(&finding.id).map(Vec::as_slice).unwrap_or_default();
        (sentence(finding, others), others.len())
    };
    let told: Vec<_> = findings.iter().map(tell).collect();
    let told = told.into_iter().zip(findings);
    told.map(|((sentence, others), finding)| TrendTold { finding, others, sentence }).collect()
}

fn sentence(finding: &TrendFinding, others: &[&TrendFinding]) -> String {
    match finding.kind {
        FindingKind::Shift => {
            format!("{}{}{}.", shift(finding), causes(finding), company(finding, others))
        }
        FindingKind::Anomaly => anomaly(finding),
        FindingKind::Forecast => forecast(finding),
    }
}

fn shift(finding: &TrendFinding) -> String {
    let (before, after) = (value(finding.metric, finding.before), value(finding.metric, finding.after));
    let what = what(finding);
    let since = minute(finding.since);
    let ended = finding.ended_at.map(minute).unwrap_or_default();
    match finding.state {
        FindingState::Open => format!("{what} went from {before} to {after} at {since} and stayed"),
        FindingState::Recovered => {
            format!("{what} went from {before} to {after} at {since} and came back at {ended}")
        }
        FindingState::Superseded => {
            format!("{what} went from {before} to {after} at {since} and changed again at {ended}")
        }
        FindingState::Settled => {
            format!("{what} went from {before} to {after} at {since}; that is the usual now")
        }
    }
}

fn causes(finding: &TrendFinding) -> String {
    let query = finding.cause.query.as_ref().map(|query| {
        let summary = query.summary.as_ref().map(|summary| format!(" ({summary})")).unwrap_or_default();
        format!("; {:.0} % of the added time is query {}{summary}", 100.0 * query.share, query.fingerprint)
    });
    let version =
        finding.cause.version.as_ref().map(|seen| {
            format!("; version {} was first seen at {}", seen.version, minute(seen.first_seen_at))
        });
    [query, version].into_iter().flatten().collect()
}

/// What came with it; of a whole service, the endpoint of which users feel most.
fn company(finding: &TrendFinding, others: &[&TrendFinding]) -> String {
    let Some(shared) = finding.cause.shared.as_ref().filter(|_| !others.is_empty()) else {
        return String::new();
    };
    let endpoint = |finding: &TrendFinding| finding.scope.get(Dimension::Endpoint).map(str::to_owned);
    let endpoints = others.iter().filter(|_| endpoint(finding).is_none());
    let endpoints = endpoints.filter_map(|other| Some((endpoint(other)?, *other)));
    let most = endpoints
        .max_by(|(_, one), (_, other)| one.effect_s_per_hour.abs().total_cmp(&other.effect_s_per_hour.abs()));
    let most = most.map(|(endpoint, most)| {
        let (before, after) = (value(most.metric, most.before), value(most.metric, most.after));
        format!("; users feel it most at {endpoint}, from {before} to {after}")
    });
    let noun = if others.len() == 1 { "figure" } else { "figures" };
    format!("{}; {} more {noun} of {shared} changed with it", most.unwrap_or_default(), others.len())
}

fn anomaly(finding: &TrendFinding) -> String {
    let (usual, figure) = (value(finding.metric, finding.before), value(finding.metric, finding.after));
    let (what, since) = (what(finding), minute(finding.since));
    match finding.state {
        FindingState::Open => format!("{what} is at {figure} since {since}, where {usual} is usual."),
        _ => format!("{what} was at {figure} at {since}, where {usual} is usual."),
    }
}

fn forecast(finding: &TrendFinding) -> String {
    let what = what(finding);
    let per_day = finding.after - finding.before;
    let Some(limit) = finding.limit.filter(|_| finding.state == FindingState::Open) else {
        return format!("{what} no longer grows as it did.");
    };
    let LimitAt { at, earliest, latest } = limit;
    let from = finding.updated_at;
    format!(
        "{what} grows by {per_day:.1} points a day and will be full in {} (between {} and {}).",
        away(at, from),
        away(earliest, from),
        away(latest, from)
    )
}

/// The figure, and of what it is.
fn what(finding: &TrendFinding) -> String {
    let part = |dimension| finding.scope.get(dimension);
    let service = part(Dimension::Service);
    let subject = match (part(Dimension::Endpoint), part(Dimension::Query), part(Dimension::Mount)) {
        (Some(endpoint), ..) => format!("{endpoint} ({})", service.unwrap_or_default()),
        (_, Some(query), _) => format!("query {query} ({})", service.unwrap_or_default()),
        (.., Some(mount)) => format!("{mount} on {}", part(Dimension::Host).unwrap_or_default()),
        _ => service.or_else(|| part(Dimension::Host)).unwrap_or_default().to_owned(),
    };
    let figure = match finding.metric {
        Metric::ResponseTimeMs | Metric::QueryTimeMs => "p95",
        Metric::RequestRate => "traffic",
        other => other.words(),
    };
    format!("{figure} of {subject}")
}

fn value(metric: Metric, value: f64) -> String {
    match metric.unit() {
        "ms" if value >= 10_000.0 => format!("{:.1} s", value / 1e3),
        "/min" => format!("{} a minute", short(value)),
        unit => format!("{} {unit}", short(value)),
    }
}

/// Two or three digits that count.
fn short(value: f64) -> String {
    if value.abs() >= 10.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

fn minute(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// How far away a time is.
fn away(time: DateTime<Utc>, from: DateTime<Utc>) -> String {
    match (time - from).num_hours() {
        ..1 => "an hour".to_owned(),
        hours @ 1..48 => format!("{hours} h"),
        hours => format!("{} days", hours / 24),
    }
}
