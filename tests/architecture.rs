//! Who may import whom. A crate's manifest is its boundary; this is the list of boundaries.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Ours that each of ours may depend on; tests not counted.
const MAY_IMPORT: [(&str, &[&str]); 14] = [
    // What every process and crate needs; it knows none of them.
    ("dogwatch-runtime", &[]),
    ("dogwatch-queue", &["dogwatch-runtime"]),
    // The words that settings, database, API and channels have in common, and pure functions on them.
    ("dogwatch-alerting", &["dogwatch-runtime"]),
    ("dogwatch-chart", &[]),
    ("dogwatch-store", &["dogwatch-runtime", "dogwatch-alerting"]),
    ("dogwatch-notify", &["dogwatch-runtime", "dogwatch-alerting", "dogwatch-chart"]),
    ("dogwatch-detect", &[]),
    ("dogwatch-sql", &[]),
    ("dogwatch-tower", &[]),
    ("dogwatch-embedded", &[]),
    ("dogwatch-testing", &["dogwatch-embedded"]),
    ("dogwatch-chaos", &["dogwatch-runtime", "dogwatch-queue", "dogwatch-embedded"]),
    (
        "dogwatch-jobs",
        &[
            "dogwatch-runtime",
            "dogwatch-queue",
            "dogwatch-store",
            "dogwatch-notify",
            "dogwatch-detect",
            "dogwatch-sql",
            "dogwatch-alerting",
            "dogwatch-chart",
        ],
    ),
    (
        "dogwatch",
        &[
            "dogwatch-runtime",
            "dogwatch-queue",
            "dogwatch-store",
            "dogwatch-notify",
            "dogwatch-detect",
            "dogwatch-sql",
            "dogwatch-alerting",
            "dogwatch-chart",
            "dogwatch-embedded",
            "dogwatch-jobs",
        ],
    ),
];

/// Libraries that one crate alone may use. In no product are `dogwatch-testing`, which makes databases with sqlx, and
/// `dogwatch-chaos`, which enqueues by all ways and kills what it can.
const ONLY_IN: [(&str, &[&str]); 6] = [
    ("apalis", &["dogwatch-queue"]),
    ("apalis-core", &["dogwatch-queue", "dogwatch-chaos"]),
    ("redis", &["dogwatch-queue", "dogwatch-chaos"]),
    ("sqlx", &["dogwatch-store", "dogwatch-testing", "dogwatch-chaos"]),
    ("lettre", &["dogwatch-notify"]),
    // Where it asks axum for the route of a request.
    ("axum", &["dogwatch", "dogwatch-tower"]),
];

/// Names of the packages that each of our packages depends on: in its product, and in its tests.
fn dependencies() -> BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap();
        let (tests, product): (Vec<_>, Vec<_>) =
            all.iter().partition(|dependency| dependency["kind"] == "dev");
        let names =
            |list: Vec<&Value>| list.into_iter().map(|dependency| text(&dependency["name"])).collect();
        (text(&package["name"]), (names(product), names(tests)))
    };
    metadata["packages"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn crates_import_only_what_they_may() {
    let dependencies = dependencies();
    let listed: BTreeSet<&str> = MAY_IMPORT.iter().map(|(name, _)| *name).collect();
    let there: BTreeSet<&str> = dependencies.keys().map(String::as_str).collect();
    assert_eq!(there, listed, "every crate stands in this test");
    for (name, allowed) in MAY_IMPORT {
        let ours = dependencies[name].0.iter().filter(|dependency| dependency.starts_with("dogwatch"));
        for dependency in ours {
            assert!(allowed.contains(&dependency.as_str()), "`{name}` must not depend on `{dependency}`");
        }
    }
}

#[test]
fn a_library_with_a_boundary_stays_in_its_crate() {
    for (name, (product, _)) in dependencies() {
        for (library, crates) in ONLY_IN {
            let allowed = crates.contains(&name.as_str());
            assert!(allowed || !product.contains(library), "`{name}` must not depend on `{library}`");
        }
    }
}

#[test]
fn what_is_for_tests_is_in_no_product() {
    for (name, (product, _)) in dependencies() {
        assert!(!product.contains("dogwatch-testing"), "`{name}` ships `dogwatch-testing`");
    }
}

#[test]
fn detect_does_no_input_or_output() {
    // States are kept by those who have a place for them; distributions are pure.
    let allowed = ["serde", "statrs"].map(str::to_owned);
    assert_eq!(dependencies()["dogwatch-detect"].0, allowed.into());
}
