#!/usr/bin/env bash
# fuzz.sh SECONDS: builds every libFuzzer target with clang and runs each for SECONDS. A crash's input stays
# in build/fuzz/crashes. The canary, which must crash, proves that the fuzzers are able to find anything.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
cmake --preset fuzz -Wno-dev >/dev/null
cmake --build --preset fuzz -j "${JOBS:-$(nproc)}" --target fuzz_programs
crashes=build/fuzz/crashes
mkdir -p "$crashes"
for program in build/fuzz/fuzz/*_fuzz; do
  name=$(basename "$program")
  corpus=build/fuzz/corpus/$name
  mkdir -p "$corpus"
  log=build/fuzz/$name.log
  if [[ $name == *canary* ]]; then
    if "$program" -max_total_time=60 -artifact_prefix="$(mktemp -d)/" >"$log" 2>&1; then
      echo "fuzz: $name found nothing, so the fuzzers cannot be trusted" >&2
      exit 1
    fi
    echo "fuzz: $name crashed, as it must"
    continue
  fi
  if ! "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=4096 \
      -artifact_prefix="$crashes/$name-" "$corpus" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "fuzz: $name failed; the input is in $crashes, run $program FILE to see it again" >&2
    exit 1
  fi
  echo "fuzz: $name clean, $(grep -oE 'stat::number_of_executed_units: *[0-9]+|DONE +cov.*' "$log" | tail -n 1)"
done
