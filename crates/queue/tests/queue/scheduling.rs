//! Ticks are enqueued once each, whoever leads, and a changed file is taken as a whole or not at all.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dogwatch_queue::scheduler::{Book, Schedules, TickOutcome};
use dogwatch_queue::{JobFilter, JobRecord, Scheduler};
use dogwatch_testing::eventually;
use redis::AsyncCommands;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{LONG, Queue, catalog};

const EVERY_SECOND: &str =
    "[schedules.tick]\njob = \"note\"\nevery = \"1s\"\nargs = { text = \"tick\" }\noverlap = \"allow\"\n";

pub(crate) struct File {
    _folder: TempDir,
    pub(crate) path: PathBuf,
}

impl File {
    pub(crate) fn write(&self, text: &str) {
        std::fs::write(&self.path, text).unwrap();
    }
}

pub(crate) fn file(text: &str) -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("schedules.toml");
    std::fs::write(&path, text).unwrap();
    File { _folder: folder, path }
}

pub(crate) type Running = (CancellationToken, JoinHandle<()>);

pub(crate) fn start_in(queue: &Queue, book: &Book, file: &File) -> Running {
    let stop = CancellationToken::new();
    let (client, path) = (queue.client.clone(), file.path.clone());
    let scheduler = Scheduler::new(client, book.clone(), catalog(), path).unwrap();
    (stop.clone(), tokio::spawn(scheduler.run(stop)))
}

pub(crate) fn start(queue: &Queue, file: &File) -> Running {
    start_in(queue, &Book::default(), file)
}

pub(crate) async fn jobs(queue: &Queue) -> Vec<JobRecord> {
    queue.inspector.jobs(&JobFilter { limit: 1000, ..JobFilter::default() }).await.unwrap()
}

async fn ticks(queue: &Queue) -> usize {
    jobs(queue).await.len()
}

/// The second in which each job was enqueued: a slot that was enqueued twice has two.
async fn per_second(queue: &Queue) -> HashMap<i64, usize> {
    let mut seconds = HashMap::new();
    for job in jobs(queue).await {
        *seconds.entry(job.enqueued_at.unwrap().timestamp()).or_default() += 1;
    }
    seconds
}

#[tokio::test]
async fn two_schedulers_enqueue_every_tick_once_and_one_takes_over_from_the_other() {
    let queue = Queue::new().await;
    let file = file(EVERY_SECOND);
    let (first, second) = (start(&queue, &file), start(&queue, &file));
    eventually(LONG, "five ticks", async || ticks(&queue).await >= 5).await;
    first.0.cancel();
    first.1.await.unwrap();
    let before = ticks(&queue).await;
    eventually(LONG, "five more", async || ticks(&queue).await >= before + 5).await;
    second.0.cancel();
    second.1.await.unwrap();
    let seconds = per_second(&queue).await;
    let (from, to) = (seconds.keys().min().unwrap(), seconds.keys().max().unwrap());
    assert_eq!(seconds.len(), usize::try_from(to - from + 1).unwrap(), "a second is missing: {seconds:?}");
    assert!(seconds.values().all(|count| *count == 1), "{seconds:?}");
}

#[tokio::test]
async fn a_leader_that_vanishes_is_followed_within_five_seconds() {
    let queue = Queue::new().await;
    let file = file(EVERY_SECOND);
    let leader = start(&queue, &file);
    eventually(LONG, "it leads", async || ticks(&queue).await >= 2).await;
    let follower = start(&queue, &file);
    // As by kill -9: it does not resign.
    leader.1.abort();
    let before = ticks(&queue).await;
    eventually(LONG, "the follower enqueues", async || ticks(&queue).await > before).await;
    follower.0.cancel();
    follower.1.await.unwrap();
}

#[tokio::test]
async fn only_a_schedule_with_run_at_start_runs_at_the_very_first_start_and_only_once() {
    let queue = Queue::new().await;
    let rare = |name: &str, more: &str| {
        format!(
            "[schedules.{name}]\njob = \"note\"\ncron = \"0 0 1 1 *\"\nargs = {{ text = \"a\" }}\n{more}\n"
        )
    };
    let off = rare("off", "run_at_start = true\nenabled = false");
    let both = rare("plain", "") + &rare("at_start", "run_at_start = true");
    let file = file(&(both.clone() + &off + EVERY_SECOND));
    let mut expected = 1;
    for round in 0..2 {
        let (stop, task) = start(&queue, &file);
        // Added while it runs: the first time for one, and the other is known.
        if round == 1 {
            let later = rare("later", "run_at_start = true") + &rare("plain", "run_at_start = true");
            file.write(&(later + &rare("at_start", "run_at_start = true") + &off + EVERY_SECOND));
            expected = 2;
        }
        eventually(LONG, "those are there", async || runs_at_start(&queue).await.len() >= expected).await;
        let before = ticks(&queue).await;
        eventually(LONG, "it goes on", async || ticks(&queue).await >= before + 2).await;
        stop.cancel();
        task.await.unwrap();
    }
    assert_eq!(runs_at_start(&queue).await, ["at_start", "later"]);
}

/// The schedules of all jobs but the one that is due every second.
async fn runs_at_start(queue: &Queue) -> Vec<String> {
    let mut names: Vec<_> = jobs(queue).await.into_iter().filter_map(|job| job.schedule).collect();
    names.retain(|name| name != "tick");
    names.sort();
    names
}

#[tokio::test]
async fn a_run_that_has_not_ended_holds_the_next_back() {
    let queue = Queue::new().await;
    let file = file("[schedules.tick]\njob = \"note\"\nevery = \"200ms\"\nargs = { text = \"tick\" }\n");
    let (stop, task) = start(&queue, &file);
    eventually(LONG, "the first is there", async || ticks(&queue).await == 1).await;
    let mut redis = queue.redis().await;
    let mut slot = async || redis.hget::<_, _, i64>(queue.key("slots"), "tick:slot").await.unwrap();
    let first = slot().await;
    eventually(LONG, "four slots were passed over", async || slot().await >= first + 800).await;
    assert_eq!(ticks(&queue).await, 1);
    let last = queue.inspector.last_ticks(&Book::default()).await.unwrap().remove("tick").unwrap();
    assert_eq!(
        (last.outcome, last.reason),
        (TickOutcome::Skipped, Some("its previous run had not ended".into()))
    );
    assert_eq!(last.job_id.as_deref(), Some(jobs(&queue).await[0].id.as_str()));
    assert!(last.at.timestamp_millis() > first);
    let worker = queue.work();
    eventually(LONG, "it goes on", async || queue.ledger.count() >= 3).await;
    stop.cancel();
    task.await.unwrap();
    worker.drain().await;
}

#[tokio::test]
async fn a_changed_file_is_read_again_and_a_bad_one_changes_nothing() {
    let queue = Queue::new().await;
    let file = file(
        "[schedules.tick]\njob = \"note\"\nevery = \"24h\"\nargs = { text = \"a\" }\nrun_at_start = true\n",
    );
    let (stop, task) = start(&queue, &file);
    eventually(LONG, "the first start", async || ticks(&queue).await == 1).await;
    file.write("[schedules.tick]\nevery = \"1 moon\"\n");
    // Longer than the file is left unread: that nothing happens cannot be waited for.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(!task.is_finished());
    file.write(EVERY_SECOND);
    eventually(LONG, "the new interval holds", async || ticks(&queue).await >= 4).await;
    stop.cancel();
    task.await.unwrap();
}

#[test]
fn a_mistake_is_named_by_file_and_line_with_what_would_be_right() {
    for (text, expected) in [
        (
            "[schedules.x]\nevery = \"1s\"\n",
            ":1: job `x` does not exist; there are: behave, note, obedient, sleep",
        ),
        ("[schedules.note]\ncron = \"* * *\"\n", ":2: cron `* * *`: has 3 fields"),
        ("\n[schedules.note]\nevery = \"soon\"\n", ":3: every `soon` is not a duration"),
        ("[schedules.note]\nevery = \"9999999999999h\"\n", ":2: every `9999999999999h` is too long"),
        ("[schedules.note]\nevery = \"0.1ms\"\n", ":2: every `0.1ms` is shorter than 100ms"),
        (
            "[schedules.note]\nevery = \"1h\"\nargs = { text = \"a\" }\ntimeout = \"0s\"\n",
            ":4: timeout `0s`: a time is at least 1ms",
        ),
        ("[schedules.note]\ncron = \"0 0 30 2 *\"\n", ":2: cron `0 0 30 2 *`: never comes"),
        (
            "[schedules.note]\ncron = \"0 24 * * *\"\n",
            ":2: cron `0 24 * * *`: hour `24`: write a number from 0 to 23; midnight is 0",
        ),
        (
            "[schedules.note]\ncron = \"CRON_TZ=Europe/Berlin 0 3 * * *\"\ntimezone = \"Africa/Cairo\"\n",
            ":2: cron `CRON_TZ=Europe/Berlin 0 3 * * *`: the key timezone is another one, `Africa/Cairo`; write one",
        ),
        (
            "[schedules.note]\nevery = \"1s\"\nargs = { text = 1 }\n",
            ":3: args of `note`: job `note`: argument /text:",
        ),
        ("[schedules.note]\nevery = \"1s\"\nqeue = \"a\"\n", ":3: unknown field `qeue`"),
        ("[schedules.note]\nevery = \"1s\"\ncron = \"0 3 * * *\"\n", ":2: schedule `note` has both"),
        ("[schedules.note]\nargs = {}\n", ":1: schedule `note` has no time"),
        ("timezone = \"Mars/Olympus\"\n", ":1: timezone `Mars/Olympus` does not exist"),
        ("[schedules.note]\nevery = \"1s\"\nmisfire = \"maybe\"\n", ":3: unknown variant `maybe`"),
        ("[schedules.note\n", ":1: "),
    ] {
        let path = Path::new("schedules.toml");
        let error = Schedules::parse(path, text, &catalog()).unwrap_err().to_string();
        let shown = error.strip_prefix("schedules.toml").unwrap_or(&error);
        assert!(shown.starts_with(expected), "{text}\n{error}");
    }
}

#[test]
fn days_weeks_names_and_zones_in_the_expression_are_read() {
    for (times, expected) in [
        ("every = \"1d\"", "every 24h"),
        ("every = \"1w\"\njitter = \"1h\"\ntimeout = \"1d\"", "every 168h"),
        ("cron = \"@daily\"", "@daily Asia/Kolkata"),
        ("cron = \"0 3 * * FRI-MON\"\ntimezone = \"UTC\"", "0 3 * * FRI-MON"),
        // The zone of the file is only for schedules that name none.
        ("cron = \"CRON_TZ=Europe/Berlin 0 3 * * *\"", "0 3 * * * Europe/Berlin"),
        ("cron = \"TZ=Europe/Berlin 0 3 * * *\"\ntimezone = \"Europe/Berlin\"", "0 3 * * * Europe/Berlin"),
    ] {
        let args = "args = { text = \"x\" }";
        let text = format!("timezone = \"Asia/Kolkata\"\n[schedules.note]\n{args}\n{times}\n");
        let schedules = Schedules::parse(Path::new("schedules.toml"), &text, &catalog()).unwrap();
        let shown: Vec<String> = schedules.all().map(|schedule| schedule.cadence.to_string()).collect();
        assert_eq!(shown, [expected], "{times}");
    }
}

#[tokio::test]
async fn a_schedule_that_left_the_file_long_ago_is_forgotten() {
    let queue = Queue::new().await;
    let key = queue.key("slots");
    let mut redis = queue.redis().await;
    let (now, _): (i64, i64) = redis::cmd("TIME").query_async(&mut redis).await.unwrap();
    for (name, days) in [("long_ago", 40), ("lately", 20)] {
        let slot = (now - days * 86_400) * 1000;
        let fields = [("slot", slot.to_string()), ("definition", "d".to_owned()), ("job", "j".to_owned())];
        for (field, value) in fields {
            redis.hset::<_, _, _, ()>(&key, format!("{name}:{field}"), value).await.unwrap();
        }
    }
    redis.sadd::<_, _, ()>(format!("{}:queues", queue.namespace), "default").await.unwrap();
    let file = file(EVERY_SECOND);
    let (stop, scheduler) = start(&queue, &file);
    let names = async |redis: &mut redis::aio::MultiplexedConnection| {
        let fields: Vec<String> = redis.hkeys(&key).await.unwrap();
        let names: BTreeSet<String> =
            fields.iter().map(|field| field.rsplit_once(':').unwrap().0.to_owned()).collect();
        names.into_iter().collect::<Vec<_>>()
    };
    // The nameless is the scheduler's own.
    let expected = ["", "lately", "tick"];
    eventually(LONG, "it is forgotten", async || names(&mut redis.clone()).await == expected).await;
    stop.cancel();
    scheduler.await.unwrap();
}
