//! `dogwatch backtest`: what would have been said of a series, or of a folder of them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use chrono::DateTime;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Global, output, usage};
use crate::backtest::{Backtest as Done, files};

/// Anomalies that the table shows of a file.
const SHOWN: usize = 3;

/// Show what would have been said of a series: anomalies, and changes of its level
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  dogwatch backtest latency.csv --plot latency.svg\n  \
                        dogwatch backtest corpus/ --out scores/ --plot pictures/")]
pub(super) struct Backtest {
    /// A CSV file with the columns timestamp and value; or a folder of them
    #[arg(value_name = "FILE")]
    input: PathBuf,
    /// Write a CSV file with the score of each row here; of a folder, into this folder
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Draw a picture, .svg or .png; of a folder, SVGs into this folder
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Backtest {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        global.stay_here()?;
        let done = if self.input.is_dir() { self.folder()? } else { vec![self.file()?] };
        if self.json {
            output::json_list(&done)?;
        } else {
            let header = ["file", "points", "anomalies", "the first of them", "changes of level"];
            output::table(&header, done.iter().map(row).collect(), "no files");
            for (file, note) in done.iter().flat_map(|done| done.notes.iter().map(|note| (&done.file, note)))
            {
                output::note(&format!("{file}: {note}"));
            }
            let points: usize = done.iter().map(|file| file.points).sum();
            let us: f64 = done.iter().map(|file| file.microseconds_per_point * file.points as f64).sum();
            output::note(&format!("{points} points, {:.2} µs each", us / points.max(1) as f64));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn file(&self) -> anyhow::Result<Done> {
        let done = Done::run(&self.input, self.input.display().to_string())?;
        self.keep(&done, self.out.as_deref(), self.plot.as_deref())?;
        Ok(done)
    }

    /// All files of a folder; what is written of each stands in the same place of the folders named.
    fn folder(&self) -> anyhow::Result<Vec<Done>> {
        let all = files(&self.input)?;
        if all.is_empty() {
            return Err(usage(format!("{} has no file that ends in .csv", self.input.display())));
        }
        // On a terminal only.
        let bar = ProgressBar::new(all.len() as u64);
        bar.set_style(ProgressStyle::with_template("{wide_bar} {pos} of {len} files, {eta} left")?);
        let mut done = Vec::new();
        for file in all {
            let place = file.strip_prefix(&self.input).unwrap_or(&file);
            let tested = Done::run(&file, place.display().to_string())?;
            let scores = self.out.as_ref().map(|folder| folder.join(place));
            let picture = self.plot.as_ref().map(|folder| folder.join(place).with_extension("svg"));
            self.keep(&tested, scores.as_deref(), picture.as_deref())?;
            // Its rows are written, and a corpus may be large.
            done.push(Done { rows: Vec::new(), ..tested });
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(done)
    }

    fn keep(&self, done: &Done, scores: Option<&Path>, picture: Option<&Path>) -> anyhow::Result<()> {
        for file in [scores, picture].into_iter().flatten() {
            if let Some(folder) = file.parent().filter(|_| self.input.is_dir()) {
                std::fs::create_dir_all(folder).with_context(|| cannot_write(folder))?;
            }
        }
        if let Some(file) = scores {
            let out = File::create(file).with_context(|| cannot_write(file))?;
            done.write_scores(std::io::BufWriter::new(out)).with_context(|| cannot_write(file))?;
        }
        if let Some(file) = picture {
            draw(done, file)?;
        }
        Ok(())
    }
}

fn draw(done: &Done, file: &Path) -> anyhow::Result<()> {
    let chart = done.chart();
    let picture = match file.extension().and_then(|end| end.to_str()) {
        Some("svg") => chart.svg().into_bytes(),
        Some("png") => chart.png().map_err(anyhow::Error::msg)?,
        _ => return Err(usage(format!("--plot {}: end it in .svg or .png", file.display()))),
    };
    std::fs::write(file, picture).with_context(|| cannot_write(file))
}

fn cannot_write(file: &Path) -> String {
    format!("cannot write {}", file.display())
}

fn row(done: &Done) -> Vec<String> {
    let times = done.anomalies.iter().take(SHOWN).map(|at| output::time(Some(*at)));
    let changes = done.changes.iter().take(SHOWN).filter_map(|change| {
        let at = output::time(Some(DateTime::from_timestamp(change.at, 0)?));
        Some(format!("{at}: {:.4} to {:.4}", change.before, change.after))
    });
    vec![
        done.file.clone(),
        done.points.to_string(),
        done.anomalies.len().to_string(),
        times.collect::<Vec<_>>().join("\n"),
        changes.collect::<Vec<_>>().join("\n"),
    ]
}
