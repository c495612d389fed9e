#!/usr/bin/env bash
# What `make test` runs after the release build: every test, then core again under the sanitizers, then each
# fuzzer for a few seconds. ctest's own summary is the last thing printed.
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${JOBS:-$(nproc)}

for sanitizer in asan tsan; do
  echo "== core under $sanitizer"
  cmake --preset "$sanitizer" -B "build/$sanitizer-core" -DNEARLANE_CORE_ONLY=ON -Wno-dev >/dev/null
  cmake --build "build/$sanitizer-core" --target core_tests -j "$jobs"
  TSAN_OPTIONS="suppressions=$PWD/ci/tsan.supp halt_on_error=1" \
    ctest --test-dir "build/$sanitizer-core" -L core --no-tests=error --output-on-failure -j "$jobs"
done

echo "== fuzzers, ${FUZZ_SECONDS:-5} s each"
ci/fuzz.sh "${FUZZ_SECONDS:-5}"

echo "== every test, release build"
ctest --preset release --no-tests=error -j "$jobs"
