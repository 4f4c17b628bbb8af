#!/usr/bin/env bash
# Runs everything that looks at the sources without running them: format, layers, shell scripts, READMEs, clang-tidy.
# usage: scripts/lint.sh [--long]     --long lets clang-tidy look at every source instead of a part
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tidy=("$root/scripts/check-tidy")
case ${1:-} in
'') ;;
--long) tidy+=(--long) ;;
*) fail "unknown argument '$1'; usage: scripts/lint.sh [--long]" ;;
esac

passed=0
failed=0

# check NAME COMMAND...: runs one check and counts it.
check() {
  local name=$1 began=$SECONDS
  shift
  if "$@" </dev/null; then
    passed=$((passed + 1))
    echo "ok: $name ($((SECONDS - began)) s)"
  else
    failed=$((failed + 1))
    echo "FAILED: $name ($((SECONDS - began)) s)"
  fi
}

# Every shell script, whatever it is called.
check_shell() {
  local scripts
  mapfile -t scripts < <(cd "$root" && grep -rlE '^#!.*\b(bash|sh)\b' scripts test .ci --include='*' | sort)
  (cd "$root" && shellcheck -x -P "$root" scripts/lib.sh "${scripts[@]}")
}

"$root/scripts/install-packages" build lint
check format "$root/scripts/format" --check
check layers "$root/scripts/check-layering"
check 'shell scripts' check_shell
if [[ -x $root/build/task-runner ]]; then
  check 'README and its translation' "$root/scripts/check-readme" --text-only "$root/build/task-runner"
fi
check clang-tidy "${tidy[@]}"

echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
