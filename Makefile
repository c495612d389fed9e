# The doors. Each sets up all that it needs on a fresh Debian 12; `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

LABEL ?= local
SUITE ?= standard
SECONDS ?= 60
JOBS ?= $(shell nproc)
BASE ?=
BIN := build/release/bin

.PHONY: help deps build run test bench gate fuzz asan tsan lint format clean

help: ## list the doors
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

deps: ## install the Debian packages that are missing
	@ci/deps.sh

build: deps ## release build into build/release, programs in build/release/bin
	@cmake --preset release -Wno-dev >build-release.log 2>&1 || { cat build-release.log; exit 1; }; rm -f build-release.log
	@cmake --build --preset release -j $(JOBS)

run: build ## the server on its embedded store, RESP 127.0.0.1:6380, HTTP 127.0.0.1:8080
	@$(BIN)/nearlane

bench: build ## the scenario suite; SUITE=smoke|standard|full, LABEL=name of the results folder
	@$(BIN)/nearlane-bench run --suite $(SUITE) --label $(LABEL)

gate: deps ## is this tree slower than BASE=<git revision>? make ends with 2 whatever failed; the exit code is ci/gate.sh's
	@ci/gate.sh "$(BASE)"

test: build ## everything that must pass
	@ci/test.sh

asan: deps ## address and undefined behaviour sanitizers over everything
	@ci/sanitize.sh asan

tsan: deps ## thread sanitizer over everything
	@ci/sanitize.sh tsan

fuzz: deps ## libFuzzer over every parser, SECONDS each
	@ci/fuzz.sh $(SECONDS)

lint: deps ## clang-format check, clang-tidy, and the rules of the house (ci/tidy.py)
	@ci/lint.sh

format: deps ## clang-format over the tree
	@git ls-files -co --exclude-standard '*.h' '*.cc' | xargs -r clang-format -i

clean: ## remove build/
	@rm -rf build
