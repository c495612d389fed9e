#!/usr/bin/env bash
# Installs what building, testing and measuring need, from Debian 12's own archive. Silent and quick when
# nothing is missing, so every make target may call it.
set -euo pipefail

packages=(
  # toolchain
  g++ make cmake ninja-build ccache git ca-certificates python3
  clang-14 clang libclang-rt-14-dev clang-tidy clang-format
  # libraries; Debian's default Boost is 1.74, so the version is named
  libboost1.81-dev libhiredis-dev libbrotli-dev zlib1g-dev libzstd-dev libxxhash-dev libssl-dev
  libtomlplusplus-dev libcli11-dev libfmt-dev libspdlog-dev nlohmann-json3-dev prometheus-cpp-dev
  libtbb-dev libcuckoo-dev librocksdb-dev
  libgtest-dev libgmock-dev libbenchmark-dev librapidcheck-dev
  # peers that nearlane-micro measures in its own process
  cargo rustc librust-dashmap-dev
  # the real parts that tests and scenarios run against
  redis-server redis-tools openssl curl python3-redis nghttp2-client slowhttptest
  # peers that scenarios measure: over RESP and memcached's own protocol, over HTTP
  nutcracker memcached
  nginx libnginx-mod-http-brotli-static h2o varnish
  # what opens the report in its test
  chromium
  # what the gate counts with
  valgrind strace
)
# Clients that are written for Node run on any that is new enough, wherever it came from; Debian 12's is 18.
node=$(node --version 2>/dev/null || true)
major=${node#v}
major=${major%%.*}
if ! command -v npm >/dev/null || [ "${major:-0}" -lt 18 ]; then packages+=(nodejs npm); fi

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo"
echo "deps: installing ${missing[*]}"
# A package's own service (redis-server, nginx, varnish, nutcracker, memcached) must not start: tests start what they need, on ports of their own.
policy=/usr/sbin/policy-rc.d
made_policy=""
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
  $sudo chmod +x "$policy"
  made_policy=yes
fi
cleanup() { if [ -n "$made_policy" ]; then $sudo rm -f "$policy"; fi; }
trap cleanup EXIT
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { $sudo apt-get update -q && $sudo apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "deps: apt-get failed; the full log is $log" >&2
  exit 1
fi
rm -f "$log"
