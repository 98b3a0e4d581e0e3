//! `cargo run --release` measures what instrumentation costs a request: the same axum router bare, with dogwatch-tower,
//! and with the stock OpenTelemetry of Rust (axum-tracing-opentelemetry, batch exporter, OTLP over HTTP), in turns, in one
//! run. Both send to the same server, in this process.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::routing::{get, post};
use axum_tracing_opentelemetry::middleware::OtelAxumLayer;
use clap::Parser;
use dogwatch_bench_support as support;
use dogwatch_tower::Dogwatch;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tower::{Service, ServiceExt};
use tracing::Dispatch;
use tracing_subscriber::prelude::*;

const ROUNDS: usize = 60;
const REQUESTS: u32 = 1_000;
/// Queries of a request, where it has some.
const QUERIES: usize = 5;
/// So that what was told is sent, and is not in the way of what comes next.
const PAUSE: Duration = Duration::from_millis(150);

/// As sqlx tells of a query.
fn query() {
    tracing::event!(
        target: "sqlx::query", tracing::Level::DEBUG,
        summary = "SELECT id, name FROM …", db.statement = "\n\nSELECT id, name FROM users WHERE id = $1\n",
        rows_affected = 0_u64, rows_returned = 1_u64, elapsed_secs = 0.001,
    );
}

fn router() -> Router {
    Router::new().route("/users/{id}", get(|| async { "a user" })).route(
        "/queries",
        get(|| async {
            (0..QUERIES).for_each(|_| query());
            "rows"
        }),
    )
}

/// Nanoseconds per request.
async fn burst(app: &Router, path: &str, requests: u32) -> anyhow::Result<f64> {
    let mut service = app.clone().into_service::<Body>();
    let begun = Instant::now();
    for _ in 0..requests {
        let request = Request::get(path).body(Body::empty())?;
        let answer = service.ready().await?.call(request).await?;
        to_bytes(answer.into_body(), 1_000).await?;
    }
    Ok(begun.elapsed().as_nanos() as f64 / f64::from(requests))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Takes whatever is sent.
async fn sink() -> anyhow::Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let app = Router::new().route("/v1/traces", post(|_: axum::body::Bytes| async {}));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}

struct Variant {
    name: &'static str,
    app: Router,
    path: &'static str,
    /// Who hears of events.
    hears: Dispatch,
    took: Vec<f64>,
}

/// What a request costs with dogwatch-tower, and with the stock OpenTelemetry.
#[derive(Parser)]
struct Cli {
    /// Shows in seconds that everything runs; the figures mean nothing
    #[arg(long)]
    quick: bool,
}

fn main() -> anyhow::Result<()> {
    let quick = Cli::parse().quick;
    let (rounds, requests) = if quick { (3, 100) } else { (ROUNDS, REQUESTS) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let url = runtime.block_on(sink())?;
    let entered = runtime.enter();
    let dogwatch = Dogwatch::builder("bench").endpoint(&url).capacity(100_000).start()?;
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(reqwest::blocking::Client::new())
        .with_endpoint(format!("{url}/v1/traces"))
        .build()?;
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
    drop(entered);
    let tracer = provider.tracer("bench");
    let none = Dispatch::new(tracing_subscriber::registry());
    let ours = Dispatch::new(tracing_subscriber::registry().with(dogwatch.sqlx_layer("postgresql")));
    let stock = Dispatch::new(
        tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(tracer)),
    );
    let watched = router().layer(dogwatch.layer());
    let traced = router().layer(OtelAxumLayer::default());
    let variant = |name, app: &Router, path, hears: &Dispatch| Variant {
        name,
        app: app.clone(),
        path,
        hears: hears.clone(),
        took: Vec::new(),
    };
    let mut variants = [
        variant("bare", &router(), "/users/7", &none),
        variant("dogwatch-tower", &watched, "/users/7", &ours),
        variant("OpenTelemetry", &traced, "/users/7", &stock),
        variant("bare, 5 queries", &router(), "/queries", &none),
        variant("dogwatch-tower, 5 queries", &watched, "/queries", &ours),
        variant("OpenTelemetry, 5 queries as events", &traced, "/queries", &stock),
    ];
    for _ in 0..rounds {
        for variant in &mut variants {
            let _hears = tracing::dispatcher::set_default(&variant.hears);
            variant.took.push(runtime.block_on(burst(&variant.app, variant.path, requests))?);
            std::thread::sleep(PAUSE);
        }
    }
    let medians: Vec<f64> = variants.iter().map(|variant| median(variant.took.clone())).collect();
    println!("\n{:<36} {:>12} {:>12}", "a request", "takes", "more");
    for (index, variant) in variants.iter().enumerate() {
        let more = medians[index] - medians[index / 3 * 3];
        println!("{:<36} {:>9.2} µs {:>9.2} µs", variant.name, medians[index] / 1e3, more / 1e3);
    }
    let cost = |index: usize| medians[index] - medians[index / 3 * 3];
    println!(
        "cost of dogwatch-tower: {:.2} of OpenTelemetry's; dropped: {}",
        cost(1) / cost(2),
        dogwatch.dropped()
    );
    runtime.block_on(dogwatch.shutdown());
    provider.shutdown()?;
    support::note(quick);
    Ok(())
}
