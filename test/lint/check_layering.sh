#!/usr/bin/env bash
# Proves that scripts/check-layering sees what it is there to see: a clean tree passes, each offence is named.
# usage: test/lint/check_layering.sh     prints one line per case; exit 1 if any case went wrong
set -euo pipefail

check=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)/scripts/check-layering
place=$(mktemp -d /tmp/tr-layering.XXXXXX)
trap 'rm -rf "$place"' EXIT
failed=0
passed=0

# fresh_tree: a small tree without offences.
fresh_tree() {
  rm -rf "${place:?}/tree"
  mkdir -p "$place"/tree/{config,actors/gateway,services/{domain,ports,store,http,wire},test/unit}
  printf '// A task.\n#pragma once\n#include <string>\n' >"$place/tree/services/domain/task.hpp"
  printf '// A port.\n#include "services/domain/task.hpp"\n' >"$place/tree/services/ports/store.hpp"
  printf '// A store.\n#include "services/ports/store.hpp"\n#include <sqlite3.h>\n' >"$place/tree/services/store/store.cpp"
  printf '// A queue.\n#include "services/ports/store.hpp"\n' >"$place/tree/actors/queue_core.hpp"
  printf '// An actor.\n#include "actors/queue_core.hpp"\n#include <caf/all.hpp>\n' >"$place/tree/actors/queue.cpp"
  printf '// Settings.\n#include "services/domain/task.hpp"\n' >"$place/tree/config/settings.hpp"
  printf '// A test.\n#include "actors/queue_core.hpp"\n#include <nlohmann/json.hpp>\n' >"$place/tree/test/unit/queue.cpp"
}

# expect NAME LINE FILE TEXT: with FILE holding TEXT the check fails and says LINE; without LINE it passes.
expect() {
  local output code=0
  fresh_tree
  if [[ -n $3 ]]; then
    mkdir -p "$place/tree/$(dirname "$3")"
    # shellcheck disable=SC2059 # The text is a format on purpose.
    printf "$4" >"$place/tree/$3"
  fi
  output=$("$check" "$place/tree" 2>&1) || code=$?
  if [[ -z $2 && $code -eq 0 ]] || [[ -n $2 && $code -eq 1 && $output == *"$2"* ]]; then
    passed=$((passed + 1))
    return
  fi
  failed=$((failed + 1))
  printf 'FAILED: %s\n  expected: %s\n  exit code %s, and it said:\n%s\n' "$1" "${2:-no offence}" "$code" "$output"
}

expect 'a clean tree' '' '' ''
expect 'services include no CAF' 'services/store/a.cpp:2: caf/all.hpp may be included only by' \
  services/store/a.cpp '// A.\n#include <caf/all.hpp>\n'
expect 'services include no actors' 'services/store may not include actors' \
  services/store/a.cpp '// A.\n#include "actors/queue_core.hpp"\n'
expect 'services include no settings' 'services/store may not include config' \
  services/store/a.cpp '// A.\n#include "config/settings.hpp"\n'
expect 'a service does not include another' 'services/store may not include services/http' \
  services/store/a.cpp '// A.\n#include "services/http/a.hpp"\n'
expect 'domain stands alone' 'services/domain may not include services/ports' \
  services/domain/a.hpp '// A.\n#include "services/ports/store.hpp"\n'
expect 'config sees only domain' 'config may not include services/ports' \
  config/a.hpp '// A.\n#include "services/ports/store.hpp"\n'
expect 'queue_core includes no CAF' 'queue_core is pure and may not include caf/all.hpp' \
  actors/queue_core.cpp '// A.\n#include <caf/all.hpp>\n'
expect 'queue_core includes no other actor code' 'queue_core is pure and may include only' \
  actors/queue_core.cpp '// A.\n#include "actors/queue.hpp"\n'
expect 'queue_core includes no store' 'queue_core is pure and may include only' \
  actors/queue_core.cpp '// A.\n#include "services/store/store.hpp"\n'
expect 'actors see ports, not stores' 'actors may not include services/store' \
  actors/a.cpp '// A.\n#include "services/store/store.hpp"\n'
expect 'libraries stay behind sources' 'makes every user compile it' \
  services/wire/a.hpp '// A.\n#include <nlohmann/json.hpp>\n'
expect 'libraries stay in their files' 'may be included only by' \
  services/http/a.cpp '// A.\n#include <nlohmann/json.hpp>\n'
expect 'a blank before the include hides nothing' 'services/store may not include actors' \
  services/store/a.cpp '// A.\n  #  include "actors/queue.hpp"\n'
expect 'the first line is a comment' 'services/store/a.cpp:1: the file begins without a // comment' \
  services/store/a.cpp '#include <string>\n'
expect 'own headers are included from the root' 'from the root of the tree' \
  services/store/a.cpp '// A.\n#include "store.hpp"\n'
expect 'own headers are in quotes' 'in quotes' \
  services/store/a.cpp '// A.\n#include <services/ports/store.hpp>\n'
expect 'programs include no tests' 'only tests include test/unit/a.hpp' \
  services/store/a.cpp '// A.\n#include "test/unit/a.hpp"\n'
expect 'folders are known' 'the folder services/extra is not in the table' \
  services/extra/a.cpp '// A.\n'

if "$check" "$place" >"$place/output" 2>&1; then
  failed=$((failed + 1))
  echo 'FAILED: a folder without sources is no clean tree'
else
  passed=$((passed + 1))
fi

echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
