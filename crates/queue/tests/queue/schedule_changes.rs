//! A schedule that is switched off, removed or moved is out of force, whether or not a scheduler sees the
//! file change.

use std::collections::BTreeMap;
use std::path::Path;

use dogwatch_queue::Scripts;
use dogwatch_queue::scheduler::{Book, Schedules};
use dogwatch_testing::eventually;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use crate::scheduling::{File, Running, file, jobs, start};
use crate::support::{LONG, Queue, catalog};

/// Beside the schedule in question, so that a test can wait for whole turns of the scheduler.
const CLOCK: &str =
    "[schedules.clock]\njob = \"note\"\nevery = \"500ms\"\nargs = { text = \"c\" }\noverlap = \"allow\"\n";
/// Longer than `tick` is due ago.
const AGE_MS: i64 = 3 * 3_600_000;

/// The schedule `tick`, due once a day, and last two hours ago: only what is made up for is enqueued.
struct Tick(String);

impl Tick {
    async fn new(queue: &Queue) -> Self {
        let now_s = queue.client.time_ms().await.unwrap() / 1000;
        Self(format!("{} {} * * *", now_s / 60 % 60, (now_s / 3600 + 22) % 24))
    }

    fn with(&self, more: &str) -> String {
        format!(
            "{CLOCK}[schedules.tick]\njob = \"note\"\ncron = \"{}\"\nargs = {{ text = \"t\" }}\n\
             overlap = \"allow\"\n{more}\n",
            self.0
        )
    }
}

async fn count(queue: &Queue, schedule: &str) -> usize {
    jobs(queue).await.iter().filter(|job| job.schedule.as_deref() == Some(schedule)).count()
}

/// Waits for some whole turns of the leader.
async fn turns(queue: &Queue) {
    let before = count(queue, "clock").await;
    eventually(LONG, "the scheduler goes on", async || count(queue, "clock").await >= before + 3).await;
}

async fn end((stop, task): Running) {
    stop.cancel();
    task.await.unwrap();
}

/// Runs a scheduler for some turns, then stops it.
async fn run(queue: &Queue, file: &File) {
    let running = start(queue, file);
    turns(queue).await;
    end(running).await;
}

/// As if all that is noted of `tick` had been noted hours ago: since then it was due once.
async fn age(queue: &Queue, redis: &mut MultiplexedConnection) {
    for name in ["default", "other"] {
        let key = format!("{}:{{{name}}}:slots", queue.namespace);
        let fields: BTreeMap<String, String> = redis.hgetall(&key).await.unwrap();
        if let Some(slot) = fields.get("tick:slot") {
            let slot = slot.parse::<i64>().unwrap() - AGE_MS;
            redis.hset::<_, _, _, ()>(&key, "tick:slot", slot).await.unwrap();
        }
    }
}

/// How `tick` is out of force.
#[derive(Clone, Copy, Debug)]
enum Out {
    Off,
    Removed,
    Moved,
}

/// Runs with `tick` in force, out of force and in force again, each with a start of its own. Returns how often it was
/// enqueued for the time in between.
async fn runs_for_the_time_in_between(queue: &Queue, out: Out) -> usize {
    let tick = Tick::new(queue).await;
    let mut redis = queue.redis().await;
    let file = file(&tick.with(""));
    run(queue, &file).await;
    file.write(&match out {
        Out::Off => tick.with("enabled = false"),
        Out::Removed => CLOCK.to_owned(),
        Out::Moved => tick.with("queue = \"other\""),
    });
    run(queue, &file).await;
    age(queue, &mut redis).await;
    file.write(&tick.with(""));
    run(queue, &file).await;
    let runs = count(queue, "tick").await;
    // It counts again: from now on it makes up for times at which no scheduler ran.
    age(queue, &mut redis).await;
    run(queue, &file).await;
    assert_eq!(count(queue, "tick").await, runs + 1, "{out:?}");
    runs
}

#[tokio::test]
async fn a_schedule_that_was_out_of_force_across_restarts_does_not_run_for_the_time_in_between() {
    for out in [Out::Off, Out::Removed, Out::Moved] {
        let queue = Queue::new().await;
        assert_eq!(runs_for_the_time_in_between(&queue, out).await, 0, "{out:?}");
    }
}

#[tokio::test]
async fn without_the_note_of_its_end_a_schedule_would_run_for_the_time_in_between() {
    let queue = Queue::new().await;
    let note = "if is_known then call('HSET', slots, definition_field, '') end";
    let client = queue.client.clone().with_scripts(Scripts::altered("tick", note, ""));
    let queue = Queue { client, ..queue };
    assert_eq!(runs_for_the_time_in_between(&queue, Out::Off).await, 1);
}

#[tokio::test]
async fn a_change_that_only_the_running_leader_saw_is_known_to_the_next_one() {
    let queue = Queue::new().await;
    let tick = Tick::new(&queue).await;
    let mut redis = queue.redis().await;
    let file = file(&tick.with(""));
    let leader = start(&queue, &file);
    turns(&queue).await;
    file.write(&tick.with("enabled = false"));
    let definition =
        async || redis.clone().hget::<_, _, String>(queue.key("slots"), "tick:definition").await.unwrap();
    eventually(LONG, "its end is noted", async || definition().await.is_empty()).await;
    // As by kill -9. The file is as before when the next one starts.
    leader.1.abort();
    age(&queue, &mut redis).await;
    file.write(&tick.with(""));
    let next = start(&queue, &file);
    turns(&queue).await;
    end(next).await;
    assert_eq!(count(&queue, "tick").await, 0);
}

#[tokio::test]
async fn the_file_of_the_leader_counts_while_schedulers_have_different_versions() {
    let queue = Queue::new().await;
    let tick = Tick::new(&queue).await;
    let mut redis = queue.redis().await;
    // As in a rolling deployment: one has the schedule, the other does not.
    let (without, with) = (file(CLOCK), file(&tick.with("misfire = \"all\"")));
    let leader = start(&queue, &with);
    turns(&queue).await;
    let standby = start(&queue, &without);
    end(leader).await;
    let mut definition =
        async || redis.hget::<_, _, String>(queue.key("slots"), "tick:definition").await.unwrap();
    eventually(LONG, "the schedule is out of force", async || definition().await.is_empty()).await;
    age(&queue, &mut redis).await;
    let leader = start(&queue, &with);
    end(standby).await;
    turns(&queue).await;
    end(leader).await;
    assert_eq!(count(&queue, "tick").await, 0);
}

#[tokio::test]
async fn notes_that_fail_half_way_are_made_again() {
    let queue = Queue::new().await;
    let tick = Tick::new(&queue).await;
    let mut redis = queue.redis().await;
    // The second queue cannot be noted in while its key is of another type.
    let beside = "[schedules.beside]\njob = \"note\"\ncron = \"0 0 1 7 *\"\nargs = { text = \"b\" }\n";
    let file = file(&(tick.with("") + beside + "queue = \"other\"\n"));
    run(&queue, &file).await;
    let (slots, kept) = (format!("{}:{{other}}:slots", queue.namespace), format!("{}:kept", queue.namespace));
    redis.rename::<_, _, ()>(&slots, &kept).await.unwrap();
    redis.set::<_, _, ()>(&slots, "in the way").await.unwrap();
    file.write(CLOCK);
    let running = start(&queue, &file);
    let mut admin = redis.clone();
    let epoch = format!("{}:{{scheduler}}:epoch", queue.namespace);
    let started: i64 = admin.get(&epoch).await.unwrap();
    eventually(LONG, "it leads", async || redis.clone().get::<_, i64>(&epoch).await.unwrap() > started).await;
    redis.rename::<_, _, ()>(&kept, &slots).await.unwrap();
    let ended = async || {
        let mut redis = redis.clone();
        let first: String = redis.hget(queue.key("slots"), "tick:definition").await.unwrap();
        let second: String = redis.hget(&slots, "beside:definition").await.unwrap();
        first.is_empty() && second.is_empty()
    };
    eventually(LONG, "both ends are noted", ended).await;
    end(running).await;
}

#[tokio::test]
async fn a_file_without_schedules_is_refused_while_schedules_are_in_force() {
    let queue = Queue::new().await;
    let file = file(CLOCK);
    let running = start(&queue, &file);
    turns(&queue).await;
    file.write("");
    let refused = async || queue.inspector.scheduler_status(&Book::default()).await.unwrap().refused_file;
    eventually(LONG, "the refusal is noted", async || refused().await.is_some()).await;
    let error = refused().await.unwrap().error;
    assert!(error.contains("defines no schedule while 1 is in force"), "{error}");
    turns(&queue).await;
    file.write(&CLOCK.replace("overlap", "enabled = false\noverlap"));
    eventually(LONG, "the note is gone", async || refused().await.is_none()).await;
    let mut redis = queue.redis().await;
    let mut ended =
        async || redis.hget::<_, _, String>(queue.key("slots"), "clock:definition").await.unwrap().is_empty();
    eventually(LONG, "it can be switched off", async || ended().await).await;
    end(running).await;
}

#[test]
fn the_refusal_of_a_file_without_schedules_names_what_to_do() {
    let (path, catalog) = (Path::new("schedules.toml"), catalog());
    let good = Schedules::parse(path, CLOCK, &catalog).unwrap();
    for cut_off in ["", "timezone = \"UTC\"\n", "# [schedules.clock]\n"] {
        let error = good.parse_again(path, cut_off, &catalog).unwrap_err().to_string();
        assert_eq!(
            error,
            "schedules.toml: defines no schedule while 1 is in force; to switch one off, keep it and write \
             enabled = false; to run without any, restart with this file"
        );
    }
    // Where none is in force, nothing is lost.
    let off =
        Schedules::parse(path, &CLOCK.replace("overlap", "enabled = false\noverlap"), &catalog).unwrap();
    assert!(off.parse_again(path, "", &catalog).unwrap().is_empty());
}
