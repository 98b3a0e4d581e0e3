//! Generates series of a latency with shifts of known size, and prints what is found in them: by this, and by PELT and binary
//! segmentation of PyPI's `ruptures`.
//!
//! `cargo run --release -- [SERIES [FIRST]]`: SERIES series of each size, numbered from FIRST; 20 of them take five minutes. The
//! folder `target/bench/series` of the repository has them afterwards: `series/NAME.csv` (at, value, count), `truth.csv`, and of each method `offline-METHOD.csv`
//! (changes of whole series), `online-METHOD.csv` (how long after its shift a growing prefix told of it) and `alarms-METHOD.csv`
//! (what growing prefixes of series without a shift told).

mod generator;

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{fs, io};

use anyhow::Context;
use clap::Parser;
use dogwatch_bench_support as support;
use dogwatch_detect::{ChangePoint, ChangeSettings, Point, Scale, change_points, time_until, trend};

use self::generator::{STEP, Series, series};

const SETTINGS: ChangeSettings = ChangeSettings { scale: Scale::Log, min_percent: 10.0, min_absolute: 0.0 };
/// Sizes of shifts in percent.
const PERCENTS: [u32; 4] = [0, 10, 25, 50];
/// Of PyPI, for the scripts of `peers`.
const PACKAGES: [&str; 3] = ["ruptures==1.1.10", "scipy==1.17.1", "pymannkendall==1.4.3"];
/// Points before the first growing prefix: a day.
const FIRST_PREFIX: usize = 288;
/// Growing prefixes after a shift in which it has to be told: two days.
const LAST_PREFIX: usize = 576;
/// How far from the shift a change may be placed and still be the same, in seconds.
const TOLERANCE: i64 = 3 * 3600;

/// What is found in series with known shifts.
#[derive(Parser)]
struct Cli {
    /// Series of each size
    #[arg(default_value_t = 20)]
    series: u64,
    /// The number of the first of them
    #[arg(default_value_t = 0)]
    first: u64,
    /// Shows in seconds that everything runs: two series of each size at most; the figures mean nothing
    #[arg(long)]
    quick: bool,
}

fn main() -> anyhow::Result<()> {
    let Cli { series: count, first, quick } = Cli::parse();
    let count = if quick { count.min(2) } else { count };
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = support::folder("series");
    // What an earlier run has found is not of these.
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => fs::create_dir_all(folder.join("series"))?,
    }
    let all: Vec<Series> = PERCENTS
        .iter()
        .flat_map(|&percent| (first..first + count).map(move |each| series(percent, each)))
        .collect();
    print_times(&all);
    write_series(&folder, &all)?;
    write_offline(&folder, &all, "dogwatch", SETTINGS)?;
    write_offline(&folder, &all, "dogwatch min 5 %", ChangeSettings { min_percent: 5.0, ..SETTINGS })?;
    write_online(&folder, &all)?;
    write_alarms(&folder, &all)?;
    let python = support::python("detect", &PACKAGES)?;
    for script in ["ruptures_peer.py", "table.py"] {
        run(Command::new(&python).arg(here.join("peers").join(script)).arg(&folder))?;
    }
    if quick {
        // It prints the constants of tests; run, so that it still does.
        run(Command::new(&python).arg(here.join("peers/oracles.py")).stdout(Stdio::null()))?;
    }
    support::note(quick);
    Ok(())
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    anyhow::ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

fn write_series(folder: &Path, all: &[Series]) -> io::Result<()> {
    let mut truth = String::from("name,percent,shift_at\n");
    for series in all {
        let shift = series.shift_at.map(|at| at.to_string()).unwrap_or_default();
        line(&mut truth, format_args!("{},{},{shift}", series.name, series.percent));
        let mut csv = String::from("at,value,count\n");
        for point in &series.points {
            line(&mut csv, format_args!("{},{},{}", point.at, point.value, point.count));
        }
        fs::write(folder.join("series").join(format!("{}.csv", series.name)), csv)?;
    }
    fs::write(folder.join("truth.csv"), truth)
}

fn write_offline(folder: &Path, all: &[Series], method: &str, settings: ChangeSettings) -> io::Result<()> {
    let mut csv = String::from("name,at,sign\n");
    for series in all {
        for change in change_points(&series.points, &settings) {
            line(&mut csv, format_args!("{},{},{}", series.name, change.at, change.change.signum()));
        }
    }
    fs::write(folder.join(format!("offline-{method}.csv")), csv)
}

fn write_online(folder: &Path, all: &[Series]) -> io::Result<()> {
    let mut csv = String::from("name,delay\n");
    for series in all {
        let Some(shift_at) = series.shift_at else { continue };
        let after = series.points.partition_point(|point| point.at < shift_at);
        if after + FIRST_PREFIX > series.points.len() {
            continue;
        }
        let is_it = |change: ChangePoint| (change.at - shift_at).abs() <= TOLERANCE;
        let tells =
            |&length: &usize| change_points(&series.points[..length], &SETTINGS).into_iter().any(is_it);
        let told = (after + 1..=series.points.len().min(after + LAST_PREFIX)).find(tells);
        let delay = told.map(|length| series.points[length - 1].at + STEP - shift_at);
        let delay = delay.map(|delay| delay.to_string()).unwrap_or_default();
        line(&mut csv, format_args!("{},{delay}", series.name));
    }
    fs::write(folder.join("online-dogwatch.csv"), csv)
}

fn write_alarms(folder: &Path, all: &[Series]) -> io::Result<()> {
    let mut csv = String::from("name,at,told_at\n");
    for series in all.iter().filter(|series| series.percent == 0) {
        let mut told: Vec<i64> = Vec::new();
        for length in FIRST_PREFIX..=series.points.len() {
            for change in change_points(&series.points[..length], &SETTINGS) {
                if told.iter().all(|at| (at - change.at).abs() > TOLERANCE) {
                    told.push(change.at);
                    line(
                        &mut csv,
                        format_args!("{},{},{}", series.name, change.at, series.points[length - 1].at),
                    );
                }
            }
        }
    }
    fs::write(folder.join("alarms-dogwatch.csv"), csv)
}

/// How long the newest points of the series take, by how many they are.
fn print_times(all: &[Series]) {
    for length in [300, 1000, 2000, 4000] {
        let newest = |series: &Series| series.points.len().checked_sub(length);
        let windows: Vec<&[Point]> =
            all.iter().filter_map(|series| newest(series).map(|start| &series.points[start..])).collect();
        if windows.is_empty() {
            continue;
        }
        let changes = milliseconds(&windows, |points| change_points(points, &SETTINGS));
        let trends = milliseconds(&windows, trend);
        let forecasts = milliseconds(&windows, |points| time_until(points, 1e4));
        println!(
            "{length} points, {} series: change_points {changes:.2} ms, trend {trends:.2} ms, time_until \
             {forecasts:.2} ms",
            windows.len()
        );
    }
}

fn milliseconds<T>(windows: &[&[Point]], work: impl Fn(&[Point]) -> T) -> f64 {
    let start = Instant::now();
    for points in windows {
        black_box(work(points));
    }
    start.elapsed().as_secs_f64() * 1e3 / windows.len() as f64
}

fn line(text: &mut String, arguments: std::fmt::Arguments) {
    writeln!(text, "{arguments}").expect("text takes everything");
}
