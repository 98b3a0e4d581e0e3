//! Runs the program in a folder of its own.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use dogwatch_testing::{TestDatabase, TestRedis, eventually};
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything takes on a busy machine: who waits for a condition goes on as soon as it holds.
pub(crate) const LONG: Duration = Duration::from_mins(2);

/// A folder with its files, and the servers that processes started in it use.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    variables: Vec<(String, String)>,
    /// Dropped with the place.
    database: Option<TestDatabase>,
}

/// A process; killed when dropped. `up` is asked to end before: its servers would go on without it.
pub(crate) struct Process {
    child: Child,
    has_servers: bool,
    log: std::path::PathBuf,
}

/// What the owner of each place can read.
pub(crate) const OWNER: &str = "dwl_of-the-owner";

/// A client that shows what only the owner can read.
pub(crate) fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let headers =
        [(reqwest::header::AUTHORIZATION, format!("Bearer {OWNER}").parse().unwrap())].into_iter().collect();
    reqwest::Client::builder().default_headers(headers).build().unwrap()
}

/// Asks as the owner.
pub(crate) async fn get(url: impl reqwest::IntoUrl) -> reqwest::Result<reqwest::Response> {
    http().get(url).send().await
}

impl Place {
    /// With a database and a namespace in the Redis that tests share.
    pub(crate) async fn new() -> Self {
        let (database, redis) = (TestDatabase::new().await, TestRedis::shared().await);
        let mut place = Self::bare();
        place.set("DATABASE_URL", &database.url());
        place.set("REDIS_URL", &redis.url());
        place.set("DOGWATCH_QUEUE_NAMESPACE", &redis.namespace());
        place.database = Some(database);
        place
    }

    /// Without servers: `up` starts its own.
    pub(crate) fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let variables = [("DOGWATCH_API_LISTEN", "127.0.0.1:0"), ("DOGWATCH_OTLP_LISTEN", "127.0.0.1:0")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let place = Self { folder, variables, database: None };
        std::fs::create_dir(place.folder.path().join(".dogwatch")).unwrap();
        place.write(".dogwatch/authorization", &format!("Authorization: Bearer {OWNER}\n"));
        place
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The environment of its processes.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        self.variables.clone()
    }

    /// The database that it has for itself.
    pub(crate) fn database(&self) -> &TestDatabase {
        self.database.as_ref().unwrap()
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dogwatch"));
        let inherited = std::env::vars().filter(|(name, _)| name == "PATH" || name == "DOGWATCH_SERVERS_DIR");
        command.args(arguments).current_dir(self.folder.path()).env_clear().envs(inherited);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// What a command with `--json` prints.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// The jobs in this state.
    pub(crate) fn jobs(&self, state: &str) -> Vec<Value> {
        let list = self.json(&["jobs", "list", "--state", state, "--limit", "1000", "--json"]);
        list["items"].as_array().unwrap().clone()
    }

    /// Starts a command whose output is read from a pipe.
    pub(crate) fn start_piped(&self, arguments: &[&str]) -> (Child, ChildStdout) {
        let mut command = self.command(arguments);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let pipe = child.stdout.take().unwrap();
        (child, pipe)
    }

    /// The same, where it may have so many descriptors.
    pub(crate) fn start_with_limit(&self, descriptors: &str, arguments: &[&str]) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n \"$1\"; shift; exec \"$@\"", "sh", descriptors]);
        let program = self.command(arguments);
        command
            .arg(program.get_program())
            .args(program.get_args())
            .current_dir(self.folder.path())
            .env_clear();
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        self.spawn(command, arguments[0])
    }

    /// Starts a process that serves.
    pub(crate) fn start(&self, arguments: &[&str]) -> Process {
        self.spawn(self.command(arguments), arguments[0])
    }

    fn spawn(&self, mut command: Command, role: &str) -> Process {
        let log = self.folder.path().join(format!("{role}-{:08x}.log", rand()));
        let out = std::fs::File::create(&log).unwrap();
        let child =
            command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap();
        Process { child, has_servers: role == "up", log }
    }
}

fn rand() -> u32 {
    static COUNT: OnceLock<std::sync::atomic::AtomicU32> = OnceLock::new();
    COUNT.get_or_init(Default::default).fetch_add(1, std::sync::atomic::Ordering::SeqCst)
}

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until the log has this text.
    pub(crate) async fn says(&self, text: &str) {
        let said = async || self.log().contains(text);
        let started = std::time::Instant::now();
        while !said().await {
            assert!(started.elapsed() < LONG, "`{text}` was not said:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where its API listens.
    pub(crate) async fn api(&self) -> String {
        self.says("the API listens on ").await;
        let log = self.log();
        let (_, rest) = log.split_once("the API listens on ").unwrap();
        // For machines, the line goes on behind a quotation mark.
        rest.split(|c: char| c.is_whitespace() || c == '"').next().unwrap().to_owned()
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for its end; its exit code.
    pub(crate) async fn end(mut self) -> Option<i32> {
        let mut status = None;
        eventually(LONG, "the process has ended", async || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap().code()
    }
}

impl Drop for Process {
    #[expect(clippy::disallowed_methods, reason = "a destructor cannot await")]
    fn drop(&mut self) {
        if self.has_servers && self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.signal("TERM");
            let begun = std::time::Instant::now();
            while begun.elapsed() < LONG && self.child.try_wait().is_ok_and(|status| status.is_none()) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processes whose command line names the folder.
pub(crate) fn processes_in(folder: &Path) -> usize {
    let folder = folder.canonicalize().unwrap();
    let all = Command::new("ps").args(["-eo", "args="]).output().unwrap();
    let text = String::from_utf8_lossy(&all.stdout).into_owned();
    text.lines().filter(|line| line.contains(&*folder.to_string_lossy())).count()
}
