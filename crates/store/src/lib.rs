//! Everything in Postgres, and all SQL. A file per table.
//!
//! Queries are checked against the schema when they are compiled. The time is always an argument. Sums and
//! percentiles are computed where the rows are; every list is bounded.

mod alerts;
mod api_keys;
mod audit_events;
mod batch;
mod bounds;
mod channel_turns;
mod copy;
mod database_spans;
mod deliveries;
mod error;
mod export_refusals;
mod figures;
mod groups;
mod heartbeats;
mod history;
mod host_metrics;
mod idempotent_requests;
mod intake;
mod job_outbox;
mod migrations;
mod notifications;
mod open_traces;
mod partitions;
mod queries;
mod query_statistics;
mod recovery_attempts;
mod reports;
mod request_metrics;
mod retention;
mod rollup;
mod rollups;
mod rule_evaluations;
mod series;
mod service_health;
mod service_versions;
mod setting_changes;
mod settings;
mod silences;
mod sketch;
mod slow_requests;
mod traces;
mod trend_findings;
mod trend_series;
mod windows;
mod words;

use std::collections::HashMap;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use log::LevelFilter;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

pub use self::alerts::{Alert, AlertFilter, AlertTurn, NewEvent, OpenAlerts, PastEvent};
pub use self::api_keys::{ApiKey, Session};
pub use self::audit_events::{AuditEvent, AuditFilter, NewAuditEvent};
pub use self::batch::Batch;
pub use self::bounds::{MAX_COUNT, MAX_TIME_MS};
pub use self::channel_turns::{ChannelTurn, OnChannel, Waiting};
use self::database_spans::KnownQueries;
pub use self::database_spans::{DatabaseCall, TracedBatch};
pub use self::deliveries::{ChannelState, Delivery, Failure, Told};
pub use self::error::StoreError;
use self::error::connecting;
pub use self::export_refusals::ExportRefusal;
pub use self::figures::Figures;
pub use self::groups::GroupCursor;
pub use self::history::{History, HistoryPoint};
pub use self::host_metrics::{DiskGrowth, DiskSample, DiskUsage, HostNow, HostSample, HostUsage};
pub use self::idempotent_requests::{Begun, PastAnswer, RequestName};
pub use self::intake::{Intake, IntakeError, IntakeFigures};
pub use self::job_outbox::{OutboxBatch, OutboxBell, OutboxJob, OutboxTurn};
pub use self::notifications::{LastReminder, NewNotification, NotificationFilter, NotificationRecord};
pub use self::open_traces::Linked;
pub use self::queries::{QueryExample, QueryTiming, QueryUser};
pub use self::query_statistics::{ServerStatistics, StatementCounters, WatchError, read_statements};
pub use self::recovery_attempts::RecoveryAttempt;
pub use self::reports::{ReportHead, StoredReport};
pub use self::request_metrics::{OPERATION, RequestMetric, SpanKey};
pub use self::retention::{Expired, KEPT_TABLES};
pub use self::rollups::{FailedRollups, RolledUp};
pub use self::rule_evaluations::RuleEvaluation;
use self::series::KnownSeries;
pub use self::series::{SeriesLimit, SeriesOwner};
pub use self::service_health::{HealthCheck, HealthRule, ServiceHealth};
use self::service_versions::KnownVersions;
pub use self::setting_changes::SettingChange;
pub use self::settings::Settings;
pub use self::silences::StoredSilence;
pub use self::slow_requests::{MIN_SLOW_MS, SlowRequest, SlowRequestCursor};
pub use self::trend_findings::{Cause, CausingQuery, LimitAt, SeenVersion, TrendFinding};
pub use self::trend_series::{StoredDetector, TREND_STEP, TrendHour, TrendSeries, TrendStep, TrendTurn};
pub use self::windows::{EndpointTiming, MetricFilter, RequestSummary, Requests, Window};
pub use self::words::{
    AlertEvent, AuditAction, FindingKind, FindingState, HealthState, Scope, TrendDirection,
};

/// How far the clocks of a machine and of Postgres may differ where data are removed by them.
const MAX_SKEW: TimeDelta = TimeDelta::minutes(1);
/// A statement that takes longer is told with what it did.
const SLOW: Duration = Duration::from_secs(1);

/// The handle on Postgres. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    /// Partitions that are known to be there, so that an insert need not ask.
    known_days: Arc<Mutex<HashMap<(&'static str, NaiveDate), Instant>>>,
    known_series: Arc<KnownSeries>,
    known_queries: Arc<KnownQueries>,
    known_versions: Arc<KnownVersions>,
}

/// How connections to Postgres are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// They do not leave this machine.
    Local,
    /// By TLS, and the server's certificate is checked.
    Verified,
    /// By TLS, to whoever answers.
    Encrypted,
    /// Not at all, as the address says.
    ClearText,
}

/// Connections of a process to Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolFigures {
    /// That are open.
    pub open: u32,
    /// Of them, that nobody uses.
    pub idle: usize,
    /// That may be open.
    pub most: u32,
}

impl Store {
    /// How many connections are open.
    pub fn pool_figures(&self) -> PoolFigures {
        let (open, idle) = (self.pool.size(), self.pool.num_idle());
        PoolFigures { open, idle, most: self.pool.options().get_max_connections() }
    }

    /// Opens the handle. Connects at the first query: Postgres may be away now.
    ///
    /// # Errors
    /// [`StoreError::Url`] when the address is none of Postgres.
    pub fn connect(url: &str, settings: &Settings) -> Result<Self, StoreError> {
        let timeout_ms = settings.statement_timeout.as_millis().to_string();
        let options = options(url)?.options([("statement_timeout", timeout_ms)]);
        let pool = PgPoolOptions::new()
            .max_connections(settings.max_connections)
            .acquire_timeout(settings.acquire_timeout)
            .after_connect(|connection, _| Box::pin(stay_with_our_tables(connection)))
            .connect_lazy_with(options);
        Ok(Self {
            pool,
            known_days: Arc::default(),
            known_series: Arc::default(),
            known_queries: Arc::default(),
            known_versions: Arc::default(),
        })
    }

    /// How connections to the server are protected.
    pub fn transport(&self) -> Transport {
        let options = self.pool.connect_options();
        match options.get_ssl_mode() {
            _ if is_local(&options) => Transport::Local,
            PgSslMode::VerifyCa | PgSslMode::VerifyFull => Transport::Verified,
            PgSslMode::Require => Transport::Encrypted,
            PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer => Transport::ClearText,
        }
    }

    /// The server's version, such as `18.1`.
    pub async fn ping(&self) -> Result<String, StoreError> {
        let version = sqlx::query_scalar!(r#"SELECT current_setting('server_version') AS "version!""#);
        version.fetch_one(&self.pool).await.map_err(StoreError::query("ask for the version of Postgres"))
    }

    /// The time of Postgres, by which data are removed.
    ///
    /// # Errors
    /// When `now`, the time of this machine, differs by more than a minute: one of the clocks is wrong.
    pub async fn agreed_time(&self, now: DateTime<Utc>) -> Result<DateTime<Utc>, StoreError> {
        let ahead = -self.clock_skew(now).await?;
        if ahead.abs() > MAX_SKEW {
            return Err(StoreError::ClockSkew { ahead });
        }
        Ok(now - ahead)
    }

    /// How far the clock of Postgres is ahead of `now`.
    pub async fn clock_skew(&self, now: DateTime<Utc>) -> Result<TimeDelta, StoreError> {
        let there = sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#);
        let there =
            there.fetch_one(&self.pool).await.map_err(StoreError::query("read the clock of Postgres"))?;
        Ok(there - now)
    }
}

/// Checks any Postgres: connect and ask for a row within the time; with a query, whose first value has to be true. The error
/// carries no secret.
///
/// # Errors
/// A sentence for people.
pub async fn probe(url: &str, query: Option<&str>, timeout: Duration) -> Result<(), String> {
    let options = options(url).map_err(|error| error.to_string())?;
    let ask = async {
        let mut connection = options.connect().await?;
        let is_well = match query {
            // From the configuration file alone.
            Some(query) => {
                sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_optional(&mut connection).await?
            }
            None => sqlx::query_scalar!(r#"SELECT true AS "well!""#).fetch_optional(&mut connection).await?,
        };
        connection.close().await?;
        Ok::<Option<bool>, sqlx::Error>(is_well)
    };
    match tokio::time::timeout(timeout, ask).await {
        Ok(Ok(Some(true))) => Ok(()),
        Ok(Ok(found)) => Err(format!("the query found {}", found.map_or("no row", |_| "false"))),
        Ok(Err(error)) => Err(connecting(error)),
        Err(_) => Err(format!("no answer within {} ms", timeout.as_millis())),
    }
}

/// A role that is named dogwatch would find the schema of this name, which holds the outbox, before the one that holds
/// all else, and migrations would begin anew there.
async fn stay_with_our_tables(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let statement = sqlx::query!(
        "SELECT set_config('search_path', quote_ident(nspname), false)
         FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
         WHERE pg_class.oid = to_regclass('_sqlx_migrations')"
    );
    statement.fetch_optional(connection).await.map(drop)
}

fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(StoreError::Url { reason: "it does not begin with postgres://".to_owned() });
    }
    // A piece of a password must not be taken for an option: the driver logs those that it does not know.
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    if rest.split_once(['/', '?', '#']).is_some_and(|(_, behind)| behind.contains('@')) {
        return Err(StoreError::Url { reason: "a character of its password splits it".to_owned() });
    }
    let options =
        PgConnectOptions::from_str(url).map_err(|error| StoreError::Url { reason: error.to_string() })?;
    // For who follows a trace; what is slow is told by whoever waits for it.
    let options = options.log_statements(LevelFilter::Debug).log_slow_statements(LevelFilter::Debug, SLOW);
    Ok(encrypted(options).application_name("dogwatch"))
}

/// Without a word in the address, the driver would send the password in clear text to a server that offers no TLS, or
/// to whoever answers in its place.
fn encrypted(options: PgConnectOptions) -> PgConnectOptions {
    match options.get_ssl_mode() {
        PgSslMode::Prefer | PgSslMode::Allow if !is_local(&options) => options.ssl_mode(PgSslMode::Require),
        _ => options,
    }
}

/// Whether the server is reached by a socket file or on this machine.
fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host().trim_matches(['[', ']']);
    let is_loopback = host.parse::<IpAddr>().map_or(host == "localhost", |address| address.is_loopback());
    options.get_socket().is_some() || host.starts_with('/') || is_loopback
}
