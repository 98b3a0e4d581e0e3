//! The pair of servers that tests use.

use dogwatch_embedded::{EmbeddedError, Postgres, PostgresOptions, Redis};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::folder;

/// Names the Postgres that tests use.
pub const POSTGRES_URL: &str = "DOGWATCH_TEST_POSTGRES_URL";
/// Names the Redis that tests use.
pub const REDIS_URL: &str = "DOGWATCH_TEST_REDIS_URL";

/// A Postgres and a Redis in a temporary folder; gone when dropped, and when this process is gone.
#[derive(Debug)]
pub struct Servers {
    /// Fast and not durable.
    pub postgres: Postgres,
    /// As in production.
    pub redis: Redis,
    folder: TempDir,
}

impl Servers {
    /// Starts both.
    pub async fn start() -> Result<Self, EmbeddedError> {
        let folder = folder::guarded();
        // Every test has pools of its own, and nextest runs as many tests at once as there are processors.
        let options = PostgresOptions { durable: false, max_connections: 400, settings: &[] };
        let (postgres, redis) =
            tokio::try_join!(Postgres::start(folder.path(), options, &|_| ()), Redis::start(folder.path()),)?;
        Ok(Self { postgres, redis, folder })
    }

    /// Stops both and removes the folder.
    pub async fn stop(self) {
        tokio::join!(self.postgres.stop(), self.redis.stop());
        drop(self.folder);
    }
}

/// The addresses of Postgres and Redis for this test process.
pub(crate) async fn urls() -> (String, String) {
    static OWN: OnceCell<Servers> = OnceCell::const_new();
    let start = || async { Servers::start().await.expect("servers for this test process") };
    let own = async || OWN.get_or_init(start).await;
    let postgres = match std::env::var(POSTGRES_URL) {
        Ok(url) => url,
        Err(_) => own().await.postgres.url(),
    };
    let redis = match std::env::var(REDIS_URL) {
        Ok(url) => url,
        Err(_) => own().await.redis.url(),
    };
    (postgres, redis)
}
