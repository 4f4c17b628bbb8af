#!/usr/bin/env bash
# Measures TaskRunner beside the limits of this machine and beside its peers, prints a table, and writes JSON and SVG.
# usage: scripts/bench/run.sh [--quick] [--long] [--rounds N] [--only NAME,...] [--out DIR] [--dir DIR]
#                             [--binary FILE] [--install-peers] [--update-readme]     --help explains them
#
# Each measurement starts servers of its own on free ports, in a directory that is removed at the end, and runs in
# turn with its limit: quote ratios. Results go to build/bench unless --out says otherwise, those of --quick and --only
# to a folder of their own there. It builds nothing but the small programs of this folder: run scripts/build.sh before.
# What is missing of Debian's packages it installs; SKIP_INSTALL=1 leaves the system as it is.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

groups=(bench)
for argument in "$@"; do
  [[ $argument != --install-peers ]] || groups+=(peers)
done
"$root/scripts/install-packages" "${groups[@]}"

# Debian's own Python, which sees Debian's packages: the peers are among them.
python=/usr/bin/python3
[[ -x $python ]] || python=python3
PYTHONPATH=$root/scripts/bench exec "$python" -B -m harness "$@"
