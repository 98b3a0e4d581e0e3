//! Folders that a server could not live in as they are.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use dogwatch_embedded::{FolderLock, Postgres, Redis};

use crate::{FAST, ask_postgres, ask_redis, folder, folder_with_mode, processes_in, socket_of};

#[tokio::test]
async fn a_folder_with_a_long_name_has_its_sockets_elsewhere() {
    let folder = folder();
    let deep = folder.path().join("d".repeat(100));
    let redis = Redis::start(&deep).await.unwrap();
    let postgres = Postgres::start(&deep, FAST, &|_| ()).await.unwrap();
    assert_eq!(ask_redis(&redis.url(), "PING").await, "+PONG\r\n");
    assert_eq!(ask_postgres(&postgres, "SELECT 1"), "1");
    let url = redis.url();
    let sockets = socket_of(&url).parent().unwrap();
    assert_eq!(sockets.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    postgres.stop().await;
    redis.stop().await;
    assert!(!sockets.exists(), "what is made in a place for temporary files goes");
    assert_eq!(processes_in(folder.path()), 0);
}

#[tokio::test]
async fn a_folder_whose_name_has_spaces_and_percent_signs_works() {
    let folder = folder();
    let odd = folder.path().join("a b%20c+d");
    let postgres = Postgres::start(&odd, FAST, &|_| ()).await.unwrap();
    assert_eq!(ask_postgres(&postgres, "SELECT 1"), "1");
    let redis = Redis::start(&odd).await.unwrap();
    assert!(redis.url().ends_with("/a%20b%2520c%2Bd/redis/redis.sock"), "{}", redis.url());
}

#[tokio::test]
async fn a_folder_that_the_servers_user_cannot_enter_is_no_obstacle() {
    let closed = folder_with_mode(0o700);
    let data_dir = closed.path().join("data");
    let redis = Redis::start(&data_dir).await.unwrap();
    let postgres = Postgres::start(&data_dir, FAST, &|_| ()).await.unwrap();
    assert_eq!(ask_redis(&redis.url(), "PING").await, "+PONG\r\n");
    assert_eq!(ask_postgres(&postgres, "SELECT 1"), "1");
    let url = redis.url();
    let home = socket_of(&url).ancestors().nth(2).unwrap();
    postgres.stop().await;
    redis.stop().await;
    assert!(data_dir.join("postgres.log").exists(), "logs stay where the user looks");
    // Only root has another user for servers, and so another place.
    if home.starts_with("/var/lib/dogwatch") && home != Path::new("/var/lib/dogwatch") {
        std::fs::remove_dir_all(home).unwrap();
    } else {
        assert!(home.starts_with(data_dir.canonicalize().unwrap()));
    }
}

#[test]
fn a_folder_has_one_user_at_a_time() {
    let folder = folder();
    let lock = FolderLock::take(folder.path()).unwrap();
    let error = FolderLock::take(folder.path()).unwrap_err().to_string();
    assert!(error.contains(&format!("in use by process {}", std::process::id())), "{error}");
    drop(lock);
    FolderLock::take(folder.path()).unwrap();
}
