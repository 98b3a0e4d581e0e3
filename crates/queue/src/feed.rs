//! The bridge to apalis: a backend that is nothing but a channel of claimed jobs.
//!
//! Claiming, leases and outcomes run in tasks of their own with connections of their own. So the backend has no
//! error to return, and no fault of Redis can end apalis's worker or drop a running job.

use std::convert::Infallible;
use std::task::{Context, Poll};

use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use apalis_core::worker::context::WorkerContext;
use tokio::sync::mpsc;
use tower_layer::Identity;

use crate::claim::Claimed;

/// Ends when its channel is closed and empty; apalis then waits for the jobs that run.
pub(crate) struct Feed(pub(crate) mpsc::Receiver<Claimed>);

impl Backend for Feed {
    type Task = Task<Claimed>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Infallible>>> {
        self.0.poll_recv(cx).map(|claimed| {
            let Some(claimed) = claimed else {
                // The end of a backend alone does not end its worker; this does, once the jobs that run have ended.
                // Fails only when the worker was stopped before.
                let _ = worker.stop();
                return None;
            };
            let id = TaskId::from_string(claimed.id.to_string());
            Some(Ok(TaskBuilder::new(claimed).task_id(id).build()))
        })
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for Feed {
    type Args = Claimed;
    type Id = String;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}
