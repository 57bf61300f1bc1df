#!/usr/bin/env bash
# Installs evalgate, from the checkout of its repository that the runner made for `uses:`, into an environment of its own.
# The caller's Python is left as it is. Usage: install.sh ROOT. Writes the output `python`: the interpreter to call.
set -euo pipefail

root=$1

if [ -n "${EVALGATE_ACTION_PYTHON:-}" ]; then
  # An environment that has evalgate already: runner images with it baked in.
  echo "python=$EVALGATE_ACTION_PYTHON" >> "$GITHUB_OUTPUT"
  exit 0
fi

venv="$RUNNER_TEMP/evalgate-venv"
if [ ! -e "$venv/installed" ]; then
  for candidate in python3 python python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
      python=$candidate
      break
    fi
  done
  if [ -z "${python:-}" ]; then
    echo "::error title=evalgate::No Python 3.11 or newer on this runner. Put actions/setup-python before this step."
    exit 3
  fi
  pip() { "$venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }
  # Infrastructure never exits 1: that would mean "the gate failed".
  "$python" -m venv "$venv" || exit 3
  pip install --require-hashes -r "$root/requirements/run.txt" || exit 3
  pip install --no-deps --no-build-isolation "$root" || exit 3
  touch "$venv/installed"
fi
echo "python=$venv/bin/python" >> "$GITHUB_OUTPUT"
