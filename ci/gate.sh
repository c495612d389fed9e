#!/usr/bin/env bash
# gate.sh BASE [flags of nearlane-bench gate]: is this tree slower than the revision BASE? Builds BASE below build/gate
# with this tree's compiler and flags, runs both interleaved, and prints the verdict. Exits 0 for pass, 1 for a
# regression, 2 when it cannot be run, 3 when this machine cannot tell.
set -euo pipefail
cd "$(dirname "$0")/.."

cannot() {
  echo "gate: $*" >&2
  exit 2
}
# A step that nobody foresaw to fail says nothing of BASE either.
trap 'cannot "line $LINENO of ci/gate.sh failed"' ERR

[ $# -ge 1 ] && [ -n "$1" ] || cannot "say what to compare with: make gate BASE=<git revision>"
base=$1
shift
jobs=${JOBS:-$(nproc)}
revision=$(git rev-parse --verify --quiet "$base^{commit}") || cannot "'$base' is no revision of this repository"
tree=build/gate/base
if [ -e "$tree/.git" ]; then
  git -C "$tree" checkout --quiet --force --detach "$revision" || cannot "$tree: cannot check out $base"
else
  git worktree prune
  git worktree add --quiet --force --detach "$tree" "$revision" || cannot "$tree: cannot be made a work tree of $base"
fi

cmake --preset release -Wno-dev >/dev/null || cannot "this tree cannot be configured"
# BASE gets what this tree's build keeps: another compiler would be what is compared. It is configured anew each time,
# because CMake forgets the other settings where the compiler changes.
settings=(-DCMAKE_BUILD_TYPE=Release)
for setting in CMAKE_CXX_COMPILER CMAKE_CXX_FLAGS CMAKE_EXE_LINKER_FLAGS; do
  kept=$(sed -n "s/^$setting:[A-Z]*=//p" build/release/CMakeCache.txt)
  settings+=("-D$setting=$kept")
done
cmake --fresh -S "$tree" -B "$tree/build/release" -G Ninja "${settings[@]}" -Wno-dev >/dev/null ||
  cannot "$base cannot be configured"

# What a former BASE left must not stand in for a program that this one has not, or that does not compile.
rm -f "$tree/build/release/bin/nearlane" "$tree/build/release/bin/nearlane-micro"
# The programs that both revisions have; BASE may be older than one of them.
echo "gate: building $(git -C "$tree" log -1 --format='%h %s')"
cmake --build "$tree/build/release" -j "$jobs" --target nearlane || cannot "$base does not build"
cmake --build "$tree/build/release" -j "$jobs" --target nearlane-micro || echo "gate: base has no nearlane-micro"
echo "gate: building this tree"
cmake --build --preset release -j "$jobs" --target nearlane nearlane-micro nearlane-bench ||
  cannot "this tree does not build"

changes=$(git status --porcelain --untracked-files=no)
head=$(git rev-parse HEAD)${changes:+ with uncommitted changes}
margins=()
[ -e results/gate/blocks.json ] && margins=(--margins results/gate/blocks.json)
code=0
build/release/bin/nearlane-bench gate --base "$tree/build/release/bin/nearlane" --base-revision "$revision" \
  --head build/release/bin/nearlane --head-revision "$head" "${margins[@]}" "$@" || code=$?
[ "$code" -le 3 ] || cannot "nearlane-bench gate ended with $code"
exit "$code"
