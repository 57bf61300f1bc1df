"""How long the GitHub Action takes to install evalgate: with its wheels cached, and without.

    python benchmarks/action_install.py [REPEATS]

Prints seconds by the clock and of processor time, from `install.sh find` to a finished `evalgate validate`, whose first
start compiles what it imports. What the runner itself takes to fetch the cache, about 50 MB, is not in it.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INSTALL = ROOT / ".github" / "actions" / "install.sh"


def installed(temp: Path) -> tuple[float, float]:
    """Wall and processor seconds of one installation into this RUNNER_TEMP."""
    environ = {**os.environ, "RUNNER_TEMP": str(temp), "GITHUB_OUTPUT": os.devnull, "PIP_NO_CACHE_DIR": "1"}
    environ.pop("EVALGATE_ACTION_PYTHON", None)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    for step in ("find", "install"):
        subprocess.run(["bash", str(INSTALL), step, str(ROOT)], env=environ, check=True, stderr=subprocess.DEVNULL)
    evalgate = temp / "evalgate-venv" / "bin" / "evalgate"
    subprocess.run([str(evalgate), "validate"], cwd=ROOT, env=environ, check=True, stdout=subprocess.DEVNULL)
    after, wall_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - start
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(repeats: int) -> None:
    found: dict[str, list[tuple[float, float]]] = {"cold": [], "warm": []}
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            found["cold"].append(installed(Path(folder)))
            shutil.rmtree(Path(folder) / "evalgate-venv")
            found["warm"].append(installed(Path(folder)))
            size_mb = sum(file.stat().st_size for file in (Path(folder) / "evalgate-wheels").iterdir()) / 1e6
    print("| | seconds | of which processor |\n| --- | --- | --- |")
    for name, what in (("cold", "nothing cached"), ("warm", f"wheels cached ({size_mb:.0f} MB)")):
        wall_s, cpu_s = (statistics.median(part) for part in zip(*found[name], strict=True))
        print(f"| {what} | {wall_s:.1f} | {cpu_s:.1f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
