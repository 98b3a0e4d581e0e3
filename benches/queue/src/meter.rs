//! What every handler does: count, and remember how long a job was on its way.

use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::json;

/// The payload of every job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Payload {
    pub user_id: u64,
    pub email: String,
    /// When it was sent, in µs since 1970; 0 where nobody asks.
    pub sent_us: u64,
}

impl Payload {
    pub fn new(sent_us: u64) -> Self {
        Self { user_id: 42, email: "someone@example.com".to_owned(), sent_us }
    }
}

pub fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

static COUNT: AtomicUsize = AtomicUsize::new(0);
static EXPECTED: AtomicUsize = AtomicUsize::new(usize::MAX);
static FIRST: OnceLock<Instant> = OnceLock::new();
static DELAYS: Mutex<Vec<u64>> = Mutex::new(Vec::new());

/// How many jobs come, before the first does.
pub fn expect(count: usize) {
    EXPECTED.store(count, Ordering::SeqCst);
}

/// A job has come. With the last one the process prints what it knows and ends.
pub fn job(payload: &Payload) {
    let first = FIRST.get_or_init(Instant::now);
    if payload.sent_us > 0 {
        let delay = now_us().saturating_sub(payload.sent_us);
        DELAYS.lock().unwrap().push(delay);
    }
    let count = COUNT.fetch_add(1, Ordering::SeqCst) + 1;
    if count == EXPECTED.load(Ordering::SeqCst) {
        let per_second = count as f64 / first.elapsed().as_secs_f64();
        let mut delays = DELAYS.lock().unwrap();
        delays.sort_unstable();
        let quantile = |share: f64| delays.get((delays.len() as f64 * share) as usize).copied();
        println!("{}", json!({"per_second": per_second, "p50_us": quantile(0.5), "p99_us": quantile(0.99)}));
        std::process::exit(0);
    }
}

/// What an enqueuing process prints.
pub fn rate(count: usize, began: Instant) {
    println!("{}", json!({"per_second": count as f64 / began.elapsed().as_secs_f64()}));
}
