//! `dogwatch up` in an empty folder: servers, migrations, first runs; stops without a trace; goes on.

use std::collections::BTreeSet;

use dogwatch_testing::eventually;

use crate::support::{LONG, Place, processes_in};

#[tokio::test]
async fn up_shows_the_first_runs_stops_without_a_trace_and_goes_on_with_its_data() {
    let place = Place::bare();
    let schedules = include_str!("../../schedules.toml");
    place.write("schedules.toml", schedules);
    let up = place.start(&["up"]);
    up.says("Dogwatch is up after").await;
    // What runs at the start, and what is due within a minute.
    let expected: BTreeSet<&str> = schedules
        .split("\n[schedules.")
        .filter(|text| text.contains("\nrun_at_start = true") || text.contains("\nevery = "))
        .filter_map(|text| text.split(']').next())
        .collect();
    assert_eq!(expected.len(), 7, "{expected:?}");
    let all = async || {
        let jobs = place.jobs("succeeded");
        let names: BTreeSet<&str> = jobs.iter().filter_map(|job| job["job"].as_str()).collect();
        names.is_superset(&expected)
    };
    eventually(LONG, "these jobs have succeeded", all).await;
    let log = up.log();
    assert!(
        log.contains("The API: http://127.0.0.1:")
            && log.contains("cleanup_old_performance_data  30 3 * * *"),
        "{log}"
    );
    assert!(log.contains("`monitor_system_resources` succeeded"), "{log}");

    let services = place.json(&["services", "--json"]);
    let states: Vec<_> =
        services["items"].as_array().unwrap().iter().map(|s| (&s["service"], &s["state"])).collect();
    assert_eq!(
        format!("{states:?}"),
        r#"[(String("dogwatch-postgres"), String("healthy")), (String("dogwatch-redis"), String("healthy"))]"#
    );
    let report = place.run(&["report", "--hours", "1"]);
    let text = String::from_utf8_lossy(&report.stdout).into_owned();
    assert!(text.contains("CPU") && text.contains("dogwatch-redis"), "{text}");
    let doctor = place.run(&["doctor"]);
    assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));

    let again = place.run(&["up"]);
    let refusal = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(!again.status.success() && refusal.contains("is in use by process"), "{refusal}");

    let before = place.jobs("succeeded").len();
    up.signal("TERM");
    assert_eq!(up.end().await, Some(0));
    assert_eq!(processes_in(place.folder.path()), 0);

    let up = place.start(&["up"]);
    up.says("Dogwatch is up after").await;
    assert!(place.jobs("succeeded").len() >= before, "the second start has the first one's jobs");
    up.signal("INT");
    assert_eq!(up.end().await, Some(0));
    assert_eq!(processes_in(place.folder.path()), 0);
}
