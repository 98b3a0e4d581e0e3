//! Health checks of every kind against real peers: certificates that end, names that are gone, databases that answer wrongly.

use std::sync::Arc;

use dogwatch_testing::{HttpPeer, TestDatabase, TestRedis, eventually, free_port};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::peers::{Authority, Peer};
use crate::support::{LONG, Place};

/// A server that shows this certificate; its port.
async fn tls_server(certificate: &std::path::Path, key: &std::path::Path) -> u16 {
    let certificate = CertificateDer::from_pem_file(certificate).unwrap();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move { acceptor.accept(stream).await.map(drop) });
        }
    });
    port
}

fn service(name: &str, url: &str, more: &str) -> String {
    format!("[[services]]\nname = \"{name}\"\nurl = \"{url}\"\nunhealthy_after = 1\n{more}\n")
}

#[tokio::test]
async fn each_kind_of_check_tells_what_is_wrong_with_its_service() {
    let mut place = Place::new().await;
    let folder = place.folder.path().to_owned();
    let authority = Authority::new(&folder);
    let mut tls = Vec::new();
    for (name, days) in [("fresh", 90), ("soon", 10), ("ended", -3)] {
        let (certificate, key) = authority.certificate(name, days);
        tls.push(tls_server(&certificate, &key).await);
    }
    let stranger = folder.join("stranger");
    std::fs::create_dir(&stranger).unwrap();
    let (certificate, key) = Authority::new(&stranger).certificate("stranger", 90);
    tls.push(tls_server(&certificate, &key).await);
    let names = free_port();
    let _name_server = Peer::start("name_server.py", &[&names.to_string()]).await;
    let (database, redis) = (TestDatabase::new().await, TestRedis::shared().await);
    let web = HttpPeer::start().await;
    web.answer(200, r#"{"status": "up", "disks": [{"free": 7}]}"#);

    let dns = |name: &str, kind: &str| format!("dns://{name}?type={kind}&server=127.0.0.1:{names}");
    let json = "expect_json = { \"/status\" = \"up\", \"/disks/0/free\" = 7 }";
    place.write(
        "dogwatch.toml",
        &[
            service("tls-fresh", &format!("tls://localhost:{}", tls[0]), ""),
            service("tls-soon", &format!("tls://localhost:{}", tls[1]), ""),
            service("tls-ended", &format!("tls://localhost:{}", tls[2]), ""),
            service("tls-stranger", &format!("tls://localhost:{}", tls[3]), ""),
            service("dns", &dns("shop.example.test", "A"), "expect_records = [\"192.0.2.7\", \"192.0.2.8\"]"),
            service("dns-mail", &dns("example.test", "MX"), ""),
            service("dns-moved", &dns("shop.example.test", "A"), "expect_records = [\"192.0.2.9\"]"),
            service("dns-gone", &dns("gone.example.test", "A"), ""),
            service(
                "postgres",
                &database.url(),
                "query = \"SELECT count(*) < 3 FROM generate_series(1, 2)\"",
            ),
            service("postgres-false", &database.url(), "query = \"SELECT false\""),
            service("redis", &redis.url(), ""),
            service("tcp-closed", &format!("tcp://127.0.0.1:{}", free_port()), ""),
            service("web", &web.url(), json),
            service("web-wrong", &web.url(), "expect_json = { \"/status\" = \"down\" }"),
        ]
        .concat(),
    );
    place.write("schedules.toml", "[schedules.check_service_health]\nevery = \"1s\"\n");
    place.set("SSL_CERT_FILE", authority.file.to_str().unwrap());
    let (worker, _scheduler) = (place.start(&["worker"]), place.start(&["scheduler"]));

    let expected = [
        ("tls-fresh", "healthy", ""),
        ("tls-soon", "degraded", "its certificate ends in 10 days"),
        ("tls-ended", "unhealthy", "its certificate ended 3 days ago"),
        ("tls-stranger", "unhealthy", "its certificate is not trusted"),
        ("dns", "healthy", ""),
        ("dns-mail", "healthy", ""),
        ("dns-moved", "unhealthy", "has no A record `192.0.2.9`; it has 192.0.2.7, 192.0.2.8"),
        ("dns-gone", "unhealthy", "gone.example.test"),
        ("postgres", "healthy", ""),
        ("postgres-false", "unhealthy", "the query found false"),
        ("redis", "healthy", ""),
        ("tcp-closed", "unhealthy", "refused"),
        ("web", "healthy", ""),
        ("web-wrong", "unhealthy", "/status"),
    ];
    let checked = async || {
        let list = place.json(&["services", "--json"]);
        let is_there =
            |name| list["items"].as_array().unwrap().iter().any(|service| service["service"] == name);
        expected.iter().all(|(name, ..)| is_there(*name))
    };
    eventually(LONG, "all are checked", checked).await;
    let list = place.json(&["services", "--json"]);
    for (name, state, error) in expected {
        let is_it = |service: &&Value| service["service"] == name;
        let found = list["items"].as_array().unwrap().iter().find(is_it).unwrap_or_else(|| {
            panic!("{name} was not checked: {list:#}\n{}", worker.log());
        });
        let said = found["error"].as_str().unwrap_or_default();
        assert_eq!(found["state"], state, "{name}: {said}");
        assert!(said.contains(error), "{name}: {said}");
    }
}
