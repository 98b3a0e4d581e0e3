//! Rows of several tables that are stored together or not at all, each once.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, DurationRound, NaiveDate, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Postgres, Transaction};

use crate::Store;
use crate::copy::{self, Rows};
use crate::error::StoreError;
use crate::partitions::{REQUESTS, is_without_partition};
use crate::request_metrics;
use crate::series::Subject;

/// A table that takes batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    Requests,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Requests => REQUESTS,
        }
    }

    fn columns(self) -> &'static str {
        match self {
            Self::Requests => request_metrics::COLUMNS,
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
}

impl Batch {
    /// True when nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// How much memory it takes, about.
    pub fn size_bytes(&self) -> usize {
        self.tables.values().map(|rows| rows.bytes.len()).sum()
    }

    /// The rows of a table, to put one more there.
    pub(crate) fn rows(&mut self, table: Table, subject: Subject, at: DateTime<Utc>) -> &mut Rows {
        self.days.insert((table, at.date_naive()));
        // A time has a minute as long as it has a day.
        self.minutes.insert((subject, at.duration_trunc(TimeDelta::minutes(1)).unwrap_or(at)));
        self.tables.entry(table).or_default()
    }

    /// How many rows it has.
    pub(crate) fn count(&self) -> u64 {
        self.tables.values().map(|rows| rows.count as u64).sum()
    }
}

impl Store {
    /// Stores all rows of all batches or, on an error, none; says how many were new. What is there already is left as it
    /// is, so that a batch that comes twice, or whose answer was lost, does no harm.
    pub async fn store(&self, batches: &[Batch]) -> Result<u64, StoreError> {
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
        note_minutes(&mut transaction, batches).await?;
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
            stored += sqlx::query(AssertSqlSafe(insert)).execute(&mut *transaction).await?.rows_affected();
        }
        note_minutes(&mut transaction, batches).await?;
        transaction.commit().await?;
        Ok(stored)
    }
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
async fn note_minutes(transaction: &mut Transaction<'_, Postgres>, batches: &[Batch]) -> sqlx::Result<()> {
    let minutes: BTreeSet<_> = batches.iter().flat_map(|batch| batch.minutes.iter().copied()).collect();
    let (subjects, minutes): (Vec<&str>, Vec<DateTime<Utc>>) =
        minutes.into_iter().map(|(subject, minute)| (subject.as_str(), minute)).unzip();
    let note = sqlx::query!(
        "INSERT INTO rollup_backlog (resolution, subject, bucket)
         SELECT 1, subject, bucket FROM unnest($1::text[], $2::timestamptz[]) AS changed (subject, bucket)",
        &subjects as &[&str],
        &minutes
    );
    note.execute(&mut **transaction).await.map(drop)
}
