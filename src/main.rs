//! The program: parses the command line, runs the command, turns its end into an exit code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Several libraries speak TLS; they share this one implementation.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = dogwatch::cli::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            dogwatch::cli::output::error(&format!("cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(dogwatch::cli::run(cli));
    // A disk or a name server that does not answer must not keep a process that has finished.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    code
}
