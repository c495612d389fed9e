#!/usr/bin/env bash
# ci/gate.sh in a repository of two commits, with a cmake that builds nothing: what the exit code says, and of which
# revision the programs are that are compared.
set -euo pipefail
script=$(cd "$(dirname "$0")" && pwd)/gate.sh
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# The stub writes down how it was called. FAILS is a pattern of calls that fail, CODE what nearlane-bench ends with.
mkdir -p "$dir/bin" "$dir/repository/ci"
cat >"$dir/bin/cmake" <<'STUB'
#!/usr/bin/env bash
echo "$*" >>"$CALLS"
if [ -n "$FAILS" ] && [[ "$*" == $FAILS ]]; then exit 1; fi
program() { mkdir -p "$(dirname "$1")"; printf '#!/bin/sh\necho "bench $*" >>"$CALLS"\nexit $CODE\n' >"$1"; chmod +x "$1"; }
case "$*" in
  "--preset release"*)
    mkdir -p build/release
    printf 'CMAKE_CXX_COMPILER:FILEPATH=/opt/their c++\nCMAKE_CXX_FLAGS:STRING=-O2 -g\n' >build/release/CMakeCache.txt ;;
  "--build --preset release"*) program build/release/bin/nearlane-bench ;;
  "--build "*) program "$2/bin/${!#}" ;;
esac
STUB
chmod +x "$dir/bin/cmake"
export PATH=$dir/bin:$PATH CALLS=$dir/calls FAILS="" CODE=0
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE

cd "$dir/repository"
cp "$script" ci/
git init --quiet
git add ci
commit() { git -c user.name=x -c user.email=x@y commit --quiet --allow-empty -m "$1"; }
commit first
commit second
micro=build/gate/base/build/release/bin/nearlane-micro

# ends CODE WHAT ARGUMENTS...: how gate.sh ends.
ends() {
  local wanted=$1 what=$2 code=0
  shift 2
  : >"$CALLS"
  ci/gate.sh "$@" >"$dir/said" 2>&1 || code=$?
  [ "$code" -eq "$wanted" ] && return
  echo "$what: ends with $code, not $wanted" >&2
  cat "$dir/said" >&2
  exit 1
}
# called PATTERN WHAT: one of the calls since then matches.
called() {
  grep -qe "$1" "$CALLS" && return
  echo "$2: nothing like '$1' in" >&2
  cat "$CALLS" >&2
  exit 1
}

ends 2 "without a base"
ends 2 "no revision" nowhere
ends 0 "a pass" HEAD~1
called '-DCMAKE_CXX_COMPILER=/opt/their c++ -DCMAKE_CXX_FLAGS=-O2 -g ' "base is built as this tree is"
called "--base-revision $(git rev-parse HEAD~1) .*--head-revision $(git rev-parse HEAD) *\$" "both revisions are named"
for code in 1 2 3; do CODE=$code ends "$code" "nearlane-bench ends with $code" HEAD~1; done
CODE=139 ends 2 "nearlane-bench is killed" HEAD~1
echo "# changed" >>ci/gate.sh
ends 0 "a pass of what is not committed" HEAD~1
called "--head-revision $(git rev-parse HEAD) with uncommitted changes" "it is said that nobody can look it up"

FAILS='--preset*' ends 2 "this tree cannot be configured" HEAD~1
FAILS='--build --preset*' ends 2 "this tree does not build" HEAD~1
FAILS='*-S build/gate/base*' ends 2 "base cannot be configured" HEAD~1
FAILS='*--target nearlane' ends 2 "base does not build" HEAD~1

ends 0 "a base that has all" HEAD~1
[ -e "$micro" ] || { echo "the stub has built no $micro" >&2; exit 1; }
FAILS='*--target nearlane-micro' ends 0 "base has no nearlane-micro" HEAD~1
[ ! -e "$micro" ] || { echo "a former base's nearlane-micro is still there" >&2; exit 1; }

git worktree remove --force build/gate/base
mkdir -p build/gate/base
touch build/gate/base/other
ends 2 "something else is where base is to be" HEAD~1
echo "gate_test: all well"
