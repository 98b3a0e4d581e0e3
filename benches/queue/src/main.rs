//! `cargo run --release` prints one table: Dogwatch beside the queues that people use today, in one run, on the same
//! servers, with no-op jobs of a small JSON payload; and below it, what was promised and whether it holds.
//!
//! Each figure comes from a process of its own (`child`, or a script of `peers/`), which prints one line of JSON.
//! The job's handler counts, and knows when it was sent; so the same clock measures all.

mod apalis_peer;
mod dogwatch_peer;
mod meter;
mod peer;
mod promises;
mod river_peer;
mod run;
mod schedules;

use clap::{Parser, Subcommand};

/// The queue beside what people use today.
#[derive(Parser)]
struct Cli {
    /// Only these: dogwatch, celery, bullmq, apalis, river
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Shows in a minute or two that everything runs; the figures mean nothing
    #[arg(long)]
    quick: bool,
    /// Write the figures here too
    #[arg(long)]
    json: Option<std::path::PathBuf>,
    #[command(subcommand)]
    child: Option<Child>,
}

#[derive(Subcommand)]
enum Child {
    /// One measurement, in a process of its own
    #[command(hide = true)]
    Child {
        peer: String,
        role: String,
        url: String,
        count: usize,
        /// Of schedules: how many slots are observed
        #[arg(default_value_t = 0)]
        slots: usize,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.child {
        None => run::all(&cli.only, cli.quick, cli.json.as_deref()).await,
        // In a task, as in a service: from the main thread, each call would cross threads twice.
        Some(child) => tokio::spawn(child.run()).await?,
    }
}

impl Child {
    async fn run(self) -> anyhow::Result<()> {
        let Self::Child { peer, role, url, count, slots } = self;
        match peer.as_str() {
            "dogwatch" => dogwatch_peer::child(&role, &url, count).await,
            "apalis" => apalis_peer::child(&role, &url, count).await,
            "river" => river_peer::child(&role, &url, count).await,
            "schedules" => schedules::child(&role, &url, count, slots).await,
            "spin" => loop {
                std::hint::spin_loop();
            },
            other => anyhow::bail!("no peer is named `{other}`"),
        }
    }
}
