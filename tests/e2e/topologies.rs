//! Redis as people run it: TLS, a user with few rights, a database number, Sentinels, a cluster.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use dogwatch_testing::{TestDatabase, eventually};
use serde_json::{Value, json};

use crate::redis_server::{Server, persistent};
use crate::support::{LONG, Place};

const JOB: &str = "check_service_health";
const SCHEDULE: &str = "[schedules.beat]\njob = \"check_service_health\"\nevery = \"1s\"\nqueue = \"low\"\n";

/// A folder whose processes use this Redis.
async fn place(redis_url: &str) -> (Place, TestDatabase) {
    let database = TestDatabase::new().await;
    let mut place = Place::bare();
    place.set("DATABASE_URL", &database.url());
    place.set("REDIS_URL", redis_url);
    place.write("schedules.toml", SCHEDULE);
    (place, database)
}

/// Jobs run in several queues, schedules are enqueued, and the doctor finds nothing wrong.
async fn works(place: &Place) {
    let worker = place.start(&["worker", "--queues", "default:3,low:1,critical:6"]);
    let scheduler = place.start(&["scheduler"]);
    for queue in ["default", "critical"] {
        let job = place.json(&["enqueue", JOB, "--queue", queue, "--unique-key", "k", "--wait", "--json"]);
        assert_eq!(job["state"], "succeeded", "{job}\n{}", worker.log());
    }
    let delayed = place.json(&["enqueue", JOB, "--delay", "300ms", "--priority", "2", "--wait", "--json"]);
    assert_eq!(delayed["state"], "succeeded", "{delayed}");
    let ticked = async || place.jobs("succeeded").iter().any(|job| job["schedule"] == "beat");
    eventually(LONG, "a tick has run", ticked).await;
    let doctor = place.json(&["doctor", "--json"]);
    let wrong = |finding: &&Value| finding["state"] == "wrong" || finding["state"] == "warning";
    assert_eq!(doctor.as_array().unwrap().iter().find(wrong), None, "{doctor}");
    for process in [worker, scheduler] {
        process.signal("TERM");
        assert_eq!(process.end().await, Some(0));
    }
}

/// A Redis that speaks TLS only, with a certificate that it has signed itself.
async fn with_certificate(is_authority: bool) -> Server {
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    if is_authority {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    }
    let key = rcgen::KeyPair::generate().unwrap();
    let made = params.self_signed(&key).unwrap();
    Server::start(|folder, port| {
        let (cert_file, key_file) = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(&cert_file, made.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let tls =
            ["--port", "0", "--tls-port", &port.to_string(), "--tls-auth-clients", "no"].map(str::to_owned);
        let files =
            ["--tls-cert-file".to_owned(), path(&cert_file), "--tls-key-file".to_owned(), path(&key_file)];
        [tls.to_vec(), files.to_vec(), persistent()].concat()
    })
    .await
}

#[tokio::test]
async fn with_tls() {
    let server = with_certificate(false).await;
    let (mut place, _database) = place(&format!("rediss://127.0.0.1:{}", server.port)).await;
    let refused = place.run(&["enqueue", JOB]);
    assert!(!refused.status.success(), "a certificate that nobody vouches for");
    // As for any program: an authority that the system does not know is named by this variable.
    place.set("SSL_CERT_FILE", server.folder.path().join("cert.pem").to_str().unwrap());
    works(&place).await;
}

/// `openssl req -x509` makes such a certificate.
#[tokio::test]
async fn with_a_certificate_that_is_its_own_authority() {
    let (server, other) = (with_certificate(true).await, with_certificate(true).await);
    let (mut place, _database) = place(&format!("rediss://127.0.0.1:{}", server.port)).await;
    place.set("SSL_CERT_FILE", other.folder.path().join("cert.pem").to_str().unwrap());
    let refused = place.run(&["enqueue", JOB]);
    assert!(!refused.status.success(), "another authority is named");
    place.set("SSL_CERT_FILE", server.folder.path().join("cert.pem").to_str().unwrap());
    works(&place).await;
    // It is for another host.
    place.set("REDIS_URL", &format!("rediss://127.0.0.2:{}", server.port));
    let refused = place.run(&["enqueue", JOB]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("not valid for name"), "{text}");
}

#[tokio::test]
async fn a_certificate_is_not_checked_only_when_the_address_says_so_and_the_doctor_warns() {
    let server = with_certificate(true).await;
    let (mut place, _database) = place(&format!("rediss://127.0.0.1:{}", server.port)).await;
    for option in ["?ssl_cert_reqs=none", "#insecure"] {
        place.set("REDIS_URL", &format!("rediss://127.0.0.1:{}{option}", server.port));
        let enqueued = place.run(&["enqueue", JOB]);
        assert!(enqueued.status.success(), "{}", String::from_utf8_lossy(&enqueued.stderr));
    }
    let doctor = place.json(&["doctor", "--json"]);
    let tls = doctor.as_array().unwrap().iter().find(|finding| finding["what"] == "redis TLS");
    assert_eq!(tls.map(|finding| &finding["state"]), Some(&json!("warning")), "{doctor}");
    let worker = place.start(&["worker"]);
    worker.says("the certificate of Redis is NOT checked").await;
}

#[tokio::test]
async fn with_a_user_that_has_the_documented_rights_and_no_other_and_a_database_number() {
    let documented = include_str!("../../docs/QUEUE.md");
    let rights = documented.lines().find(|line| line.starts_with("user dogwatch on ")).unwrap();
    let file = format!("user default off\n{}\n", rights.replace(">PASSWORD", ">s3cret"));
    let start = async |file: String| {
        Server::start(|folder, port| {
            let acl = folder.join("users.acl");
            std::fs::write(&acl, &file).unwrap();
            let acl = ["--aclfile".to_owned(), acl.to_str().unwrap().to_owned()];
            [vec!["--port".to_owned(), port.to_string()], acl.to_vec(), persistent()].concat()
        })
        .await
    };
    let server = start(file.clone()).await;
    let (place, _database) = place(&format!("redis://dogwatch:s3cret@127.0.0.1:{}/3", server.port)).await;
    works(&place).await;

    // One right less, and the doctor notices.
    let server = start(file.replace(" +zadd", "")).await;
    let mut place = place;
    place.set("REDIS_URL", &format!("redis://dogwatch:s3cret@127.0.0.1:{}/3", server.port));
    let doctor = place.json(&["doctor", "--json"]);
    let rights = doctor.as_array().unwrap().iter().find(|finding| finding["what"] == "redis rights").unwrap();
    assert_eq!(rights["state"], "wrong");
    assert!(rights["detail"].as_str().unwrap().contains("can't run this command"), "{rights}");
}

#[tokio::test]
async fn the_doctor_refuses_a_redis_that_throws_keys_away() {
    let server = Server::plain(&["--maxmemory-policy", "allkeys-lru", "--appendonly", "no"]).await;
    let (place, _database) = place(&format!("redis://127.0.0.1:{}", server.port)).await;
    let doctor = place.run(&["doctor", "--json"]);
    assert_eq!(doctor.status.code(), Some(1));
    let doctor: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let state = |what: &str| {
        let finding = doctor.as_array().unwrap().iter().find(|finding| finding["what"] == what).unwrap();
        finding["state"].clone()
    };
    assert_eq!((state("redis memory"), state("redis disk")), (json!("wrong"), json!("warning")));
}

#[tokio::test]
async fn in_a_cluster_queues_lie_on_different_masters() {
    let cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
    let masters =
        [Server::plain(&cluster).await, Server::plain(&cluster).await, Server::plain(&cluster).await];
    for (server, slots) in masters.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
        assert_eq!(server.ask(&format!("CLUSTER ADDSLOTSRANGE {slots}")).await, "+OK");
        let meet = format!("CLUSTER MEET 127.0.0.1 {}", masters[0].port);
        assert_eq!(server.ask(&meet).await, "+OK");
    }
    for server in &masters {
        let agreed = async || {
            let info = server.ask("CLUSTER INFO").await;
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
        };
        eventually(LONG, "the cluster is complete", agreed).await;
    }
    let mut owners = BTreeSet::new();
    for queue in ["default", "critical", "low"] {
        let slot = masters[0].ask(&format!("CLUSTER KEYSLOT dogwatch:{{{queue}}}:data")).await;
        owners.insert(slot[1..].parse::<u32>().unwrap() / 5461);
    }
    assert!(owners.len() > 1, "the queues of this test lie on one master");
    let hosts: Vec<String> = masters.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
    let (place, _database) = place(&format!("redis+cluster://{}", hosts.join(","))).await;
    works(&place).await;
}

/// A Sentinel that watches a master.
async fn sentinel_of(master: &Server, quorum: u8, more: &str) -> Server {
    let master_port = master.port;
    Server::start(|folder, port| {
        let text = format!(
            "port {port}\nsentinel monitor main 127.0.0.1 {master_port} {quorum}\n\
             sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 4000\n{more}"
        );
        let file = folder.join("sentinel.conf");
        std::fs::write(&file, text).unwrap();
        vec![file.to_str().unwrap().to_owned(), "--sentinel".to_owned()]
    })
    .await
}

#[tokio::test]
async fn sentinels_have_a_login_of_their_own() {
    let master = Server::plain(&["--requirepass", "m4ster"]).await;
    let sentinel = sentinel_of(&master, 1, "sentinel auth-pass main m4ster\nrequirepass s3ntinel\n").await;
    let url = format!("redis+sentinel://:m4ster@127.0.0.1:{}/main/0", sentinel.port);
    let (mut place, _database) = place(&url).await;
    let refused = place.run(&["queues", "list"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("a Sentinel does not name the master"), "{text}");
    assert_eq!(text.matches("NOAUTH").count(), 1, "{text}");
    place.set("REDIS_URL", &format!("{url}?sentinel_password=s3ntinel"));
    works(&place).await;
}

#[tokio::test]
async fn behind_sentinels_a_failover_under_load_loses_nothing_that_was_replicated() {
    let mut master = Server::plain(&[]).await;
    let replica = Server::plain(&["--replicaof", "127.0.0.1", &master.port.to_string()]).await;
    let linked = async || master.ask("INFO replication").await.contains("state=online");
    eventually(LONG, "the replica follows", linked).await;
    let mut sentinels = Vec::new();
    for _ in 0..3 {
        sentinels.push(sentinel_of(&master, 2, "").await);
    }
    for sentinel in &sentinels {
        let known = async || sentinel.ask("SENTINEL CKQUORUM main").await.contains("OK 3 usable");
        eventually(LONG, "the Sentinels know each other", known).await;
        let follower = async || {
            let info = sentinel.ask("INFO sentinel").await;
            info.contains("slaves=1") && info.contains("sentinels=3")
        };
        eventually(LONG, "and the replica", follower).await;
    }
    let hosts: Vec<String> = sentinels.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
    let (place, _database) = place(&format!("redis+sentinel://{}/main/0", hosts.join(","))).await;
    let (api, worker) = (place.start(&["api"]), place.start(&["worker"]));
    let jobs = format!("{}/api/v1/jobs", api.api().await);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = crate::support::http();

    let (mut acknowledged, began) = (Vec::<(Instant, String)>::new(), Instant::now());
    let (mut killed, mut after) = (None, 0);
    while after < 50 {
        assert!(began.elapsed() < LONG, "no job was accepted after the failover\n{}", api.log());
        if killed.is_none() && began.elapsed() > Duration::from_secs(2) {
            master.child.kill().unwrap();
            killed = Some(Instant::now());
        }
        let answer =
            http.post(&jobs).json(&json!({"job": JOB})).timeout(Duration::from_secs(10)).send().await;
        if let Ok(answer) = answer
            && answer.status() == 202
        {
            let id = answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
            acknowledged.push((Instant::now(), id));
            after += u32::from(killed.is_some());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Replication is asynchronous: what was acknowledged just before the end may not have reached the replica.
    let killed = killed.unwrap();
    let just_before = |at: &Instant| *at <= killed && killed.duration_since(*at) < Duration::from_millis(500);
    let sure = acknowledged.iter().filter(|(at, _)| !just_before(at)).map(|(_, id)| id.as_str());
    let mut open: BTreeSet<&str> = sure.collect();
    let all_ended = async || {
        let ended = place.jobs("succeeded");
        for job in &ended {
            open.remove(job["id"].as_str().unwrap());
        }
        open.is_empty()
    };
    eventually(LONG, "every job has succeeded", all_ended).await;
    assert!(replica.ask("ROLE").await.starts_with('*'));
    worker.signal("TERM");
    assert_eq!(worker.end().await, Some(0));
}
