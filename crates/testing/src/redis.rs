//! A Redis for one test.

use dogwatch_embedded::{Redis, RedisOptions};
use tempfile::TempDir;

use crate::{folder, servers, unique_name};

/// A namespace in the Redis that tests share.
#[derive(Clone, Debug)]
pub struct TestRedis {
    url: String,
    namespace: String,
}

impl TestRedis {
    /// A namespace of its own.
    pub async fn shared() -> Self {
        let (_, url) = servers::urls().await;
        Self { url, namespace: unique_name("test") }
    }

    /// A server of its own, to be killed and restarted.
    pub async fn private() -> PrivateRedis {
        PrivateRedis::start(RedisOptions::default()).await
    }

    /// The server's address.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// A prefix for keys that no other test has.
    pub fn namespace(&self) -> String {
        self.namespace.clone()
    }
}

/// A server for one test; gone when dropped.
#[derive(Debug)]
pub struct PrivateRedis {
    /// The server.
    pub server: Redis,
    folder: TempDir,
}

impl PrivateRedis {
    /// Starts one, for instance with a port for clients that know no unix sockets.
    pub async fn start(options: RedisOptions) -> Self {
        let folder = folder::guarded();
        let server = Redis::start_with(folder.path(), options).await;
        Self { server: server.expect("a private Redis"), folder }
    }

    /// Its address.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts it again with what it has kept.
    pub async fn restart(&mut self) {
        self.server.restart().await.expect("a restarted Redis");
    }

    /// Stops it as an administrator would.
    pub async fn stop(self) {
        self.server.stop().await;
        drop(self.folder);
    }
}
