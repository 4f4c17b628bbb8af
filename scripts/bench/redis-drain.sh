#!/usr/bin/env bash
# How many messages a second go from a Redis list into the embedded store, beside what Redis itself takes in.
# usage: scripts/bench/redis-drain.sh [MESSAGES]   (200,000 unless told)
#
# It starts a Redis server and a daemon of its own, on free ports and in a directory of its own, and removes them.
# The daemon stores only (-task-mode=false); each message is a task of its own. Needs build/task-runner, redis-server
# and redis-tools. A figure of one machine at one moment: quote the ratio.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

messages=${1:-200000}
[[ $messages =~ ^[1-9][0-9]{0,6}$ ]] || fail "'$messages' is not a number of messages, 1 to 9999999"
binary=$root/build/task-runner
[[ -x $binary ]] || fail "there is no $binary; run scripts/build.sh first"

place=$(mktemp -d /tmp/tr-bench.XXXXXX)
redis='' daemon=''
# shellcheck disable=SC2317 # Reached through the trap.
clean_up() {
  [[ -z $daemon ]] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null || true
  [[ -z $redis ]] || { kill "$redis" && wait "$redis"; } 2>/dev/null || true
  wait_for_launcher "$place/state"
  rm -rf "$place"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

ask() { redis-cli -s "$place/redis.sock" "$@"; }
now_ms() { date +%s%3N; }

# Redis for the daemon is TCP: try ports until one is free.
for ((try = 0; try < 20; ++try)); do
  port=$((20000 + RANDOM % 20000))
  "${leash[@]}" redis-server --port "$port" --bind 127.0.0.1 --unixsocket "$place/redis.sock" --save '' \
    --appendonly no --dir "$place" >"$place/redis.log" 2>&1 &
  redis=$!
  for ((tenth = 0; tenth < 50; ++tenth)); do
    [[ $(ask ping 2>/dev/null) != PONG ]] || break 2
    kill -0 "$redis" 2>/dev/null || break
    sleep 0.1
  done
  redis=''
done
[[ -n $redis ]] || fail "no Redis server could be started; see its log: $(tail -n 3 "$place/redis.log")"

awk -v n="$messages" 'BEGIN {
  for (i = 1; i <= n; ++i) {
    m = "{\"task\":\"/bin/true " i "\",\"chan\":\"default\"}"
    printf "*3\r\n$5\r\nLPUSH\r\n$18\r\ntask:prepare:queue\r\n$%d\r\n%s\r\n", length(m), m
  }
}' >"$place/messages"
began=$(now_ms)
ask --pipe <"$place/messages" >/dev/null
fill_ms=$(($(now_ms) - began + 1))

"${leash[@]}" "$binary" -state-dir "$place/state" -pidfile "$place/pid" -http-addr 127.0.0.1:0 -task-mode=false \
  -redis-host "127.0.0.1:$port" -log-level info -log-file "$place/log" &
daemon=$!
began=$(now_ms)
# The taken list goes when its last task is durable: no list, no message that is not in the store.
while [[ $(ask dbsize) != 0 ]]; do
  kill -0 "$daemon" 2>/dev/null || fail "the daemon ended: $(tail -n 3 "$place/log")"
  (($(now_ms) - began < 300000)) || fail "the list was not drained within five minutes"
  sleep 0.02
done
drain_ms=$(($(now_ms) - began + 1))
stored=$(sed -n 's/.*listening address=\([^ ]*\).*/\1/p' "$place/log" |
  xargs -I{} curl -fsS 'http://{}/status?channel=default&limit=1' | sed 's/.*"count":\([0-9]*\).*/\1/')
[[ $stored == "$messages" ]] || fail "the store holds $stored tasks of $messages"

echo "redis-cli --pipe LPUSH    $((messages * 1000 / fill_ms)) messages/s"
echo "Redis list -> durable     $((messages * 1000 / drain_ms)) messages/s (the daemon's start included)"
awk -v a="$fill_ms" -v b="$drain_ms" 'BEGIN { printf "ratio                     %.2f\n", a / b }'
