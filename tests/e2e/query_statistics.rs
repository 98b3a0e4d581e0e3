//! What a watched database says of its queries stands beside what services tell of the same ones.

use dogwatch_embedded::{Postgres, PostgresOptions};
use dogwatch_testing::eventually;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::database_spans::{Spans, send};
use crate::support::{LONG, Place};

const WITH_STATISTICS: PostgresOptions = PostgresOptions {
    durable: false,
    max_connections: 20,
    settings: &["shared_preload_libraries=pg_stat_statements"],
};

#[tokio::test]
async fn a_watched_database_tells_rows_and_blocks_of_the_queries_that_services_make() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let watched = Postgres::start(folder.path(), WITH_STATISTICS, &|_| ()).await.unwrap();
    let mut shop = PgConnection::connect(&watched.url()).await.unwrap();
    let run = async |shop: &mut PgConnection, statement: &'static str| {
        sqlx::raw_sql(statement).execute(shop).await.unwrap();
    };
    run(
        &mut shop,
        "CREATE TABLE users AS SELECT n AS id, 'u' || n AS name FROM generate_series(1, 1000) AS n",
    )
    .await;
    let place = Place::new().await;
    place.write(
        "dogwatch.toml",
        &format!(
            "[[watched_databases]]\nname = \"shop-db\"\nurl = \"{}\"\n[jobs]\nretention_days = 30\n",
            watched.url()
        ),
    );
    let api = place.start(&["api"]);
    let _worker = place.start(&["worker"]);
    let base = api.api().await;
    let look = || place.json(&["enqueue", "read_query_statistics", "--wait", "--json"])["result"].clone();
    // What is missing is said, with what to do.
    let missing = look();
    assert!(missing["errors"]["shop-db"].as_str().unwrap().contains("CREATE EXTENSION"), "{missing}");
    run(&mut shop, "CREATE EXTENSION pg_stat_statements").await;
    // Where counting begins: what ran before is of no window.
    run(&mut shop, "SELECT * FROM users WHERE id < 11").await;
    assert_eq!(look(), json!({"queries": {"shop-db": 0}, "errors": {}}));
    for _ in 0..3 {
        run(&mut shop, "SELECT * FROM users WHERE id < 501 /* from the shop */").await;
    }
    run(&mut shop, "SELECT * FROM users WHERE id < 7").await;
    let second = look();
    assert!(second["queries"]["shop-db"].as_u64().unwrap() >= 1, "{second}");
    // The same query, as a library tells of it.
    let trace = Spans::new(1);
    send(
        &base,
        &[
            trace.query(2, 1, 1, 200, "select * from users where id < %(id_1)s"),
            trace.server(1, 0, 300, "/u"),
        ],
    )
    .await;
    let told = async || -> Value {
        let url = format!("{base}/api/v1/performance/metrics/slow-queries");
        let page: Value = crate::support::get(url).await.unwrap().json().await.unwrap();
        page["items"][0]["server"].clone()
    };
    eventually(LONG, "the query is told of", async || !told().await.is_null()).await;
    let server = told().await;
    assert_eq!((&server["databases"], &server["calls"]), (&json!(["shop-db"]), &json!(4)));
    assert!((server["rows_per_call"].as_f64().unwrap() - 1506.0 / 4.0).abs() < 1e-9, "{server}");
    assert!(server["blocks_per_call"].as_f64().unwrap() > 1.0, "{server}");
    // Counters that were set back begin anew.
    run(&mut shop, "SELECT pg_stat_statements_reset()").await;
    run(&mut shop, "SELECT * FROM users WHERE id < 1").await;
    look();
    assert_eq!(told().await["calls"], 5);
}
