//! What was promised, as ratios within one run, and whether it holds.

use crate::run::Figures;

/// Whether a figure is to be large or small.
#[derive(Clone, Copy)]
enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

pub fn print(all: &Figures, quick: bool) {
    let of = |peer: &str, figure: &str| all.get(peer).and_then(|figures| figures.get(figure)).copied();
    let own = |figure: &str| of("dogwatch", figure);
    let over = |figure: &str, peer: &str| Some(own(figure)? / of(peer, figure)?);
    let lines = [
        ("run/s, times Celery's", over("run_per_second", "celery"), Goal::AtLeast(20.0)),
        ("run/s, times BullMQ's", over("run_per_second", "bullmq"), Goal::AtLeast(3.0)),
        ("run/s, times apalis-redis's", over("run_per_second", "apalis"), Goal::AtLeast(1.5)),
        ("run/s, times riverqueue's", over("run_per_second", "river"), Goal::AtLeast(1.0)),
        (
            "run/s of a large backlog, times that of a small one",
            own("large_backlog_per_second").zip(own("small_backlog_per_second")).map(|(a, b)| a / b),
            Goal::AtLeast(0.9),
        ),
        ("enqueued/s one by one, times apalis-redis's", over("one_per_second", "apalis"), Goal::AtLeast(1.3)),
        (
            "the same, on a processor that is awake",
            over("one_awake_per_second", "apalis"),
            Goal::AtLeast(1.3),
        ),
        ("enqueued/s in bulk, times BullMQ's", over("bulk_per_second", "bullmq"), Goal::AtLeast(3.0)),
        ("pickup, median in ms", own("pickup_p50_ms"), Goal::AtMost(1.0)),
        ("pickup p99, times BullMQ's", over("pickup_p99_ms", "bullmq"), Goal::AtMost(1.0)),
        ("idle: Redis commands/s", own("idle_commands_per_second"), Goal::AtMost(5.0)),
        ("idle: % of a core", own("idle_cpu_percent"), Goal::AtMost(0.5)),
        ("idle: MB resident", own("resident_mb"), Goal::AtMost(20.0)),
        ("interrupted jobs run again after s (lease 30 s)", own("rerun_s"), Goal::AtMost(31.0)),
        ("interrupted jobs run again after s (lease 2 s)", own("rerun_short_s"), Goal::AtMost(3.0)),
        (
            "many schedules due at once: all enqueued after ms",
            own("many_schedules_late_ms"),
            Goal::AtMost(500.0),
        ),
        ("a lone schedule: late by ms, p99", own("lone_late_ms"), Goal::AtMost(10.0)),
    ];
    for (what, value, goal) in lines {
        let Some(value) = value else { continue };
        let (holds, goal) = match goal {
            Goal::AtLeast(least) => (value >= least, format!("at least {least}")),
            Goal::AtMost(most) => (value <= most, format!("at most {most}")),
        };
        let verdict = match holds {
            _ if quick => "quick ",
            true => "kept  ",
            false => "BROKEN",
        };
        println!("{verdict} {what}: {value:.2} ({goal})");
    }
}
