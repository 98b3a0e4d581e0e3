//! Whether this user of Redis may do all that a queue takes: a job of nobody is enqueued, claimed, renewed, settled,
//! cancelled and removed, in a queue of its own.

use std::time::{Duration, Instant};

use crate::client::Client;
use crate::error::QueueError;
use crate::script::Step;

impl Client {
    /// Lets a job live its life. Returns how long that took.
    ///
    /// # Errors
    /// What Redis said to the first step that did not work, such as NOPERM with the command that is not allowed.
    pub async fn self_test(&self) -> Result<Duration, QueueError> {
        let began = Instant::now();
        let keys = self.queue(&format!("doctor-{:08x}", rand::random::<u32>()));
        let mut connection = self.connection();
        let failed = || QueueError::redis("let a job live its life");
        macro_rules! step {
            ($step:ident -> $answer:ty, $($arg:expr),*) => {{
                let mut call = self.step(Step::$step, &keys);
                $(call.arg($arg);)*
                call.invoke_async::<$answer>(&mut connection).await.map_err(failed())?
            }};
        }
        let payload = r#"{"job":"?"}"#;
        step!(Push -> Vec<i64>, "now", payload);
        step!(Enqueue -> Vec<i64>, "later", payload, 60_000, 0, "", "first", payload, 0, 0, r#"{"priority":1,"unique_key":"k"}"#);
        let claimed = step!(Claim -> Vec<redis::Value>, "doctor", "nonce", 2_000, 2, 10, 1, 0);
        if claimed.len() != 6 {
            let reason = (redis::ErrorKind::UnexpectedReturnType, "a claim did not return what was enqueued");
            return Err(failed()(reason.into()));
        }
        step!(Renew -> redis::Value, 2_000, "now", "nonce:2", "1");
        step!(Admit -> i64, "now", "nonce:2", "limit", 1, 10, 1_000);
        step!(Settle -> Vec<i64>, 0, 0, "now", "nonce:2", "succeeded", "null", "", "?", "", "", "");
        step!(Settle -> Vec<i64>, 0, 10, "first", "nonce:1", "dead", "no", "", "?", "", "", r#"{"unique_key":"k"}"#);
        step!(Cancel -> String, "later", 1);
        step!(Retry -> Vec<String>, "later", "");
        step!(Discard -> i64, "first");
        step!(Purge -> redis::Value, 10, 0);
        step!(Scan -> redis::Value, 0, 10);
        step!(Reconcile -> redis::Value, 0, 10, "none");
        step!(Sweep -> i64, 0, 0, 0, 0, 10, 0);
        let minute = self.time_ms().await? / 60_000;
        let left = [
            keys.family("rate:limit"),
            keys.family("claim:doctor"),
            keys.family("control"),
            keys.family("totals"),
        ];
        let mut clean = redis::cmd("UNLINK");
        clean.arg(&left).arg(keys.stats(minute)).arg(keys.stats(minute - 1));
        clean.query_async::<()>(&mut connection).await.map_err(failed())?;
        Ok(began.elapsed())
    }
}
