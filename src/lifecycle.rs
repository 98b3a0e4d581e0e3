//! The life of a serving process: roles run until a signal, drain, and end with an exit code.
//!
//! The first SIGINT or SIGTERM drains: nothing new begins, what runs comes to its end or is given back. A second one
//! ends at once. A role that ends by itself ends the process, with code 1: whoever supervises it starts it again.

use std::process::ExitCode;

use anyhow::Context;
use dogwatch_queue::{Stop, error_chain};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

/// What runs in this process.
#[derive(Debug, Default)]
pub struct Roles {
    running: JoinSet<(&'static str, anyhow::Result<()>)>,
    /// Threads of their own for all roles but the API, where it runs beside them.
    apart: Option<Runtime>,
}

impl Roles {
    /// For a process that has an API and other roles: what keeps the threads of the API busy does not keep a worker from
    /// renewing its leases, and jobs do not keep the API from answering.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn with_api() -> anyhow::Result<Self> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.enable_all().thread_name("jobs").build().context("cannot start threads")?;
        Ok(Self { running: JoinSet::new(), apart: Some(runtime) })
    }

    /// Starts a role that is not the API.
    pub fn start_apart(
        &mut self,
        name: &'static str,
        role: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let role = async move { (name, role.await) };
        match &self.apart {
            Some(runtime) => self.running.spawn_on(role, runtime.handle()),
            None => self.running.spawn(role),
        };
    }

    /// Starts one.
    pub fn start(
        &mut self,
        name: &'static str,
        role: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.running.spawn(async move { (name, role.await) });
    }

    /// Waits until all have ended.
    pub async fn finish(mut self, stop: &Stop) -> ExitCode {
        let mut code = ExitCode::SUCCESS;
        while let Some(ended) = self.running.join_next().await {
            let was_told = stop.drain.is_cancelled();
            stop.drain.cancel();
            match ended {
                Ok((name, Ok(()))) if was_told => tracing::debug!("{name} has ended"),
                Ok((name, Ok(()))) => {
                    tracing::error!("{name} ended though nobody asked; stopping everything");
                    code = ExitCode::FAILURE;
                }
                Ok((name, Err(error))) => {
                    tracing::error!("{name} failed: {}", error_chain(&*error));
                    code = ExitCode::FAILURE;
                }
                Err(error) => {
                    tracing::error!("stopped by a bug: {error}");
                    code = ExitCode::FAILURE;
                }
            }
        }
        code
    }
}

impl Drop for Roles {
    fn drop(&mut self) {
        // Waiting for its threads would block those of the caller.
        if let Some(runtime) = self.apart.take() {
            runtime.shutdown_background();
        }
    }
}

/// Tells `Stop` what the signals say, for as long as the process lives.
pub fn stop_on_signals() -> anyhow::Result<Stop> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let stop = Stop::default();
    let tell = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if tell.drain.is_cancelled() {
                tracing::warn!("stopping at once");
                tell.now.cancel();
            } else {
                tracing::info!("stopping; once more to stop at once");
                tell.drain.cancel();
            }
        }
    });
    Ok(stop)
}
