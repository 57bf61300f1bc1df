"""One error budget over several rules: what the smallest p of many is worth.

The chance that any of several independent hypotheses shows a p this small though none is true is 1 - prod(1 - F_h),
where F_h is the chance of *that* hypothesis. A discrete test with few cases has no p between its steps, so its F_h is
the largest p it can attain that is not larger: small categories cost almost nothing.
Source: Tarone's and Westfall & Young's minP with the product of exact marginals; step-down after Holm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """One rule's test, as the family sees it."""

    p: float
    attainable: Callable[[float], float]
    """x -> the largest p that this test can give and that is not above x; 0 where there is none."""


def step_down(family: Sequence[Hypothesis], *, joint: bool = False) -> list[float]:
    """Adjusted p of each hypothesis, in the order given; each in [p, 1].

    The hypotheses whose adjusted p is at most a level are named together with at most that chance of naming any
    wrongly, if the hypotheses are independent or positively dependent; with `joint` whatever their dependence.
    """
    order = sorted(range(len(family)), key=lambda index: family[index].p)
    adjusted, floor = [1.0] * len(family), 0.0
    for rank, index in enumerate(order):
        if floor > 1 - 1e-9:
            break  # the rest are no smaller
        others = [family[other] for other in order[rank + 1 :]]
        adjusted[index] = floor = max(floor, adjusted_minimum(family[index].p, others, joint=joint))
    return adjusted


def adjusted_minimum(p: float, others: Sequence[Hypothesis], *, joint: bool = False) -> float:
    """The chance, if nothing is true, that a test which can attain p or any of the others shows a p of at most p.

    joint: an upper bound of it for hypotheses that depend on each other, the sum of their chances (Bonferroni and Holm,
    each with what it can attain, as Tarone does).
    """
    if p >= 1.0:
        return 1.0
    chances = [min(p, hypothesis.attainable(p)) for hypothesis in others]
    if joint:
        return min(1.0, math.fsum((p, *chances)))
    # Through logarithms: of tiny chances, 1 - prod(1 - F) computed plainly keeps no digit.
    return max(p, -math.expm1(math.fsum(math.log1p(-chance) for chance in (p, *chances))))
