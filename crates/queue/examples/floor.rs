//! scratch
#![allow(missing_docs, clippy::unwrap_used)]
use apalis_core::backend::TaskSink;
use apalis_redis::RedisStorage;
use std::time::Instant;
#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).unwrap();
    let c = redis::Client::open(url.as_str()).unwrap();
    let mut m = c.get_multiplexed_async_connection().await.unwrap();
    let n = 20000;
    let payload = br#"{"job":"noop","args":{"user_id":42,"email":"someone@example.com"}}"#;
    for round in 0..2 {
        let t = Instant::now();
        for i in 0..n {
            let _: i64 = redis::cmd("LPUSH").arg("floor").arg(i).query_async(&mut m).await.unwrap();
        }
        println!("{round} lpush {:.0}/s", f64::from(n) / t.elapsed().as_secs_f64());
        let s = redis::Script::new(
            "#!lua\nif redis.call('HSETNX', KEYS[1]..':data', ARGV[1], ARGV[2]) == 0 then return 0 end\nredis.call('RPUSH', KEYS[1]..':active', ARGV[1]) return 1",
        );
        let t = Instant::now();
        for _ in 0..n {
            let id = uuid::Uuid::now_v7().to_string();
            let _: i64 = s.key("f:{a}").arg(id).arg(&payload[..]).invoke_async(&mut m).await.unwrap();
        }
        println!("{round} lua2 {:.0}/s", f64::from(n) / t.elapsed().as_secs_f64());
        let s = redis::Script::new(
            "#!lua\nif redis.call('HSETNX', KEYS[1]..':data', ARGV[1], ARGV[2]) == 0 then return 0 end\nlocal t = redis.call('TIME')\nredis.call('HSET', KEYS[1] .. ':meta:' .. ARGV[1], 'enqueued_at', t[1] .. string.format('%03d', math.floor(t[2]/1000)))\nredis.call('RPUSH', KEYS[1]..':active', ARGV[1]) return 1",
        );
        let t = Instant::now();
        for _ in 0..n {
            let id = uuid::Uuid::now_v7().to_string();
            let _: i64 = s.key("f:{a}").arg(id).arg(&payload[..]).invoke_async(&mut m).await.unwrap();
        }
        println!("{round} lua4 {:.0}/s", f64::from(n) / t.elapsed().as_secs_f64());
        let t = Instant::now();
        for _ in 0..n {
            let id = uuid::Uuid::now_v7().to_string();
            let _: (i64, i64) = redis::pipe()
                .atomic()
                .cmd("HSET")
                .arg("f:{a}:data")
                .arg(&id)
                .arg(&payload[..])
                .cmd("RPUSH")
                .arg("f:{a}:active")
                .arg(&id)
                .query_async(&mut m)
                .await
                .unwrap();
        }
        println!("{round} multi {:.0}/s", f64::from(n) / t.elapsed().as_secs_f64());
        let t = Instant::now();
        for _ in 0..n {
            let id = uuid::Uuid::now_v7().to_string();
            let _: (i64, i64) = redis::pipe()
                .cmd("HSET")
                .arg("f:{a}:data")
                .arg(&id)
                .arg(&payload[..])
                .cmd("RPUSH")
                .arg("f:{a}:active")
                .arg(&id)
                .query_async(&mut m)
                .await
                .unwrap();
        }
        println!("{round} pipe {:.0}/s", f64::from(n) / t.elapsed().as_secs_f64());
        let conn = apalis_redis::connect(url.as_str()).await.unwrap();
        let mut storage: RedisStorage<serde_json::Value> = RedisStorage::new(conn);
        let t = Instant::now();
        for _ in 0..7000 {
            storage.push(serde_json::json!({"user_id": 42, "email": "someone@example.com"})).await.unwrap();
        }
        println!("{round} apalis {:.0}/s", 7000.0 / t.elapsed().as_secs_f64());
    }
}
