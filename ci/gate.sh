#!/usr/bin/env bash
# gate.sh BASE [flags of nearlane-bench gate]: is this tree slower than the revision BASE? Builds BASE below build/gate
# with this tree's compiler and flags, runs both interleaved, and prints the verdict. Exits 0 for pass, 1 for a
# regression, 2 when it cannot be run, 3 when this machine cannot tell.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] && [ -n "$1" ] || { echo "gate: say what to compare with: make gate BASE=<git revision>" >&2; exit 2; }
base=$1
shift
jobs=${JOBS:-$(nproc)}
revision=$(git rev-parse --verify --quiet "$base^{commit}") || {
  echo "gate: '$base' is no revision of this repository" >&2
  exit 2
}
tree=build/gate/base
if [ -e "$tree/.git" ]; then
  git -C "$tree" checkout --quiet --force --detach "$revision"
else
  git worktree prune
  git worktree add --quiet --force --detach "$tree" "$revision"
fi

# The programs that both revisions have; BASE may be older than one of them.
echo "gate: building $(git -C "$tree" log -1 --format='%h %s')"
cmake -S "$tree" -B "$tree/build/release" -G Ninja -DCMAKE_BUILD_TYPE=Release -Wno-dev >/dev/null
cmake --build "$tree/build/release" -j "$jobs" --target nearlane
cmake --build "$tree/build/release" -j "$jobs" --target nearlane-micro || echo "gate: base has no nearlane-micro"
echo "gate: building this tree"
cmake --preset release -Wno-dev >/dev/null
cmake --build --preset release -j "$jobs" --target nearlane nearlane-micro nearlane-bench

margins=()
[ -e results/gate/blocks.json ] && margins=(--margins results/gate/blocks.json)
build/release/bin/nearlane-bench gate --base "$tree/build/release/bin/nearlane" --head build/release/bin/nearlane \
  "${margins[@]}" "$@"
