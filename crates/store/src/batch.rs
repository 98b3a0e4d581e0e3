//! Rows of several tables that are stored together or not at all, each once.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, DurationRound, NaiveDate, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Postgres, Transaction};
use uuid::Uuid;

use crate::Store;
use crate::copy::{self, Rows};
use crate::error::StoreError;
use crate::partitions::{DATABASE_SPANS, REPEATED_QUERIES, REQUESTS, SLOW_QUERIES, is_without_partition};
use crate::series::{SeriesOwner, Subject};
use crate::{database_spans, request_metrics};

/// How often a batch is stored anew after a conflict with another.
const MAX_CONFLICTS: u32 = 3;

/// A table that takes batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    Requests,
    DatabaseSpans,
    SlowQueries,
    RepeatedQueries,
    /// Not partitioned, and without a key.
    OpenTraces,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Requests => REQUESTS,
            Self::DatabaseSpans => DATABASE_SPANS,
            Self::SlowQueries => SLOW_QUERIES,
            Self::RepeatedQueries => REPEATED_QUERIES,
            Self::OpenTraces => "open_traces",
        }
    }

    fn columns(self) -> &'static str {
        match self {
            Self::Requests => request_metrics::COLUMNS,
            Self::DatabaseSpans => database_spans::SPAN_COLUMNS,
            Self::SlowQueries => database_spans::SLOW_COLUMNS,
            Self::RepeatedQueries => database_spans::REPEATED_COLUMNS,
            Self::OpenTraces => database_spans::OPEN_COLUMNS,
        }
    }
}

/// Rows that belong together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    tables: BTreeMap<Table, Rows>,
    /// Partitions that they need.
    days: BTreeSet<(Table, NaiveDate)>,
    /// Minutes that they change.
    minutes: BTreeSet<(Subject, DateTime<Utc>)>,
    /// Who sends them.
    pub(crate) owner: SeriesOwner,
}

impl Batch {
    /// Of what this owner sends.
    pub fn of(owner: SeriesOwner) -> Self {
        Self { owner, ..Self::default() }
    }

    /// True when nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// How much memory it takes, about.
    pub fn size_bytes(&self) -> usize {
        self.tables.values().map(|rows| rows.bytes.len()).sum()
    }

    /// The rows of a table that is partitioned by day, to put one more there.
    pub(crate) fn rows(&mut self, table: Table, at: DateTime<Utc>) -> &mut Rows {
        self.days.insert((table, at.date_naive()));
        self.tables.entry(table).or_default()
    }

    /// Notes that a minute has changed.
    pub(crate) fn note(&mut self, subject: Subject, at: DateTime<Utc>) {
        // A time has a minute as long as it has a day.
        self.minutes.insert((subject, at.duration_trunc(TimeDelta::minutes(1)).unwrap_or(at)));
    }

    /// Notes that parts of a trace are elsewhere.
    pub(crate) fn open_trace(&mut self, trace_id: Uuid) {
        let rows = self.tables.entry(Table::OpenTraces).or_default();
        rows.begin(1);
        rows.put(trace_id);
    }

    /// How many requests it has.
    pub(crate) fn count(&self) -> u64 {
        self.tables.get(&Table::Requests).map_or(0, |rows| rows.count as u64)
    }
}

impl Store {
    /// Stores all rows of all batches or, on an error, none; says how many requests were new. What is there already is
    /// left as it is, so that a batch that comes twice, or whose answer was lost, does no harm.
    pub async fn store(&self, batches: &[Batch]) -> Result<u64, StoreError> {
        let mut stored = self.store_once(batches).await;
        for _ in 0..MAX_CONFLICTS {
            // Two that store the same rows in another order wait for each other, until Postgres ends one of them.
            match &stored {
                Err(error) if error.is_conflict() => stored = self.store_once(batches).await,
                _ => break,
            }
        }
        stored
    }

    async fn store_once(&self, batches: &[Batch]) -> Result<u64, StoreError> {
        self.ensure_days_of(batches).await?;
        let stored = match self.copy(batches).await {
            Err(error) if is_without_partition(&error) => {
                // Another process has dropped a day that this one knows.
                for (table, _) in batches.iter().flat_map(|batch| &batch.days) {
                    self.forget_days(table.name());
                }
                self.ensure_days_of(batches).await?;
                self.copy_the_new(batches).await
            }
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                self.copy_the_new(batches).await
            }
            stored => stored,
        };
        stored.map_err(StoreError::query("store what services sent"))
    }

    async fn ensure_days_of(&self, batches: &[Batch]) -> Result<(), StoreError> {
        for (table, day) in batches.iter().flat_map(|batch| &batch.days) {
            self.ensure_known_day(table.name(), *day).await?;
        }
        Ok(())
    }

    /// The quick way: fails when a row is there already.
    async fn copy(&self, batches: &[Batch]) -> sqlx::Result<u64> {
        let mut transaction = self.pool.begin().await?;
        for table in tables(batches) {
            copy_into(&mut transaction, table.name(), table, batches).await?;
        }
        note_minutes(&mut transaction, &minutes_of(batches)).await?;
        transaction.commit().await?;
        Ok(batches.iter().map(Batch::count).sum())
    }

    /// The way that leaves out what is there already.
    async fn copy_the_new(&self, batches: &[Batch]) -> sqlx::Result<u64> {
        let mut transaction = self.pool.begin().await?;
        let mut stored = 0;
        for table in tables(batches) {
            let (name, columns) = (table.name(), table.columns());
            let arrived = format!("arrived_{name}");
            let make = format!(
                "CREATE TEMPORARY TABLE {arrived} ON COMMIT DROP AS SELECT {columns} FROM {name} LIMIT 0"
            );
            sqlx::query(AssertSqlSafe(make)).execute(&mut *transaction).await?;
            copy_into(&mut transaction, &arrived, table, batches).await?;
            let insert = format!(
                "INSERT INTO {name} ({columns}) SELECT {columns} FROM {arrived} ON CONFLICT DO NOTHING"
            );
            let new = sqlx::query(AssertSqlSafe(insert)).execute(&mut *transaction).await?.rows_affected();
            stored += if table == Table::Requests { new } else { 0 };
        }
        note_minutes(&mut transaction, &minutes_of(batches)).await?;
        transaction.commit().await?;
        Ok(stored)
    }
}

fn minutes_of(batches: &[Batch]) -> BTreeSet<(Subject, DateTime<Utc>)> {
    batches.iter().flat_map(|batch| batch.minutes.iter().copied()).collect()
}

fn tables(batches: &[Batch]) -> BTreeSet<Table> {
    batches.iter().flat_map(|batch| batch.tables.keys().copied()).collect()
}

async fn copy_into(
    transaction: &mut Transaction<'_, Postgres>,
    name: &str,
    table: Table,
    batches: &[Batch],
) -> sqlx::Result<()> {
    let statement = format!("COPY {name} ({}) FROM STDIN (FORMAT binary)", table.columns());
    let mut copy = transaction.copy_in_raw(&statement).await?;
    copy.send(copy::head()).await?;
    for rows in batches.iter().filter_map(|batch| batch.tables.get(&table)) {
        copy.send(&rows.bytes[..]).await?;
    }
    copy.send(&copy::end()[..]).await?;
    copy.finish().await.map(drop)
}

/// Their rollups have to be made anew.
pub(crate) async fn note_minutes(
    transaction: &mut Transaction<'_, Postgres>,
    minutes: &BTreeSet<(Subject, DateTime<Utc>)>,
) -> sqlx::Result<()> {
    let (subjects, minutes): (Vec<&str>, Vec<DateTime<Utc>>) =
        minutes.iter().map(|(subject, minute)| (subject.as_str(), *minute)).unzip();
    let note = sqlx::query!(
        "INSERT INTO rollup_backlog (resolution, subject, bucket)
         SELECT 1, subject, bucket FROM unnest($1::text[], $2::timestamptz[]) AS changed (subject, bucket)",
        &subjects as &[&str],
        &minutes
    );
    note.execute(&mut **transaction).await.map(drop)
}
