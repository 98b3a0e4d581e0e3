//! A real HTTP server that records what it is sent and answers as it is told.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::eventually;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Headers by their names in lower case.
    pub headers: HashMap<String, String>,
    /// The body as text.
    pub body: String,
    /// The body as it came.
    pub bytes: Vec<u8>,
    /// Whether it was not refused: it is answered with success, perhaps late, or the connection was cut after it came.
    pub is_kept: bool,
}

#[derive(Clone)]
struct Answer {
    status: u16,
    body: String,
    delay: Duration,
    /// Closes the connection instead.
    hang_up: bool,
}

struct State {
    answer: Answer,
    /// Statuses of the next answers, before `answer` holds again.
    next: VecDeque<u16>,
    requests: Vec<Request>,
}

/// The server; stops listening when dropped.
pub struct HttpPeer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    listening: Mutex<Option<AbortHandle>>,
}

impl HttpPeer {
    /// Listens on a free port of loopback and answers 200.
    pub async fn start() -> Self {
        let answer = Answer { status: 200, body: "ok".to_owned(), delay: Duration::ZERO, hang_up: false };
        let state = Arc::new(Mutex::new(State { answer, next: VecDeque::new(), requests: Vec::new() }));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let listening = Mutex::new(Some(listen(listener, state.clone())));
        Self { address, state, listening }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// From now on answers this.
    pub fn answer(&self, status: u16, body: &str) {
        let mut state = lock(&self.state);
        (state.answer.status, state.answer.body) = (status, body.to_owned());
        state.answer.hang_up = false;
    }

    /// Answers the next requests with these statuses, one each.
    pub fn answer_in_turn(&self, statuses: &[u16]) {
        lock(&self.state).next.extend(statuses);
    }

    /// From now on closes the connection when the request has come.
    pub fn hang_up(&self) {
        lock(&self.state).answer.hang_up = true;
    }

    /// From now on takes so long.
    pub fn delay(&self, delay: Duration) {
        lock(&self.state).answer.delay = delay;
    }

    /// Refuses connections.
    pub async fn pause(&self) {
        self.close();
        let refused = async || TcpStream::connect(self.address).await.is_err();
        eventually(Duration::from_secs(5), "the port is closed", refused).await;
    }

    /// Listens again, on the same port.
    pub async fn resume(&self) {
        let listener = TcpListener::bind(self.address).await.expect("the same port");
        *lock(&self.listening) = Some(listen(listener, self.state.clone()));
    }

    fn close(&self) {
        if let Some(listening) = lock(&self.listening).take() {
            listening.abort();
        }
    }

    /// What came so far.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.state).requests.clone()
    }

    /// Waits for so many requests in all, and returns them.
    pub async fn wait_for(&self, count: usize, limit: Duration) -> Vec<Request> {
        let there = async || self.requests().len() >= count;
        eventually(limit, &format!("{count} requests have come"), there).await;
        self.requests()
    }
}

impl Drop for HttpPeer {
    fn drop(&mut self) {
        self.close();
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen(listener: TcpListener, state: Arc<Mutex<State>>) -> AbortHandle {
    let listening = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let state = state.clone();
            tokio::spawn(async move { serve(stream, &state).await });
        }
    });
    listening.abort_handle()
}

/// One request a connection: `None` when the client does not speak to the end.
async fn serve(stream: TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.ok()?;
    let answer = {
        let mut state = lock(state);
        let status = state.next.pop_front().unwrap_or(state.answer.status);
        Answer { status, ..state.answer.clone() }
    };
    let body = String::from_utf8_lossy(&bytes).into_owned();
    let is_kept = answer.hang_up || (200..300).contains(&answer.status);
    lock(state).requests.push(Request { method, path, headers, body, bytes, is_kept });
    tokio::time::sleep(answer.delay).await;
    if answer.hang_up {
        return None;
    }
    respond(&mut stream, answer.status, &answer.body).await
}

async fn respond(stream: &mut BufReader<TcpStream>, status: u16, body: &str) -> Option<()> {
    let text =
        format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}
