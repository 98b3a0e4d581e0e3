//! A database for one test.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{servers, unique_name};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");
/// Whoever makes the template holds this lock.
const TEMPLATE_LOCK: i64 = 0x00D0_6A7C;
/// The server may be gone already.
const DROP_LIMIT: Duration = Duration::from_secs(10);

/// A fresh database with all migrations applied; dropped with this.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    name: String,
    server: String,
}

impl TestDatabase {
    /// Makes one, cloned from a template that the first test makes.
    pub async fn new() -> Self {
        Self::on(&servers::urls().await.0).await
    }

    /// Makes one on this server.
    pub async fn on(server: &str) -> Self {
        let mut admin = PgConnection::connect(server).await.expect("the test Postgres");
        let template = template(&mut admin, server).await;
        Self::create(&mut admin, server, &template).await
    }

    /// One without any table.
    pub async fn empty() -> Self {
        let (server, _) = servers::urls().await;
        let mut admin = PgConnection::connect(&server).await.expect("the test Postgres");
        Self::create(&mut admin, &server, "template0").await
    }

    async fn create(admin: &mut PgConnection, server: &str, template: &str) -> Self {
        let name = unique_name("test");
        let create = format!("CREATE DATABASE {name} TEMPLATE {template}");
        sqlx::query(AssertSqlSafe(create)).execute(admin).await.expect("a database for this test");
        Self { url: with_database(server, &name), name, server: server.to_owned() }
    }

    /// Its address.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// A connection for a test that has to look where the product does not.
    pub async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.expect("the test database")
    }

    /// The number that a query without arguments returns.
    pub async fn number(&self, query: &str) -> i64 {
        let query = sqlx::query_scalar(AssertSqlSafe(query.to_owned()));
        query.fetch_one(&mut self.connection().await).await.expect("a number")
    }

    /// Runs statements.
    pub async fn execute(&self, statements: &str) {
        let statements = sqlx::raw_sql(AssertSqlSafe(statements.to_owned()));
        statements.execute(&mut self.connection().await).await.expect("statements that run");
    }
}

impl Drop for TestDatabase {
    /// Hundreds of tests would fill a small disk. What fails here goes with the server.
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let server = std::mem::take(&mut self.server);
        let drop_database = async move {
            let mut admin = PgConnection::connect(&server).await.ok()?;
            sqlx::query(AssertSqlSafe(statement)).execute(&mut admin).await.ok()
        };
        // On a thread: a test may be in a runtime, in which nobody can block on another.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(async { tokio::time::timeout(DROP_LIMIT, drop_database).await.ok()? })
        });
        let _ = thread.join();
    }
}

/// The name of the template, which is made if it is not there. It is named by the migrations' contents, so that a
/// changed migration has a new one.
async fn template(admin: &mut PgConnection, server: &str) -> String {
    let mut hasher = DefaultHasher::new();
    for migration in MIGRATIONS.iter() {
        migration.checksum.hash(&mut hasher);
    }
    let name = format!("template_{:016x}", hasher.finish());
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(TEMPLATE_LOCK)
        .execute(&mut *admin)
        .await
        .expect("a lock");
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(&name)
        .fetch_one(&mut *admin)
        .await
        .expect("a look for the template");
    if !exists {
        let fresh = unique_name("fresh");
        let statement = |text: String| sqlx::query(AssertSqlSafe(text));
        statement(format!("CREATE DATABASE {fresh}")).execute(&mut *admin).await.expect("a template");
        let mut connection =
            PgConnection::connect(&with_database(server, &fresh)).await.expect("the template");
        MIGRATIONS.run_direct(None, &mut connection, false).await.expect("migrations that run");
        connection.close().await.expect("a closed connection");
        statement(format!("ALTER DATABASE {fresh} RENAME TO {name}"))
            .execute(&mut *admin)
            .await
            .expect("a name");
    }
    sqlx::query("SELECT pg_advisory_unlock($1)")
        .bind(TEMPLATE_LOCK)
        .execute(&mut *admin)
        .await
        .expect("the lock");
    name
}

/// `postgres://user@host/THIS?query`
fn with_database(url: &str, name: &str) -> String {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let server = address.rsplit_once('/').map_or(address, |(server, _)| server);
    format!("{server}/{name}?{query}")
}
