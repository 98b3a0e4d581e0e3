#!/bin/sh
# Checks that each workspace of the repository has a lock file which git keeps, and that it fits the manifests; a
# lock file that belongs to no workspace fails too. It changes nothing.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
failed=
manifests=$(git ls-files '*Cargo.toml')
locks=$(git ls-files '*Cargo.lock')
roots=
for manifest in $manifests; do
    workspace=$(cargo locate-project --workspace --message-format plain --manifest-path "$manifest")
    case " $roots " in
        *" ${workspace#"$root/"} "*) ;;
        *) roots="$roots ${workspace#"$root/"}" ;;
    esac
done
for workspace in $roots; do
    renew="run \`cargo metadata --manifest-path $workspace >/dev/null\` and commit"
    lock=${workspace%.toml}.lock
    if ! printf '%s\n' "$locks" | grep -qxF "$lock"; then
        echo "$lock: missing; $renew it" >&2
        failed=yes
    elif ! cargo metadata --quiet --locked --format-version 1 --manifest-path "$workspace" >/dev/null; then
        echo "$lock: out of date; $renew what it changes" >&2
        failed=yes
    fi
done
for lock in $locks; do
    case " $roots " in
        *" ${lock%.lock}.toml "*) ;;
        *) echo "$lock: not the lock file of a workspace; remove it" >&2; failed=yes ;;
    esac
done
[ -z "$failed" ]
