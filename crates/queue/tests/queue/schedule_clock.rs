//! A clock of Redis that goes forward and back again does not silence schedules, and does not double those that have
//! fixed times.

use dogwatch_queue::Scripts;
use dogwatch_testing::eventually;
use redis::AsyncCommands;

use crate::scheduling::{file, jobs, start};
use crate::support::{LONG, Queue};

const MINUTE_MS: i64 = 60_000;

/// A queue whose scheduler sees the clock of Redis moved by `{scheduler}:epoch:step` milliseconds.
async fn queue_with_step() -> Queue {
    let queue = Queue::new().await;
    let time = "time[1] * 1000 + math.floor(time[2] / 1000)";
    let moved = format!("{time} + tonumber(redis.call('GET', KEYS[2] .. ':step') or 0)");
    let client = queue.client.clone().with_scripts(Scripts::altered("elect", time, &moved));
    Queue { client, ..queue }
}

/// `tick` repeats, `fixed` is due once a day, in 20 minutes.
async fn schedules(queue: &Queue) -> String {
    let at = queue.client.time_ms().await.unwrap() / MINUTE_MS + 20;
    format!(
        "[schedules.tick]\njob = \"note\"\nevery = \"500ms\"\nargs = {{ text = \"t\" }}\noverlap = \"allow\"\n\
         [schedules.fixed]\njob = \"note\"\ncron = \"{} {} * * *\"\nargs = {{ text = \"f\" }}\nmisfire = \"once\"\n",
        at % 60,
        at / 60 % 24
    )
}

async fn count(queue: &Queue, schedule: &str) -> usize {
    jobs(queue).await.iter().filter(|job| job.schedule.as_deref() == Some(schedule)).count()
}

async fn more_ticks(queue: &Queue) {
    let before = count(queue, "tick").await;
    eventually(LONG, "what repeats goes on", async || count(queue, "tick").await >= before + 4).await;
}

#[tokio::test]
async fn what_repeats_goes_on_while_the_scheduler_runs() {
    let queue = queue_with_step().await;
    let mut redis = queue.redis().await;
    let moved_by = format!("{}:{{scheduler}}:epoch:step", queue.namespace);
    let (stop, scheduler) = start(&queue, &file(&schedules(&queue).await));
    more_ticks(&queue).await;
    redis.set::<_, _, ()>(&moved_by, 40 * MINUTE_MS).await.unwrap();
    eventually(LONG, "the fixed time has come", async || count(&queue, "fixed").await == 1).await;
    more_ticks(&queue).await;
    redis.set::<_, _, ()>(&moved_by, 0).await.unwrap();
    more_ticks(&queue).await;
    // The fixed time comes once more.
    redis.set::<_, _, ()>(&moved_by, 30 * MINUTE_MS).await.unwrap();
    more_ticks(&queue).await;
    more_ticks(&queue).await;
    assert_eq!(count(&queue, "fixed").await, 1);
    stop.cancel();
    scheduler.await.unwrap();
}

#[tokio::test]
async fn what_repeats_goes_on_after_a_restart() {
    let queue = Queue::new().await;
    let mut redis = queue.redis().await;
    let file = file(&schedules(&queue).await);
    let (stop, scheduler) = start(&queue, &file);
    more_ticks(&queue).await;
    stop.cancel();
    scheduler.await.unwrap();
    let last: i64 = redis.hget(queue.key("slots"), "tick:slot").await.unwrap();
    redis.hset::<_, _, _, ()>(queue.key("slots"), "tick:slot", last + 40 * MINUTE_MS).await.unwrap();
    let (stop, scheduler) = start(&queue, &file);
    more_ticks(&queue).await;
    stop.cancel();
    scheduler.await.unwrap();
}
