"""Does a series move steadily in one direction?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from evalgate.stats.normal import sf

LEAST = 4
"""Values below which no order is surprising enough to speak of."""


def falling_p(values: Sequence[float]) -> float | None:
    """One-sided p of "the series does not fall": small where later values are steadily lower. None below four values.

    The Mann-Kendall test with the variance corrected for ties and a continuity correction. It assumes that the runs
    are independent of each other, says nothing of the size of the fall, and sees a single step only as far as it
    makes the order one-sided.
    Source: Mann (1945), Kendall (1975); ties after Hollander and Wolfe.
    """
    count = len(values)
    if count < LEAST:
        return None
    score = sum(
        (later > earlier) - (later < earlier) for index, earlier in enumerate(values) for later in values[index + 1 :]
    )
    ties = sum(size * (size - 1) * (2 * size + 5) for size in Counter(values).values())
    variance = (count * (count - 1) * (2 * count + 5) - ties) / 18
    if variance <= 0:
        return 1.0
    return sf((-score - 1) / math.sqrt(variance)) if score < 0 else 1.0


def ends(values: Sequence[float]) -> tuple[float, float]:
    """Mean of the first third of the values, and of the last; of at least one value."""
    size = max(1, len(values) // 3)
    return math.fsum(values[:size]) / size, math.fsum(values[-size:]) / size


def holm(p_values: Sequence[float | None], level: float) -> list[bool]:
    """Which of these hypotheses fall at this level over all of them together; None never does.

    Source: Holm (1979), sequentially rejective Bonferroni; valid whatever the dependence.
    """
    known = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    rejected = [False] * len(p_values)
    for rank, (p, index) in enumerate(known):
        if p > level / (len(known) - rank):
            break
        rejected[index] = True
    return rejected
