//! Postgres from its first start to its last.

use std::sync::Mutex;

use dogwatch_embedded::{EmbeddedError, Postgres};

use crate::{FAST, ask_postgres, folder, processes_in};

#[tokio::test]
async fn it_starts_from_nothing_and_again_with_its_data_and_leaves_no_process() {
    let folder = folder();
    let said = Mutex::new(Vec::new());
    let progress = |line: &str| said.lock().unwrap().push(line.to_owned());

    let server = Postgres::start(folder.path(), FAST, &progress).await.unwrap();
    ask_postgres(&server, "CREATE TABLE kept (number int)");
    ask_postgres(&server, "INSERT INTO kept VALUES (42)");
    server.stop().await;
    assert_eq!(processes_in(folder.path()), 0);

    let server = Postgres::start(folder.path(), FAST, &progress).await.unwrap();
    assert_eq!(ask_postgres(&server, "SELECT number FROM kept"), "42");
    drop(server);
    assert_eq!(processes_in(folder.path()), 0);
    assert_eq!(said.lock().unwrap().as_slice(), ["initdb: making a database cluster"]);
}

#[tokio::test]
async fn it_listens_on_no_port_and_speaks_utf8_and_utc() {
    let folder = folder();
    let server = Postgres::start(folder.path(), FAST, &|_| ()).await.unwrap();
    assert_eq!(ask_postgres(&server, "SHOW listen_addresses"), "");
    assert_eq!(ask_postgres(&server, "SHOW server_encoding"), "UTF8");
    assert_eq!(ask_postgres(&server, "SHOW timezone"), "UTC");
}

#[tokio::test]
async fn an_interrupted_initdb_does_no_harm() {
    let folder = folder();
    let half_made = folder.path().join("postgres/data.new");
    std::fs::create_dir_all(&half_made).unwrap();
    std::fs::write(half_made.join("PG_VERSION"), "15").unwrap();
    let server = Postgres::start(folder.path(), FAST, &|_| ()).await.unwrap();
    assert_eq!(ask_postgres(&server, "SELECT 1"), "1");
}

#[tokio::test]
async fn a_second_one_on_the_same_folder_is_told_who_has_it() {
    let folder = folder();
    let server = Postgres::start(folder.path(), FAST, &|_| ()).await.unwrap();
    let error = Postgres::start(folder.path(), FAST, &|_| ()).await.unwrap_err();
    let path = folder.path().display();
    let expected = format!("`{path}` is in use by process {}", std::process::id());
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert_eq!(ask_postgres(&server, "SELECT 1"), "1", "the first one has not been touched");
}

#[tokio::test]
async fn one_that_cannot_start_shows_the_end_of_its_log() {
    let folder = folder();
    Postgres::start(folder.path(), FAST, &|_| ()).await.unwrap().stop().await;
    std::fs::remove_file(folder.path().join("postgres/data/global/pg_control")).unwrap();
    let error = Postgres::start(folder.path(), FAST, &|_| ()).await.unwrap_err();
    assert!(error.to_string().contains("pg_control"), "{error}");
    assert_eq!(processes_in(folder.path()), 0);
}

#[tokio::test]
async fn data_of_another_version_is_left_alone() {
    let folder = folder();
    let data = folder.path().join("postgres/data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("PG_VERSION"), "9999\n").unwrap();
    let error = Postgres::start(folder.path(), FAST, &|_| ()).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::OtherVersion { made_by: 9999 }), "{error}");
}
