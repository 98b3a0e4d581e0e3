//! The schema and its versions.

use sqlx::migrate::{Migrate, Migrator};

use crate::Store;
use crate::error::StoreError;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

impl Store {
    /// Applies what is missing; says how many migrations that were. Safe to run from many processes at once.
    pub async fn migrate(&self) -> Result<usize, StoreError> {
        let pending = self.pending_migrations().await?.len();
        if pending > 0 {
            let connection = self.pool.acquire().await.map_err(StoreError::query("connect to Postgres"))?;
            // Closed afterwards: its settings are not for others, and a lock that an error leaves goes with it.
            let mut connection = connection.detach();
            // An index on a big table takes its time, and so does waiting for another process that migrates.
            let unlimited = sqlx::query!("SET statement_timeout = 0").execute(&mut connection).await;
            unlimited.map_err(StoreError::query("prepare to migrate"))?;
            MIGRATIONS.run_direct(None, &mut connection, false).await.map_err(StoreError::Migrate)?;
        }
        Ok(pending)
    }

    /// Names of the migrations that are not applied yet.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        let applied = self.applied_versions().await?;
        let pending = MIGRATIONS.iter().filter(|migration| !applied.contains(&migration.version));
        Ok(pending.map(|migration| format!("{:04} {}", migration.version, migration.description)).collect())
    }

    async fn applied_versions(&self) -> Result<Vec<i64>, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(StoreError::query("connect to Postgres"))?;
        let table = sqlx::query_scalar!(r#"SELECT to_regclass('_sqlx_migrations') IS NOT NULL AS "exists!""#);
        if !table.fetch_one(&mut *connection).await.map_err(StoreError::query("look for migrations"))? {
            return Ok(Vec::new());
        }
        let applied =
            connection.list_applied_migrations("_sqlx_migrations").await.map_err(StoreError::Migrate)?;
        Ok(applied.into_iter().map(|migration| migration.version).collect())
    }
}
