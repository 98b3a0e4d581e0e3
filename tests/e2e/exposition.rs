//! `/metrics`, as Prometheus reads it; and the dashboard and the alert rules that are made for it.

use std::collections::BTreeSet;
use std::path::Path;

use dogwatch_testing::{eventually, python_with};
use serde_json::Value;
use tokio::process::Command;

use crate::support::{LONG, OWNER, Place};

#[tokio::test]
async fn prometheus_reads_the_figures_and_what_is_made_for_them_asks_for_no_other() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let place = Place::new().await;
    place.write("schedules.toml", "[schedules.health]\njob = \"check_service_health\"\nevery = \"1s\"\n");
    let (api, _worker, _scheduler) =
        (place.start(&["api"]), place.start(&["worker"]), place.start(&["scheduler"]));
    let base = api.api().await;
    let figures =
        async || crate::support::get(format!("{base}/metrics")).await.unwrap().text().await.unwrap();
    let ran = "dogwatch_jobs_total{queue=\"default\",job=\"check_service_health\",outcome=\"succeeded\"}";
    eventually(LONG, "a job that ran is counted", async || figures().await.contains(ran)).await;
    let due = "dogwatch_scheduler_ticks_total{queue=\"default\"}";
    eventually(LONG, "a tick that was due is counted", async || {
        figures().await.lines().any(|line| line.starts_with(due) && !line.ends_with(" 0.0"))
    })
    .await;

    let bin = python_with(
        &Path::new(env!("CARGO_TARGET_TMPDIR")).join("prometheus"),
        &["prometheus_client==0.23.1"],
    )
    .await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/read_metrics.py");
    let read = Command::new(bin.join("python")).arg(script).arg(&base).arg(OWNER).output().await.unwrap();
    assert!(read.status.success(), "{}\n{}", String::from_utf8_lossy(&read.stderr), figures().await);
    let known = String::from_utf8(read.stdout).unwrap();
    let known: BTreeSet<&str> = known.lines().collect();

    let rules = std::fs::read_to_string("deploy/prometheus/dogwatch.rules.yml").unwrap();
    let dashboard = std::fs::read_to_string("deploy/grafana/dogwatch.json").unwrap();
    let panels: Value = serde_json::from_str(&dashboard).unwrap();
    assert!(panels["panels"].as_array().unwrap().len() > 10);
    let mut asked_for = BTreeSet::new();
    for text in [&rules, &dashboard] {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        asked_for.extend(words.filter(|word| word.starts_with("dogwatch_")));
    }
    assert!(asked_for.len() > 12, "{asked_for:?}");
    let unknown: Vec<_> = asked_for.difference(&known).collect();
    assert!(unknown.is_empty(), "nobody tells of {unknown:?}; there are: {known:?}");
}
