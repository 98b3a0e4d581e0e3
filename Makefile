# Dogwatch's few commands. `make` alone lists them.
SHELL := /bin/sh
# Ends the servers however it ends itself. Behind `exec`, since a shell in between would not pass a signal on.
# Built with all packages: for one alone, cargo would compile its dependencies again with fewer features.
WITH_SERVERS = "$$(sh dev/target-folder.sh)/debug/with-servers"

.PHONY: help up test soak hostile bench lint check-locks deny prepare check-queries bundle install-servers

help: ## List the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

up: install-servers ## Build and run everything in one process, with a Postgres and a Redis of its own
	@echo "building Dogwatch (some minutes the first time)"
	@cargo build --release --locked --package dogwatch
	@exec ./target/release/dogwatch up $(ARGS)

test: ## Run all tests against real servers; nothing has to run before
	@sh dev/install-servers.sh --for-tests
	@echo "building the tests (some minutes the first time)"
	@cargo build --locked --workspace
	@if cargo nextest --version >/dev/null 2>&1; then \
		exec $(WITH_SERVERS) cargo nextest run --locked --workspace; \
	else \
		exec $(WITH_SERVERS) cargo test --locked --workspace --all-targets; \
	fi
	@cargo test --quiet --locked --workspace --doc

soak: install-servers ## Run the queue while everything around it fails, and check the history: make soak ARGS="--duration 30m"
	@cargo build --release --locked --package dogwatch --package dogwatch-chaos
	@exec ./target/release/chaos run $(or $(ARGS),--duration 10m)

hostile: install-servers ## Run honest services beside hostile senders: make hostile ARGS="--duration 10m"
	@cargo build --release --locked --package dogwatch --package dogwatch-chaos
	@exec ./target/release/chaos hostile $(ARGS)

bench: ## Measure everything beside its peers, some twenty minutes; ARGS=--quick only shows that all of it runs
	@sh dev/install-servers.sh --for-benches
	@exec sh dev/bench.sh $(ARGS)

lint: ## Check formatting, lints and documentation
	cargo fmt --all --check
	cargo fmt --manifest-path benches/Cargo.toml --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items

check-locks: ## Check that every Cargo.lock is up to date
	@sh dev/check-locks.sh

deny: ## Check licences, sources and advisories of all dependencies
	@sh dev/deny.sh

prepare: install-servers ## Refresh crates/store/.sqlx after a change of SQL or migrations
	@cargo build --quiet --locked --workspace
	@exec $(WITH_SERVERS) --migrated sh dev/prepare.sh

check-queries: install-servers ## Check that crates/store/.sqlx is up to date
	@cargo build --quiet --locked --workspace
	@exec $(WITH_SERVERS) --migrated sh dev/prepare.sh --check

bundle: ## Put the scripts of dashboard/ together, after a change of one; needs Node
	@cd dashboard && npm install --silent --no-package-lock --ignore-scripts && npm run --silent bundle

install-servers: ## Install Postgres and Redis where they are missing; `up` and `test` do it by themselves
	@sh dev/install-servers.sh
