//! Redis from its first start to its last.

use dogwatch_embedded::{Redis, RedisOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{ask_redis, folder, processes_in};

#[tokio::test]
async fn it_keeps_its_data_over_a_stop_and_leaves_no_process() {
    let folder = folder();
    let server = Redis::start(folder.path()).await.unwrap();
    assert_eq!(ask_redis(&server.url(), "SET a 1").await, "+OK\r\n");
    server.stop().await;
    assert_eq!(processes_in(folder.path()), 0);
    let server = Redis::start(folder.path()).await.unwrap();
    assert_eq!(ask_redis(&server.url(), "GET a").await, "$1\r\n1\r\n");
    drop(server);
    assert_eq!(processes_in(folder.path()), 0);
}

#[tokio::test]
async fn it_restarts_at_the_same_address_after_kill_9() {
    let folder = folder();
    let mut server = Redis::start(folder.path()).await.unwrap();
    let url = server.url();
    ask_redis(&url, "SET a 1").await;
    server.kill();
    assert_eq!(processes_in(folder.path()), 0);
    server.restart().await.unwrap();
    assert_eq!(ask_redis(&url, "GET a").await, "$1\r\n1\r\n");
}

#[tokio::test]
async fn it_throws_no_key_away_and_writes_down_every_change() {
    let folder = folder();
    let server = Redis::start(folder.path()).await.unwrap();
    for (setting, value) in [("maxmemory-policy", "noeviction"), ("appendonly", "yes"), ("port", "0")] {
        let answer = ask_redis(&server.url(), &format!("CONFIG GET {setting}")).await;
        assert!(answer.ends_with(&format!("\r\n{value}\r\n")), "{setting}: {answer}");
    }
}

#[tokio::test]
async fn it_listens_on_a_port_of_loopback_when_asked() {
    let folder = folder();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let options = RedisOptions { port: Some(free.port()) };
    let server = Redis::start_with(folder.path(), options).await.unwrap();
    assert_eq!(server.tcp_url(), Some(format!("redis://{free}")));
    let mut stream = TcpStream::connect(free).await.unwrap();
    stream.write_all(b"PING\r\n").await.unwrap();
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
}
