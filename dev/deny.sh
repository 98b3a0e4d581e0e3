#!/bin/sh
# Licences, sources, bans and advisories of all dependencies, by cargo-deny; fetched where it is not installed.
set -eu
deny=cargo-deny
if ! command -v cargo-deny >/dev/null; then
    tools=.dogwatch/tools
    deny=$tools/bin/cargo-deny
    if [ ! -x "$deny" ]; then
        echo "building cargo-deny into $tools (some minutes, once)" >&2
        cargo install --quiet --locked --root "$tools" cargo-deny
    fi
fi
"$deny" --all-features check licenses bans sources
# The database of advisories is fetched from GitHub; a machine that cannot reach it says so and does not fail.
if git ls-remote --exit-code https://github.com/RustSec/advisory-db HEAD >/dev/null 2>&1; then
    "$deny" check advisories
else
    echo "advisories: not checked, https://github.com/RustSec/advisory-db cannot be reached" >&2
fi
