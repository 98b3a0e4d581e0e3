//! `chaos hostile`: honest services beside hostile senders, on one `dogwatch up`.
//!
//! Honest senders export requests and now and then one that fails; hostile ones hold sockets, send bombs, odd values,
//! wrong clocks, floods of names and alerts. In the end every honest request is stored, every honest alert came in
//! time, the process answered, and its memory stayed below a bound.

mod attack;
mod honest;
mod receiver;
mod subject;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use dogwatch_runtime::duration;
use tokio_util::sync::CancellationToken;

use self::honest::Honest;
use self::receiver::Receiver;
use self::subject::Subject;

/// An alert is checked every 30 s, needs a window with enough failures, and is sent every 10 s.
const ALERT_IN_TIME: Duration = Duration::from_secs(90);
/// Nobody who checks a process waits for longer.
const ANSWER_IN_TIME: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(crate) struct HostileArgs {
    /// How long
    #[arg(long, default_value = "10m", value_parser = duration::parse)]
    duration: Duration,
    /// The program under test; default: beside this one
    #[arg(long)]
    program: Option<PathBuf>,
    /// The most memory that the process may use, in MiB
    #[arg(long, default_value_t = 512)]
    memory_mib: u64,
    /// Leave one kind of attack alone; can be repeated
    #[arg(long, value_name = "ATTACK")]
    without: Vec<String>,
    /// Honest senders alone, to compare with
    #[arg(long)]
    calm: bool,
}

/// Runs it; false when a promise was broken.
pub(crate) async fn run(args: HostileArgs) -> Result<bool> {
    let program = match args.program {
        Some(program) => program,
        None => std::env::current_exe()?.with_file_name("dogwatch"),
    };
    let receiver = Receiver::start().await?;
    let subject = Arc::new(Subject::start(&program, receiver.address()).await?);
    println!("{} in {}", subject.api(), subject.folder().display());
    let (stop, stop_honest) = (CancellationToken::new(), CancellationToken::new());
    let honest = Honest::start(&subject, stop_honest.clone());
    let watching = tokio::spawn(subject::watch(subject.clone(), stop.clone()));
    let mut attacks = Vec::new();
    if !args.calm {
        for attack in attack::ALL.iter().filter(|attack| !args.without.iter().any(|name| name == attack.name))
        {
            attacks.push((attack.name, tokio::spawn(attack::repeat(attack, subject.clone(), stop.clone()))));
        }
    }
    let began = Instant::now();
    while let Some(rest) = args.duration.checked_sub(began.elapsed()).filter(|rest| !rest.is_zero()) {
        tokio::time::sleep(rest.min(Duration::from_mins(1))).await;
        println!("{:>5} s, {} MiB, {}", began.elapsed().as_secs(), subject.memory_mib()?, honest.progress());
    }
    stop_honest.cancel();
    let honest = honest.finish(&subject, &receiver).await?;
    stop.cancel();
    let seen = watching.await?;
    for (name, attack) in attacks {
        println!("{name:<24} {}", attack.await?);
    }
    let checks = [
        (
            honest.stored == honest.sent,
            format!("{} of {} honest requests are stored", honest.stored, honest.sent),
        ),
        (
            honest.alerts.iter().all(|delay| delay.is_some_and(|delay| delay <= ALERT_IN_TIME)),
            format!("alerts of honest services came after {}", honest.delays()),
        ),
        (
            seen.slowest <= ANSWER_IN_TIME && seen.unanswered == 0,
            format!(
                "/livez: {} answers, the slowest after {:?}, {} without an answer",
                seen.answers, seen.slowest, seen.unanswered
            ),
        ),
        (
            seen.peak_mib <= args.memory_mib,
            format!("memory: at most {} MiB of {} MiB", seen.peak_mib, args.memory_mib),
        ),
    ];
    for (holds, what) in &checks {
        println!("{} {what}", if *holds { "kept  " } else { "BROKEN" });
    }
    let is_kept = checks.iter().all(|(holds, _)| *holds);
    Arc::into_inner(subject).map(|subject| subject.end(is_kept)).transpose()?;
    Ok(is_kept)
}
