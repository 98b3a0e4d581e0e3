//! A Rust service with `dogwatch-tower`: its requests, its queries and what it times by hand arrive, without a setup of
//! OpenTelemetry.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::routing::get;
use dogwatch_testing::eventually;
use dogwatch_tower::Dogwatch;
use serde_json::{Value, json};
use sqlx::PgPool;
use tower::ServiceExt;
use tracing_subscriber::prelude::*;

use crate::otlp::start;
use crate::support::LONG;

type Failed = (axum::http::StatusCode, String);

async fn user(State(pool): State<PgPool>, Path(id): Path<i32>) -> Result<String, Failed> {
    let failed = |error: sqlx::Error| (axum::http::StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let number: i32 = sqlx::query_scalar("SELECT $1::integer + 1 FROM generate_series(1, 1) AS user_ids")
        .bind(id)
        .fetch_one(&pool)
        .await
        .map_err(failed)?;
    // From another task's threads, but in this one: each row asks again.
    for row in 0..6 {
        sqlx::query_scalar::<_, i32>(sqlx::AssertSqlSafe(format!(
            "SELECT {row} FROM generate_series(1, 1) AS orders"
        )))
        .fetch_one(&pool)
        .await
        .map_err(failed)?;
        tokio::task::yield_now().await;
    }
    Ok(number.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_queries_and_operations_of_a_rust_service_arrive() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (place, _api, base) = start().await;
    let dogwatch = Dogwatch::builder("rusty").endpoint(&base).capture_header("x-tenant-id").start().unwrap();
    tracing_subscriber::registry().with(dogwatch.sqlx_layer("postgresql")).init();
    let pool = PgPool::connect(&place.database().url()).await.unwrap();
    let app = Router::new().route("/users/{id}", get(user)).layer(dogwatch.layer()).with_state(pool.clone());
    let asking: Vec<_> = (0..20)
        .map(|id| {
            let (app, dogwatch) = (app.clone(), dogwatch.clone());
            tokio::spawn(async move {
                let request = axum::http::Request::get(format!("/users/{id}")).header("x-tenant-id", "t1");
                let request = request.body(Body::empty()).unwrap();
                let answer = dogwatch.track("visit", app.oneshot(request)).await.unwrap();
                assert_eq!(answer.status(), 200);
            })
        })
        .collect();
    for answered in asking {
        answered.await.unwrap();
    }
    // Outside of any request.
    sqlx::query("SELECT count(*) FROM pg_class").execute(&pool).await.unwrap();
    dogwatch.shutdown().await;
    assert_eq!(dogwatch.dropped(), 0);

    let rows = "SELECT count(*) FROM performance_metrics WHERE service = 'rusty' AND endpoint = '/users/{id}'
                AND method = 'GET' AND status_code = 200 AND tenant = 't1' AND db_query_count = 7
                AND db_query_time_ms > 0 AND db_query_time_ms <= response_time_ms";
    assert_eq!(place.database().number(rows).await, 20);
    let repeated = "SELECT count(*) FROM repeated_queries WHERE endpoint = '/users/{id}' AND calls = 6";
    assert_eq!(place.database().number(repeated).await, 20);
    let get = async |path: &str| -> Value {
        let url = format!("{base}/api/v1/performance/metrics/{path}");
        crate::support::get(url).await.unwrap().json().await.unwrap()
    };
    let summary = async || get("summary").await["count"] == 20;
    eventually(LONG, "requests are counted, and what was timed by hand is not", summary).await;
    let endpoints = get("endpoints").await;
    let visit =
        endpoints["items"].as_array().unwrap().iter().find(|item| item["endpoint"] == "visit").unwrap();
    assert_eq!((&visit["method"], &visit["count"]), (&json!("OPERATION"), &json!(20)));
    let calls = async || {
        let queries = get("slow-queries?threshold_ms=0").await;
        let texts = queries["items"].as_array().unwrap().iter();
        let of =
            |text: &str| texts.clone().find(|item| item["text"] == text).map(|item| item["calls"].clone());
        of("SELECT ? FROM generate_series(?, ?) AS orders") == Some(json!(120))
            && of("SELECT count(*) FROM pg_class") == Some(json!(1))
    };
    eventually(LONG, "queries are told of", calls).await;
}
