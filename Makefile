# One command per chore, the same by hand and in CI. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash

CARGO ?= cargo
PLAYLISTS ?= 20000
PORT ?= 8080
BENCH_PLAYLISTS ?= 100000,300000
BENCH_SCRATCH ?= $(or $(TMPDIR),/tmp)

help: ## What there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

setup: ## Install, or name, what is missing on this machine
	@scripts/setup

demo: setup ## The whole thing on made-up data: a page to open and curl lines to try
	$(CARGO) run --release --quiet --bin segue -- demo --port $(PORT) --playlists $(PLAYLISTS)

build: setup ## The segue binary, in target/release
	$(CARGO) build --release --bin segue

test: setup ## All tests, against the real binary and real files
	$(CARGO) test --workspace

lint: setup ## Formatting and clippy, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

deny: setup ## Licences, sources and (where the database can be fetched) advisories of all dependencies
	@scripts/deny

bench: setup ## Everything measured beside its references; writes docs/benchmarks.md (20 minutes, 15 GB of disk)
	$(CARGO) bench -p segue-dataflow -p segue-replay
	$(CARGO) bench -p segue-server --bench whole -- --playlists $(BENCH_PLAYLISTS) --scratch $(BENCH_SCRATCH) --write $(CURDIR)/docs/benchmarks.md

soak: setup ## The long runs: many seeds, many kills
	SEGUE_SOAK=1 $(CARGO) test --release --workspace -- --nocapture

.PHONY: help setup demo build test lint deny bench soak
