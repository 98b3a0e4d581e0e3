//! `--watch`: the same command again and again, on a screen that is cleared in between, until it is stopped.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use super::{Cli, execute, output};

/// Repeats until the process is ended, the command makes no sense, or nobody reads the output any more, such as
/// `head` after its last line.
pub(super) async fn repeat(every: Duration) -> ExitCode {
    tokio::select! {
        () = output::reader_closed() => ExitCode::SUCCESS,
        code = forever(every) => code,
    }
}

async fn forever(every: Duration) -> ExitCode {
    let is_screen = std::io::stdout().is_terminal();
    loop {
        if is_screen {
            let _ = write!(std::io::stdout(), "\x1b[2J\x1b[H");
        }
        let code = execute(Cli::parse()).await;
        if code == ExitCode::from(2) {
            return code;
        }
        if is_screen {
            output::note(&format!("again every {every:?}; stop with Ctrl-C"));
        }
        tokio::time::sleep(every).await;
    }
}
