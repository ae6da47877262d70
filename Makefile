# What people type. Each target is one script or one cargo command; see CONTRIBUTING.md.

.DEFAULT_GOAL := help
.PHONY: help run test other-engines soak check deny package bench bench-growth clean-test

# cargo would take make's own job server for its own.
unexport MAKEFLAGS MFLAGS

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

run: ## build Freehold, start it, create the project "demo" and show how to reach it
	@scripts/run

test: ## run every test, on a Docker Engine (started for the occasion if none answers)
	@scripts/setup test
	@scripts/with-engine scripts/run-tests

other-engines: ## the Docker backend as an ordinary user: on this machine's engine, and on a rootless one (as root)
	@scripts/setup other-engines
	@scripts/with-engine scripts/other-engines

soak: ## what does not fit every run: all crash points, many zombies and restarts, the upgrade (an hour or more)
	@scripts/setup test
	@scripts/with-engine scripts/soak

check: ## formatting, lints and documentation, without running anything
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --all-features --no-deps

deny: ## licences, sources and advisories of all dependencies (needs cargo-deny)
	cargo deny --all-features check

package: ## build every library from the archive that would be published
	@scripts/package

bench: ## time stacks against docker compose on the same engine (an idle machine, half an hour)
	@scripts/setup test
	@scripts/bench stacks

bench-growth: ## operations a second, events to many and the watcher, up to 10,000 projects (an idle machine, minutes)
	@scripts/bench growth

clean-test: ## forget the test images' archive and the data of the test engine
	rm -rf "$${FREEHOLD_CACHE:-.cache}"
