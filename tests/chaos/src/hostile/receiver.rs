//! Receives the notifications of alerts, and remembers when each service was named first.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

type Named = Arc<Mutex<HashMap<String, Instant>>>;

pub(super) struct Receiver {
    address: SocketAddr,
    named: Named,
}

impl Receiver {
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, named) = (listener.local_addr()?, Named::default());
        let shared = named.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let named = shared.clone();
                // A receiver that fails is tried again by the sender.
                tokio::spawn(async move { receive(stream, &named).await });
            }
        });
        Ok(Self { address, named })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// When a service was named first.
    pub(super) fn named_at(&self, service: &str) -> Option<Instant> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner).get(service).copied()
    }
}

async fn receive(stream: TcpStream, named: &Named) -> Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let mut services = Vec::new();
        failing(&serde_json::from_slice(&body).unwrap_or_default(), &mut services);
        for service in services {
            let mut named = named.lock().unwrap_or_else(PoisonError::into_inner);
            named.entry(service).or_insert_with(Instant::now);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
    }
}

/// The services of alerts about errors, wherever they stand in a notification. Hostile senders name these services with
/// other kinds of alerts.
fn failing(value: &Value, services: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let service =
                [&value["service"], &value["labels"]["service"]].into_iter().find_map(Value::as_str);
            let is_failing = value["alert_type"] == "error_rate";
            services.extend(service.filter(|_| is_failing).map(str::to_owned));
            fields.values().for_each(|value| failing(value, services));
        }
        Value::Array(items) => items.iter().for_each(|value| failing(value, services)),
        _ => {}
    }
}
