#!/usr/bin/env bash
# Installs what the tests need, builds the binary and the tests, and runs every test through ctest.
# usage: scripts/test.sh [--preset NAME] [--sanitize] [--long] [ctest arguments]
#
#   --preset NAME  test the build of that preset (release, debug, asan, tsan) instead of release
#   --sanitize     instead: unit, property, actor, contract and service tests under AddressSanitizer and
#                  UBSan, then the test programs without CAF and Pistache under ThreadSanitizer
#   --long         afterwards a long run of the simulation: 100,000 histories, with --sanitize 10,000; and,
#                  without --sanitize, 2,000 kill cycles of the crash harness
#
# Everything else goes to ctest: -L unit runs the tests with that label, -R TEXT those with that name, -N lists.
# The tests start their own daemons and Redis servers, on free ports and in directories of their own; whatever
# listens on 6379 or 60001 is left alone.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# CAF's and Pistache's own libraries are not instrumented, so ThreadSanitizer over them reports races that are none.
readonly thread_sanitized=(test-domain test-wire test-config test-observability test-os test-queue-core test-store test-launcher test-source)
# What a few minutes allow; ctest's time limits are no place for it.
readonly long_histories=100000
readonly long_histories_sanitized=10000
readonly long_crash_cycles=2000

preset=release
sanitize=no
long=no
arguments=()
while [[ $# -gt 0 ]]; do
  case $1 in
  --preset)
    [[ $# -ge 2 ]] || fail "--preset needs a name: release, debug, asan or tsan"
    preset=$2
    shift
    ;;
  --preset=*) preset=${1#*=} ;;
  --sanitize) sanitize=yes ;;
  --long) long=yes ;;
  -h | --help)
    sed -n '2,14s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
  *) arguments+=("$1") ;;
  esac
  shift
done

# A report of a sanitizer ends the program, so that no test passes over it.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}

# run_ctest PRESET ARGUMENTS...
run_ctest() {
  local directory
  directory=$(build_directory "$1")
  shift
  ctest --test-dir "$directory" --output-on-failure --no-tests=error --parallel "$(job_count)" "$@" </dev/null
}

# without_random_addresses COMMAND...: ThreadSanitizer of g++ 12 cannot start where the kernel randomizes addresses
# more than it knows of. Where that cannot be switched off (in some containers) it runs as it is.
without_random_addresses() {
  if setarch "$(uname -m)" --addr-no-randomize true 2>/dev/null; then
    setarch "$(uname -m)" --addr-no-randomize "$@"
  else
    "$@"
  fi
}

# simulate PRESET COUNT: so many random histories; a failure prints the seed that replays it.
simulate() {
  [[ $long == yes ]] || return 0
  say "Simulating $2 histories ($1)"
  TASK_RUNNER_SEEDS=$2 "$(build_directory "$1")/test-queue-core" </dev/null
}

# kill_cycles PRESET COUNT: so often kill -9 of a real daemon, its launcher or its Redis; it prints its seed.
kill_cycles() {
  [[ $long == yes ]] || return 0
  say "Killing the daemon, its launcher and Redis $2 times ($1)"
  TASK_RUNNER_CRASH_CYCLES=$2 "$(build_directory "$1")/test-crash" '[cycles]' </dev/null
}

test_preset() {
  say "Building ($1)"
  configure "$1" on
  build "$1"
  say "Testing ($1)"
  run_ctest "$@"
}

# test_sanitized PRESET LABELS PROGRAMS... -- CTEST ARGUMENTS...: builds just these test programs and runs their tests.
test_sanitized() {
  local preset=$1 labels=$2 directory targets=()
  directory=$(build_directory "$preset")
  shift 2
  while [[ $1 != -- ]]; do
    targets+=(--target "$1")
    shift
  done
  shift
  say "Building ($preset)"
  # Each test program is run once by the build, to list its tests.
  without_random_addresses cmake --build "$directory" --parallel "$(job_count)" "${targets[@]}" || return
  say "Testing ($preset)"
  # What is not built has a placeholder that would fail.
  without_random_addresses ctest --test-dir "$directory" --output-on-failure --no-tests=error \
    --parallel "$(job_count)" -L "$labels" -E NOT_BUILT "$@" </dev/null
}

# test_programs PRESET: all of them but those that run whole daemons.
test_programs() {
  sed -nE 's/^build (test-[a-z0-9-]+)[ :].*CXX_EXECUTABLE_LINKER.*/\1/p' "$(build_directory "$1")/build.ninja" | grep -vxE 'test-(e2e|crash)'
}

"$root/scripts/install-packages" build test
if [[ $sanitize == no ]]; then
  test_preset "$preset" "${arguments[@]}"
  simulate "$preset" "$long_histories"
  kill_cycles "$preset" "$long_crash_cycles"
else
  # Sanitizers make the simulation several times slower, and it has a time limit.
  export TASK_RUNNER_SEEDS=${TASK_RUNNER_SEEDS:-500}
  configure asan on
  mapfile -t programs < <(test_programs asan)
  # Without names everything would be built, whole daemons too.
  [[ ${#programs[@]} -gt 0 ]] || fail "no test program was found in build/asan/build.ninja"
  configure tsan on
  code=0
  # Both run, whatever the first finds.
  test_sanitized asan '^(unit|property|actor|contract|service)$' "${programs[@]}" -- "${arguments[@]}" || code=$?
  test_sanitized tsan '^(unit|property|contract|service)$' "${thread_sanitized[@]}" -- "${arguments[@]}" || code=$?
  simulate asan "$long_histories_sanitized" || code=$?
  exit "$code"
fi
