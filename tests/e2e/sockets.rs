//! Clients that hold sockets without a word keep nobody out, and jobs go on.

use std::time::{Duration, Instant};

use dogwatch_testing::eventually;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{LONG, OWNER, Place, Process};

/// Few descriptors, so that few sockets are enough.
const DESCRIPTORS: &str = "200";

/// The API and a worker in one process would take all descriptors from each other.
async fn start() -> (Place, Process, String) {
    let place = Place::new().await;
    place.write("schedules.toml", "[schedules.cleanup_old_performance_data]\nevery = \"1d\"\n");
    let process = place.start_with_limit(DESCRIPTORS, &["up", "--listen", "127.0.0.1:0"]);
    let base = process.api().await;
    (place, process, base)
}

async fn hold(base: &str, count: usize, beginning: &[u8]) -> Vec<TcpStream> {
    let address = base.strip_prefix("http://").unwrap();
    let mut held = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // It may have been closed already, in favour of a later one.
        let _ = stream.write_all(beginning).await;
        held.push(stream);
    }
    held
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut answer = [0; 4096];
    loop {
        match tokio::time::timeout(Duration::from_millis(10), stream.read(&mut answer)).await {
            Ok(Ok(0) | Err(_)) => return true,
            Ok(Ok(_)) => {}
            Err(_) => return false,
        }
    }
}

#[tokio::test]
async fn idle_sockets_and_slow_headers_keep_nobody_out_and_are_closed() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (place, process, base) = start().await;
    let large = [b"GET /livez HTTP/1.1\r\nhost: x\r\nx-large: ".to_vec(), vec![b'a'; 400 * 1024]].concat();
    let mut held = hold(&base, 150, b"").await;
    held.extend(hold(&base, 150, b"GET /livez HTTP/1.1\r\nhost: ").await);
    held.extend(hold(&base, 20, &large).await);
    for _ in 0..5 {
        let began = Instant::now();
        let answer = crate::support::http().get(format!("{base}/livez")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
    let job = place.json(&["enqueue", "monitor_system_resources", "--wait", "--json"]);
    assert_eq!(job["state"], "succeeded", "{job}");
    let metrics = crate::support::get(format!("{base}/metrics")).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("dogwatch_http_connections{what=\"limit\"} 50"), "{metrics}");
    eventually(LONG, "all are closed", async || {
        for stream in &mut held {
            if !is_closed(stream).await {
                return false;
            }
        }
        true
    })
    .await;
    assert_eq!(place.jobs("dead"), Vec::<Value>::new());
    process.signal("TERM");
    assert_eq!(process.end().await, Some(0));
}

/// Sends all of a body but its end, on so many connections. Returns the answers that came all the same.
async fn unfinished(base: &str, path: &str, kind: &str, bytes: usize, count: usize) -> Vec<String> {
    let host = base.strip_prefix("http://").unwrap();
    let beginning = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {OWNER}\r\ncontent-type: {kind}\r\n\
         content-length: {}\r\n\r\n",
        bytes + 1
    );
    let mut held = hold(base, count, beginning.as_bytes()).await;
    // Of a message of gRPC: it is not compressed, and so long.
    let length = u32::try_from(bytes).unwrap();
    let prefix =
        if kind == "application/grpc" { [&[0][..], &length.to_be_bytes()].concat() } else { Vec::new() };
    let body = [prefix, vec![b' '; bytes]].concat();
    for stream in &mut held {
        // One that is refused is closed while we write.
        let _ = stream.write_all(&body[..bytes]).await;
    }
    let mut answers = Vec::new();
    for stream in &mut held {
        let mut answer = vec![0; 4096];
        let read = tokio::time::timeout(Duration::from_millis(20), stream.read(&mut answer)).await;
        if let Ok(Ok(length)) = read {
            answers.push(String::from_utf8_lossy(&answer[..length]).into_owned());
        }
    }
    answers
}

#[tokio::test]
async fn unfinished_bodies_take_bounded_memory_and_are_refused_beyond_it() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let place = Place::new().await;
    let process = place.start(&["api"]);
    let base = process.api().await;
    let grpc = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    for (path, kind, bytes, count, refusal) in [
        ("/api/v1/jobs", "application/json", 1_000_000, 150, Some("HTTP/1.1 429")),
        (grpc, "application/grpc", 15_000_000, 15, Some("grpc-status: 8")),
        // A refusal comes when the body is complete: a client that writes would not see it.
        ("/v1/traces", "application/json", 15_000_000, 15, None),
    ] {
        let answers = unfinished(&base, path, kind, bytes, count).await;
        let is_refused = |refusal| answers.iter().any(|answer| answer.contains(refusal));
        assert!(
            refusal.is_none_or(is_refused),
            "{path}: {} answers, such as {:?}",
            answers.len(),
            answers.first()
        );
        // 225 MB were sent. Those that wait are gone with their sockets.
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(kib < 350 * 1024, "{path}: {peak}");
        let answered = async || crate::support::get(format!("{base}/livez")).await.is_ok();
        eventually(LONG, "it answers", answered).await;
    }
}
