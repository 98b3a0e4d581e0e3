//! A real SMTP server that keeps what it is sent and fails as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::eventually;

/// A mail as it came.
#[derive(Clone, Debug)]
pub struct Mail {
    /// From whom.
    pub from: String,
    /// To whom.
    pub to: Vec<String>,
    /// Its headers and text, without the dots that SMTP adds.
    pub text: String,
}

impl Mail {
    /// A header's value, folded lines joined; empty when it is not there.
    pub fn header(&self, name: &str) -> String {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ");
        let start = format!("{}:", name.to_lowercase());
        let line = head.lines().find(|line| line.to_lowercase().starts_with(&start)).unwrap_or_default();
        line.split_once(':').map_or("", |(_, value)| value).trim().to_owned()
    }
}

/// What the server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpFault {
    /// Takes everything.
    None,
    /// Answers the greeting with 421.
    Busy,
    /// Answers each recipient with this.
    Recipient(u16),
    /// Answers recipients whose address holds this so.
    RecipientOf(&'static str, u16),
    /// Takes so long to answer each recipient.
    SlowRecipient(Duration),
    /// Answers the text with this, and does not keep it.
    Text(u16),
    /// Keeps the text, and hangs up instead of an answer.
    HangUpAfterText,
    /// Takes so long for each answer.
    Slow(Duration),
}

struct State {
    fault: SmtpFault,
    mails: Vec<Mail>,
}

/// The server; stops listening when dropped.
pub struct SmtpPeer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    listening: Mutex<Option<AbortHandle>>,
}

impl SmtpPeer {
    /// Listens on a free port of loopback and takes everything.
    pub async fn start() -> Self {
        let state = Arc::new(Mutex::new(State { fault: SmtpFault::None, mails: Vec::new() }));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let listening = Mutex::new(Some(listen(listener, Arc::clone(&state))));
        Self { address, state, listening }
    }

    /// Its port of 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on fails so.
    pub fn fail(&self, fault: SmtpFault) {
        lock(&self.state).fault = fault;
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
        *lock(&self.listening) = Some(listen(listener, Arc::clone(&self.state)));
    }

    fn close(&self) {
        if let Some(listening) = lock(&self.listening).take() {
            listening.abort();
        }
    }

    /// What it has kept so far.
    pub fn mails(&self) -> Vec<Mail> {
        lock(&self.state).mails.clone()
    }
}

impl Drop for SmtpPeer {
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
            let state = Arc::clone(&state);
            tokio::spawn(async move { serve(stream, &state).await });
        }
    });
    listening.abort_handle()
}

/// A conversation: `None` when the client does not speak to its end.
async fn serve(stream: TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let (mut from, mut to) = (String::new(), Vec::new());
    if fault(state) == SmtpFault::Busy {
        return say(&mut stream, state, "421 busy").await;
    }
    say(&mut stream, state, "220 peer ESMTP").await?;
    loop {
        let line = line(&mut stream).await?;
        let (verb, rest) = line.split_once([' ', ':']).unwrap_or((&line, ""));
        let answer = match verb.to_uppercase().as_str() {
            "EHLO" => "250-peer\r\n250 8BITMIME".to_owned(),
            "MAIL" => {
                from = rest.to_owned();
                to.clear();
                "250 ok".to_owned()
            }
            "RCPT" => {
                if let SmtpFault::SlowRecipient(pause) = fault(state) {
                    tokio::time::sleep(pause).await;
                }
                match fault(state) {
                    SmtpFault::Recipient(code) => format!("{code} no"),
                    SmtpFault::RecipientOf(part, code) if rest.contains(part) => format!("{code} no"),
                    _ => {
                        to.push(rest.to_owned());
                        "250 ok".to_owned()
                    }
                }
            }
            "DATA" => {
                say(&mut stream, state, "354 go on").await?;
                let text = text(&mut stream).await?;
                match fault(state) {
                    SmtpFault::Text(code) => format!("{code} no"),
                    fault => {
                        let mail = Mail { from: from.clone(), to: to.clone(), text };
                        lock(state).mails.push(mail);
                        if fault == SmtpFault::HangUpAfterText {
                            return None;
                        }
                        "250 kept".to_owned()
                    }
                }
            }
            "QUIT" => return say(&mut stream, state, "221 bye").await,
            _ => "250 ok".to_owned(),
        };
        say(&mut stream, state, &answer).await?;
    }
}

fn fault(state: &Mutex<State>) -> SmtpFault {
    lock(state).fault
}

async fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await.ok()?;
    (read > 0).then(|| line.trim_end().to_owned())
}

async fn text(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut text = String::new();
    loop {
        let line = line(stream).await?;
        if line == "." {
            return Some(text);
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
        text.push_str("\r\n");
    }
}

async fn say(stream: &mut BufReader<TcpStream>, state: &Mutex<State>, answer: &str) -> Option<()> {
    if let SmtpFault::Slow(pause) = fault(state) {
        tokio::time::sleep(pause).await;
    }
    stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()
}
