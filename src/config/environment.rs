//! Settings from environment variables.

use std::collections::BTreeMap;

use dogwatch_queue::nearest;
use toml::{Table, Value};

use super::{ConfigError, Override, secrets};

/// Names that the users of the system that Dogwatch replaces know, and that every platform sets.
const KNOWN: [(&str, &str); 12] = [
    ("DATABASE_URL", "store.url"),
    ("REDIS_URL", "queue.url"),
    ("MONITORING_ENABLED", "monitoring.enabled"),
    ("PERFORMANCE_LOG_THRESHOLD_MS", "monitoring.log_ms"),
    ("SLOW_QUERY_THRESHOLD_MS", "monitoring.slow_query_ms"),
    ("SLOW_REQUEST_THRESHOLD_MS", "monitoring.slow_request_ms"),
    ("METRICS_RETENTION_DAYS", "jobs.retention_days"),
    ("CPU_ALERT_THRESHOLD", "jobs.thresholds.cpu_percent"),
    ("MEMORY_ALERT_THRESHOLD", "jobs.thresholds.memory_percent"),
    ("DISK_ALERT_THRESHOLD", "jobs.thresholds.disk_percent"),
    ("ERROR_RATE_THRESHOLD", "jobs.thresholds.error_rate_percent"),
    ("RESPONSE_TIME_THRESHOLD", "jobs.thresholds.response_time_ms"),
];
/// Settings without a default; each is a secret.
const OPTIONAL: [&str; 3] = ["store.url", "queue.url", "celery.results"];
/// Variables with our prefix that are no settings.
const NO_SETTINGS: [&str; 6] = [
    "DOGWATCH_SERVERS_DIR",
    "DOGWATCH_TEST_",
    "DOGWATCH_CONFIG",
    "DOGWATCH_DATA_DIR",
    "DOGWATCH_URL",
    "DOGWATCH_KEY",
];

/// What the environment sets. `defaults` tells which settings there are and of which type.
pub(super) fn overrides(
    defaults: &Table,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<Override>, ConfigError> {
    let mut settings = BTreeMap::new();
    leaves(defaults, "", &mut settings);
    let text = Value::String(String::new());
    settings.extend(OPTIONAL.map(|key| (key.to_owned(), text.clone())));
    let by_name: BTreeMap<String, &String> = settings.keys().map(|key| (name_of(key), key)).collect();

    let mut overrides = Vec::new();
    let setting = |name: &str| {
        let known = KNOWN.iter().find(|(known, _)| *known == name).map(|(_, key)| *key);
        known.or_else(|| by_name.get(name).map(|key| key.as_str()))
    };
    // Only a secret can stand in a file.
    let in_file = |name: &str| setting(name.strip_suffix("_FILE")?).filter(|key| OPTIONAL.contains(key));
    for (name, text) in variables {
        let key = match setting(&name) {
            Some(key) => key,
            None if let Some(key) = in_file(&name) => {
                let value = secrets::read(&text).map(Value::String).map_err(|reason| ConfigError {
                    place: name.clone(),
                    reason: format!("{key}: {reason}"),
                })?;
                overrides.push(Override { label: name, key: key.to_owned(), value });
                continue;
            }
            None if name.starts_with("DOGWATCH_")
                && !NO_SETTINGS.iter().any(|prefix| name.starts_with(prefix))
                && !is_service_link(&name, &text) =>
            {
                return Err(ConfigError { place: name.clone(), reason: unknown(&name, by_name.keys()) });
            }
            None => continue,
        };
        let value = parse(&text, &settings[key])
            .map_err(|reason| ConfigError { place: name.clone(), reason: format!("{key}: {reason}") })?;
        overrides.push(Override { label: name, key: key.to_owned(), value });
    }
    Ok(overrides)
}

/// Whether Kubernetes makes this variable, for a Service whose name begins with `dogwatch`.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_of_port = |(_, rest): (&str, &str)| {
        let (port, protocol) = rest.split_once('_').unwrap_or_default();
        port.parse::<u16>().is_ok() && ["TCP", "UDP", "SCTP"].iter().any(|word| protocol.starts_with(word))
    };
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && value.contains("://"))
        || name.split_once("_PORT_").is_some_and(is_of_port)
}

fn leaves(table: &Table, prefix: &str, into: &mut BTreeMap<String, Value>) {
    for (key, value) in table {
        match value {
            Value::Table(table) => leaves(table, &format!("{prefix}{key}."), into),
            value => {
                into.insert(format!("{prefix}{key}"), value.clone());
            }
        }
    }
}

/// `queue.url` is `DOGWATCH_QUEUE_URL`.
fn name_of(key: &str) -> String {
    format!("DOGWATCH_{}", key.replace('.', "_").to_uppercase())
}

/// Reads a text as the type of the default.
fn parse(text: &str, default: &Value) -> Result<Value, String> {
    match default {
        Value::Integer(_) => text
            .parse()
            .map(Value::Integer)
            .map_err(|_| format!("`{text}` is no number; write one such as {default}")),
        Value::Float(_) => text
            .parse()
            .map(Value::Float)
            .map_err(|_| format!("`{text}` is no number; write one such as {default}")),
        // Python writes True, others 1.
        Value::Boolean(_) => match text.to_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(Value::Boolean(true)),
            "false" | "0" | "no" | "off" => Ok(Value::Boolean(false)),
            _ => Err(format!("`{text}` is neither true nor false")),
        },
        Value::Array(_) if text.trim_start().starts_with('[') => {
            let list =
                format!("list = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("list"));
            list.filter(Value::is_array)
                .ok_or_else(|| format!("`{text}` is not a list; write a,b or [\"a\", \"b\"], or [] for none"))
        }
        Value::Array(_) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Ok(Value::Array(parts.map(|part| Value::String(part.to_owned())).collect()))
        }
        _ => Ok(Value::String(text.to_owned())),
    }
}

fn unknown<'a>(name: &str, names: impl Iterator<Item = &'a String>) -> String {
    match nearest(name, names.map(String::as_str)) {
        Some(known) => format!("is no setting; did you mean {known}?"),
        None => "is no setting; dogwatch.toml has them all, as DOGWATCH_SECTION_KEY".to_owned(),
    }
}
