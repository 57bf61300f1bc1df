#!/usr/bin/env bash
# Installs evalgate, from the checkout of its repository that the runner made for `uses:`, into an environment of its own.
# The caller's Python is left as it is. Runs on the bash 3.2 of macOS too. Usage:
#
#   install.sh find ROOT      writes the outputs `python`, the interpreter to call, and `wheels`, the name under which the
#                             packages for it may be cached; empty where nothing has to be installed
#   install.sh install ROOT   installs, from the folder evalgate-wheels of RUNNER_TEMP where that holds what is pinned
set -euo pipefail

step=$1
root=$2
venv="$RUNNER_TEMP/evalgate-venv"
wheels="$RUNNER_TEMP/evalgate-wheels"
pinned="$root/requirements/run.txt"

if [ -n "${EVALGATE_ACTION_PYTHON:-}" ] || [ -e "$venv/installed" ]; then
  # An environment that has evalgate already: runner images with it baked in, or an earlier step.
  [ "$step" = install ] || printf 'python=%s\nwheels=\n' "${EVALGATE_ACTION_PYTHON:-$venv/bin/python}" >> "$GITHUB_OUTPUT"
  exit 0
fi

for candidate in python3 python python3.13 python3.12 python3.11; do
  # -P, new in 3.11: a file of the caller's repository must not stand in for a module.
  if "$candidate" -P -c '' 2> /dev/null; then
    python=$(command -v "$candidate")
    break
  fi
done
if [ -z "${python:-}" ]; then
  echo "::error title=evalgate::No Python 3.11 or newer on this runner. Put actions/setup-python before this step."
  exit 3
fi

if [ "$step" = find ]; then
  name=$("$python" -P -c '
import hashlib, pathlib, platform, sys, sysconfig
parts = ["evalgate-wheels", sysconfig.get_platform(), *platform.libc_ver(), sys.implementation.cache_tag]
print("-".join([*parts, hashlib.sha256(pathlib.Path(sys.argv[1]).read_bytes()).hexdigest()[:32]]))
' "$pinned")
  printf 'python=%s\nwheels=%s\n' "$venv/bin/python" "$name" >> "$GITHUB_OUTPUT"
  exit 0
fi

# Infrastructure never exits 1: that would mean "the gate failed".
if "$python" -P -c 'import pip, sys; sys.exit([int(n) for n in pip.__version__.split(".")[:2]] < [22, 3])' 2> /dev/null; then
  # A pip that can install elsewhere. One of its own in the environment would take a third of the whole time.
  "$python" -P -m venv --without-pip "$venv" || exit 3
  pip() { "$python" -P -m pip --disable-pip-version-check --quiet --python "$venv/bin/python" "$@"; }
else
  "$python" -P -m venv "$venv" || exit 3
  pip() { "$venv/bin/python" -P -m pip --disable-pip-version-check --quiet "$@"; }
fi
from_wheels() { pip install --no-compile --no-deps --no-index --find-links "$wheels" --require-hashes -r "$pinned"; }

if [ ! -d "$wheels" ] || ! from_wheels; then
  rm -rf "$wheels"
  pip download --no-deps --require-hashes --dest "$wheels" -r "$pinned" || exit 3
  from_wheels || exit 3
fi
pip install --no-compile --no-index --no-deps --no-build-isolation "$root" || exit 3
touch "$venv/installed"
