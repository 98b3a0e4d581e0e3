use super::*;
use dogwatch_alerting::{Dimension, Scope};

const STEP: i64 = 300;
const HOUR: i64 = 12;
const DAY: i64 = 288;
/// A Monday.
const BEGIN: i64 = 1_767_571_200;

/// A series that is looked at again and again, while it and what is known of it go on.
struct Told {
    series: TrendSeries,
    points: Vec<Point>,
    findings: Vec<TrendFinding>,
}

impl Told {
    fn of(metric: Metric) -> Self {
        let scope = Scope::of([(Dimension::Service, "shop".to_owned())]);
        Self { series: TrendSeries { metric, scope }, points: Vec::new(), findings: Vec::new() }
    }

    /// So many steps at about this figure.
    fn goes_on(&mut self, steps: i64, figure: f64) -> &mut Self {
        self.goes(steps, |_| figure)
    }

    /// The same with a figure by its step; with some noise.
    fn goes(&mut self, steps: i64, figure: impl Fn(i64) -> f64) -> &mut Self {
        for step in 0..steps {
            let index = i64::try_from(self.points.len()).unwrap();
            let noise = (index * 7919 % 101) as f64 / 1000.0 - 0.05;
            let value = figure(step) * (1.0 + noise);
            self.points.push(Point { at: BEGIN + STEP * index, value, count: 100.0 });
        }
        self
    }

    fn now(&self) -> DateTime<Utc> {
        time(self.points.last().unwrap().at + 2 * STEP)
    }

    /// Looks at it; what has changed, as it is then.
    fn looked_at(&mut self, unusual: &[Unusual]) -> Vec<(FindingKind, FindingState)> {
        let past = Past {
            series_id: 1,
            series: &self.series,
            points: &self.points,
            findings: &self.findings,
            min_percent: 20.0,
            now: self.now(),
        };
        let changed = past.judge(unusual);
        for finding in &changed {
            self.findings.retain(|known| known.id != finding.id);
            self.findings.push(finding.clone());
        }
        changed.iter().map(|finding| (finding.kind, finding.state)).collect()
    }

    /// The last figure is unusual.
    fn unusual(&self) -> [Unusual; 1] {
        let last = self.points.last().unwrap();
        [Unusual { series_id: 1, at: time(last.at), figure: last.value, score: 0.9 }]
    }
}

const OPEN_SHIFT: (FindingKind, FindingState) = (FindingKind::Shift, FindingState::Open);

#[test]
fn a_shift_is_one_finding_while_it_holds_and_recovers() {
    let mut latency = Told::of(Metric::ResponseTimeMs);
    assert_eq!(latency.goes_on(4 * DAY, 100.0).looked_at(&[]), []);
    assert_eq!(latency.goes_on(2 * HOUR, 180.0).looked_at(&[]), [OPEN_SHIFT]);
    let first = latency.findings[0].clone();
    assert_eq!((first.since, first.direction), (time(BEGIN + 4 * DAY * STEP), TrendDirection::Worse));
    assert!((first.effect_s_per_hour - 0.08 * 1200.0).abs() < 2.0, "{first:?}");
    assert_eq!(latency.goes_on(HOUR, 180.0).looked_at(&[]), [OPEN_SHIFT]);
    assert_eq!((latency.findings.len(), latency.findings[0].id), (1, first.id));
    let recovered = (FindingKind::Shift, FindingState::Recovered);
    assert_eq!(latency.goes_on(2 * HOUR, 100.0).looked_at(&[]), [recovered]);
    assert_eq!(latency.goes_on(HOUR, 100.0).looked_at(&[]), [], "and is not found again");
}

#[test]
fn the_next_shift_takes_the_place_of_the_one_before() {
    let mut latency = Told::of(Metric::ResponseTimeMs);
    latency.goes_on(4 * DAY, 100.0).goes_on(6 * HOUR, 180.0).looked_at(&[]);
    let superseded = (FindingKind::Shift, FindingState::Superseded);
    assert_eq!(latency.goes_on(3 * HOUR, 400.0).looked_at(&[]), [superseded, OPEN_SHIFT]);
    let open = latency.findings.iter().find(|finding| finding.state == FindingState::Open).unwrap();
    assert!((open.before - 180.0).abs() < 5.0 && (open.after - 400.0).abs() < 10.0, "{open:?}");
}

#[test]
fn what_is_long_ago_is_no_news_and_what_lasts_is_the_new_usual() {
    let mut latency = Told::of(Metric::ResponseTimeMs);
    assert_eq!(latency.goes_on(5 * DAY, 100.0).goes_on(3 * DAY, 200.0).looked_at(&[]), []);
    let mut latency = Told::of(Metric::ResponseTimeMs);
    assert_eq!(latency.goes_on(5 * DAY, 100.0).goes_on(DAY, 200.0).looked_at(&[]), [OPEN_SHIFT]);
    let settled = (FindingKind::Shift, FindingState::Settled);
    assert_eq!(latency.goes_on(6 * DAY + HOUR, 200.0).looked_at(&[]), [settled]);
    assert_eq!(latency.goes_on(HOUR, 200.0).looked_at(&[]), []);
}

#[test]
fn more_errors_are_found_where_there_were_none() {
    let mut errors = Told::of(Metric::ErrorRate);
    assert_eq!(errors.goes_on(4 * DAY, 0.0).looked_at(&[]), []);
    assert_eq!(errors.goes_on(2 * HOUR, 0.08).looked_at(&[]), [OPEN_SHIFT]);
    let found = &errors.findings[0];
    assert!((found.after - 8.0).abs() < 0.5 && found.change_percent.is_none(), "in percent: {found:?}");
}

#[test]
fn less_traffic_is_news_after_a_week_and_more_is_none() {
    let mut traffic = Told::of(Metric::RequestRate);
    assert_eq!(
        traffic.goes_on(5 * DAY, 100.0).goes_on(2 * HOUR, 20.0).looked_at(&[]),
        [],
        "it may be a weekend"
    );
    let mut traffic = Told::of(Metric::RequestRate);
    assert_eq!(traffic.goes_on(9 * DAY, 100.0).goes_on(2 * HOUR, 20.0).looked_at(&[]), [OPEN_SHIFT]);
    let mut traffic = Told::of(Metric::RequestRate);
    assert_eq!(traffic.goes_on(9 * DAY, 100.0).goes_on(2 * HOUR, 500.0).looked_at(&[]), []);
}

#[test]
fn a_disk_that_fills_is_told_in_time_and_one_that_is_emptied_is_well() {
    let mut disk = Told::of(Metric::DiskPercent);
    let grows = |step: i64| 50.0 + 5.0 * step as f64 / DAY as f64;
    disk.goes(6 * DAY, grows);
    let open = (FindingKind::Forecast, FindingState::Open);
    let told: Vec<_> =
        disk.looked_at(&[]).into_iter().filter(|(kind, _)| *kind == FindingKind::Forecast).collect();
    assert_eq!(told, [open]);
    let forecast = disk.findings.iter().find(|finding| finding.kind == FindingKind::Forecast).unwrap();
    let limit = forecast.limit.unwrap();
    assert!((3..=5).contains(&(limit.at - disk.now()).num_days()), "{forecast:?}");
    assert!(limit.earliest <= limit.at && limit.at <= limit.latest);
    disk.goes_on(2 * DAY, 30.0).looked_at(&[]);
    let forecast = disk.findings.iter().find(|finding| finding.kind == FindingKind::Forecast).unwrap();
    assert_eq!(forecast.state, FindingState::Recovered);
}

#[test]
fn what_is_unusual_is_told_once_and_ends_when_it_is_over() {
    let mut latency = Told::of(Metric::ResponseTimeMs);
    latency.goes_on(4 * DAY, 100.0).goes_on(1, 900.0);
    let unusual = latency.unusual();
    assert_eq!(latency.looked_at(&unusual), [(FindingKind::Anomaly, FindingState::Open)]);
    let found = &latency.findings[0];
    assert!((found.before - 100.0).abs() < 5.0 && (found.after - 900.0).abs() < 60.0, "{found:?}");
    assert_eq!(latency.looked_at(&unusual), [(FindingKind::Anomaly, FindingState::Recovered)]);
    assert_eq!(latency.goes_on(HOUR, 100.0).looked_at(&unusual), []);
}

#[test]
fn faster_than_ever_is_no_anomaly_and_neither_is_a_series_of_yesterday() {
    let mut latency = Told::of(Metric::ResponseTimeMs);
    latency.goes_on(4 * DAY, 100.0).goes_on(1, 10.0);
    let unusual = latency.unusual();
    assert_eq!(latency.looked_at(&unusual), []);
    let mut latency = Told::of(Metric::ResponseTimeMs);
    latency.goes_on(DAY / 2, 100.0).goes_on(1, 900.0);
    let unusual = latency.unusual();
    assert_eq!(latency.looked_at(&unusual), []);
}

#[test]
fn a_shift_takes_over_from_the_anomaly_that_it_began_with() {
    let mut latency = Told::of(Metric::ResponseTimeMs);
    latency.goes_on(4 * DAY, 100.0).goes_on(1, 300.0);
    let unusual = latency.unusual();
    latency.looked_at(&unusual);
    latency.goes_on(2 * HOUR, 300.0);
    assert_eq!(latency.looked_at(&[]), [OPEN_SHIFT, (FindingKind::Anomaly, FindingState::Superseded)]);
}

#[test]
fn what_is_open_of_a_series_that_fell_silent_ends_after_a_week() {
    let mut latency = Told::of(Metric::ResponseTimeMs);
    latency.goes_on(4 * DAY, 100.0).goes_on(2 * HOUR, 180.0).looked_at(&[]);
    let look = |latency: &Told, days| {
        let (findings, now) = (&latency.findings, latency.now() + TimeDelta::days(days));
        let past =
            Past { series_id: 1, series: &latency.series, points: &[], findings, min_percent: 20.0, now };
        past.judge(&[]).into_iter().map(|finding| finding.state).collect::<Vec<_>>()
    };
    assert_eq!(look(&latency, 1), []);
    assert_eq!(look(&latency, 8), [FindingState::Settled]);
}
