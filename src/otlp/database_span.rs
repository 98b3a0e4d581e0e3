//! A span of a client of a database or cache as a call. Names of attributes as in `request_span`: the stable ones first,
//! each by itself.

use dogwatch_sql::{Dialect, normalize};
use dogwatch_store::DatabaseCall;
use xxhash_rust::xxh3::xxh3_64;

use super::attributes::{Best, Owned, Owners, flag, number, stored, text};
use super::message::{Attribute, Span};
use super::request_span::{Times, of_exception};

/// What speaks SQL. Of the statements of others nothing but the command and its target is kept, since what else stands there
/// may be a value.
const SQL: [&str; 36] = [
    "other_sql",
    "postgresql",
    "cockroachdb",
    "redshift",
    "aws.redshift",
    "edb",
    "greenplum",
    "mysql",
    "mariadb",
    "tidb",
    "microsoft.sql_server",
    "mssql",
    "mssqlcompact",
    "sqlite",
    "oracle",
    "oracle.db",
    "db2",
    "ibm.db2",
    "adabas",
    "cassandra",
    "clickhouse",
    "derby",
    "firebirdsql",
    "h2",
    "hanadb",
    "sap.hana",
    "hive",
    "hsqldb",
    "informix",
    "ibm.informix",
    "netezza",
    "ibm.netezza",
    "snowflake",
    "spanner",
    "gcp.spanner",
    "trino",
];
/// What takes `get` and `GET` for the same command.
const LETTER_CASE_IS_FREE: [&str; 2] = ["redis", "valkey"];
/// Bytes of a command; what is longer is none.
const MAX_COMMAND: usize = 40;

/// What a call's span says.
#[derive(Default)]
struct Db<'a> {
    system: Best<&'a str>,
    statement: Best<&'a str>,
    operation: Best<&'a str>,
    target: Best<&'a str>,
    rows: Option<i64>,
    pipeline: Option<i64>,
    cache_hit: Option<bool>,
    status: Option<&'a str>,
    error_type: Option<&'a str>,
}

impl<'a> Db<'a> {
    fn look(&mut self, attribute: &'a Attribute) {
        let value = attribute.value.as_ref();
        match attribute.key.as_str() {
            "db.system.name" => self.system.offer(0, text(value)),
            "db.system" => self.system.offer(1, text(value)),
            "db.query.text" => self.statement.offer(0, text(value)),
            "db.statement" => self.statement.offer(1, text(value)),
            "db.operation.name" => self.operation.offer(0, text(value)),
            "db.operation" => self.operation.offer(1, text(value)),
            "db.collection.name" => self.target.offer(0, text(value)),
            "db.mongodb.collection" => self.target.offer(1, text(value)),
            "db.sql.table" => self.target.offer(2, text(value)),
            "db.response.returned_rows" => self.rows = number(value),
            "db.redis.pipeline_length" | "db.operation.batch.size" => self.pipeline = number(value),
            "cache.hit" => self.cache_hit = flag(value),
            "db.response.status_code" => self.status = text(value),
            "error.type" => self.error_type = text(value),
            _ => {}
        }
    }
}

/// A query as it is kept.
struct Query {
    text: String,
    summary: String,
    fingerprint: u64,
}

/// The call that a span is about; `None` when it is about something else, such as a connection that is opened.
pub(super) fn call<'a>(
    span: &'a Span,
    times: &Times,
    scope_key: i32,
    service: &str,
    owners: &Owners,
    mut owned: Owned<'a>,
) -> Option<DatabaseCall> {
    let mut db = Db::default();
    for attribute in &span.attributes {
        db.look(attribute);
        owners.look(&mut owned, attribute, false);
    }
    let system = current_name(db.system.get()?);
    let query = query(&system, &db)?;
    let is_error = span.has_failed;
    // No message: servers repeat in it the values that they refuse.
    let told = || db.status.or(db.error_type).or_else(|| of_exception(span, "exception.type"));
    Some(DatabaseCall {
        occurred_at: times.end,
        trace_id: span.trace_id.as_slice().try_into().ok()?,
        span_id: span.span_id.as_slice().try_into().ok()?,
        parent_span_id: span.parent_span_id.as_slice().try_into().ok(),
        scope_key,
        service: service.to_owned(),
        tenant: owned.tenant.get().map(stored),
        system,
        fingerprint: query.fingerprint.cast_signed(),
        text: query.text,
        summary: query.summary,
        duration_ms: times.duration_ms,
        rows_returned: db.rows.filter(|rows| *rows >= 0),
        cache_hit: db.cache_hit,
        is_error,
        error: is_error.then(told).flatten().map(stored),
    })
}

fn query(system: &str, db: &Db<'_>) -> Option<Query> {
    match db.statement.get() {
        Some(statement) if SQL.contains(&system) => {
            let query = normalize(statement, Dialect::of_system(system));
            (!query.text.is_empty()).then_some(Query {
                text: without_zero(query.text),
                summary: without_zero(query.summary),
                fingerprint: query.fingerprint,
            })
        }
        statement => {
            let words = command(system, db, statement)?;
            let fingerprint = xxh3_64(format!("{system}\0{words}").as_bytes());
            Some(Query { text: words.clone(), summary: words, fingerprint })
        }
    }
}

/// Postgres takes no zero byte.
fn without_zero(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "") } else { text }
}

/// The command and what it is for, such as `find orders`.
fn command(system: &str, db: &Db<'_>, statement: Option<&str>) -> Option<String> {
    if db.pipeline.is_some_and(|commands| commands > 1) {
        return Some("PIPELINE".to_owned());
    }
    let first = || statement?.split_whitespace().next();
    let operation = db.operation.get().or_else(first)?;
    // What stands behind the command may be a value: `GET user:ann`.
    let operation = operation.split_whitespace().next()?;
    let is_command = |text: &str| {
        text.len() <= MAX_COMMAND
            && text.chars().all(|letter| letter.is_alphanumeric() || " ._-:".contains(letter))
    };
    if !is_command(operation) {
        return None;
    }
    let operation =
        if LETTER_CASE_IS_FREE.contains(&system) { operation.to_uppercase() } else { operation.to_owned() };
    Some(match db.target.get() {
        Some(target) => stored(&format!("{operation} {target}")),
        None => operation,
    })
}

/// The name by the stable conventions of what an older one names.
fn current_name(system: &str) -> String {
    let current = match system {
        "mssql" | "mssqlcompact" => "microsoft.sql_server",
        "oracle" => "oracle.db",
        "db2" => "ibm.db2",
        "dynamodb" => "aws.dynamodb",
        "redshift" => "aws.redshift",
        "cosmosdb" => "azure.cosmosdb",
        "hanadb" => "sap.hana",
        "adabas" => "softwareag.adabas",
        "spanner" => "gcp.spanner",
        "cache" => "intersystems_cache",
        other => other,
    };
    stored(current)
}
