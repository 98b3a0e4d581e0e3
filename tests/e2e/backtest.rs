//! `dogwatch backtest`: what would have been said of a series.

use std::fmt::Write;

use crate::support::Place;

/// Two weeks of five minutes with a daily wave; an hour of one day is far too high, and the last days are at another level.
fn series() -> String {
    let mut csv = "timestamp,value\n".to_owned();
    for index in 0..14 * 288_i32 {
        let wave = (f64::from(index) / 288.0 * std::f64::consts::TAU).sin();
        // Some noise that is always the same.
        let noise = f64::from(index * 7919 % 101) / 101.0;
        let spike = if (2000..2012).contains(&index) { 80.0 } else { 0.0 };
        let level = if index >= 3300 { 140.0 } else { 100.0 };
        let (day, minute) = (1 + index / 288, index % 288 * 5);
        let value = level + 10.0 * wave + 4.0 * noise + spike;
        writeln!(csv, "2026-11-{day:02} {:02}:{:02}:00,{value:.3}", minute / 60, minute % 60).unwrap();
    }
    csv
}

#[test]
fn an_anomaly_and_a_change_of_level_are_told_and_each_row_has_its_score() {
    let place = Place::bare();
    place.write("latency.csv", &series());
    let tested =
        place.json(&["backtest", "latency.csv", "--out", "scores.csv", "--plot", "latency.png", "--json"]);
    let tested = &tested["items"][0];
    assert_eq!(tested["points"], 14 * 288);
    // Row 2000 is at 22:40 of the seventh day, row 3300 at 11:00 of the twelfth.
    let anomalies: Vec<&str> =
        tested["anomalies"].as_array().unwrap().iter().map(|at| at.as_str().unwrap()).collect();
    assert!(anomalies.contains(&"2026-11-07T22:40:00Z"), "{anomalies:?}");
    assert!(anomalies.len() < 8, "{anomalies:?}");
    // The hour came and went.
    let mut changes = tested["changes"].as_array().unwrap().clone();
    changes.retain(|change| change["recovered_at"].is_null() && change["takes_back"].is_null());
    assert_eq!(changes.len(), 1, "{changes:?}");
    let at = chrono::DateTime::from_timestamp(changes[0]["at"].as_i64().unwrap(), 0).unwrap();
    assert_eq!(at.to_rfc3339(), "2026-11-12T11:00:00+00:00");
    assert!((changes[0]["change_percent"].as_f64().unwrap() - 40.0).abs() < 4.0, "{changes:?}");

    let read = |name: &str| std::fs::read(place.folder.path().join(name)).unwrap();
    let scores = String::from_utf8(read("scores.csv")).unwrap();
    let rows: Vec<&str> = scores.lines().collect();
    assert_eq!((rows[0], rows.len()), ("timestamp,anomaly_score", 14 * 288 + 1));
    let (timestamp, score) = rows[2001].split_once(',').unwrap();
    assert_eq!(timestamp, "2026-11-07 22:40:00");
    assert!(score.parse::<f64>().unwrap() >= 0.5, "{score}");
    assert!(read("latency.png").starts_with(b"\x89PNG"));
}

#[test]
fn a_folder_is_tested_as_a_whole_and_what_is_wrong_is_named() {
    let place = Place::bare();
    for folder in ["corpus", "corpus/cpu"] {
        std::fs::create_dir(place.folder.path().join(folder)).unwrap();
    }
    for file in ["corpus/latency.csv", "corpus/cpu/host.csv"] {
        place.write(file, &series());
    }
    let tested = place.run(&["backtest", "corpus", "--out", "scores", "--plot", "pictures"]);
    assert!(tested.status.success());
    let table = String::from_utf8(tested.stdout).unwrap();
    assert!(table.contains("cpu/host.csv") && table.contains("latency.csv"), "{table}");
    for file in ["scores/latency.csv", "scores/cpu/host.csv", "pictures/cpu/host.svg"] {
        assert!(place.folder.path().join(file).exists(), "{file}");
    }

    for (text, told) in [
        ("time,value\n", "has no column `timestamp` but time, value"),
        ("timestamp,value\nyesterday,1\n", "line 2: `yesterday` is no time"),
        ("timestamp,value\n2026-11-26 10:00:00,fast\n", "line 2: `fast` is no number"),
    ] {
        place.write("wrong.csv", text);
        let refused = place.run(&["backtest", "wrong.csv"]);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(refused.status.code() == Some(1) && said.contains(told), "{said}");
    }
}
