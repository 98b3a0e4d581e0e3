//! Tells Dogwatch of the requests that a service answers, of their queries, and of what else is timed by hand.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use dogwatch_tower::Dogwatch;
//! use tracing_subscriber::prelude::*;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let dogwatch = Dogwatch::builder("shop").start()?;
//! // Queries that sqlx makes, counted into the request that makes them.
//! tracing_subscriber::registry().with(dogwatch.sqlx_layer("postgresql")).init();
//! let app: Router = Router::new().route("/users/{id}", get(|| async { "a user" })).layer(dogwatch.layer());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! axum::serve(listener, app).await?;
//! // What has not been sent yet is sent.
//! dogwatch.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! Nothing of it slows or fails a request: what is told waits in a bounded queue, a task of its own sends it, and what does
//! not fit, or what Dogwatch does not take for a minute, is dropped and counted ([`Dogwatch::dropped`]).
//!
//! `layer` times requests to the end of their body; `sqlx` hears the events of sqlx; `operation` is what is timed by hand;
//! `export` sends OTLP over HTTP, which any OpenTelemetry collector takes too.

mod body;
mod builder;
mod context;
mod export;
mod layer;
mod operation;
mod otlp;
mod record;
mod sqlx;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

pub use self::body::WatchedBody;
pub use self::builder::{Builder, StartError};
pub use self::layer::{Watch, WatchFuture, WatchLayer};
pub use self::operation::{Operation, Tracked};
pub use self::sqlx::SqlxLayer;

use self::export::Order;
use self::record::Record;

/// How long [`Dogwatch::shutdown`] waits at the most.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// The handle. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dogwatch {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    orders: mpsc::Sender<Order>,
    dropped: Arc<AtomicU64>,
    /// Headers of requests that are told of, in lower case.
    pub(crate) captured: Vec<http::HeaderName>,
}

impl Dogwatch {
    /// Begins to set it up, for the service of this name.
    pub fn builder(service: impl Into<String>) -> Builder {
        Builder::new(service.into())
    }

    /// The layer for a router or service.
    pub fn layer(&self) -> WatchLayer {
        WatchLayer::new(Arc::clone(&self.shared))
    }

    /// A layer for `tracing_subscriber` that hears of the queries that sqlx makes. It needs no other layer, and does not
    /// change what others hear; but a filter over all layers, such as a bare `EnvFilter`, must let `sqlx::query=debug` pass:
    /// put it on the other layer instead, with `with_filter`.
    ///
    /// `system` is the database, by its name in OpenTelemetry: `postgresql`, `mysql`, `sqlite`.
    pub fn sqlx_layer<S>(&self, system: &'static str) -> impl tracing_subscriber::Layer<S>
    where
        S: tracing::Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
    {
        sqlx::layer(Arc::clone(&self.shared), system)
    }

    /// How much was dropped since it was started: requests, queries outside of one, operations.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Sends what waits, and ends; waits five seconds at the most. What is told afterwards is dropped.
    pub async fn shutdown(&self) {
        let (done, is_done) = oneshot::channel();
        let flushed = async {
            if self.shared.orders.send(Order::Finish(done)).await.is_ok() {
                let _ = is_done.await;
            }
        };
        let _ = tokio::time::timeout(SHUTDOWN_LIMIT, flushed).await;
    }
}

impl Shared {
    /// Never waits.
    pub(crate) fn tell(&self, record: Record) {
        match self.orders.try_send(Order::Send(record)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
