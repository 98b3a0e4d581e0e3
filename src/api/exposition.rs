//! `GET /metrics`: what Dogwatch knows of itself, for Prometheus and all that read its formats; `OpenMetrics` for who asks for it
//! (<https://prometheus.io/docs/specs/om/open_metrics_spec/>). Figures of jobs and schedulers are of all processes together,
//! as Redis has counted them; of what comes in, and of connections, each process tells its own. A source that does not answer is
//! left out, and that is told as a figure too.

use std::collections::BTreeMap;
use std::fmt;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dogwatch_queue::{
    CeleryTotals, JobTotals, QueueCounts, QueueError, SchedulerStatus, TickTotals, WorkerInfo,
};
use dogwatch_store::{IntakeFigures, PoolFigures, StoreError};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::{ApiState, ConnectionFigures, health};
use crate::otlp::RefusalFigures;
use crate::watchdog::Watched;

const OPEN_METRICS: &str = "application/openmetrics-text";

pub(super) async fn metrics(State(state): State<ApiState>, headers: HeaderMap) -> Response {
    let asks = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let is_open = asks.is_some_and(|asks| asks.contains(OPEN_METRICS));
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Figures::read(&state).await));
    let mut written = String::new();
    let (kind, done) = if is_open {
        (format!("{OPEN_METRICS}; version=1.0.0; charset=utf-8"), text::encode(&mut written, &registry))
    } else {
        let done = prometheus_text::encode(&mut written, &registry);
        ("text/plain; version=0.0.4; charset=utf-8".to_owned(), done)
    };
    match done {
        Ok(()) => ([(header::CONTENT_TYPE, kind)], written).into_response(),
        Err(fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// What is told, as it is at this moment.
#[derive(Debug)]
struct Figures {
    redis: Option<OfRedis>,
    undelivered: Option<i64>,
    failed_rollups: Option<i64>,
    schedules: Vec<Watched>,
    intake: IntakeFigures,
    pool: PoolFigures,
    connections: ConnectionFigures,
    refusals: RefusalFigures,
}

/// What Redis tells, all of it or nothing.
#[derive(Debug)]
struct OfRedis {
    queues: Vec<QueueCounts>,
    jobs: Vec<JobTotals>,
    ticks: Vec<TickTotals>,
    celery: Vec<CeleryTotals>,
    workers: Vec<WorkerInfo>,
    scheduler: SchedulerStatus,
}

impl OfRedis {
    async fn read(state: &ApiState) -> Result<Self, QueueError> {
        let inspector = &state.inspector;
        let (queues, jobs, ticks, celery, workers, scheduler) = tokio::try_join!(
            inspector.counts(),
            inspector.job_totals(),
            inspector.tick_totals(),
            inspector.celery_totals(),
            inspector.workers(),
            inspector.scheduler_status(&state.book)
        )?;
        Ok(Self { queues, jobs, ticks, celery, workers, scheduler })
    }
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

impl Figures {
    async fn read(state: &ApiState) -> Self {
        let undelivered = async { state.store.undelivered_notifications().await };
        let (redis, undelivered, failed_rollups, schedules): (_, Result<i64, StoreError>, _, _) = tokio::join!(
            OfRedis::read(state),
            undelivered,
            state.store.failed_rollups(),
            health::watched(state)
        );
        Self {
            redis: redis.ok(),
            undelivered: undelivered.ok(),
            failed_rollups: failed_rollups.ok().map(|failed| failed.count),
            schedules,
            intake: state.intake.figures(),
            pool: state.store.pool_figures(),
            connections: state.connections.figures(),
            refusals: state.otlp.refusals(),
        }
    }
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut page = Page(encoder);
        let answers = [("redis", self.redis.is_some()), ("postgres", self.undelivered.is_some())];
        let up = answers.map(|(part, answers)| (vec![("part", part)], f64::from(u8::from(answers))));
        page.gauge("dogwatch_up", "Whether a part answers", up)?;
        if let Some(redis) = &self.redis {
            page.queues(&redis.queues)?;
            page.jobs(&redis.jobs)?;
            page.schedulers(redis)?;
            page.celery(&redis.celery)?;
        }
        let undelivered = self.undelivered.map(|count| (Vec::new(), count as f64));
        page.gauge(
            "dogwatch_notifications_undelivered",
            "Notifications that wait to be delivered",
            undelivered,
        )?;
        let failed = self.failed_rollups.map(|count| (Vec::new(), count as f64));
        page.gauge("dogwatch_rollups_failed", "Rollups that cannot be made and are set aside", failed)?;
        page.schedules(&self.schedules)?;
        page.connections(self.connections)?;
        page.refusals(&self.refusals)?;
        page.process(self.intake, self.pool)
    }
}

/// What is being written.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn gauge<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l>, f64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// The name is without `_total`, which is written behind it.
    fn counter<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l>, f64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, f64, f64>(&value, None)?;
        }
        Ok(())
    }

    fn queues(&mut self, queues: &[QueueCounts]) -> fmt::Result {
        let jobs = queues.iter().flat_map(|queue| {
            let states = [
                ("ready", queue.ready),
                ("running", queue.running),
                ("scheduled", queue.scheduled),
                ("retrying", queue.retrying),
                ("dead", queue.dead),
            ];
            states
                .map(|(state, count)| (vec![("queue", queue.name.as_str()), ("state", state)], count as f64))
        });
        self.gauge("dogwatch_queue_jobs", "Jobs in a queue, by state", jobs)?;
        let unknown = queues.iter().map(|queue| (of_queue(&queue.name), queue.unknown as f64));
        let help = "Jobs in a queue that no worker knew when it claimed them";
        self.gauge("dogwatch_queue_jobs_unknown", help, unknown)?;
        let oldest_ms = |queue: &QueueCounts| queue.oldest_ready_ms.unwrap_or_default() as f64;
        let oldest = queues.iter().map(|queue| (of_queue(&queue.name), oldest_ms(queue) / 1e3));
        let name = "dogwatch_queue_oldest_ready_seconds";
        self.gauge(name, "How long the first that is ready waits", oldest)?;
        let paused = queues.iter().map(|queue| (of_queue(&queue.name), f64::from(u8::from(queue.paused))));
        self.gauge("dogwatch_queue_paused", "Whether workers take nothing from a queue", paused)
    }

    fn jobs(&mut self, jobs: &[JobTotals]) -> fmt::Result {
        let outcomes = jobs.iter().flat_map(|job| {
            job.outcomes.iter().map(move |(outcome, count)| {
                let labels = vec![("queue", job.queue.as_str()), ("job", &job.job), ("outcome", outcome)];
                (labels, *count as f64)
            })
        });
        self.counter("dogwatch_jobs", "Runs of jobs, by what became of them", outcomes)?;
        let (name, help) = ("dogwatch_job_duration_seconds", "How long runs of jobs took");
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for job in jobs {
            let labels = [("queue", job.queue.as_str()), ("job", &job.job)];
            // Not cumulative: that is made of them.
            let mut below = 0;
            let mut buckets: Vec<(f64, u64)> = Vec::with_capacity(job.run_times.len() + 1);
            for (bound_us, at_most) in &job.run_times {
                buckets.push((*bound_us as f64 / 1e6, at_most - below));
                below = *at_most;
            }
            buckets.push((f64::INFINITY, job.runs - below));
            let sum = job.run_ms as f64 / 1e3;
            metric.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, job.runs, &buckets, None)?;
        }
        Ok(())
    }

    fn connections(&mut self, figures: ConnectionFigures) -> fmt::Result {
        let ConnectionFigures { open, most, refused, closed_idle } = figures;
        let now = [("open", open), ("limit", most)].map(|(what, n)| (vec![("what", what)], n as f64));
        self.gauge("dogwatch_http_connections", "Connections of clients, and how many there may be", now)?;
        let closed = [("busy", refused), ("idle", closed_idle)];
        let closed = closed.map(|(why, n)| (vec![("reason", why)], n as f64));
        let help = "Connections that were closed: all others were busy, or they were idle";
        self.counter("dogwatch_http_connections_closed", help, closed)
    }

    fn refusals(&mut self, figures: &RefusalFigures) -> fmt::Result {
        let by_reason = |counts: &[(&'static str, u64)]| {
            let labelled = counts.iter().map(|(reason, count)| (vec![("reason", *reason)], *count as f64));
            labelled.collect::<Vec<_>>()
        };
        let help = "Spans that were rejected, by reason; the others of their batch were stored";
        self.counter("dogwatch_otlp_spans_rejected", help, by_reason(&figures.spans))?;
        let help = "Exports of which nothing was stored, by reason";
        self.counter("dogwatch_otlp_requests_refused", help, by_reason(&figures.requests))
    }

    fn schedulers(&mut self, redis: &OfRedis) -> fmt::Result {
        let workers = redis.workers.len() as f64;
        self.gauge("dogwatch_workers", "Workers that live", [(Vec::new(), workers)])?;
        let has_leader = f64::from(u8::from(redis.scheduler.has_leader));
        self.gauge("dogwatch_scheduler_has_leader", "Whether a scheduler leads", [(Vec::new(), has_leader)])?;
        let refused = f64::from(u8::from(redis.scheduler.refused_file.is_some()));
        let help =
            "Whether the leader refuses schedules.toml as it is now, and an earlier version is in force";
        self.gauge("dogwatch_scheduler_file_refused", help, [(Vec::new(), refused)])?;
        let elections = redis.scheduler.elections as f64;
        let help = "How often the lead of the schedulers has changed";
        self.counter("dogwatch_scheduler_elections", help, [(Vec::new(), elections)])?;
        let of_ticks = |figure: fn(&TickTotals) -> f64| {
            redis.ticks.iter().map(move |ticks| (of_queue(&ticks.queue), figure(ticks)))
        };
        let enqueued = of_ticks(|ticks| ticks.enqueued as f64);
        self.counter("dogwatch_scheduler_ticks", "Ticks that were enqueued when they were due", enqueued)?;
        let late = of_ticks(|ticks| ticks.late_ms as f64 / 1e3);
        self.counter("dogwatch_scheduler_lateness_seconds", "How late they were, together", late)?;
        let skipped = of_ticks(|ticks| ticks.skipped as f64);
        let help = "Ticks that were passed over, since the run before had not ended";
        self.counter("dogwatch_scheduler_ticks_skipped", help, skipped)
    }

    fn celery(&mut self, celery: &[CeleryTotals]) -> fmt::Result {
        let by_outcome = |counts: fn(&CeleryTotals) -> &BTreeMap<String, u64>| {
            celery.iter().flat_map(move |totals| {
                counts(totals).iter().map(|(outcome, count)| {
                    (vec![("queue", totals.queue.as_str()), ("outcome", outcome)], *count as f64)
                })
            })
        };
        let help =
            "Messages of Celery's clients, by what happened to them; each worker counts what it leaves";
        self.counter("dogwatch_celery_tasks", help, by_outcome(|totals| &totals.messages))?;
        let help = "Results for a Celery backend in another Redis, by what happened to them";
        self.counter("dogwatch_celery_results", help, by_outcome(|totals| &totals.results))
    }

    fn schedules(&mut self, watched: &[Watched]) -> fmt::Result {
        let last = watched.iter().filter_map(|watched| {
            Some((of_schedule(watched), watched.last_success_at?.timestamp_millis() as f64 / 1e3))
        });
        let name = "dogwatch_schedule_last_success_timestamp_seconds";
        self.gauge(name, "When the job of a schedule succeeded last", last)?;
        let overdue =
            watched.iter().map(|watched| (of_schedule(watched), f64::from(u8::from(watched.is_overdue))));
        self.gauge(
            "dogwatch_schedule_overdue",
            "Whether it should have succeeded by now and has not",
            overdue,
        )
    }

    fn process(&mut self, intake: IntakeFigures, pool: PoolFigures) -> fmt::Result {
        let one = |value: f64| [(Vec::new(), value)];
        let help = "Requests and queries of services that this process has stored";
        self.counter("dogwatch_intake_stored", help, one(intake.stored as f64))?;
        let batches = [("full", intake.refused_batches), ("failed", intake.failed_batches)];
        let batches = batches.map(|(reason, count)| (vec![("reason", reason)], count as f64));
        self.counter("dogwatch_intake_batches_refused", "Batches that were not stored", batches)?;
        let help = "Bytes that wait to be stored";
        self.gauge("dogwatch_intake_waiting_bytes", help, one(intake.waiting_bytes as f64))?;
        let used = f64::from(pool.open) - pool.idle as f64;
        let connections = [("used", used), ("idle", pool.idle as f64)];
        let connections = connections.map(|(state, count)| (vec![("state", state)], count));
        self.gauge("dogwatch_postgres_connections", "Connections of this process to Postgres", connections)?;
        let name = "dogwatch_postgres_connections_max";
        self.gauge(name, "Connections that it may have", one(f64::from(pool.most)))
    }
}

fn of_schedule(watched: &Watched) -> Labels<'_> {
    vec![("schedule", watched.schedule.as_str()), ("job", &watched.job)]
}

fn of_queue(name: &str) -> Labels<'_> {
    vec![("queue", name)]
}
