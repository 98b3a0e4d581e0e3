//! What the tests of channels share.

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_alerting::Severity;
use dogwatch_chart::{LineChart, Point};
use uuid::Uuid;

use crate::message::{Chart, Event, MAX_NAMED, Message, Told};

pub(crate) fn tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn noon() -> DateTime<Utc> {
    "2026-05-20T12:00:00Z".parse().unwrap()
}

fn told(event: Event) -> Told {
    Told {
        event,
        at: noon() + TimeDelta::minutes(17),
        raised_at: Some(noon()),
        alert_id: Uuid::from_u128(7),
        fingerprint: "error_rate:shop".to_owned(),
        alert_type: "error_rate".to_owned(),
        severity: Severity::High,
        title: "shop: 50.0 % of requests fail".to_owned(),
        description: "20 requests over 5m; the threshold is 5 %".to_owned(),
        tenant: None,
        service: Some("shop".to_owned()),
        endpoint: None,
        host: None,
        labels: [("runbook".to_owned(), "https://wiki.example.com/shop?a=b&c".to_owned())].into(),
        value: Some(50.0),
        threshold: Some(5.0),
        unit: Some("%".to_owned()),
        first_seen_at: noon(),
    }
}

/// Of so many alerts that are open, and so many that are over.
pub(crate) fn message(open: usize, over: usize) -> Message {
    let all = std::iter::repeat_n(Event::Raised, open).chain(std::iter::repeat_n(Event::Resolved, over));
    let alerts: Vec<Told> = all.take(MAX_NAMED).map(told).collect();
    let point = |minute: u32| Point {
        at: noon() + TimeDelta::minutes(i64::from(minute) - 45),
        value: Some(if minute > 45 { 50.0 } else { f64::from(minute % 3) }),
    };
    let line = LineChart {
        points: (0..60).map(point).collect(),
        before: Vec::new(),
        threshold: Some(5.0),
        unit: "%".to_owned(),
        width: 560,
        height: 140,
    };
    Message {
        id: Uuid::from_u128(0x17),
        at: noon() + TimeDelta::minutes(17),
        group: "alert_type=error_rate,service=shop".to_owned(),
        title: Message::headline(&alerts, open, over),
        status: if open > 0 { "raised" } else { "resolved" },
        total: open + over,
        open,
        over,
        severity: Severity::High,
        omitted: open + over - alerts.len(),
        alerts,
        late: None,
        thread: None,
        has_beginnings: true,
        recipients: None,
        chart: Some(Chart {
            caption: "Requests that fail, 11:15 to 12:14 UTC, at most 50 %".to_owned(),
            line,
        }),
    }
}
