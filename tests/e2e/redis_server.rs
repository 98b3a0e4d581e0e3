//! A Redis whose arguments a test chooses.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dogwatch_testing::{eventually, free_port};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::support::LONG;

/// A Redis that is started with these arguments; killed when dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
    arguments: Vec<String>,
}

impl Server {
    /// `arguments` may name files of the folder.
    pub(crate) async fn start(arguments: impl Fn(&Path, u16) -> Vec<String>) -> Self {
        loop {
            let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
            let given = arguments(folder.path(), port);
            let mut server = Self { child: launch(&folder, &given), port, folder, arguments: given };
            let is_there = async |server: &mut Self| {
                let has_ended = server.child.try_wait().unwrap().is_some();
                has_ended || TcpStream::connect(("127.0.0.1", port)).await.is_ok()
            };
            let begun = Instant::now();
            while !is_there(&mut server).await {
                assert!(begun.elapsed() < LONG, "Redis does not listen");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // Somebody else may have taken the port meanwhile, or that of the cluster's bus.
            if server.child.try_wait().unwrap().is_none() {
                return server;
            }
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again with what it has kept.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.child = launch(&self.folder, &self.arguments);
        self.listens().await;
    }

    async fn listens(&self) {
        let listens = async || TcpStream::connect(("127.0.0.1", self.port)).await.is_ok();
        eventually(LONG, "Redis listens", listens).await;
    }

    /// Cuts all connections; none is left, also of those that are made meanwhile.
    pub(crate) async fn cut(&self) {
        let cut = async || {
            self.ask("CLIENT KILL TYPE normal").await;
            self.is_alone().await
        };
        eventually(LONG, "no connection is left", cut).await;
    }

    /// Waits until Redis itself has closed all connections.
    pub(crate) async fn has_no_clients(&self) {
        eventually(LONG, "no connection is left", async || self.is_alone().await).await;
    }

    async fn is_alone(&self) -> bool {
        self.ask("CLIENT LIST").await.lines().all(|line| line.contains("cmd=client"))
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) async fn plain(more: &[&str]) -> Self {
        let more: Vec<String> = more.iter().map(|text| (*text).to_owned()).collect();
        Self::start(|_, port| {
            [vec!["--port".to_owned(), port.to_string()], persistent(), more.clone()].concat()
        })
        .await
    }

    /// A command without blanks in its arguments; the first line of the answer.
    pub(crate) async fn ask(&self, command: &str) -> String {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", self.port)).await.unwrap());
        stream.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        // A text comes after its length.
        if let Some(length) = line.strip_prefix('$') {
            let mut bytes = vec![0; length.trim().parse().unwrap()];
            tokio::io::AsyncReadExt::read_exact(&mut stream, &mut bytes).await.unwrap();
            return String::from_utf8(bytes).unwrap();
        }
        line.trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn launch(folder: &TempDir, arguments: &[String]) -> Child {
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let mut command = Command::new(dogwatch_embedded::redis_binary().unwrap());
    command.args(arguments).current_dir(folder.path()).stdin(Stdio::null()).stdout(log);
    command.spawn().unwrap()
}

pub(crate) fn persistent() -> Vec<String> {
    ["--save", "", "--appendonly", "yes", "--maxmemory-policy", "noeviction"].map(str::to_owned).to_vec()
}
