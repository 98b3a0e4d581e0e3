//! A password is sent in clear text only to this machine, or where the address says so.

use std::time::Duration;

use dogwatch_store::{Settings, Store, Transport, probe, read_statements};
use dogwatch_testing::TestDatabase;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const TIMEOUT: Duration = Duration::from_secs(10);

/// A server that offers no TLS. Its task returns what a client sends after that.
async fn without_tls() -> (u16, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 8];
        stream.read_exact(&mut request).await.unwrap();
        stream.write_all(b"N").await.unwrap();
        let mut sent = Vec::new();
        // Up to the password, whose request would be next.
        let mut buffer = [0; 1024];
        loop {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return sent,
                Ok(n) => sent.extend(&buffer[..n]),
            }
        }
    });
    (port, task)
}

#[tokio::test]
async fn nothing_is_sent_to_another_machine_that_offers_no_tls() {
    // An address of this machine that is not its loopback address.
    let url = |port: u16, options: &str| format!("postgres://user:secret@0.0.0.0:{port}/d{options}");
    for options in ["", "?sslmode=prefer", "?sslmode=allow", "?sslmode=require"] {
        let (port, sent) = without_tls().await;
        let store = Store::connect(&url(port, options), &Settings::for_tests()).unwrap();
        assert_eq!(store.transport(), Transport::Encrypted);
        let error = store.ping().await.unwrap_err();
        let expected = "the server offers no TLS, and a password would cross the network in clear text; turn TLS on \
                        there, or write sslmode=disable in the address to allow that";
        assert!(error.to_string().ends_with(expected), "{error}");
        assert!(error.is_unavailable());
        assert_eq!(sent.await.unwrap(), b"", "{options}");
    }
    let (port, _) = without_tls().await;
    let error = probe(&url(port, ""), None, TIMEOUT).await.unwrap_err();
    assert!(error.starts_with("cannot connect: the server offers no TLS"), "{error}");
    let (port, _) = without_tls().await;
    let error = read_statements(&url(port, ""), TIMEOUT).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot connect: the server offers no TLS"), "{error}");
}

#[tokio::test]
async fn clear_text_is_allowed_by_the_address_and_on_this_machine() {
    let database = TestDatabase::new().await;
    let store = Store::connect(&database.url(), &Settings::for_tests()).unwrap();
    store.ping().await.unwrap();
    assert_eq!(store.transport(), Transport::Local);
    for (host, transport) in [
        ("127.0.0.1", Transport::Local),
        ("localhost", Transport::Local),
        ("[::1]", Transport::Local),
        ("db.example.com", Transport::ClearText),
        ("10.0.0.1", Transport::ClearText),
    ] {
        let url = format!("postgres://u:p@{host}/d?sslmode=disable");
        let store = Store::connect(&url, &Settings::for_tests()).unwrap();
        assert_eq!(store.transport(), transport, "{host}");
    }
    let verified =
        Store::connect("postgres://u:p@db.example.com/d?sslmode=verify-full", &Settings::for_tests());
    assert_eq!(verified.unwrap().transport(), Transport::Verified);
}
