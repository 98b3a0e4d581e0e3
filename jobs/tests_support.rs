//! What the jobs' tests share: services on a database of their own, at a time that the test chooses.

use chrono::{DateTime, Utc};
use dogwatch_notify::Notifier;
use dogwatch_queue::{Clock, Run};
use dogwatch_store::{Batch, RequestMetric, SpanKey, Store};
use dogwatch_testing::{ManualClock, TestDatabase};

use crate::host::HostSampler;
use crate::services::Services;
use crate::settings::{Settings, Thresholds};

pub(crate) struct Bench {
    pub(crate) cx: Run<Services>,
    pub(crate) clock: ManualClock,
    pub(crate) database: TestDatabase,
}

impl Bench {
    /// At noon, with the log and these webhooks as channels.
    pub(crate) async fn new(webhooks: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let database = TestDatabase::new().await;
        let clock = ManualClock::at("2026-05-20T12:00:00Z");
        let notify =
            format!(r#"{{"log": {{"enabled": true, "min_severity": "low"}}, "webhooks": [{webhooks}]}}"#);
        let services = Services {
            store: Store::connect(&database.url(), &dogwatch_store::Settings::for_tests()).unwrap(),
            notifier: Notifier::new(&serde_json::from_str(&notify).unwrap()).unwrap(),
            http: reqwest::Client::new(),
            clock: Clock::from_fn(clock.reader()),
            host: HostSampler::new("here".to_owned()),
            targets: Vec::new(),
            watched_databases: Vec::new(),
            settings: Settings {
                retention_days: 30,
                retention_days_of: [("database_spans".to_owned(), 2)].into(),
                trend_min_change_percent: 20.0,
                thresholds: Thresholds {
                    cpu_percent: 85.0,
                    memory_percent: 90.0,
                    disk_percent: 90.0,
                    error_rate_percent: 5.0,
                    response_time_ms: 2000.0,
                    min_requests: 10,
                },
            },
        };
        Self { cx: Run::detached(services), clock, database }
    }

    /// Stores `count` requests at this time.
    pub(crate) async fn requests(
        &self,
        at: DateTime<Utc>,
        count: usize,
        status_code: i16,
        response_time_ms: f64,
    ) {
        let mut batch = Batch::default();
        for _ in 0..count {
            let row = RequestMetric {
                occurred_at: at,
                key: SpanKey::random(),
                tenant: None,
                service: "shop".to_owned(),
                endpoint: "/pay".to_owned(),
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
            };
            self.cx.store.add_request(&mut batch, &row).await.unwrap();
        }
        self.cx.store.store(&[batch]).await.unwrap();
        self.cx.store.roll_up().await.unwrap();
    }
}
