"""What this gate could see with this history: the smallest drop of each category that it would find."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from evalgate.gate.columns import Scores, Shared
from evalgate.gate.family import SUITE_SHARE
from evalgate.gate.looks import EPOCHS, LAST_SHARES, SHARES, go_on, is_ample, suite_go_on
from evalgate.gate.pool import pool_of
from evalgate.gate.rules import Proof, Rules
from evalgate.gate.sides import Sides, take_sides
from evalgate.records import EVERY_CASE, Missing, Pinned, Run
from evalgate.stats import guards
from evalgate.stats.detect import Stage, detectable_drop


def _both(sides: Sides) -> Scores:
    """Each case's scores of both sides."""
    shared = Shared()
    return [shared((*own, *before)) for own, before in zip(sides.after, sides.before, strict=True)]


def _sides(pool: Sequence[Run], rules: Rules) -> Sides:
    """The first of these runs against the others, as far as they are comparable with it."""
    first, rest = pool[0], tuple(pool[1:])
    return take_sides(first, Pinned(runs=rest, why="pooled") if rest else Missing(reason="alone"), rules)


def stages(
    rules: Rules, category: str, categories: int, epochs: int | None, part: float = 1.0, *, cases: int
) -> list[Stage]:
    """The looks at one category's drop with the p that each needs; `"*"` is the suite.

    categories: how many are judged. epochs: repeats fixed beforehand; None: step by step, as `max_epochs` allows.
    part: of alpha, where an anchor has the rest. cases: how many this one has. The p is Bonferroni's: with others
    that are large it is a little more, never less.
    """
    judged = [rule.max_drop is not None for rule in (rules.overall, rules.each_category)]
    if category == EVERY_CASE:
        share = SUITE_SHARE if judged[1] and categories > 1 else 1.0
    else:
        share = (1 - SUITE_SHARE if judged[0] and categories > 1 else 1.0) / max(1, categories)
    level = rules.alpha * share * part
    if epochs is None and rules.max_extra_calls is not None and rules.max_extra_calls < cases:
        epochs = 1  # there is no room for a single repeat of it
    if epochs is not None:
        return [Stage(epochs=epochs, level=level)]
    steps = sorted({*(number for number in EPOCHS if number < rules.max_epochs), rules.max_epochs})
    ample = is_ample(rules, cases)
    return [
        Stage(
            epochs=step,
            level=level * (LAST_SHARES[min(k, 3)] if step == steps[-1] else SHARES[min(k, 2)]),
            go_on=suite_go_on(k, is_ample=ample) if category == EVERY_CASE else go_on(k, cases),
        )
        for k, step in enumerate(steps)
    ]


def detectable(pool: Sequence[Run], rules: Rules, *, epochs: int | None) -> Mapping[str, float]:
    """Drop by category, in score units, that would be blocked four times out of five if this pool were the baseline.

    pool: the newest first; at least one. epochs: repeats of the candidate, fixed beforehand; None: step by step.
    Categories of which not even a total failure would be seen are absent; so are those without a rule on drops or with
    another `proof` than `shown`, and those with clusters, which the simulation does not know.
    """
    found: dict[str, float] = {}
    alike: dict[object, float | None] = {}
    sides = _sides(pool, rules)
    scores, cases, overdispersion = _both(sides), sides.cases, 1.0
    if len(pool) > 1:
        overdispersion = pool_of(pool[0].cases, Pinned(runs=tuple(pool), why="pooled")).overdispersion
    clustered = {name for number in cases.clusters for name in (EVERY_CASE, *cases.categories[number])}
    for category in (EVERY_CASE, *sides.categories):
        rule, history = rules.of(category), [scores[i] for i in sides.scored(category)]
        if rule.max_drop is None or rule.proof is not Proof.SHOWN or not history or category in clustered:
            continue
        part = 0.5 if rules.anchor else 1.0
        looks = stages(rules, category, len(sides.categories), epochs, part, cases=len(history))
        widening = _widening(overdispersion, history, len(sides.scored(EVERY_CASE)), len(pool), looks[-1].epochs)
        key = (frozenset(Counter(history).items()), tuple(looks), rule.max_drop, widening)
        if key not in alike:  # where nothing ever failed, categories of one size have the same history
            alike[key] = detectable_drop(history, looks, max_drop=rule.max_drop, widening=widening)
        drop = alike[key]
        if drop is not None:
            found[category] = drop
    return found


def _widening(overdispersion: float, history: Sequence[Sequence[float]], suite: int, runs: int, epochs: int) -> float:
    """What run-to-run differences take from a category of this history, out of so many cases, at the last look."""
    if overdispersion <= 1:
        return 1.0
    before = math.fsum(len(scores) for scores in history) / len(history)
    return guards.run_widening(
        overdispersion, repeats=before / runs, runs=runs, before=before, after=epochs, share=len(history) / suite
    )
