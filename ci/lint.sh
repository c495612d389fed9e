#!/usr/bin/env bash
# Format, clang-tidy over every source of ours, and the house's own rules. Results of clang-tidy are kept
# per file under build/lint and reused while neither the file, nor a header, nor the checks changed.
set -euo pipefail
cd "$(dirname "$0")/.."

git ls-files -co --exclude-standard '*.h' '*.cc' | xargs -r clang-format --dry-run -Werror
python3 ci/tidy.py
cmake --preset release -Wno-dev >/dev/null
mkdir -p build/lint
state=$({ cat .clang-tidy; git ls-files -co --exclude-standard '*.h' | sort | xargs cat; } | sha256sum | cut -c1-16)
check() {
  local file=$1 stamp
  stamp=build/lint/$( { echo "$STATE"; cat "$file"; } | sha256sum | cut -c1-32)
  [ -e "$stamp" ] && return 0
  if clang-tidy -p build/release --quiet "$file" >"$stamp.log" 2>&1; then
    mv "$stamp.log" "$stamp"
  else
    grep -vE 'warnings generated|^Suppressed|^Use -' "$stamp.log" >&2
    rm -f "$stamp.log"
    echo "lint: $file" >&2
    return 1
  fi
}
export -f check
export STATE=$state
git ls-files -co --exclude-standard '*.cc' | grep -v '_src\.cc$' |
  xargs -r -P "${JOBS:-$(nproc)}" -I{} bash -c 'check {}'
echo "lint: clean"
