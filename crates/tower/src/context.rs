//! What the code that runs right now is part of. It is set while a request's or operation's future is polled, so that it
//! follows the task from thread to thread, and costs nothing in between.

use std::cell::RefCell;
use std::sync::Arc;

use crate::record::Scope;

thread_local! {
    static CURRENT: RefCell<Option<Arc<Scope>>> = const { RefCell::new(None) };
}

/// What is under way.
pub(crate) fn current() -> Option<Arc<Scope>> {
    // Not there while a thread ends.
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// Until it is dropped, this is what is under way.
pub(crate) struct Entered {
    before: Option<Arc<Scope>>,
}

pub(crate) fn enter(scope: &Arc<Scope>) -> Entered {
    let scope = Some(Arc::clone(scope));
    Entered { before: CURRENT.try_with(|current| current.replace(scope)).ok().flatten() }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let before = self.before.take();
        let _ = CURRENT.try_with(|current| current.replace(before));
    }
}
