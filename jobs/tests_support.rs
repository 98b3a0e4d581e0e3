//! What the jobs' tests share: services on a database of their own, at a time that the test chooses.

use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_alerting::{RouteSettings, Routing, Source};
use dogwatch_notify::Notifier;
use dogwatch_queue::{Client, Clock, Inspector, Run};
use dogwatch_store::{Batch, RequestMetric, SpanKey, Store};
use dogwatch_testing::{ManualClock, TestDatabase};

use crate::alerts::Alerting;
use crate::host::HostSampler;
use crate::services::Services;
use crate::settings::{Settings, Thresholds};

pub(crate) fn settings() -> Settings {
    Settings {
        retention_days: 30,
        retention_days_of: [("database_spans".to_owned(), 2)].into(),
        trend_min_change_percent: 20.0,
        thresholds: Thresholds {
            window_minutes: 5,
            cpu_percent: 85.0,
            memory_percent: 90.0,
            disk_percent: 90.0,
            error_rate_percent: 5.0,
            response_time_ms: 2000.0,
            trend_change_percent: 50.0,
            limit_in_hours: 72.0,
            min_requests: 10,
        },
    }
}

pub(crate) struct Bench {
    pub(crate) cx: Run<Services>,
    pub(crate) clock: ManualClock,
    pub(crate) database: TestDatabase,
    notify: dogwatch_notify::Settings,
}

impl Bench {
    /// At noon, with the log and these webhooks as channels.
    pub(crate) async fn new(webhooks: &str) -> Self {
        let notify =
            format!(r#"{{"log": {{"enabled": true, "min_severity": "low"}}, "webhooks": [{webhooks}]}}"#);
        Self::with(serde_json::from_str(&notify).unwrap()).await
    }

    /// With these channels.
    pub(crate) async fn with(notify: dogwatch_notify::Settings) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let database = TestDatabase::new().await;
        let clock = ManualClock::at("2026-05-20T12:00:00Z");
        let cx = Run::detached(services(&database, &clock, &notify));
        Self { cx, clock, database, notify }
    }

    /// From now on with other settings.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Services)) {
        let mut services = services(&self.database, &self.clock, &self.notify);
        change(&mut services);
        self.cx = Run::detached(services);
    }

    /// All open alerts, pending ones too, the oldest first.
    pub(crate) async fn open_alerts(&self) -> Vec<dogwatch_store::Alert> {
        self.cx.store.open_alerts().next_page().await.unwrap()
    }

    /// Stores `count` requests at this time.
    pub(crate) async fn requests(
        &self,
        at: DateTime<Utc>,
        count: usize,
        status_code: i16,
        response_time_ms: f64,
    ) {
        let rows = (0..count).map(|_| request(at, "/pay", status_code, response_time_ms));
        self.store(rows).await;
    }

    /// Stores these requests at once.
    pub(crate) async fn store(&self, rows: impl Iterator<Item = RequestMetric>) {
        let mut batch = Batch::default();
        for row in rows {
            self.cx.store.add_request(&mut batch, &row).await.unwrap();
        }
        self.cx.store.store(&[batch]).await.unwrap();
        self.cx.store.roll_up().await.unwrap();
    }
}

/// A POST to the shop.
pub(crate) fn request(
    at: DateTime<Utc>,
    endpoint: &str,
    status_code: i16,
    response_time_ms: f64,
) -> RequestMetric {
    RequestMetric {
        occurred_at: at,
        key: SpanKey::random(),
        tenant: None,
        service: "shop".to_owned(),
        endpoint: endpoint.to_owned(),
        method: "POST".to_owned(),
        status_code: Some(status_code),
        is_error: status_code >= 500,
        response_time_ms,
        user_id: None,
        client_address: None,
        trace_id: None,
        db_query_count: None,
        db_query_time_ms: None,
        cache_hits: None,
        cache_misses: None,
        cpu_percent: None,
        memory_percent: None,
        error: None,
    }
}

fn services(database: &TestDatabase, clock: &ManualClock, notify: &dogwatch_notify::Settings) -> Services {
    let settings = settings();
    let at_once = r#"{"channels": [], "group_wait": "0s", "group_interval": "0s"}"#;
    let mut route: RouteSettings = serde_json::from_str(at_once).unwrap();
    route.channels = notify.min_severities().into_keys().collect();
    let mut rules = settings.thresholds.rules(settings.thresholds.window_minutes);
    // No Redis answers here.
    rules.retain(|rule| rule.metric().source() != Source::Queues);
    Services {
        store: Store::connect(&database.url(), &dogwatch_store::Settings::for_tests()).unwrap(),
        alerting: Alerting {
            settings: dogwatch_alerting::Settings {
                reopen_within: TimeDelta::minutes(30),
                flapping_changes: 6,
                flapping_within: TimeDelta::hours(1),
                give_up_after: TimeDelta::hours(24),
                max_open_per_key: 5,
                expire_after: TimeDelta::days(7),
            },
            rules: rules.clone(),
            built_in: rules.into_iter().map(|rule| rule.name).collect(),
            routing: Routing::new(vec![route], notify.min_severities()),
            maintenance: Vec::new(),
            quiet_hours: Vec::new(),
            inhibitions: Vec::new(),
        },
        notifier: Notifier::new(notify).unwrap(),
        // Nobody is there.
        inspector: Inspector::new(Client::open("redis://127.0.0.1:1", "dogwatch").unwrap()),
        http: reqwest::Client::new(),
        http_here: reqwest::Client::builder().no_proxy().build().unwrap(),
        clock: Clock::from_fn(clock.reader()),
        host: HostSampler::new("here".to_owned()),
        targets: Vec::new(),
        watched_databases: Vec::new(),
        settings,
        limits_reached: dogwatch_queue::LogLimit::default(),
    }
}
