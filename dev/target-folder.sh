#!/bin/sh
# Prints where cargo puts what it builds: CARGO_TARGET_DIR and cargo's settings may say another folder than target/.
set -eu
cd "$(dirname "$0")/.."
cargo metadata --format-version 1 --no-deps --offline | sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
