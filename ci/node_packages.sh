#!/usr/bin/env bash
# node_packages.sh FROM INTO: installs what the package-lock.json of the folder FROM names below INTO/node_modules, which is
# outside of the tree. Quick where that lock file was installed there before; no script of a package is run.
set -euo pipefail
from=$1
into=$2
cmp -s "$from/package-lock.json" "$into/installed-lock.json" && exit 0

mkdir -p "$into"
rm -f "$into/installed-lock.json"
cp "$from/package.json" "$from/package-lock.json" "$into/"
if ! npm ci --prefix "$into" --ignore-scripts --no-audit --no-fund --prefer-offline --fetch-timeout=30000 --fetch-retries=1 \
    >"$into/npm.log" 2>&1; then
  tail -n 20 "$into/npm.log" >&2
  echo "node_packages: npm could not install what $from/package-lock.json names; is its registry reachable?" >&2
  exit 1
fi
mv "$into/package-lock.json" "$into/installed-lock.json"
