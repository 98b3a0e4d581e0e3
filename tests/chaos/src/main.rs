//! Runs the queue while everything around it fails, and checks the history.
//!
//! `chaos run` starts a Redis, workers, schedulers and producers, each a process of its own, and a nemesis that kills
//! and stops them, takes Redis away, fills its memory and spoils the network, as a seed says. Every process writes down
//! what it does and sees (`event.rs`, `ledger.rs`). When the faults are over and all jobs have ended, `checker.rs`
//! compares the history with what the queue has promised, and the report says how often each promise was looked at and
//! broken. The seed makes the same faults and the same jobs again; how they meet is up to the machine.
//!
//! `chaos run --seed 7 --duration 2m --fsync always` is one run, `--duration 1h` a long one; `chaos check FOLDER` looks at
//! the ledgers of a run that were kept with `--keep FOLDER` once more.
//!
//! `chaos hostile` tries another thing: honest services beside hostile senders, on one program (`hostile/`).
//!
//! That the checker would notice is shown by runs in which a protection of the queue is switched off (`sabotage.rs`).

mod census;
mod checker;
mod conductor;
mod doors;
mod entrance;
mod event;
mod fleet;
mod guard;
mod harvest;
mod hostile;
mod jobs;
mod ledger;
mod nemesis;
mod plan;
mod process;
mod program;
mod proxy;
mod remains;
mod report;
mod sabotage;
mod server;
mod stall;
mod watch;
mod way;
mod workload;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use self::process::{Common, KEEP, KEEP_LITTLE};

#[derive(Parser)]
#[command(about = "Runs the queue while everything around it fails, and checks the history")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Conduct a run and check it; ends with 1 when a promise was broken
    Run(conductor::RunArgs),
    /// Check the ledgers of a run once more
    Check { folder: PathBuf },
    /// Run honest services beside hostile senders, on one `dogwatch up`; ends with 1 when a promise was broken
    Hostile(hostile::HostileArgs),
    /// A worker of a run
    #[command(hide = true)]
    Worker {
        #[command(flatten)]
        common: Common,
        #[arg(long)]
        keep_little: bool,
        #[arg(long, default_value_t = 8)]
        concurrency: u32,
        /// Of an older version: it does not know all jobs
        #[arg(long)]
        old: bool,
    },
    /// A scheduler of a run
    #[command(hide = true)]
    Scheduler {
        #[command(flatten)]
        common: Common,
        #[arg(long)]
        schedules: PathBuf,
    },
    /// A producer of a run
    #[command(hide = true)]
    Producer {
        #[command(flatten)]
        common: Common,
        #[arg(long)]
        seed: u64,
        #[arg(long)]
        rate: f64,
        #[command(flatten)]
        doors: Option<doors::Addresses>,
    },
    /// Ends the processes of a run whose conductor is gone
    #[command(hide = true)]
    Guard { folder: PathBuf },
}

fn main() -> Result<ExitCode> {
    // Fails when it has been done already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match Cli::parse().command {
        Command::Run(args) => {
            let clean = runtime.block_on(conductor::run(args))?;
            return Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Hostile(args) => {
            let is_kept = runtime.block_on(hostile::run(args))?;
            return Ok(if is_kept { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Check { folder } => {
            let clean = conductor::check(&folder)?.is_clean();
            return Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Worker { common, keep_little, concurrency, old } => {
            let keep = if keep_little { KEEP_LITTLE } else { KEEP };
            runtime.block_on(process::worker(&common, keep, concurrency, old))?;
        }
        Command::Scheduler { common, schedules } => {
            runtime.block_on(process::scheduler(&common, &schedules))?;
        }
        Command::Producer { common, seed, rate, doors } => {
            runtime.block_on(process::producer(&common, seed, rate, doors.as_ref()))?;
        }
        Command::Guard { folder } => guard::keep(&folder),
    }
    Ok(ExitCode::SUCCESS)
}
