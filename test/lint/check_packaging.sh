#!/usr/bin/env bash
# Proves that the service files are what their managers accept, and that the flags in them are the daemon's own.
# usage: test/lint/check_packaging.sh BINARY
set -euo pipefail

if [[ $# -ne 1 || ! -x $1 ]]; then
  echo "usage: ${0##*/} BINARY" >&2
  exit 2
fi
binary=$(readlink -f "$1")
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
service=$root/scripts/packaging/task-runner.service
supervisor=$root/scripts/packaging/supervisor.conf
place=$(mktemp -d /tmp/tr-packaging.XXXXXX)
trap 'rm -rf "$place"' EXIT

fail() {
  printf 'check_packaging: %s\n' "$*" >&2
  exit 1
}

# The commands in both files, with the sample INI where they expect it and the binary under test.
cp "$root/config/task-runner.ini" "$place/task-runner.ini"
for command in "$(sed -n 's/^ExecStart=//p' "$service")" "$(sed -n 's/^command=//p' "$supervisor")"; do
  read -ra words <<<"$command"
  [[ ${words[0]:-} == /usr/local/bin/task-runner ]] || fail "expected a command of /usr/local/bin/task-runner, found '$command'"
  [[ $command == *' /etc/task-runner/task-runner.ini '* ]] || fail "expected --config /etc/task-runner/task-runner.ini in '$command'"
  words=("${words[@]:1}")
  settings=$("$binary" "${words[@]/#\/etc\/task-runner\/task-runner.ini/$place/task-runner.ini}" --check-config) ||
    fail "the daemon does not accept the flags of '$command'"
  grep -qx 'state-dir = /var/lib/task-runner' <<<"$settings" || fail "the state directory is not /var/lib/task-runner: $settings"
done

# What makes commands survive, and the signal the predecessor documents.
for line in KillMode=process KillSignal=SIGTERM Type=notify OOMPolicy=continue Delegate=yes; do
  grep -qx "$line" "$service" || fail "the systemd unit lacks $line"
done
for line in stopsignal=USR2 stopasgroup=false killasgroup=false; do
  grep -qx "$line" "$supervisor" || fail "supervisor.conf lacks $line"
done

if command -v systemd-analyze >/dev/null; then
  sed "s#/usr/local/bin/task-runner#$binary#" "$service" >"$place/task-runner.service"
  complaints=$(systemd-analyze verify "$place/task-runner.service" 2>&1) || fail "systemd does not accept the unit: $complaints"
  [[ -z $complaints ]] || fail "systemd has a complaint: $complaints"
else
  echo "systemd-analyze is not installed: the unit was not shown to systemd"
fi
echo "the service files are sound"
