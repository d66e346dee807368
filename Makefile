# Everything a person or CI runs: `make demo`, `make test`. Needs Rust and Python 3.11 or newer; makes the rest itself.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := $(CURDIR)/.venv
SECURITY_VENV := $(VENV)-security
# A file for each group of python/pyproject.toml that is installed.
READY := $(VENV)/local-ready
TEST_READY := $(VENV)/test-ready
CLIENTS_READY := $(VENV)/clients-ready
FUZZ_READY := $(VENV)/fuzz-ready
BENCH_READY := $(VENV)/bench-ready
TOOLS := "$(VENV)/bin/python" -m ami_share_tools
UNITTEST := "$(VENV)/bin/python" -W error::ResourceWarning -m unittest
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)

# How the Rust tests start the local AWS: `$$AMI_SHARE_LOCAL_PYTHON -m ami_share_tools.local_aws`. The package is found by its
# path: nothing of it is installed, so nothing has to be installed again after a change.
export AMI_SHARE_LOCAL_PYTHON := $(VENV)/bin/python
export PYTHONPATH := $(CURDIR)/python
export PYTHONDONTWRITEBYTECODE := 1

say = @printf '\n== %s\n' "$(1)"
BUILD_NOTE := the first build takes about 7 minutes and up to 9 GB of memory

# How long each fuzz target runs, or how many inputs it tries, and which targets; whose mutants are tried. Hours of work: narrow
# it down as you like.
FUZZ_SECONDS ?= 1200
FUZZ_RUNS ?= -1
FUZZ_TARGETS ?= inbound events allowlist rules key_policy key_questions records names
# The longest input. A structured target reads few bytes for a document, and long inputs are slow.
FUZZ_LONGEST_inbound := 4096
FUZZ_LONGEST_allowlist := 4096
FUZZ_LONGEST_key_policy := 4096
FUZZ_LONGEST_names := 256
FUZZ_LONGEST := 512
FUZZ_OPTIONS_key_policy := -dict=fuzz/key_policy.dict
# Every crate but the test tools, `crates/model` and `crates/testing`, whose mutants say nothing about the function.
MUTANTS ?= crates/key-policy/src/** crates/sharing/src/** crates/triggers/src/** crates/cli/src/**
# For example 3/8: the fourth of eight parts.
SHARD ?= 0/1

# Which parts of the exploration `make model` goes through: all of them if none is named.
PARTS ?=

# How many questions `make differential` and `make differential-npm` ask, and the seed they come from.
N ?= 100000
SEED ?= 1
SIMULATE := python/ami_share_tools/differential/iam_simulate

.PHONY: help demo test test-core node lint lint-python lint-template lint-security lint-terraform package test-api test-page pictures test-clients api-fuzz bundle record differential differential-npm conformance bench bench-function bench-core release fuzz model mutants deny playground local-aws clean rust

help: ## show this list
	@echo "make <target>:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-17s%s\n", $$1, $$2 }' Makefile

demo: rust $(READY) ## deploy to a local AWS, share and refuse images, print what happens
	@$(TOOLS).demo

test: lint lint-template $(TEST_READY) ## run everything that must pass; the Rust tests and the page come last
	$(call say,Python tests)
	cd python && $(UNITTEST) discover -q -s tests -t .
	$(call say,Rust tests ($(BUILD_NOTE)))
	cargo test --locked
	$(call say,The page in a browser)
	@cd python && AMI_SHARE_BOOTSTRAP="$${AMI_SHARE_BOOTSTRAP:-$(TARGET)/debug/bootstrap}" $(UNITTEST) tests.page.test_page

CORE := -p key-policy -p sharing -p triggers -p ami-share-cli -p ami-share-model

test-core: rust ## run the core's tests without the AWS SDK: seconds
	$(call say,The core without the AWS SDK)
	@packages=$$(cargo tree --locked --prefix none --edges normal,build,dev $(CORE)); \
		! grep -E '^(aws-|hyper |lambda_runtime |reqwest |tokio )' <<< "$$packages" \
			|| { echo "The core may not depend on these: they belong in the root package."; exit 1; }
	cargo test --locked $(CORE)

lint: rust lint-python ## check formatting, clippy, types, cycles among modules, documentation, and that the fuzz targets compile
	$(call say,Formatting)
	cargo fmt --all --check
	$(call say,Clippy ($(BUILD_NOTE)))
	cargo clippy --workspace --all-targets --locked -- -D warnings
	$(call say,Cycles among modules)
	@# Modules that depend on each other can only be read, tested and moved together.
	$(PYTHON) tools/module_cycles.py
	$(call say,Documentation)
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	$(call say,Fuzz targets)
	@# Nothing is linked, so libFuzzer is not built and needs no C++ compiler.
	CUSTOM_LIBFUZZER_PATH="$(CURDIR)/fuzz/none" cargo check --manifest-path fuzz/Cargo.toml --bins --locked

lint-python: $(TEST_READY) ## run ruff and mypy on python/
	$(call say,Python)
	cd python && "$(VENV)/bin/ruff" format --check --quiet --config pyproject.toml . ../deploy \
		&& "$(VENV)/bin/ruff" check --quiet --config pyproject.toml . ../deploy && "$(VENV)/bin/mypy"

lint-template: $(TEST_READY) ## run cfn-lint on template.yaml, as `sam validate --lint` does
	$(call say,Template)
	"$(VENV)/bin/cfn-lint" template.yaml
	@echo "template.yaml is clean"

lint-security: $(SECURITY_VENV)/ready ## run checkov on template.yaml: 300 MB of tools, half a minute
	$(call say,The security of the template)
	@# Exceptions stand in the template, each with its reason.
	"$(SECURITY_VENV)/bin/checkov" --file template.yaml --framework cloudformation --compact --quiet --skip-download
	@echo "template.yaml has no finding that isn't answered"

lint-terraform: export TF_DATA_DIR := $(VENV)-terraform
lint-terraform: ## run terraform fmt and validate on deploy/terraform; fetches the AWS provider
	@command -v terraform >/dev/null || { echo "terraform is missing: install Terraform 1.5 or newer, then run make again."; exit 1; }
	$(call say,The Terraform module)
	terraform -chdir=deploy/terraform fmt -check -diff
	terraform -chdir=deploy/terraform init -backend=false -input=false
	terraform -chdir=deploy/terraform validate

test-api: $(TEST_READY) ## compare openapi.yaml with the template, the router, the schemas and the events
	$(call say,The API description)
	cd python && $(UNITTEST) discover -q -s tests/api -t .

test-page: rust $(TEST_READY) ## test the page in a real Chromium, with the template on the local AWS; fetches axe-core from npm
	cargo build --locked
	$(call say,The page in a browser)
	@cd python && AMI_SHARE_BOOTSTRAP="$${AMI_SHARE_BOOTSTRAP:-$(TARGET)/debug/bootstrap}" $(UNITTEST) tests.page.test_page

pictures: rust $(TEST_READY) ## take the pictures of the page in README and docs/ again, after you change the page
	cargo build --locked
	@cd python && AMI_SHARE_TAKE_PICTURES=1 AMI_SHARE_BOOTSTRAP="$${AMI_SHARE_BOOTSTRAP:-$(TARGET)/debug/bootstrap}" \
		$(UNITTEST) tests.page.test_page.Pictures

api-fuzz: rust $(FUZZ_READY) ## send valid and invalid requests by openapi.yaml to the locally deployed API: minutes
	@$(TOOLS).api_fuzz

differential: rust $(VENV)/bin/python ## ask the key evaluator and a second evaluator N (100000) questions: make differential N=1000000 SEED=7
	@# Optimised, which makes it five times as fast; in a folder of its own, so that nothing else is built anew.
	CARGO_PROFILE_DEV_OPT_LEVEL=2 cargo build --locked --example explain_key_policy --target-dir "$(TARGET)/differential"
	@$(TOOLS).differential --questions $(N) --seed $(SEED) "$(TARGET)/differential/debug/examples/explain_key_policy"

differential-npm: $(VENV)/bin/python ## compare the second evaluator with @cloud-copilot/iam-simulate; needs Node.js 20
	@command -v npm >/dev/null || { echo "npm is missing: install Node.js 20 or newer, then run make again."; exit 1; }
	npm ci --prefix $(SIMULATE) --no-audit --no-fund
	@$(TOOLS).differential --questions $(N) --seed $(SEED) --most 1000 --only-plain -- node $(SIMULATE)/simulate.mjs

node: $(CLIENTS_READY) ## fail if Node.js is missing, because test-clients would skip most of its checks
	@$(TOOLS).clients.check --node

test-clients: rust $(CLIENTS_READY) ## lint openapi.bundle.yaml, compile the code that is generated from it, test the clients
	$(call say,The playground ($(BUILD_NOTE)))
	cargo build --locked
	cd python && AMI_SHARE_BOOTSTRAP="$${AMI_SHARE_BOOTSTRAP:-$(TARGET)/debug/bootstrap}" $(UNITTEST) -q tests.demo.test_playground
	$(call say,Clients (a minute; what needs Node.js is skipped without it))
	@$(TOOLS).clients.check

bundle: $(READY) ## make openapi.bundle.yaml and the clients' types from openapi.yaml, schemas/, clients/examples.json
	@$(TOOLS).clients.bundle

record: rust $(READY) ## record answers of the locally deployed API as examples of openapi.bundle.yaml
	@$(TOOLS).clients.record

conformance: $(READY) ## ask AWS itself, in two of your accounts: make conformance ARGS="--help"
	@$(TOOLS).conformance $(ARGS)

bench: bench-function bench-core ## measure the tables of docs/performance.md; AMI_SHARE_BOOTSTRAP=path measures that binary

ifdef AMI_SHARE_BOOTSTRAP
bench-function: $(BENCH_READY)
else
bench-function: export AMI_SHARE_BOOTSTRAP := $(TARGET)/release/bootstrap
bench-function: release $(BENCH_READY)
endif
	$(call say,Waves, starts, the peer and what Lambda bills (5 minutes))
	$(TOOLS).benches

bench-core: rust
	$(call say,The core without AWS (the first build takes about 2 minutes))
	cargo bench --locked -p triggers --bench core -p key-policy --bench evaluate

# BINARY names one that is built already, by cargo-lambda for example: make package BINARY=target/lambda/bootstrap/bootstrap
ifdef BINARY
package:
else
package: BINARY := $(TARGET)/release/bootstrap
package: release
endif
package: ## make dist/ with the zip for this architecture, its template and checksums; BINARY=path packs that binary
	$(call say,The package)
	@$(PYTHON) deploy/package.py --binary "$(BINARY)"

release: rust
	$(call say,The release binary (the first build takes about 20 minutes and up to 9 GB of memory))
	cargo build --release --locked

fuzz: rust ## fuzz each parser for FUZZ_SECONDS (1200): make fuzz FUZZ_TARGETS=allowlist FUZZ_SECONDS=60
	@cargo fuzz --version >/dev/null 2>&1 \
		|| { echo "cargo-fuzz is missing: run cargo install cargo-fuzz --locked, then make fuzz again."; exit 1; }
	@cargo +nightly --version >/dev/null 2>&1 \
		|| { echo "A nightly Rust is missing: run rustup toolchain install nightly --profile minimal, then make fuzz again."; exit 1; }
	@mkdir -p $(FUZZ_TARGETS:%=fuzz/corpus/%)
	@$(PYTHON) fuzz/seeds.py
	@# The package has no unsafe code, so an address sanitizer would only cost time, and memory that is bounded here. Seeds and
	@# structured inputs have the words that traced comparisons would find, and these cost a quarter of the time. How often an
	@# edge is taken makes a corpus three times as large, and each input three times as slow; in 100,000 inputs of `events` it
	@# reached no more edges.
	$(foreach target,$(FUZZ_TARGETS),cargo +nightly fuzz run -s none --no-trace-compares $(target) fuzz/corpus/$(target) fuzz/seeds/$(target) \
		-- -max_total_time=$(FUZZ_SECONDS) -runs=$(FUZZ_RUNS) -max_len=$(or $(FUZZ_LONGEST_$(target)),$(FUZZ_LONGEST)) -timeout=10 \
		-rss_limit_mb=256 -use_counters=0 -print_final_stats=1 $(FUZZ_OPTIONS_$(target));)

model: rust ## explore every interleaving of two and three requests against a model of AWS; hours, or some parts: make model PARTS="0 1"
	@# Optimised as a whole, which makes it ten times as fast; in a folder of its own, so that nothing else is built anew.
	CARGO_PROFILE_DEV_OPT_LEVEL=3 CARGO_PROFILE_DEV_LTO=fat CARGO_PROFILE_DEV_CODEGEN_UNITS=1 cargo run --locked --package ami-share-model --bin explore --target-dir "$(TARGET)/model" -- $(PARTS)

mutants: rust ## change the code, one place at a time, and expect a test to fail: make mutants MUTANTS=crates/sharing/src/plan.rs
	@cargo mutants --version >/dev/null 2>&1 \
		|| { echo "cargo-mutants is missing: run cargo install cargo-mutants --locked, then make mutants again."; exit 1; }
	cargo mutants --workspace --timeout 120 --shard $(SHARD) $(MUTANTS:%=-f '%')

deny: rust ## check licences, sources and known vulnerabilities of the dependencies, by deny.toml
	@cargo deny --version >/dev/null 2>&1 \
		|| { echo "cargo-deny is missing: run cargo install cargo-deny --locked, then make deny again."; exit 1; }
	cargo deny --workspace check

playground: rust $(READY) ## keep the template deployed on a local AWS, with a role for each kind of caller, and follow its log
	@$(TOOLS).demo.playground

local-aws: rust $(READY) ## keep the self-service page open on a local AWS, with a local issuer to sign in at
	@$(TOOLS).demo.open_aws

clean: ## remove everything that make and cargo made here
	rm -rf "$(VENV)" "$(SECURITY_VENV)" "$(VENV)-terraform" .aws-sam dist clients/*/node_modules clients/generators/out clients/typescript/dist
	cargo clean

rust:
	@command -v cargo >/dev/null || { echo "Rust is missing: install rustup from https://rustup.rs, then run make again."; exit 1; }

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3 is missing: install Python 3.11 or newer, then run make again."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: run make PYTHON=/path/to/a/newer/python3."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "Python's venv module is missing: on Debian or Ubuntu run apt-get install python3-venv, then make again."; exit 1; }
	$(call say,A Python environment in .venv (under a minute))
	@$(PYTHON) -m venv "$(VENV)"

# A group of python/pyproject.toml, which pins every version.
$(VENV)/%-ready: python/pyproject.toml | $(VENV)/bin/python
	$(call say,What the group $* of python/pyproject.toml has)
	@"$(VENV)/bin/python" python/install.py $*
	@touch $@

# Apart from the rest: it pins other versions of the same libraries.
$(SECURITY_VENV)/ready: python/pyproject.toml | $(VENV)/bin/python
	$(call say,What the security check needs (a minute))
	@$(PYTHON) -m venv "$(SECURITY_VENV)"
	@"$(SECURITY_VENV)/bin/python" python/install.py security
	@touch $@
