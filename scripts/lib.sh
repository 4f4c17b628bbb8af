# Shared by the scripts of this folder, which source it: where the tree is, how many jobs fit, how to say things.
# It changes nothing but shell variables, and exports what makes ccache useful.
# shellcheck shell=bash

# The root of the tree.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

# ccache refuses precompiled headers unless it may ignore what cannot matter here.
export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros}

# Settings of a real daemon in the caller's environment shall not leak into demonstrations, builds and tests.
# Those that belong to the simulation and to the crash harness stay.
while IFS= read -r variable; do
  case $variable in
  TASK_RUNNER_SEED | TASK_RUNNER_SEEDS | TASK_RUNNER_CRASH_CYCLES | TASK_RUNNER_CRASH_KEEP) ;;
  TASK_RUNNER_*) unset "$variable" ;;
  esac
done < <(compgen -e)
unset variable

# Bold where a person looks, plain elsewhere.
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\033[1m' plain=$'\033[0m'
else
  bold='' plain=''
fi

# say TEXT...: a headline.
say() {
  printf '%s== %s%s\n' "$bold" "$*" "$plain"
}

# fail TEXT...: the end, with a reason.
fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# Put before a server that a script starts: should the script be killed outright, the kernel ends the server.
# shellcheck disable=SC2034 # For the scripts that source this.
if setpriv --pdeathsig TERM true 2>/dev/null; then
  leash=(setpriv --pdeathsig TERM)
else
  leash=(env)
fi

# wait_for_launcher DIRECTORY: waits until the launcher of that state directory has left, which it does by itself
# when no daemon has come back to it for a few seconds. What it still runs holds it; then this gives up.
wait_for_launcher() {
  local launcher='' tenth
  if [[ -r $1/launcher.pid ]]; then
    launcher=$(<"$1/launcher.pid")
  fi
  [[ $launcher =~ ^[0-9]+$ ]] || return 0
  for ((tenth = 0; tenth < 150; ++tenth)); do
    # Only that launcher has the directory among its arguments.
    grep -qsaF -- "$1" "/proc/$launcher/cmdline" || return 0
    sleep 0.1
  done
}

# How many compilers may run at once: one per core, but no more than the memory holds (up to 1 GB each).
job_count() {
  local cores memory_kb fitting
  cores=$(nproc)
  memory_kb=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
  fitting=$(((${memory_kb:-1048576} + 1048575) / 1048576))
  ((fitting >= 1)) || fitting=1
  echo $((cores < fitting ? cores : fitting))
}

# build_directory PRESET: where CMakePresets.json puts it.
build_directory() {
  case $1 in
  release) echo "$root/build" ;;
  debug | asan | tsan) echo "$root/build/$1" ;;
  *) fail "no preset is called '$1'; there are release, debug, asan and tsan" ;;
  esac
}

# configure PRESET on|off: runs CMake, with or without the tests. Tests that are on already stay on, so that a
# build of the binary alone does not take away what scripts/test.sh has set up. Quiet unless it fails.
configure() {
  local preset=$1 tests=$2 directory log
  directory=$(build_directory "$preset")
  if [[ -f $directory/CMakeCache.txt ]] && grep -q '^TASK_RUNNER_TESTS:BOOL=ON$' "$directory/CMakeCache.txt"; then
    tests=on
  fi
  mkdir -p "$directory"
  log=$directory/configure.log
  if ! (cd "$root" && cmake --preset "$preset" -DTASK_RUNNER_TESTS="${tests^^}" >"$log" 2>&1); then
    cat "$log" >&2
    fail "CMake could not configure the preset $preset; its output is above and in $log"
  fi
}

# build PRESET [TARGET...]: compiles and links, everything unless targets are named.
build() {
  local preset=$1 target arguments=()
  shift
  for target in "$@"; do
    arguments+=(--target "$target")
  done
  cmake --build "$(build_directory "$preset")" --parallel "$(job_count)" "${arguments[@]}"
}
