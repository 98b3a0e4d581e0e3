//! The connections of a process, over all its addresses: how many there may be, and how long one may be idle.
//!
//! Anybody who reaches an address can open sockets, with or without a key. So a connection that sends no request is
//! closed, and where all are taken the one that is idle for longest gives its place to the next: idle sockets keep nobody
//! out. The limit leaves descriptors to the worker beside the API.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use nix::sys::resource::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A new connection sends the headers of its first request within this time.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// How long a connection may be idle between two requests, headers included; and how long an answer may take to be sent.
const IDLE: Duration = Duration::from_secs(75);
/// How long one that is closed may finish.
const CLOSING: Duration = Duration::from_secs(5);
/// Bytes of the headers of a request.
const MAX_HEADER_BYTES: u32 = 64 * 1024;
/// Requests of one HTTP/2 connection at the same time.
const MAX_STREAMS: u32 = 64;
/// A peer that has gone without a word is noticed.
const PING_EVERY: Duration = Duration::from_secs(20);
/// The most connections, whatever the system allows.
const MOST: usize = 4096;
/// Descriptors that are left to everything else.
const RESERVED: usize = 512;
/// How long nothing is accepted after the system has refused to.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// The connections of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Connections(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    figures: Figures,
}

#[derive(Debug, Default)]
struct Figures {
    refused: AtomicU64,
    idle: AtomicU64,
}

/// Connections now, and since the process began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionFigures {
    /// That are open.
    pub open: usize,
    /// That may be open.
    pub most: usize,
    /// That were closed at once, since all others were busy.
    pub refused: u64,
    /// That were closed because they were idle.
    pub closed_idle: u64,
}

#[derive(Debug)]
struct Connection {
    state: Mutex<State>,
    /// Its place is needed.
    evicted: Notify,
}

#[derive(Clone, Copy, Debug)]
struct State {
    requests: usize,
    has_had_one: bool,
    idle_since: Instant,
}

impl Default for Connections {
    fn default() -> Self {
        let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
        Self::at_most(most(usize::try_from(limit).unwrap_or(usize::MAX)))
    }
}

/// How many connections there may be where a process may have so many descriptors.
fn most(descriptors: usize) -> usize {
    // Where there are few, a quarter of them.
    descriptors.saturating_sub(RESERVED).max(descriptors / 4).clamp(1, MOST)
}

impl Connections {
    fn at_most(most: usize) -> Self {
        let (next, open, figures) = Default::default();
        Self(Arc::new(Inner { most, next, open, figures }))
    }

    /// How they are.
    pub fn figures(&self) -> ConnectionFigures {
        let Inner { most, figures, .. } = &*self.0;
        ConnectionFigures {
            open: self.open().len(),
            most: *most,
            refused: figures.refused.load(Ordering::Relaxed),
            closed_idle: figures.idle.load(Ordering::Relaxed),
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts connections and serves them until `stop`, then what is under way.
    pub(super) async fn serve(&self, listener: TcpListener, router: Router, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, peer)) => {
                    if let Some(place) = self.admit() {
                        tasks.spawn(serve(place, stream, Peer(peer.ip()), router.clone(), stop.clone()));
                    }
                }
                Err(error) if is_of_connection(&error) => {}
                Err(error) => {
                    tracing::error!(error = %error, "cannot accept a connection");
                    stop.run_until_cancelled(tokio::time::sleep(ACCEPT_PAUSE)).await;
                }
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    /// A place for one more; `None` when all are busy.
    fn admit(&self) -> Option<Place> {
        let mut open = self.open();
        if open.len() >= self.0.most {
            let idle = open.iter().filter_map(|(id, connection)| Some((connection.idle_since()?, *id)));
            let Some((_, longest)) = idle.min() else {
                self.0.figures.refused.fetch_add(1, Ordering::Relaxed);
                return None;
            };
            self.0.figures.idle.fetch_add(1, Ordering::Relaxed);
            if let Some(connection) = open.remove(&longest) {
                connection.evicted.notify_one();
            }
        }
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let state = State { requests: 0, has_had_one: false, idle_since: Instant::now() };
        let connection = Arc::new(Connection { state: Mutex::new(state), evicted: Notify::new() });
        open.insert(id, connection.clone());
        Some(Place { connections: self.clone(), id, connection })
    }
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

/// The place of a connection; free when dropped.
struct Place {
    connections: Connections,
    id: u64,
    connection: Arc<Connection>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.open().remove(&self.id);
    }
}

impl Connection {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle_since(&self) -> Option<Instant> {
        let state = *self.state();
        (state.requests == 0).then_some(state.idle_since)
    }

    /// Notes a request, until what is returned is dropped.
    fn begin(self: &Arc<Self>) -> UnderWay {
        let mut state = self.state();
        state.requests += 1;
        state.has_had_one = true;
        UnderWay(self.clone())
    }

    /// Waits until it was idle for too long.
    async fn is_idle_too_long(&self) {
        loop {
            let State { requests, has_had_one, idle_since } = *self.state();
            let limit = if has_had_one { IDLE } else { FIRST_REQUEST };
            let until = if requests > 0 { Instant::now() + limit } else { idle_since + limit };
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

/// A request that is under way.
struct UnderWay(Arc<Connection>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.requests -= 1;
        state.idle_since = Instant::now();
    }
}

async fn serve(place: Place, stream: TcpStream, peer: Peer, router: Router, stop: CancellationToken) {
    // Answers are small; without this some wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let connection = place.connection.clone();
    let router = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let under_way = connection.begin();
        let answer = router.call(request.map(Body::new));
        async move {
            let answer = answer.await;
            drop(under_way);
            answer
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(MAX_HEADER_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY);
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // What goes wrong on a connection is the client's affair.
        _ = serving.as_mut() => return,
        () = place.connection.evicted.notified() => return,
        () = place.connection.is_idle_too_long() => {
            place.connections.0.figures.idle.fetch_add(1, Ordering::Relaxed);
            serving.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(CLOSING, serving).await;
            return;
        }
        () = stop.cancelled() => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

/// Whether it is about one connection, and not about all of them.
fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_left_to_others() {
        for (descriptors, expected) in [(160, 40), (1024, 512), (1_000_000, MOST), (0, 1)] {
            assert_eq!(most(descriptors), expected);
        }
    }

    #[tokio::test]
    async fn where_all_are_taken_the_one_that_is_idle_for_longest_goes() {
        let connections = Connections::at_most(2);
        let (first, second) = (connections.admit().unwrap(), connections.admit().unwrap());
        let busy = first.connection.begin();
        let third = connections.admit().unwrap();
        second.connection.evicted.notified().await;
        let also_busy = third.connection.begin();
        assert!(connections.admit().is_none());
        let figures = connections.figures();
        assert_eq!((figures.open, figures.refused, figures.closed_idle), (2, 1, 1));
        drop(busy);
        assert!(connections.admit().is_some());
        drop(also_busy);
    }
}
