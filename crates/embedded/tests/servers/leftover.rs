//! What a process that was killed has left is stopped, and what is somebody else's is not.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use dogwatch_embedded::{Postgres, Redis};

use crate::{FAST, ask_postgres, ask_redis, folder, processes_in};

const OWNER_FOLDER: &str = "OWNER_FOLDER";

/// Not a test: the process that the next one kills, which names a folder in the environment.
#[tokio::test]
async fn owner() {
    let Some(folder) = std::env::var_os(OWNER_FOLDER) else {
        return;
    };
    let redis = Redis::start(folder.as_ref()).await.unwrap();
    let postgres = Postgres::start(folder.as_ref(), FAST, &|_| ()).await.unwrap();
    ask_redis(&redis.url(), "SET a 1").await;
    ask_postgres(&postgres, "CREATE TABLE kept (number int)");
    println!("\nservers: {} {}", redis.id(), postgres.id());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn what_a_killed_process_has_left_running_is_replaced() {
    let folder = folder();
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "leftover::owner", "--nocapture"])
        .env(OWNER_FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let said = lines.map_while(Result::ok).find(|line| line.starts_with("servers: "));
    owner.kill().unwrap();
    owner.wait().unwrap();
    let before = said.expect("the owner has started both");
    assert!(processes_in(folder.path()) >= 2, "they have outlived the owner");

    let redis = Redis::start(folder.path()).await.unwrap();
    let postgres = Postgres::start(folder.path(), FAST, &|_| ()).await.unwrap();
    assert_ne!(before, format!("servers: {} {}", redis.id(), postgres.id()));
    assert_eq!(ask_redis(&redis.url(), "GET a").await, "$1\r\n1\r\n");
    assert_eq!(ask_postgres(&postgres, "SELECT count(*) FROM kept"), "0");
    postgres.stop().await;
    redis.stop().await;
    assert_eq!(processes_in(folder.path()), 0);
}

#[tokio::test]
async fn a_pid_that_is_another_process_now_is_left_alone() {
    let folder = folder();
    Postgres::start(folder.path(), FAST, &|_| ()).await.unwrap().stop().await;
    // As after a crash of the machine, when numbers begin anew.
    let mut other = Command::new("sleep").arg("600").spawn().unwrap();
    let pid_file = folder.path().join("postgres/data/postmaster.pid");
    std::fs::write(pid_file, format!("{}\n", other.id())).unwrap();
    let server = Postgres::start(folder.path(), FAST, &|_| ()).await.unwrap();
    assert_eq!(ask_postgres(&server, "SELECT 1"), "1");
    assert!(other.try_wait().unwrap().is_none());
    other.kill().unwrap();
    other.wait().unwrap();
}
