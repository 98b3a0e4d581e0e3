//! `dogwatch completions` and `dogwatch man`: what a shell and `man` know of the command line, made from it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, output};

/// Print what a shell needs to complete commands and flags
#[derive(Debug, Args)]
#[command(after_help = "Example: dogwatch completions bash > /etc/bash_completion.d/dogwatch")]
pub(super) struct Completions {
    /// For which shell
    shell: Shell,
}

/// Write the manual pages, one for each command
#[derive(Debug, Args)]
#[command(after_help = "Example: dogwatch man /usr/local/share/man/man1")]
pub(super) struct Man {
    /// Where to; it is made where it is missing
    folder: PathBuf,
}

impl Completions {
    pub(super) fn run(&self) -> ExitCode {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "dogwatch", &mut script);
        output::line(String::from_utf8_lossy(&script).trim_end());
        ExitCode::SUCCESS
    }
}

impl Man {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let place = || format!("cannot write manual pages to {}", self.folder.display());
        std::fs::create_dir_all(&self.folder).with_context(place)?;
        clap_mangen::generate_to(Cli::command(), &self.folder).with_context(place)?;
        output::note(&format!("wrote manual pages to {}", self.folder.display()));
        Ok(ExitCode::SUCCESS)
    }
}
