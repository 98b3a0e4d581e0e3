//! The Lua scripts, each behind a function that gives its arguments names. Their contracts stand in `lua/*.lua`.

use std::sync::LazyLock;

use redis::{Script, ScriptInvocation};

use crate::keys::QueueKeys;

macro_rules! script {
    ($name:ident, $file:literal) => {
        static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!(include_str!("../lua/lib.lua"), include_str!($file))));
    };
}

script!(ENQUEUE, "../lua/enqueue.lua");
script!(CLAIM, "../lua/claim.lua");
script!(RENEW, "../lua/renew.lua");
script!(SETTLE, "../lua/settle.lua");
script!(SWEEP, "../lua/sweep.lua");
script!(TICK, "../lua/tick.lua");
static ELECT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../lua/elect.lua")));
static RESIGN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../lua/resign.lua")));

fn on<'a>(script: &'a Script, keys: &QueueKeys) -> ScriptInvocation<'a> {
    let mut invocation = script.prepare_invoke();
    for key in keys.all() {
        invocation.key(key);
    }
    invocation
}

pub(crate) fn enqueue(keys: &QueueKeys) -> ScriptInvocation<'static> {
    on(&ENQUEUE, keys)
}
pub(crate) fn claim(keys: &QueueKeys) -> ScriptInvocation<'static> {
    on(&CLAIM, keys)
}
pub(crate) fn renew(keys: &QueueKeys) -> ScriptInvocation<'static> {
    on(&RENEW, keys)
}
pub(crate) fn settle(keys: &QueueKeys) -> ScriptInvocation<'static> {
    on(&SETTLE, keys)
}
pub(crate) fn sweep(keys: &QueueKeys) -> ScriptInvocation<'static> {
    on(&SWEEP, keys)
}
pub(crate) fn tick(keys: &QueueKeys) -> ScriptInvocation<'static> {
    on(&TICK, keys)
}
pub(crate) fn elect() -> ScriptInvocation<'static> {
    ELECT.prepare_invoke()
}
pub(crate) fn resign() -> ScriptInvocation<'static> {
    RESIGN.prepare_invoke()
}
