#!/usr/bin/env bash
# sanitize.sh asan|tsan: builds everything under one sanitizer and runs every test.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
jobs=${JOBS:-$(nproc)}
cmake --preset "$preset" -Wno-dev >/dev/null
cmake --build --preset "$preset" -j "$jobs"
ctest --preset "$preset" -j "$jobs"
