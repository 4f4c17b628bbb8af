#!/usr/bin/env bash
# Installs what the build needs and builds the binary: Release, at build/task-runner.
# usage: scripts/build.sh [--preset release|debug|asan|tsan]
#
# Other presets leave it at build/PRESET/task-runner. Warnings of our own code are errors. All cores are used, and
# ccache and mold where they are installed. Tests are neither built nor needed; see scripts/test.sh.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

preset=release
while [[ $# -gt 0 ]]; do
  case $1 in
  --preset)
    [[ $# -ge 2 ]] || fail "--preset needs a name: release, debug, asan or tsan"
    preset=$2
    shift 2
    ;;
  --preset=*)
    preset=${1#*=}
    shift
    ;;
  -h | --help)
    sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
  *) fail "unknown argument '$1'; usage: scripts/build.sh [--preset release|debug|asan|tsan]" ;;
  esac
done
directory=$(build_directory "$preset")

"$root/scripts/install-packages" build
configure "$preset" off
build "$preset" task-runner
echo "built: ${directory#"$root/"}/task-runner"
