#!/usr/bin/env bash
# Measures the micro-benchmarks of test/benchmark and compares them with test/benchmark/baseline.json, by ratio.
# usage: scripts/bench/micro.sh [--update] [--fail-above PERCENT] [--filter REGEX]
#        scripts/bench/micro.sh --smoke PROGRAM
#
#   --update              writes the baseline instead of comparing with it
#   --fail-above PERCENT  exit code 1 when a ratio has grown by more than that; otherwise the table only tells
#   --filter REGEX        measures those alone whose names match, and the calibrations
#   --smoke PROGRAM       runs each benchmark of that program for an instant; exit code 1 when one fails, or when
#                         they are not the very ones of the baseline
#
# Each benchmark is held against a calibration of the same run: a plain loop, a bare fdatasync of 4 KiB, a bare
# posix_spawn (test/benchmark/calibration.cpp). Medians of five repetitions, of calibrations fifteen, in random order;
# about a minute. What runs beside it is measured with it: leave the machine alone meanwhile.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

readonly baseline=$root/test/benchmark/baseline.json
readonly repetitions=5
# Of one repetition, seconds.
readonly measured_s=0.1
readonly smoke_s=0.001

mode=compare
program=''
filter=''
compare_arguments=()
while [[ $# -gt 0 ]]; do
  case $1 in
  --update) mode=update ;;
  --fail-above)
    [[ ${2:-} =~ ^[0-9]+([.][0-9]+)?$ ]] || fail "--fail-above needs a number of percent"
    compare_arguments+=(--fail-above "$2")
    shift
    ;;
  --filter)
    [[ -n ${2:-} ]] || fail "--filter needs a regular expression"
    filter=$2
    compare_arguments+=(--part)
    shift
    ;;
  --smoke)
    [[ -x ${2:-} ]] || fail "--smoke needs the program micro-benchmarks"
    mode=smoke
    program=$2
    shift
    ;;
  -h | --help)
    sed -n '2,14s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
  *) fail "unknown argument '$1'; look at --help" ;;
  esac
  shift
done
[[ $mode == compare || ${#compare_arguments[@]} -eq 0 ]] || fail "--fail-above and --filter are for a comparison"

place=$(mktemp -d /tmp/tr-micro.XXXXXX)
trap 'rm -rf "$place"' EXIT
trap 'exit 130' INT TERM HUP

# measure ARGUMENTS...: the results stand in $place/run.json afterwards. Google Benchmark's own table says the same.
measure() {
  "$program" --benchmark_out="$place/run.json" --benchmark_out_format=json "$@" </dev/null >"$place/log" 2>&1 ||
    fail "the micro-benchmarks ended with an error: $(tail -n 5 "$place/log")"
}

# compare VERB ARGUMENTS...
compare() {
  python3 "$root/scripts/bench/micro_compare.py" "$1" "$place/run.json" "$baseline" "${@:2}"
}

if [[ $mode == smoke ]]; then
  measure --benchmark_min_time="$smoke_s"
  compare check
  exit
fi

"$root/scripts/install-packages" build test
configure release on
build release micro-benchmarks
program=$(build_directory release)/micro-benchmarks
say "Measuring, for about a minute; leave the machine alone meanwhile"
arguments=(--benchmark_repetitions="$repetitions" --benchmark_min_time="$measured_s"
  --benchmark_enable_random_interleaving=true)
[[ -z $filter ]] || arguments+=(--benchmark_filter="^calibration/|$filter")
measure "${arguments[@]}"
compare "$mode" "${compare_arguments[@]}"
