//! The dashboard in a real browser: `tests/browser` does what people do with it, and looks at every page. Needs Debian's Chromium, or
//! another one, which `make test` installs. `DOGWATCH_SHOTS=FOLDER` keeps pictures of all pages.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dogwatch_testing::{install, made_once};
use serde_json::Value;
use tokio::process::Command;

use crate::instrumented_apps::{Node, node};
use crate::support::Place;

/// All scenarios together.
const LIMIT: Duration = Duration::from_mins(8);
const FILES: [&str; 5] = ["package.json", "dashboard.mjs", "scenarios.mjs", "audit.mjs", "api.mjs"];
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const SCHEDULES: &str = "\
    [schedules.cleanup]\njob = \"cleanup_old_performance_data\"\nevery = \"24h\"\nrun_at_start = true\n\
    [schedules.health]\njob = \"check_service_health\"\nevery = \"30s\"\nrun_at_start = true\n\
    [schedules.resources]\njob = \"monitor_system_resources\"\nevery = \"15s\"\nrun_at_start = true\n";

#[tokio::test]
async fn people_use_the_dashboard_in_a_browser() {
    let mut place = Place::new().await;
    place.write("schedules.toml", SCHEDULES);
    place.set("DOGWATCH_API_REQUESTS_PER_MINUTE", "60000");
    let (api, _worker, _scheduler) =
        (place.start(&["api"]), place.start(&["worker"]), place.start(&["scheduler"]));
    let base = api.api().await;
    let key =
        String::from_utf8(place.run(&["keys", "create", "browser", "--scope", "admin"]).stdout).unwrap();
    let dead = dead_job(&place);

    let (node, folder) = packages().await;
    let shots = std::env::var("DOGWATCH_SHOTS").unwrap_or_else(|_| "-".to_owned());
    let mut command = Command::new(node);
    command.arg(folder.join("dashboard.mjs")).args([&base, key.trim()]).arg(chromium()).arg(shots);
    command.env("DEAD_JOB", dead).kill_on_drop(true);
    let ran = tokio::time::timeout(LIMIT, command.output()).await.expect("it ends in time").unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    println!("{said}");
    assert!(ran.status.success(), "{said}\n{}", String::from_utf8_lossy(&ran.stderr));
    assert!(said.lines().filter(|line| line.starts_with("ok ")).count() >= 60, "some did not run:\n{said}");
}

/// A job that has died, of an argument that makes no sense.
fn dead_job(place: &Place) -> String {
    let arguments = r#"{"window_minutes": 5000}"#;
    let job =
        place.json(&["enqueue", "check_performance_thresholds", "--args", arguments, "--wait", "--json"]);
    assert_eq!(job["state"], Value::from("dead"), "{job}");
    job["id"].as_str().unwrap().to_owned()
}

/// Node, and the folder with the scripts beside their packages.
async fn packages() -> (PathBuf, PathBuf) {
    let source = root().join("tests/browser");
    let (program, folder) = installed(&source, "browser").await;
    for file in FILES {
        std::fs::copy(source.join(file), folder.join(file)).unwrap();
    }
    (program, folder)
}

/// Node, and a folder of this name with the packages that `source` needs.
async fn installed(source: &Path, name: &str) -> (PathBuf, PathBuf) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let Node { npm, program } = node().await;
    let package = std::fs::read_to_string(source.join("package.json")).unwrap();
    made_once(&folder, &package, async || {
        std::fs::write(folder.join("package.json"), &package).unwrap();
        let arguments = ["install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"];
        install(Command::new(&npm).args(arguments).current_dir(&folder)).await;
    })
    .await;
    (program, folder)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test]
async fn what_browsers_are_served_is_made_of_the_scripts_as_they_are() {
    let source = root().join("dashboard");
    let (node, folder) = installed(&source, "bundle").await;
    for part in ["", "lib", "operations", "pages", "vendor"] {
        if !part.is_empty() {
            let _ = std::fs::remove_dir_all(folder.join(part));
            std::fs::create_dir(folder.join(part)).unwrap();
        }
        for file in files(&source.join(part)) {
            std::fs::copy(source.join(part).join(&file), folder.join(part).join(file)).unwrap();
        }
    }
    let made = folder.join("made");
    let bundle = Command::new(node).arg(folder.join("bundle.mjs")).arg(&made).output().await.unwrap();
    assert!(bundle.status.success(), "{}", String::from_utf8_lossy(&bundle.stderr));
    let kept = source.join("dist");
    let is_old =
        "dashboard/dist is not made of dashboard/ as it is now: `make bundle`, and commit what it makes";
    assert_eq!(files(&kept), files(&made), "{is_old}");
    for file in files(&made) {
        let content = |folder: &Path| std::fs::read(folder.join(&file)).unwrap();
        assert!(content(&kept) == content(&made), "{file}: {is_old}");
    }
}

/// The names of the files in a folder, in order.
fn files(folder: &Path) -> Vec<String> {
    let all = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let all = all.filter(|entry| entry.file_type().unwrap().is_file());
    let mut names: Vec<String> = all.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all = std::env::split_paths(&path).flat_map(|folder| BROWSERS.map(|name| folder.join(name)));
    all.find(|program| program.is_file()).unwrap_or_else(|| {
        panic!("none of {BROWSERS:?} is installed; dev/install-servers.sh --for-tests does it")
    })
}
