//! The settings: built-in defaults < dogwatch.toml < environment < flags.
//!
//! Each crate owns its section; this file nests them. A wrong key or value is an error that names the place it came
//! from (file and line, variable, flag), the key, the value and what would be right.

mod alerting;
mod environment;
mod place;
mod secrets;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;

use dogwatch_jobs::Section;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use self::place::Sources;
pub(crate) use self::place::segments;

/// What holds where nothing else is said.
pub const DEFAULTS: &str = include_str!("../../dogwatch.toml");

/// All settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The HTTP API.
    pub api: ApiSettings,
    /// What is logged, and how.
    pub log: LogSettings,
    /// The queue.
    pub queue: dogwatch_queue::Settings,
    /// Whom of Celery's clients we serve.
    pub celery: dogwatch_queue::CelerySettings,
    /// The scheduler.
    pub scheduler: dogwatch_queue::scheduler::Settings,
    /// What OpenTelemetry exporters send.
    pub otlp: crate::otlp::OtlpSettings,
    /// What is done with what services tell.
    pub monitoring: MonitoringSettings,
    /// The database.
    pub store: dogwatch_store::Settings,
    /// What the jobs go by.
    pub jobs: dogwatch_jobs::Settings,
    /// How patient alerts are.
    pub alerts: dogwatch_alerting::Settings,
    /// What raises an alert, beside the thresholds.
    #[serde(default)]
    pub rules: Vec<dogwatch_alerting::RuleSettings>,
    /// Objectives.
    #[serde(default)]
    pub slos: Vec<dogwatch_alerting::SloSettings>,
    /// Who hears of an alert.
    #[serde(default)]
    pub routes: Vec<dogwatch_alerting::RouteSettings>,
    /// Who does not, while something is worked on.
    #[serde(default)]
    pub maintenance: Vec<dogwatch_alerting::MaintenanceSettings>,
    /// Who does not, at night.
    #[serde(default)]
    pub quiet_hours: Vec<dogwatch_alerting::QuietHoursSettings>,
    /// What is not told while its cause is.
    #[serde(default)]
    pub inhibit: Vec<dogwatch_alerting::InhibitSettings>,
    /// Where alerts go.
    pub notify: dogwatch_notify::Settings,
    /// What is checked for its health.
    #[serde(default)]
    pub services: Vec<dogwatch_jobs::ServiceTarget>,
    /// Whose own statistics of queries are read.
    #[serde(default)]
    pub watched_databases: Vec<dogwatch_jobs::WatchedDatabase>,
    /// The file of these settings, when it holds a secret and other users of this machine can read it.
    #[serde(skip)]
    pub exposed_file: Option<String>,
}

/// `[api]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Requests a minute that each key may send.
    pub requests_per_minute: NonZeroU32,
    /// Origins whose pages may call, such as `https://ops.example.com`.
    pub cors_origins: Vec<String>,
}

/// `[monitoring]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MonitoringSettings {
    /// What services send is stored.
    pub enabled: bool,
    /// A query of at least so long is slow, in milliseconds.
    pub slow_query_ms: f64,
    /// A request of at least so long is slow, where nobody asks otherwise.
    pub slow_request_ms: f64,
    /// What takes at least so long is logged when it comes in.
    pub log_ms: f64,
}

impl Section for MonitoringSettings {
    const NAME: &'static str = "monitoring";

    fn check(&self) -> Result<(), (&'static str, String)> {
        for (key, ms, least) in [
            ("slow_query_ms", self.slow_query_ms, 0.0),
            ("slow_request_ms", self.slow_request_ms, dogwatch_store::MIN_SLOW_MS),
            ("log_ms", self.log_ms, 0.0),
        ] {
            if !(least..=1e9).contains(&ms) {
                return Err((key, format!("`{ms}` is not between {least} and 1000000000")));
            }
        }
        Ok(())
    }
}

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// What is logged.
    pub filter: String,
    /// How.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// A setting that came from outside the file: its label (`DATABASE_URL`, `--listen`), its key and its value.
#[derive(Clone, Debug)]
pub struct Override {
    /// Where it came from, as the user knows it.
    pub label: String,
    /// Its key, such as `queue.url`.
    pub key: String,
    /// Its value.
    pub value: Value,
}

/// What is wrong with a setting.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct ConfigError {
    /// File and line, variable or flag.
    pub place: String,
    /// Key and value, and what would be right.
    pub reason: String,
}

impl Config {
    /// Loads the settings.
    ///
    /// `file` is what `--config` names, or ./dogwatch.toml where that exists; `variables` is the environment.
    ///
    /// # Errors
    /// [`ConfigError`] at the first thing that is wrong.
    pub fn load(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
        flags: Vec<Override>,
    ) -> Result<Self, ConfigError> {
        let defaults: Table = DEFAULTS.parse().map_err(|error: toml::de::Error| ConfigError {
            place: "the built-in dogwatch.toml".to_owned(),
            reason: error.to_string(),
        })?;
        let (name, text) = read(file)?;
        let mut overrides = environment::overrides(&defaults, variables)?;
        overrides.extend(flags);

        let sources = Sources { name, text, overrides };
        let mut table = sources.table()?;
        let is_exposed = secrets::is_exposed(Path::new(&sources.name), &table);
        secrets::read_files(&mut table).map_err(|(key, reason)| sources.error(&key, &reason))?;
        let mut merged = defaults;
        merge(&mut merged, table);
        for Override { key, value, .. } in &sources.overrides {
            set(&mut merged, key, value.clone());
        }
        let config: Self = serde_path_to_error::deserialize(Value::Table(merged)).map_err(|error| {
            sources.error(&segments(error.path()), &secrets::without_value(error.inner().message()))
        })?;
        config.validate().map_err(|(key, reason)| sources.error(&place::split(&key), &reason))?;
        Ok(Self { exposed_file: is_exposed.then_some(sources.name), ..config })
    }

    /// Whether only this machine can reach what is listened to.
    pub fn is_loopback(&self) -> bool {
        let addresses = std::iter::once(&self.api.listen).chain(&self.otlp.listen);
        addresses.into_iter().all(|address| address.ip().is_loopback())
    }

    /// Checks what types cannot. The error is a key and the reason.
    fn validate(&self) -> Result<(), (String, String)> {
        let within =
            |section: &'static str| move |(key, reason): (&str, String)| (format!("{section}.{key}"), reason);
        self.queue.validate().map_err(within("queue"))?;
        self.celery.validate().map_err(within("celery"))?;
        self.monitoring.check().map_err(within("monitoring"))?;
        self.jobs.validate().map_err(within("jobs"))?;
        self.alerts.validate().map_err(within("alerts"))?;
        self.notify.validate().map_err(|(key, reason)| (format!("notify.{key}"), reason))?;
        self.alerting()?;
        for (index, origin) in self.api.cors_origins.iter().enumerate() {
            let is_origin =
                url::Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == *origin);
            if !is_origin {
                let reason = format!("`{origin}` is no origin; write one such as https://ops.example.com");
                return Err((format!("api.cors_origins.{index}"), reason));
            }
        }
        let mut names = BTreeSet::new();
        for (index, service) in self.services.iter().enumerate() {
            service.validate().map_err(|(key, reason)| (format!("services.{index}.{key}"), reason))?;
            if !names.insert(&service.name) {
                return Err((format!("services.{index}.name"), format!("`{}` is there twice", service.name)));
            }
        }
        let mut names = BTreeSet::new();
        for (index, database) in self.watched_databases.iter().enumerate() {
            let at = |key: &str| format!("watched_databases.{index}.{key}");
            database.validate().map_err(|(key, reason)| (at(key), reason))?;
            if !names.insert(&database.name) {
                return Err((at("name"), format!("`{}` is there twice", database.name)));
            }
        }
        Ok(())
    }
}

/// The file's name and text; both empty when there is none.
fn read(file: Option<&Path>) -> Result<(String, String), ConfigError> {
    let default = Path::new("dogwatch.toml");
    let Some(path) = file.or_else(|| default.exists().then_some(default)) else {
        return Ok(Default::default());
    };
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError { place: name.clone(), reason: format!("cannot be read: {error}") })?;
    Ok((name, text))
}

/// Tables are merged, anything else is replaced.
fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(into)), Value::Table(from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn set(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(section) = section {
                set(section, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dogwatch.toml");
        std::fs::write(&path, text).unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let shown = |error: ConfigError| error.to_string().replace(&folder.path().display().to_string(), "");
        Config::load(Some(&path), variables, Vec::new()).map_err(shown)
    }

    #[test]
    fn the_defaults_are_valid() {
        let config = load("", &[]).unwrap();
        assert_eq!(config.queue.concurrency, 16);
        assert_eq!(config.api.listen.port(), 8787);
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
        let file = "[queue]\nconcurrency = 3\nnamespace = \"n\"\n";
        let variables = [
            ("DOGWATCH_QUEUE_CONCURRENCY", "5"),
            ("CPU_ALERT_THRESHOLD", "42"),
            ("DOGWATCH_QUEUE_QUEUES", "a,b"),
            ("PATH", "/bin"),
        ];
        let config = load(file, &variables).unwrap();
        assert_eq!((config.queue.concurrency, config.queue.namespace.as_str()), (5, "n"));
        assert!((config.jobs.thresholds.cpu_percent - 42.0).abs() < f64::EPSILON);
        assert_eq!(config.queue.queues, ["a", "b"]);
    }

    #[test]
    fn a_wrong_setting_is_named_by_file_and_line_with_what_would_be_right() {
        for (text, expected) in [
            (
                "[api]\nlistne = 1\n",
                "/dogwatch.toml:2: api.listne: unknown field `listne`, expected one of `listen`, ",
            ),
            ("[queue]\n\nlease = \"5 parsecs\"\n", "/dogwatch.toml:3: queue.lease: "),
            (
                "[queue]\nconcurrency = \"many\"\n",
                "/dogwatch.toml:2: queue.concurrency: invalid type: string, expected usize",
            ),
            (
                "[queue]\nconcurrency = 0\n",
                "/dogwatch.toml:2: queue.concurrency: `0` is not between 1 and 4096",
            ),
            (
                "[jobs]\n[jobs.thresholds]\ncpu_percent = 180.0\n",
                "/dogwatch.toml:3: jobs.thresholds.cpu_percent: `180` is no percentage",
            ),
            ("[api\n", "/dogwatch.toml:1: "),
            (
                "[[services]]\nname = \"a\"\nurl = \"ftp://x\"\n",
                "/dogwatch.toml:3: services.0.url: begins with none of http://",
            ),
            (
                "[api]\ncors_origins = [\"ops.example.com\"]\n",
                "/dogwatch.toml:2: api.cors_origins.0: `ops.example.com` is no origin",
            ),
            (
                "[[notify.webhooks]]\nname = \"log\"\nurl = \"http://x\"\n",
                "/dogwatch.toml:2: notify.webhooks.0.name: `log`",
            ),
        ] {
            let error = load(text, &[]).unwrap_err();
            assert!(error.starts_with(expected), "{text}\n{error}");
        }
    }

    #[test]
    fn a_secret_can_stand_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (postgres, hook) = (
            file("postgres", "postgres://u:p@h/d\n"),
            file("hook", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        );
        let text = format!(
            "[store]\nurl_file = {postgres:?}\n[[notify.webhooks]]\nname = \"ops\"\nurl = \"https://h/\"\n\
             secrets_file = [{hook:?}]\n[[services]]\nname = \"s\"\nurl = \"https://h/\"\n\
             headers_file = {{ authorization = {hook:?} }}\n"
        );
        let config = load(&text, &[("REDIS_URL_FILE", &file("redis", "redis://h/1"))]).unwrap();
        let url = config.store.url.as_ref().map(ExposeSecret::expose_secret);
        assert_eq!(url, Some("postgres://u:p@h/d"));
        assert_eq!(config.queue.url.as_ref().map(ExposeSecret::expose_secret), Some("redis://h/1"));
        assert_eq!(
            config.notify.webhooks[0].secrets[0].expose_secret(),
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        );
        assert_eq!(
            config.services[0].headers["authorization"].expose_secret(),
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        );
        for (text, expected) in [
            ("[store]\nurl_file = \"/none\"\n", "/dogwatch.toml:2: store.url_file: `/none` cannot be read: "),
            (
                "[store]\nurl = \"postgres://h/d\"\nurl_file = \"/none\"\n",
                "/dogwatch.toml:3: store.url_file: `/none` cannot be read: ",
            ),
            ("[store]\nurl_file = 5\n", "/dogwatch.toml:2: store.url_file: write the path of a file"),
        ] {
            let error = load(text, &[]).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        let both = format!("[store]\nurl = \"postgres://h/d\"\nurl_file = {postgres:?}\n");
        assert!(load(&both, &[]).unwrap_err().contains("write `url` or `url_file`, not both"));
        let error = load("", &[("DATABASE_URL_FILE", "/none")]).unwrap_err();
        assert!(error.starts_with("DATABASE_URL_FILE: store.url: `/none` cannot be read: "), "{error}");
    }

    #[test]
    fn a_secret_is_not_shown_in_an_error() {
        for text in ["[store]\nurl = 123454321\n", "[queue]\nurl = { a = 123454321 }\n"] {
            let error = load(text, &[]).unwrap_err();
            assert!(error.contains("expected a string") && !error.contains("123454321"), "{error}");
        }
        let variables = [("DOGWATCH_STORE_MAX_CONNECTIONS", "4294967296")];
        assert!(load("", &variables).unwrap_err().starts_with("DOGWATCH_STORE_MAX_CONNECTIONS: "));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_with_secrets_that_others_can_read_is_noticed() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dogwatch.toml");
        let exposed = |text: &str, mode: u32| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Config::load(Some(&path), [], Vec::new()).unwrap().exposed_file.is_some()
        };
        assert!(exposed("[store]\nurl = \"postgres://u:p@h/d\"\n", 0o644));
        assert!(!exposed("[store]\nurl = \"postgres://u:p@h/d\"\n", 0o600));
        assert!(!exposed("[store]\nurl = \"postgres://u@h/d\"\n[queue]\nconcurrency = 2\n", 0o644));
        let hook = "[[notify.webhooks]]\nname = \"o\"\nurl = \"https://h/\"\n";
        assert!(!exposed(hook, 0o644));
        assert!(exposed(&format!("{hook}secrets = [\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]\n"), 0o644));
    }

    #[test]
    fn lists_in_variables_are_separated_by_commas_or_written_as_in_the_file() {
        for (value, expected) in [
            ("", &[][..]),
            ("[]", &[]),
            ("127.0.0.1:4317, 127.0.0.1:4318", &["127.0.0.1:4317", "127.0.0.1:4318"]),
            ("[\"127.0.0.1:4317\"]", &["127.0.0.1:4317"]),
        ] {
            let config = load("", &[("DOGWATCH_OTLP_LISTEN", value)]).unwrap();
            let listen: Vec<String> = config.otlp.listen.iter().map(ToString::to_string).collect();
            assert_eq!(listen, expected, "{value}");
        }
    }

    #[test]
    fn variables_that_kubernetes_makes_for_a_service_are_no_settings() {
        let of_service = |service: &str| {
            [
                "SERVICE_HOST",
                "SERVICE_PORT",
                "SERVICE_PORT_HTTP",
                "PORT",
                "PORT_8787_TCP",
                "PORT_8787_TCP_ADDR",
            ]
            .map(|end| (format!("{service}_{end}"), "tcp://10.0.0.1:8787".to_owned()))
        };
        let variables = ["DOGWATCH", "DOGWATCH_API", "DOGWATCH_POSTGRES"].into_iter().flat_map(of_service);
        Config::load(None, variables, Vec::new()).unwrap();
    }

    #[test]
    fn a_wrong_variable_is_named() {
        for (name, value, expected) in [
            (
                "DOGWATCH_QUEUE_CONCURRENCY",
                "many",
                "DOGWATCH_QUEUE_CONCURRENCY: queue.concurrency: `many` is no number",
            ),
            (
                "DOGWATCH_QUEUE_CONCURENCY",
                "1",
                "DOGWATCH_QUEUE_CONCURENCY: is no setting; did you mean DOGWATCH_QUEUE_CONCURRENCY?",
            ),
            (
                "METRICS_RETENTION_DAYS",
                "0",
                "METRICS_RETENTION_DAYS: jobs.retention_days: `0` is not between 1 and 3650",
            ),
            (
                "ERROR_RATE_THRESHOLD",
                "high",
                "ERROR_RATE_THRESHOLD: jobs.thresholds.error_rate_percent: `high` is no number",
            ),
            ("DOGWATCH_OTLP_LISTEN", "here", "DOGWATCH_OTLP_LISTEN: otlp.listen.0: invalid socket address"),
            (
                "DOGWATCH_OTLP_LISTEN",
                "[1",
                "DOGWATCH_OTLP_LISTEN: otlp.listen: `[1` is not a list; write a,b or ",
            ),
            ("DOGWATCH_API_PORT", "8080", "DOGWATCH_API_PORT: is no setting"),
        ] {
            let error = load("", &[(name, value)]).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
