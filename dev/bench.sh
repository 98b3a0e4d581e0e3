#!/bin/sh
# Runs all benchmarks, one after the other, with the same arguments. With --quick, which shows that each of them and
# each peer still runs, it builds what is quick to build: the program as `make test` does, and the benchmarks without
# optimisation.
set -eu
cd "$(dirname "$0")/.."
profile=release
for argument; do
    [ "$argument" != --quick ] || profile=quick
done
if [ $profile = quick ]; then
    # All packages, so that the features are those of the tests and nothing is compiled twice.
    cargo build --quiet --locked --workspace
else
    cargo build --release --locked --package dogwatch
fi
# All at once: one alone has fewer features, for which its dependencies would be compiled again.
(cd benches && cargo build --quiet --locked --workspace --profile $profile)
for bench in detect tower data queue; do
    echo
    echo "== $bench"
    "target/bench/$profile/dogwatch-bench-$bench" "$@"
done
