"""Simulated pull requests through evalgate's own decision, next to the rules that one would write first.

    python -m benchmarks.decision                     all cells, 72 pull requests each: a few minutes
    python -m benchmarks.decision --full              2,000 each: about an hour and a quarter on two cores
    python -m benchmarks.decision --cells nothing n50-10 --prs 500 --rules '{"max_extra_calls": 5000}'
    python -m benchmarks.decision --through-runner    the same endpoint behind the real runner: the same bytes?

What is printed is Markdown. Finished chunks are kept in `--keep`, so that an interrupted simulation goes on where it
was; a figure depends on the seed alone, not on the number of processes or on what was kept.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from benchmarks.decision import goals, reference, table, timing, work
from benchmarks.decision.cells import CELLS

QUICK, FULL = 72, 2000
KEEP = Path(".evalgate/decision-benchmark.jsonl")


def main(argv: list[str] | None = None) -> int:
    options = parse(argv)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that the processes end as well
    if options.through_runner:
        from benchmarks.decision.through_runner import compare

        return compare(options.cells, prs=options.prs or 3, seed=options.seed)
    code = work.code_fingerprint()
    prs = options.prs or (FULL if options.full else QUICK)
    timed = list(timing.goals(options.seed))  # before the processes start: they would slow it down
    measured = work.measured(
        options.cells,
        prs=prs,
        seed=options.seed,
        jobs=options.jobs,
        keep=None if options.keep == Path("-") else options.keep,
        tell=_tell,
        rules=options.rules,
    )
    text = "\n\n".join(
        (
            "## The decision, simulated",
            f"{prs} pull requests a cell, seed {options.seed}, code {code}, rules `{options.rules}`. In brackets: "
            "standard errors of the simulation. Main setting: 12 categories of 10 to 200 cases, 810 in all, "
            "concentration 1, 5 baseline runs of 3 repeats.",
            "### Goals",
            table.reached([*goals.goals(measured), *timed]),
            "### Blocked",
            table.blocked(measured),
            "### Calls and names",
            table.calls_and_names(measured),
            "### The same rules in a reference simulation",
            table.compared(list(reference.comparisons(measured))),
        )
    )
    print(text)
    if options.write is not None:
        options.write.write_text(text + "\n", encoding="utf-8")
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decision", description=__doc__.split("\n", 1)[0])
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help=f"{QUICK} pull requests a cell (as without any option)")
    size.add_argument("--full", action="store_true", help=f"{FULL} pull requests a cell")
    size.add_argument("--prs", type=int, metavar="N", help="so many pull requests a cell")
    parser.add_argument("--cells", nargs="+", default=list(CELLS), choices=list(CELLS), metavar="NAME")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rules", default="{}", metavar="JSON", help="what stands under `gate:` (default: nothing)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="also write the Markdown there")
    parser.add_argument("--keep", type=Path, default=KEEP, metavar="FILE", help="finished chunks; - keeps none")
    parser.add_argument(
        "--through-runner", action="store_true", help="compare with the real runner, and do nothing else"
    )
    return parser.parse_args(argv)


def _tell(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
