//! A worker: claims jobs, runs them on apalis, keeps their leases, and drains when it is told to stop.

use std::collections::HashMap;
use std::sync::Arc;

use apalis::prelude::WorkerBuilder;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::celery::{CeleryIngest, Control, ResultRelay};
use crate::claim::{Claimed, Claimer};
use crate::client::Client;
use crate::clock::Clock;
use crate::feed::Feed;
use crate::lease::Leases;
use crate::presence::Presence;
use crate::pulse::Pulse;
use crate::reconcile::Reconciler;
use crate::registry::{Catalog, Registry};
use crate::run::Runner;
use crate::settings::Settings;
use crate::settle::Settler;
use crate::unknown::UnknownJobs;
use crate::{limit_changes, sweep};

/// How a process is told to stop: first to drain, then to end at once.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Begin nothing new; let what runs come to its end.
    pub drain: CancellationToken,
    /// Give everything back and end.
    pub now: CancellationToken,
}

/// Runs jobs of the registry `C` is the context of.
#[derive(Debug)]
pub struct Worker<C> {
    client: Client,
    registry: Registry<C>,
    context: Arc<C>,
    settings: Settings,
    identity: Arc<str>,
    host: String,
    pulse: Pulse,
}

impl<C: Send + Sync + 'static> Worker<C> {
    /// `host` becomes part of the worker's identity, which is new at every start.
    pub fn new(client: Client, registry: Registry<C>, context: C, settings: Settings, host: &str) -> Self {
        let identity = format!("{host}-{}-{:08x}", std::process::id(), rand::random::<u32>()).into();
        let (context, host) = (Arc::new(context), host.to_owned());
        Self { client, registry, context, settings, identity, host, pulse: Pulse::default() }
    }

    /// Who this worker is in leases and records.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Tells whether it goes on, also while it runs.
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Works until it is told to stop and every job has ended or was given back. Never ends on a fault of Redis.
    pub async fn run(self, stop: Stop) {
        let Self { client, registry, context, settings, identity, host, pulse } = self;
        let (give_back, end) = (CancellationToken::new(), CancellationToken::new());
        let leases = Leases::new(Clock::system());
        let slots = Arc::new(Semaphore::new(settings.concurrency));
        let (sender, receiver) = mpsc::channel(settings.concurrency);

        let mut duties = JoinSet::new();
        duties.spawn(leases.clone().keep(client.clone(), settings.lease, end.clone()));
        let presence =
            Presence::new(client.clone(), &identity, &host, &settings, leases.clone(), stop.drain.clone());
        duties.spawn(presence.keep(end.clone()));
        let catalog = registry.catalog();
        for queue in settings.weighted_queues() {
            keep(&mut duties, &queue.name, (&client, &settings), &catalog, &identity, &end);
        }
        for ingest in CeleryIngest::all(&client, &catalog, &settings) {
            duties.spawn(ingest.run(stop.drain.clone()));
        }
        if let Some(control) = Control::new(&client, &catalog, &settings, &leases, &identity) {
            duties.spawn(control.run(stop.drain.clone()));
        }
        if let Some(relay) = ResultRelay::new(&client, &settings, &identity) {
            duties.spawn(relay.run(end.clone()));
        }
        let (mut settlers, mut outcomes) = (JoinSet::new(), HashMap::new());
        for queue in settings.weighted_queues() {
            let (sender, receiver) = mpsc::channel(settings.concurrency);
            outcomes.insert(queue.name.clone(), sender);
            let settler = Settler {
                client: client.clone(),
                queue: queue.name,
                settings: settings.clone(),
                give_back: give_back.clone(),
                now: stop.now.clone(),
            };
            settlers.spawn(settler.run(receiver));
        }
        let unknown = UnknownJobs::default();
        let claimer = Claimer {
            client: client.clone(),
            unknown: unknown.clone(),
            worker: identity.clone(),
            settings: settings.clone(),
            slots,
            leases,
            claimed: sender,
            pulse,
        };
        // The feed ends when the claimer has ended.
        let claimer = AbortOnDropHandle::new(tokio::spawn(claimer.run(stop.drain.clone())));

        let drain = settings.drain;
        let runner = Arc::new(Runner {
            client,
            registry,
            context,
            settings,
            worker: identity.clone(),
            clock: Clock::system(),
            unknown,
            outcomes,
            drain: stop.drain.clone(),
            give_back: give_back.clone(),
        });
        let handler = move |claimed: Claimed| {
            let runner = runner.clone();
            async move { runner.perform(claimed).await }
        };
        let worker = WorkerBuilder::new(&*identity).backend(Feed(receiver)).build(handler);
        let running = worker.run();
        tokio::pin!(running);

        let deadline = async {
            stop.drain.cancelled().await;
            tokio::select! {
                () = tokio::time::sleep(drain) => {}
                () = stop.now.cancelled() => {}
            }
        };
        let ended = tokio::select! {
            ended = &mut running => ended,
            () = deadline => {
                give_back.cancel();
                tokio::select! {
                    ended = &mut running => ended,
                    // A claim may wait for a Redis that is away; what it brings lapses with its lease.
                    () = stop.now.cancelled() => {
                        claimer.abort();
                        running.await
                    }
                }
            }
        };
        if let Err(error) = ended {
            tracing::error!(error = %error, "the worker's runtime ended; its jobs run elsewhere when their leases lapse");
        }
        // All runs have ended, so all senders of outcomes are gone with the runner.
        while settlers.join_next().await.is_some() {}
        end.cancel();
        while duties.join_next().await.is_some() {}
    }
}

/// What every worker does for a queue beside running its jobs.
fn keep(
    duties: &mut JoinSet<()>,
    queue: &Arc<str>,
    (client, settings): (&Client, &Settings),
    catalog: &Catalog,
    identity: &Arc<str>,
    end: &CancellationToken,
) {
    let reconciler = Reconciler::new(client.clone(), queue.clone());
    duties.spawn(reconciler.run(identity.clone(), settings.reconcile_every, end.clone()));
    let (limits, catalog) = (settings.clone(), catalog.clone());
    duties.spawn(limit_changes::apply(client.clone(), queue.clone(), limits, catalog, end.clone()));
    duties.spawn(sweep::run(client.clone(), queue.clone(), settings.clone(), end.clone()));
}
