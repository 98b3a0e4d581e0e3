#!/bin/sh
# Asks the database at DATABASE_URL, which has all migrations, about each query of crates/store and keeps the answers in
# crates/store/.sqlx, so that a build needs no database. `--check` changes nothing and fails when they are out of date.
set -eu
cd "$(dirname "$0")/.."
case "${1-}" in
    '' | --check) ;;
    *) echo "usage: DATABASE_URL=postgres://… dev/prepare.sh [--check]" >&2; exit 2 ;;
esac
if [ -z "${DATABASE_URL-}" ]; then
    echo "DATABASE_URL is not set; it names a database with all migrations" >&2
    exit 2
fi
kept=crates/store/.sqlx
# Into a new folder: a mistake in a query leaves the old answers, and those of queries that are gone do not stay.
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
trap 'exit 1' HUP INT TERM
# cargo does not know that the macros read a database, and would not run them again.
touch crates/store/src/lib.rs
SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$fresh cargo check --quiet --locked --package dogwatch-store --all-targets
if ! ls "$fresh"/query-*.json >/dev/null 2>&1; then
    echo "no query was checked" >&2
    exit 1
fi
if [ "${1-}" = --check ]; then
    if ! diff -qr "$kept" "$fresh" >&2; then
        echo "$kept is out of date; run \`make prepare\` and commit what it changes" >&2
        exit 1
    fi
else
    mkdir -p "$kept"
    rm -f "$kept"/query-*.json
    cp "$fresh"/query-*.json "$kept"/
fi
