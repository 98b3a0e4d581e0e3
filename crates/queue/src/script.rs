//! The Lua scripts. Their contracts stand at the head of each file in `lua/`.
//!
//! They run under Redis's flags for scripts: those that take in new work are refused as a whole by a Redis whose
//! memory is full, instead of failing half way; those that bring work to its end are allowed to, since they are what
//! frees memory.

use std::sync::{Arc, LazyLock};

use redis::{Script, ScriptInvocation};

use crate::keys::QueueKeys;

/// One step of a job's life.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Push,
    Enqueue,
    Relay,
    Intake,
    CeleryPage,
    CeleryEnds,
    CeleryReplies,
    Revoke,
    Tick,
    Claim,
    Admit,
    Renew,
    Settle,
    Sweep,
    Cancel,
    Retry,
    Discard,
    Purge,
    Scan,
    Reconcile,
    Elect,
    Resign,
}

/// All steps, in the order of [`Step`].
const STEPS: [Step; 22] = [
    Step::Push,
    Step::Enqueue,
    Step::Relay,
    Step::Intake,
    Step::CeleryPage,
    Step::CeleryEnds,
    Step::CeleryReplies,
    Step::Revoke,
    Step::Tick,
    Step::Claim,
    Step::Admit,
    Step::Renew,
    Step::Settle,
    Step::Sweep,
    Step::Cancel,
    Step::Retry,
    Step::Discard,
    Step::Purge,
    Step::Scan,
    Step::Reconcile,
    Step::Elect,
    Step::Resign,
];

const INTAKE: &str = "#!lua\n";
const OUTLET: &str = "#!lua flags=allow-oom\n";
const READING: &str = "#!lua flags=no-writes\n";
const NOTHING: &str = "";
const LIB: &str = include_str!("../lua/lib.lua");
const LIB_AND_COLLECTIONS: &str =
    concat!(include_str!("../lua/lib.lua"), include_str!("../lua/collections.lua"));
const LIB_AND_NEW: &str = concat!(include_str!("../lua/lib.lua"), include_str!("../lua/new.lua"));

/// Name, flags, what stands before it, and text; in the order of [`Step`].
const SOURCES: [(&str, &str, &str, &str); 22] = [
    ("push", INTAKE, NOTHING, include_str!("../lua/push.lua")),
    ("enqueue", INTAKE, LIB_AND_NEW, include_str!("../lua/enqueue.lua")),
    ("relay", INTAKE, LIB_AND_NEW, include_str!("../lua/relay.lua")),
    ("intake", INTAKE, LIB_AND_NEW, include_str!("../lua/intake.lua")),
    ("celery_page", READING, NOTHING, include_str!("../lua/celery_page.lua")),
    ("celery_ends", READING, NOTHING, include_str!("../lua/celery_ends.lua")),
    ("celery_replies", OUTLET, LIB, include_str!("../lua/celery_replies.lua")),
    ("revoke", OUTLET, LIB, include_str!("../lua/revoke.lua")),
    ("tick", INTAKE, LIB_AND_NEW, include_str!("../lua/tick.lua")),
    ("claim", OUTLET, LIB, include_str!("../lua/claim.lua")),
    ("admit", OUTLET, LIB, include_str!("../lua/admit.lua")),
    ("renew", OUTLET, LIB, include_str!("../lua/renew.lua")),
    ("settle", OUTLET, LIB, include_str!("../lua/settle.lua")),
    ("sweep", OUTLET, LIB, include_str!("../lua/sweep.lua")),
    ("cancel", OUTLET, LIB, include_str!("../lua/cancel.lua")),
    ("retry", OUTLET, LIB_AND_NEW, include_str!("../lua/retry.lua")),
    ("discard", OUTLET, LIB, include_str!("../lua/discard.lua")),
    ("purge", OUTLET, LIB, include_str!("../lua/purge.lua")),
    ("scan", OUTLET, LIB_AND_COLLECTIONS, include_str!("../lua/scan.lua")),
    ("reconcile", OUTLET, LIB_AND_COLLECTIONS, include_str!("../lua/reconcile.lua")),
    ("elect", OUTLET, NOTHING, include_str!("../lua/elect.lua")),
    ("resign", OUTLET, NOTHING, include_str!("../lua/resign.lua")),
];

/// The scripts that a client uses.
#[derive(Clone)]
pub struct Scripts(Arc<[Script]>);

impl std::fmt::Debug for Scripts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Scripts").field(&self.0.len()).finish()
    }
}

impl Default for Scripts {
    fn default() -> Self {
        static LOADED: LazyLock<Scripts> = LazyLock::new(|| Scripts::build(str::to_owned));
        LOADED.clone()
    }
}

impl Scripts {
    /// Scripts of which one has a piece replaced. Only for a test that has to show that it notices when a protection
    /// is missing.
    ///
    /// # Panics
    /// When there is no such script, or it does not contain `from`.
    #[doc(hidden)]
    #[must_use]
    pub fn altered(name: &str, from: &str, to: &str) -> Self {
        let mut altered = false;
        let scripts = Self::build(|text| {
            let is_it = SOURCES.iter().any(|(known, .., source)| *known == name && *source == text);
            let text_is_altered = is_it && text.contains(from);
            altered |= text_is_altered;
            if text_is_altered { text.replace(from, to) } else { text.to_owned() }
        });
        assert!(altered, "no script `{name}` contains `{from}`");
        scripts
    }

    fn build(mut text_of: impl FnMut(&str) -> String) -> Self {
        let script = |(_, flags, before, text): (&str, &str, &str, &str)| {
            Script::new(&[flags, before, &text_of(text)].concat())
        };
        Self(SOURCES.map(script).into())
    }

    /// The step whose script has this hash.
    pub(crate) fn step(&self, hash: &[u8]) -> Option<Step> {
        let index = self.0.iter().position(|script| script.get_hash().as_bytes() == hash)?;
        STEPS.get(index).copied()
    }

    #[cfg(test)]
    pub(crate) fn hash(&self, step: Step) -> &str {
        self.0[step as usize].get_hash()
    }

    /// A step on one queue.
    pub(crate) fn on(&self, step: Step, keys: &QueueKeys) -> ScriptInvocation<'_> {
        let mut invocation = self.plain(step);
        invocation.key(keys.prefix());
        invocation
    }

    /// A step on keys that the caller gives.
    pub(crate) fn plain(&self, step: Step) -> ScriptInvocation<'_> {
        self.0[step as usize].prepare_invoke()
    }
}

#[cfg(test)]
mod tests {
    use super::{SOURCES, STEPS, Scripts, Step};

    #[test]
    fn steps_and_sources_are_in_the_same_order() {
        assert_eq!(SOURCES[Step::Enqueue as usize].0, "enqueue");
        assert_eq!(SOURCES[Step::Claim as usize].0, "claim");
        assert_eq!(SOURCES[Step::Discard as usize].0, "discard");
        assert_eq!(SOURCES[Step::Resign as usize].0, "resign");
        assert_eq!(SOURCES.len(), Step::Resign as usize + 1);
        assert_eq!(SOURCES.len(), STEPS.len());
    }

    #[test]
    fn a_step_is_found_by_the_hash_of_its_script() {
        let scripts = Scripts::default();
        for (index, step) in STEPS.into_iter().enumerate() {
            assert_eq!(step as usize, index);
            let found = scripts.step(scripts.0[index].get_hash().as_bytes());
            assert_eq!(found.map(|step| step as usize), Some(index), "{}", SOURCES[index].0);
        }
        assert!(scripts.step(b"").is_none());
    }
}
