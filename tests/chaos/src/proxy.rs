//! A TCP proxy between a process and Redis, that the nemesis makes slow, cuts, or turns into a black hole.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

const CHUNK: usize = 16 * 1024;

/// What a link does to what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Open,
    /// Everything takes so much longer, in either direction.
    Slow(Duration),
    /// Nothing passes, and nobody is told. What was sent arrives when the link is open again, if it is not cut before:
    /// a network that is away delivers late.
    BlackHole,
    /// Connections are refused.
    Shut,
}

/// A proxy; gone with its connections when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    mode: Arc<watch::Sender<Mode>>,
    cuts: Arc<watch::Sender<u64>>,
    _task: AbortOnDropHandle<()>,
}

impl Proxy {
    /// Listens on a port of loopback for what is meant for `upstream`.
    pub(crate) async fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen")?;
        let port = listener.local_addr()?.port();
        let (mode, cuts) = (Arc::new(watch::Sender::new(Mode::Open)), Arc::new(watch::Sender::new(0)));
        let task = tokio::spawn(accept(listener, upstream, mode.clone(), cuts.clone()));
        Ok(Self { port, mode, cuts, _task: AbortOnDropHandle::new(task) })
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Ends all connections that there are.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn accept(
    listener: TcpListener,
    upstream: SocketAddr,
    mode: Arc<watch::Sender<Mode>>,
    cuts: Arc<watch::Sender<u64>>,
) {
    let mut connections = JoinSet::new();
    loop {
        // Fails when there are too many open files; the next may succeed.
        let Ok((client, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        if *mode.borrow() == Mode::Shut {
            continue;
        }
        connections.spawn(connection(client, upstream, mode.subscribe(), cuts.subscribe()));
    }
}

/// Passes on until either side ends or the link is cut; then both sides end.
async fn connection(
    client: TcpStream,
    upstream: SocketAddr,
    mode: watch::Receiver<Mode>,
    mut cuts: watch::Receiver<u64>,
) {
    // A dropped client is told by its closed connection.
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    tokio::select! {
        () = pass(client_in, server_out, mode.clone()) => {}
        () = pass(server_in, client_out, mode) => {}
        _ = cuts.changed() => {}
    }
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut mode: watch::Receiver<Mode>,
) {
    let mut bytes = vec![0; CHUNK];
    while let Ok(read) = from.read(&mut bytes).await {
        if read == 0 || mode.wait_for(|mode| *mode != Mode::BlackHole).await.is_err() {
            return;
        }
        let slow = if let Mode::Slow(delay) = *mode.borrow() { Some(delay) } else { None };
        if let Some(delay) = slow {
            tokio::time::sleep(delay).await;
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Answers with what it is sent.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.into_split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    async fn connect(proxy: &Proxy) -> TcpStream {
        TcpStream::connect(("127.0.0.1", proxy.port)).await.unwrap()
    }

    async fn answer(stream: &mut TcpStream) -> std::io::Result<[u8; 4]> {
        let mut bytes = [0; 4];
        stream.write_all(b"ping").await?;
        stream.read_exact(&mut bytes).await?;
        Ok(bytes)
    }

    #[tokio::test]
    async fn a_slow_link_passes_everything_later() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut stream = connect(&proxy).await;
        assert_eq!(&answer(&mut stream).await.unwrap(), b"ping");
        proxy.set(Mode::Slow(Duration::from_millis(60)));
        let began = Instant::now();
        assert_eq!(&answer(&mut stream).await.unwrap(), b"ping");
        assert!(began.elapsed() >= Duration::from_millis(120), "once in each direction");
    }

    #[tokio::test]
    async fn a_black_hole_gives_back_what_it_held_when_it_closes() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut stream = connect(&proxy).await;
        proxy.set(Mode::BlackHole);
        let waited = tokio::time::timeout(Duration::from_millis(200), answer(&mut stream)).await;
        assert!(waited.is_err());
        proxy.set(Mode::Open);
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"ping");
    }

    #[tokio::test]
    async fn a_cut_ends_what_is_there_and_a_shut_link_what_comes() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut stream = connect(&proxy).await;
        assert!(answer(&mut stream).await.is_ok());
        proxy.cut();
        assert!(answer(&mut stream).await.is_err());
        assert!(answer(&mut connect(&proxy).await).await.is_ok());
        proxy.set(Mode::Shut);
        assert!(answer(&mut connect(&proxy).await).await.is_err());
    }
}
