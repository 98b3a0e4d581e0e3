//! The description of the API, by people who know what one has to be: it is valid, and the API does as it says.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use dogwatch_testing::{eventually, python_with};
use tokio::process::Command;

use crate::support::{LONG, Place};

/// Tries of each operation.
const EXAMPLES: &str = "6";

async fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-openapi");
    python_with(&folder, &["openapi-spec-validator>=0.7,<1", "schemathesis>=4.3,<5"]).await
}

async fn succeeds(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?}\n{said}");
    said
}

#[tokio::test]
async fn the_description_is_valid_and_the_api_does_as_it_says() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let bin = python().await;
    let place = Place::new().await;
    place.write("schedules.toml", include_str!("../../schedules.toml"));
    let api = place.start(&["api"]);
    let base = api.api().await;
    let url = format!("{base}/openapi.json");
    let text = crate::support::get(&url).await.unwrap().text().await.unwrap();
    place.write("openapi.json", &text);
    let file = place.folder.path().join("openapi.json");
    succeeds(Command::new(bin.join("openapi-spec-validator")).arg(&file)).await;

    let key = place.json(&["keys", "create", "ops", "--scope", "admin", "--json"]);
    let header = format!("Authorization: Bearer {}", key["secret"].as_str().unwrap());
    let closed = async || crate::support::get(format!("{base}/api/v1/jobs")).await.unwrap().status() == 401;
    eventually(LONG, "keys are asked for", closed).await;
    let mut tester = Command::new(bin.join("schemathesis"));
    tester.current_dir(place.folder.path()).args(["run", &url, "--max-examples", EXAMPLES, "--seed", "1"]);
    // What a schema cannot say, such as that one time is before another, is refused though the schema takes it.
    tester.args(["--phases", "examples,coverage,fuzzing", "--exclude-checks", "positive_data_acceptance"]);
    tester.args(["-H", &header, "--exclude-path", "/api/v1/session"]);
    println!("{}", succeeds(&mut tester).await);
    assert!(!api.log().contains("ERROR"), "{}", api.log());
}

#[tokio::test]
async fn the_reference_needs_no_network() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let place = Place::new().await;
    let api = place.start(&["api"]);
    let base = api.api().await;
    let page = crate::support::get(format!("{base}/docs/")).await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("script-src 'self'"));
    let page = page.text().await.unwrap();
    assert!(!page.contains("https://") && !page.contains("//cdn"), "{page}");
    for asset in page.split('"').filter(|part| part.starts_with("./")) {
        let asset = format!("{base}/docs/{}", asset.trim_start_matches("./"));
        assert_eq!(crate::support::get(&asset).await.unwrap().status(), 200, "{asset}");
    }
}
