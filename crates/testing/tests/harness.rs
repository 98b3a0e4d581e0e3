//! The harness itself: tests do not see each other, and nothing stays behind, however a test ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use dogwatch_testing::{HttpPeer, POSTGRES_URL, REDIS_URL, TestDatabase, TestRedis, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

const OWNER: &str = "HARNESS_OWNER";
const LIMIT: Duration = Duration::from_mins(1);

/// The folder of a server with this address: `…/redis/redis.sock` or `?host=…/postgres`.
fn folder_of(url: &str) -> &Path {
    let socket = url.rsplit_once("host=").map_or(url, |(_, folder)| folder);
    let redis = socket.strip_prefix("redis+unix://").map(|socket| Path::new(socket).parent().unwrap());
    redis.unwrap_or(Path::new(socket)).parent().unwrap()
}

async fn set_a_key(redis_url: &str) {
    let mut stream = UnixStream::connect(redis_url.strip_prefix("redis+unix://").unwrap()).await.unwrap();
    stream.write_all(b"SET a 1\r\n").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'+');
}

/// One request in a connection of its own, as bytes; the answer, or nothing.
async fn send(peer: &HttpPeer, request: &str) -> String {
    let address = peer.url();
    let address = address.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

#[tokio::test]
async fn each_test_has_a_database_of_its_own_and_it_goes_with_the_test() {
    let (one, two) = (TestDatabase::new().await, TestDatabase::new().await);
    one.execute("CREATE TABLE only_here (n int)").await;
    let tables = "SELECT count(*) FROM pg_class WHERE relname = 'only_here'";
    assert_eq!((one.number(tables).await, two.number(tables).await), (1, 0));

    let url = one.url();
    let name = url.split('?').next().and_then(|url| url.rsplit('/').next()).unwrap();
    let there = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    assert_eq!(two.number(&there).await, 1);
    drop(one);
    assert_eq!(two.number(&there).await, 0);
}

#[tokio::test]
async fn a_shared_redis_has_namespaces_and_a_private_one_can_be_killed() {
    let (one, two) = (TestRedis::shared().await, TestRedis::shared().await);
    assert_eq!(one.url(), two.url());
    assert_ne!(one.namespace(), two.namespace());

    let mut own = TestRedis::private().await;
    let url = own.url();
    set_a_key(&url).await;
    own.kill();
    assert!(UnixStream::connect(url.strip_prefix("redis+unix://").unwrap()).await.is_err());
    own.restart().await;
    set_a_key(&url).await;
    own.stop().await;
    assert!(!folder_of(&url).exists());
}

#[tokio::test]
async fn an_http_peer_records_and_answers_as_it_is_told() {
    let peer = HttpPeer::start().await;
    peer.answer(503, "busy");
    let request = "POST /a?b=c HTTP/1.1\r\nHost: x\r\nX-Token: t\r\nContent-Length: 4\r\n\r\nbody";
    let answer = send(&peer, request).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("\r\n\r\nbusy"), "{answer}");
    let requests = peer.wait_for(1, LIMIT).await;
    let first = &requests[0];
    assert_eq!((&*first.method, &*first.path, &*first.body), ("POST", "/a?b=c", "body"));
    assert_eq!(first.headers["x-token"], "t");

    peer.hang_up();
    assert_eq!(send(&peer, request).await, "");
    assert_eq!(peer.requests().len(), 2);

    peer.pause().await;
    let address = peer.url();
    let address = address.trim_start_matches("http://").trim_end_matches('/');
    assert!(TcpStream::connect(address).await.is_err());
    peer.resume().await;
    peer.answer(200, "back");
    assert!(send(&peer, request).await.ends_with("back"));
}

/// Not a test: the process that the next one kills, which says so in the environment.
#[tokio::test]
async fn owner() {
    if std::env::var_os(OWNER).is_none() {
        return;
    }
    let (database, redis) = (TestDatabase::new().await, TestRedis::private().await);
    println!("\nservers: {} {}", database.url(), redis.url());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn servers_do_not_outlive_a_test_process_that_is_killed() {
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "owner", "--nocapture"])
        .env(OWNER, "yes")
        .env_remove(POSTGRES_URL)
        .env_remove(REDIS_URL)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let said = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("servers: ").map(str::to_owned));
    let said = said.expect("the owner has started them");
    let folders: Vec<&Path> = said.split(' ').map(folder_of).collect();
    assert!(folders.iter().all(|folder| folder.is_dir()), "{said}");
    owner.kill().unwrap();
    owner.wait().unwrap();
    for folder in folders {
        // The watchdog removes the folder last, when the server in it has ended.
        eventually(LIMIT, &format!("{} is gone", folder.display()), async || !folder.exists()).await;
    }
}

#[tokio::test]
async fn with_servers_passes_the_exit_code_on_and_leaves_nothing() {
    let script = format!(r#"echo "${POSTGRES_URL} $DATABASE_URL"; exit 7"#);
    let output = Command::new(env!("CARGO_BIN_EXE_with-servers"))
        .args(["--migrated", "sh", "-c", &script])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let (server, database) = said.trim().split_once(' ').unwrap();
    assert!(database.contains("/test_"), "{said}");
    assert!(!folder_of(server).exists(), "{said}");
}

#[tokio::test]
async fn with_servers_passes_sigterm_on_and_leaves_nothing() {
    let script = format!("trap 'echo told; exit 3' TERM; echo ${REDIS_URL}; while :; do sleep 0.05; done");
    let mut child = Command::new(env!("CARGO_BIN_EXE_with-servers"))
        .args(["sh", "-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let url = lines.next().unwrap();
    assert!(folder_of(&url).is_dir());
    let told = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(told.success());
    assert_eq!(lines.next().as_deref(), Some("told"));
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert!(!folder_of(&url).exists());
}
