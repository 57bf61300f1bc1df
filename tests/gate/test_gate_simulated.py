"""Simulated pull requests: what is unchanged is hardly ever blocked, what broke is found. Seeded."""

from typing import Any, TypeAlias

import numpy as np
from builders import NOON

from evalgate import gate
from evalgate.records import CaseRef, Pinned, Run, Scored, Status, Verdict

SIZES = (10, 10, 12, 15, 20, 20, 25, 30, 40, 50, 50, 50)
CASES = tuple(
    CaseRef(id=f"c{group:02d}-{number:02d}", categories=(f"c{group:02d}",))
    for group, size in enumerate(SIZES)
    for number in range(size)
)
RULES = gate.parse_rules({})

Rates: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"


def _truth(rng: np.random.Generator) -> Rates:
    """True pass rates: Beta of concentration 1 about a mean that each category draws for itself."""
    means = np.repeat(rng.uniform(0.65, 0.95, len(SIZES)), SIZES)
    return rng.beta(means, 1 - means)


def _run(rng: np.random.Generator, truth: Rates, epochs: int = 1) -> Run:
    passed = (rng.random((len(CASES), epochs)) < truth[:, None]).astype(float).tolist()
    results = tuple(
        Scored(case_id=case.id, epoch=epoch + 1, score=passed[number][epoch])
        for number, case in enumerate(CASES)
        for epoch in range(epochs)
    )
    return Run(id="", suite="", created=NOON, cases=CASES, results=results, epochs=epochs)


def _verdict(rng: np.random.Generator, before: Rates, after: Rates, epochs: int = 1) -> Verdict:
    baseline = Pinned(runs=tuple(_run(rng, before) for _ in range(5)), why="simulated")
    return gate.decide(_run(rng, after, epochs), baseline, RULES)


def test_unchanged_pull_requests_are_hardly_ever_blocked() -> None:
    """100 of them at a level of 5 %: at that rate more than 10 blocks have a chance of 1 in 100."""
    rng = np.random.default_rng(2)
    blocked = 0
    for _ in range(100):
        truth = _truth(rng)
        blocked += _verdict(rng, truth, truth).exit_code == 1
    assert blocked <= 10


def test_a_break_of_twenty_points_in_one_category_of_fifty_is_found_and_named() -> None:
    """Three repeats against five runs: in more than 6 of 10, and nearly nothing else is named."""
    rng = np.random.default_rng(4)
    target = np.array([case.categories == ("c11",) for case in CASES])
    found = others = 0
    for _ in range(30):
        truth = _truth(rng)
        broken = truth.copy()
        for case in rng.permutation(np.flatnonzero(target)):
            # One case after the other falls to a tenth of its rate, until the category has lost twenty points.
            if truth[target].mean() - broken[target].mean() >= 0.2:
                break
            broken[case] *= 0.1
        breaches = {f.category for f in _verdict(rng, truth, broken, epochs=3).findings if f.status is Status.BREACH}
        found += "c11" in breaches
        others += bool(breaches - {"c11", "*"})
    assert found > 18
    assert others <= 3
