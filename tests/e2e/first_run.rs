//! `dogwatch up` in an empty folder: servers, migrations, every job once; stops without a trace; goes on.

use std::collections::BTreeSet;

use dogwatch_testing::eventually;

use crate::support::{LONG, Place, processes_in};

#[tokio::test]
async fn up_runs_every_job_once_stops_without_a_trace_and_goes_on_with_its_data() {
    let place = Place::bare();
    let schedules = include_str!("../../schedules.toml");
    place.write("schedules.toml", schedules);
    let up = place.start(&["up"]);
    up.says("Dogwatch is up after").await;
    let all = async || {
        let names: BTreeSet<String> =
            place.jobs("succeeded").iter().map(|job| job["job"].to_string()).collect();
        names.len() == schedules.matches("\n[schedules.").count()
    };
    eventually(LONG, "every job has succeeded", all).await;
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
