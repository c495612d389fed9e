#!/usr/bin/env bash
# What `make test` runs after the release build: core under the address sanitizer, those of its tests that start
# threads under the thread sanitizer, each fuzzer for a few seconds, and every test. ctest's own summary is the
# last thing printed.
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${JOBS:-$(nproc)}

# under SANITIZER TARGET LABEL: builds TARGET of core, and runs its tests that have the label.
under() {
  echo "== core under $1: $3"
  cmake --preset "$1" -B "build/$1-core" -DNEARLANE_CORE_ONLY=ON -Wno-dev >/dev/null
  cmake --build "build/$1-core" --target "$2" -j "$jobs"
  TSAN_OPTIONS="suppressions=$PWD/ci/tsan.supp halt_on_error=1" \
    ctest --test-dir "build/$1-core" -L "$3" --no-tests=error --output-on-failure -j "$jobs"
}
under asan core_tests core
under tsan core_threads_tests threads

echo "== fuzzers, ${FUZZ_SECONDS:-5} s each"
ci/fuzz.sh "${FUZZ_SECONDS:-5}"

echo "== every test, release build"
ctest --preset release --no-tests=error -j "$jobs"
