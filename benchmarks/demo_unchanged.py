"""The bundled assistant with a temperature, unchanged, gated again and again against its own history.

    python -m benchmarks.demo_unchanged [--gates 200] [--temperature 0.5] [--history 5]

Each gate is a whole `evalgate run`: calls, history, choice of the baseline, repeats, fresh calls of both sides. Prints
how many were blocked, beside alpha, and how many calls were made, beside three fixed repeats of every case. Whatever
passes joins the history, as it does for users.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections import Counter
from pathlib import Path

from evalgate import demo
from evalgate.pipeline.suite import run_here
from evalgate.records import VerdictName

CONFIG = """\
version: 1
suite: handbook
evalsets: ["{evalsets}/handbook-*.yaml"]
endpoint: {{kind: python, callable: "evalgate.demo:answer", params: {{temperature: {temperature}}}}}
baseline_endpoint: {{kind: python, callable: "evalgate.demo:answer", params: {{temperature: {temperature}}}}}
run: {{concurrency: 8}}
history: {{store: "sqlite:///history.db"}}
"""

FIXED = 3


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.demo_unchanged", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("--gates", type=int, default=200)
    parser.add_argument("--temperature", type=float, default=0.5)
    parser.add_argument("--history", type=int, default=5)
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "evalgate.yaml"
        text = CONFIG.format(evalsets=demo.evalsets_dir().as_posix(), temperature=asked.temperature)
        for _ in range(asked.history):
            run_here(file, text, gated=False)
        verdicts: Counter[VerdictName] = Counter()
        calls = doubted = cases = 0
        for number in range(asked.gates):
            done = run_here(file, text)
            verdicts[done.verdict.verdict] += 1
            calls += done.verdict.usage.calls
            doubted += done.judged.run.confirmation is not None
            cases += len(done.judged.run.cases)
            sys.stderr.write(f"\r{number + 1}/{asked.gates} {dict(verdicts)}")
    blocked = verdicts[VerdictName.FAIL]
    rate, error = 100 * blocked / asked.gates, 100 * math.sqrt(0.05 * 0.95 / asked.gates)
    print(f"\n{asked.gates} gates, unchanged, temperature {asked.temperature:g}, {asked.history} first runs")
    print(f"blocked: {blocked} ({rate:.1f} %); alpha is 5 % (standard error of a rate of 5 %: {error:.1f})")
    print(f"would have blocked without fresh calls of both sides: {doubted} ({100 * doubted / asked.gates:.1f} %)")
    print(f"calls: {calls:,}, {calls / cases:.2f} a case, fresh calls included; three fixed repeats: {FIXED * cases:,}")
    print(f"that is {100 * calls / (FIXED * cases):.0f} % of them; goal: at most 50 %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
