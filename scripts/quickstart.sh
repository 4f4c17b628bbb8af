#!/usr/bin/env bash
# Builds TaskRunner, starts it on a free port with a state directory of its own, and shows it run a few commands.
# usage: scripts/quickstart.sh [--once]
#
# Afterwards it stays in the foreground until Ctrl-C; with --once it ends after the demonstration, with exit code 0
# only if every command ran as it should. It touches no Redis and no other daemon, and removes all it made.
# shellcheck disable=SC2317 # Much of it is reached through traps alone.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# How long the daemon may take to start, and a demonstration command to end, in tenths of a second.
readonly start_tenths_max=150
readonly task_tenths_max=300

once=no
case ${1:-} in
'') ;;
--once) once=yes ;;
-h | --help)
  sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  exit 0
  ;;
*) fail "unknown argument '$1'; usage: scripts/quickstart.sh [--once]" ;;
esac
[[ $# -le 1 ]] || fail "too many arguments; usage: scripts/quickstart.sh [--once]"

place=''       # the directory of this demonstration
daemon=''      # process id of the daemon while it runs
daemon_code=0  # its exit code once it has ended
phase=demonstration
stop_asked=no
problems=0

# pause: a tenth of a second. The shell has no better way to wait for another process' progress.
pause() {
  sleep 0.1
}

# reap: waits until the daemon has ended, whatever signals arrive meanwhile.
reap() {
  while [[ -n $daemon ]]; do
    daemon_code=0
    wait "$daemon" || daemon_code=$?
    kill -0 "$daemon" 2>/dev/null || daemon=''
  done
}

# Ctrl-C and the like end the demonstration. Later the first asks the daemon to drain, a second not to wait for
# running commands.
on_signal() {
  [[ $phase != demonstration ]] || exit 130
  if [[ $stop_asked == no ]]; then
    stop_asked=yes
    echo
    echo "Stopping: running commands are waited for. Ctrl-C again leaves them to themselves."
  fi
  [[ -z $daemon ]] || kill -INT "$daemon" 2>/dev/null || true
}

clean_up() {
  trap '' INT TERM HUP
  if [[ -n $daemon ]]; then
    kill -INT "$daemon" 2>/dev/null || true
    trap 'kill -INT "$daemon" 2>/dev/null || true' INT TERM HUP
    reap
    trap - INT TERM HUP
  fi
  if [[ -n $place ]]; then
    trap 'rm -rf "$place"; exit 130' INT TERM HUP
    wait_for_launcher "$place/state"
    rm -rf "$place"
  fi
}

# api PATH [CURL OPTIONS]: one request. Proxies and the user's curl settings do not matter here.
api() {
  local path=$1
  shift
  curl -q -sS --noproxy '*' --max-time 30 "$@" "$url$path"
}

# member NAME JSON: the last text or number of that name.
member() {
  sed -nE 's/.*"'"$1"'":("([^"]*)"|(-?[0-9.]+)).*/\2\3/p' <<<"$2"
}

# push COMMAND: answers with the task's id.
push() {
  local answer id
  answer=$(api /push --fail-with-body --data-urlencode "task=$1") || fail "POST /push was refused: $answer"
  id=$(member task_id "$answer")
  [[ -n $id ]] || fail "POST /push answered without a task_id: $answer"
  echo "$id"
}

# wait_for_end ID: answers with the task as GET /api/v1/tasks/ID shows it once it has ended.
wait_for_end() {
  local tenth answer=''
  for ((tenth = 0; tenth < task_tenths_max; ++tenth)); do
    answer=$(api "/api/v1/tasks/$1" --fail-with-body) || fail "GET /api/v1/tasks/$1 was refused: $answer"
    case $(member state "$answer") in
    finished | dead | cancelled)
      echo "$answer"
      return
      ;;
    esac
    pause
  done
  fail "the task $1 has not ended; the last answer was $answer"
}

# problem TEXT...: something went otherwise than promised.
problem() {
  problems=$((problems + 1))
  echo "   UNEXPECTED: $*"
}

# show ID COMMAND STATE CODE OUTPUT: waits for a task and shows how it ended, compared with what is expected.
# An OUTPUT of '*' stands for anything but nothing.
show() {
  local task output state code
  task=$(wait_for_end "$1")
  output=$(api "/api/v1/tasks/$1/output" --fail-with-body) || fail "the output of $1 cannot be read: $output"
  state=$(member state "$task")
  code=$(member code "$task")
  echo "   \$ $2"
  [[ -z $output ]] || printf '     %s\n' "${output//$'\n'/$'\n'     }"
  echo "   -> $state, exit code ${code:-none}, $(member duration_s "$task") s"
  [[ $state == "$3" ]] || problem "the state is '$state', not '$3'"
  [[ $code == "$4" ]] || problem "the exit code is '$code', not '$4'"
  if [[ $5 == '*' ]]; then
    [[ -n $output ]] || problem "there is no output"
  elif [[ $output != "$5" ]]; then
    problem "a shell prints: $5"
  fi
  shown=$task
}

# demonstrate COMMAND: pushes it and compares with what the shell makes of it here and now.
demonstrate() {
  local output code=0 state=finished id
  output=$(/bin/sh -c "$1" 2>&1 </dev/null) || code=$?
  [[ $code -eq 0 ]] || state=dead
  id=$(push "$1")
  show "$id" "$1" "$state" "$code" "$output"
}

start() {
  local tenth address
  : >"$place/log"
  # Job control gives the daemon a process group of its own: Ctrl-C comes to this script, which passes it on.
  set -m
  "${leash[@]}" "$root/build/task-runner" -state-dir "$place/state" -pidfile "$place/task-runner.pid" \
    -http-addr 127.0.0.1:0 -redis-intake off -concurrent 5 2>"$place/log" </dev/null &
  daemon=$!
  set +m
  for ((tenth = 0; tenth < start_tenths_max; ++tenth)); do
    address=$(sed -nE 's/.*listening.*(127\.0\.0\.1:[0-9]+).*/\1/p' "$place/log")
    if [[ -n $address ]]; then
      url=http://$address
      api /status --fail --output /dev/null 2>/dev/null && return
    fi
    if ! kill -0 "$daemon" 2>/dev/null; then
      cat "$place/log" >&2
      fail "the daemon ended while it started; its log is above"
    fi
    pause
  done
  cat "$place/log" >&2
  fail "the daemon does not answer; its log is above"
}

say "Building"
"$root/scripts/install-packages" build demo
"$root/scripts/build.sh"

trap clean_up EXIT
trap on_signal INT TERM HUP
place=$(mktemp -d "${TMPDIR:-/tmp}/task-runner-demo.XXXXXX")
# The launcher's socket lies in there, and its path must stay under 108 bytes.
if [[ ${#place} -gt 70 ]]; then
  rmdir "$place"
  place=$(mktemp -d /tmp/task-runner-demo.XXXXXX)
fi

say "Starting the daemon"
start
echo "   It listens on $url; its queues are in $place/state."

say "A program"
id=$(push date)
show "$id" date finished 0 '*'
say "A line of shell: quotes, && and pipes work"
# shellcheck disable=SC2016 # The daemon's shell is to expand it.
demonstrate 'echo '\''a  b'\'' "c" && echo $((1+1)) | cat'
say "Two commands side by side"
first_id=$(push 'sleep 1; echo first')
second_id=$(push 'sleep 1; echo second')
show "$first_id" 'sleep 1; echo first' finished 0 first
first=$shown
show "$second_id" 'sleep 1; echo second' finished 0 second
second=$shown
if [[ $(member started_at "$second") < $(member ended_at "$first") ]]; then
  echo "   The second began while the first was running."
else
  problem "the second began after the first had ended"
fi
say "A command that fails is shown as such"
demonstrate 'ls /no/such/directory'

if [[ $problems -gt 0 ]]; then
  sed 's/^/   log: /' "$place/log"
  fail "$problems thing(s) went otherwise than promised; see UNEXPECTED above"
fi
if [[ $once == yes ]]; then
  say "Everything ran as it should; stopping"
  kill -INT "$daemon"
  reap
  [[ $daemon_code -eq 0 ]] || fail "the daemon ended with exit code $daemon_code"
  exit 0
fi

phase=foreground
# shellcheck disable=SC2088 # It is shown to a person, not used.
if [[ $EUID -eq 0 ]]; then
  usual_state=/var/lib/task-runner
else
  usual_state='~/.local/state/task-runner'
fi
cat <<END

${bold}TaskRunner runs at $url (process $daemon).${plain} In another terminal:

  curl $url/push -d 'task=uname -a'              push a command; the answer has its task_id
  curl $url/api/v1/tasks/TASK_ID                 its state and exit code
  curl $url/api/v1/tasks/TASK_ID/output          what it printed
  curl $url/status                               all channels and what is queued
  curl $url/queue -d name=mail -d worker=2       a channel of its own, two at a time
  kill -USR2 $daemon                             stop it when nothing runs any more

Ctrl-C here stops it too, and removes $place. To run it for good:
  build/task-runner        (port 60001, queues in $usual_state; README.md has the rest)

The daemon's log:
END
tail -n +1 -s 0.2 -f --pid="$daemon" "$place/log" </dev/null &
log_reader=$!
reap
wait "$log_reader" 2>/dev/null || true
exit "$daemon_code"
