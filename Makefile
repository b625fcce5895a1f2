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

test: ## All tests, against the real binary and real files
	@scripts/setup tests
	$(CARGO) test --workspace

lint: ## Formatting and clippy, warnings are errors; compose.yaml against its specification
	@scripts/setup tests
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	@scripts/compose-check

services: ## Kafka, MinIO and Redis as plain processes under .services, ready to use
	@scripts/setup tests
	@scripts/services up .services
	@cat .services/services.env

services-down: ## Ends them
	@scripts/services down .services

deny: setup ## Licences, sources and (where the database can be fetched) advisories of all dependencies
	@scripts/deny

bench: ## Everything measured beside its references; writes docs/benchmarks.md (more than half an hour, 15 GB of disk)
	@scripts/setup tests
	$(CARGO) bench -p segue-dataflow -p segue-replay
	$(CARGO) bench -p segue-server --bench whole -- --playlists $(BENCH_PLAYLISTS) --scratch $(BENCH_SCRATCH) --write $(CURDIR)/docs/benchmarks.md

soak: ## The long runs: many seeds, many kills, an hour's worth of edits
	@scripts/setup tests
	SEGUE_SOAK=1 $(CARGO) test --workspace --no-fail-fast -- --nocapture

miri: ## The module with `unsafe` in it, under Miri (nightly Rust with the component miri)
	MIRIFLAGS=-Zmiri-tree-borrows $(CARGO) +nightly miri test -p segue-connectors --lib warm_image

.PHONY: help setup demo build test lint services services-down deny bench soak miri
