"""How each finding came about, in words and numbers, from the cases that moved to the adjusted p. Decides nothing.

Every p is read from the tests that decided; earlier looks are taken again by the same tests on the first looks alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from evalgate.gate import critical
from evalgate.gate.columns import Numbers
from evalgate.gate.confirm import DRIFT_LEVEL, Answer, Fresh
from evalgate.gate.decide import settled
from evalgate.gate.family import Key, Test, Tests, Trail, run_tests
from evalgate.gate.judgement import HALF, Judgement, judge
from evalgate.gate.looks import Look, go_on, is_ample, suite_go_on
from evalgate.gate.rules import Proof, Rules
from evalgate.gate.sentences import count, points, several
from evalgate.gate.sides import ROUNDING, Sides, planned
from evalgate.records import EVERY_CASE, Baseline, Exceptions, Finding, Result, Run, Scored, Status
from evalgate.stats import floors
from evalgate.stats.permutation import GRID, Samples

SHIFTS_SHOWN = 10
"""Cases that are listed for each direction; the rest is counted."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One step of a derivation."""

    title: str
    lines: tuple[str, ...]
    """Sentences and cases, plain text with the names that others wrote: escape it."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One finding's derivation."""

    category: str
    rule: str
    against: str
    """`baseline`, or `anchor`."""
    status: Status
    gating: bool
    p: float | None
    p_adjusted: float | None
    sentence: str
    """The finding's own."""
    parts: tuple[Part, ...]


def explain(
    candidate: Run,
    baseline: Baseline,
    rules: Rules,
    *,
    anchor: Baseline | None = None,
    exempt: Exceptions | None = None,
    now: datetime | None = None,
) -> list[Explanation]:
    """The derivation of every finding that `decide` gives for the same arguments, with the same numbers.

    What fails comes first, then drift, then what fresh calls did not confirm; within these by category, every case
    last. Each says how its rule was judged; a verdict of `error` or `not_comparable` is the report's to tell.
    """
    today = (now or candidate.created).astimezone(UTC).date()
    judged = judge(candidate, baseline, rules, anchor=anchor, exempt=exempt or Exceptions(), today=today)
    found = settled(judged, rules, today)
    sides = {"baseline": _Side.of(judged, rules, judged.sides, judged.tests)}
    if judged.anchor_sides is not None:
        sides["anchor"] = _Side.of(judged, rules.drops_only(), judged.anchor_sides, judged.anchor_tests)
    subjects = [
        _Subject(finding=finding, judged=judged, rules=rules, side=sides.get(finding.against, sides["baseline"]))
        for finding in found
    ]
    return [_explanation(subject) for subject in sorted(subjects, key=_Subject.order)]


# ---- what is explained ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Side:
    """One comparison, with the tests as each look left them."""

    sides: Sides
    tests: Tests
    by_look: Sequence[Tests]
    part: float
    """Of alpha, where the other comparison has the rest."""

    @staticmethod
    def of(judged: Judgement, rules: Rules, sides: Sides, tests: Tests) -> _Side:
        part = 1.0 if judged.anchor_sides is None else HALF
        earlier = [
            run_tests(sides, rules, judged.looks[:number], part=part, asks_reach=False)
            for number in range(1, len(judged.looks))
        ]
        return _Side(sides=sides, tests=tests, by_look=(*earlier, tests), part=part)


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """One finding with everything that it came from."""

    finding: Finding
    judged: Judgement
    rules: Rules
    side: _Side

    @property
    def key(self) -> Key:
        return self.finding.rule, self.finding.category

    @property
    def test(self) -> Test | None:
        is_comparable = self.finding.against == "baseline" or self.judged.anchor_sides is not None
        return self.side.tests.get(self.key) if is_comparable else None

    @property
    def fresh(self) -> Fresh | None:
        return self.judged.fresh.get(self.key) if self.finding.against == "baseline" else None

    @property
    def is_unconfirmed(self) -> bool:
        return self.fresh is not None and self.fresh.answer is Answer.NOT_CONFIRMED

    def seen(self, test: Test) -> Sides:
        """The comparison as the test saw it at the look that judged it last."""
        steps, sides = self.judged.looks[test.look].steps, self.side.sides
        now = sides if steps is None else sides.until(planned(sides.candidate, sides.cases, steps))
        return now.evenly() if test.category == EVERY_CASE else now

    def order(self) -> tuple[int, bool, str, str, bool]:
        finding = self.finding
        is_gone = finding.category in self.judged.sides.vanished
        rank = 0 if is_gone or finding.status is Status.BREACH else 1 if finding.status is Status.DRIFT else 3
        rank = 2 if self.is_unconfirmed and rank == 3 else rank
        return rank, finding.category == EVERY_CASE, finding.category, finding.rule, finding.against != "baseline"


Lines: TypeAlias = Sequence[str]


def _explanation(subject: _Subject) -> Explanation:
    finding = subject.finding
    told = [(title, lines) for title, lines in (*_derivation(subject), ("Meaning", _meaning(subject))) if lines]
    return Explanation(
        category=finding.category,
        rule=finding.rule,
        against=finding.against,
        status=finding.status,
        gating=finding.gating,
        p=finding.p,
        p_adjusted=finding.p_adjusted,
        sentence=finding.sentence,
        parts=tuple(Part(title=title, lines=tuple(lines)) for title, lines in told),
    )


def _derivation(subject: _Subject) -> list[tuple[str, Lines]]:
    finding, test = subject.finding, subject.test
    if test is not None and test.trail is not None:
        trail = test.trail()
        compared = [
            ("Compared", _compared(subject, test, trail)),
            ("Statistic", _statistic(subject, test, trail)),
        ]
        if not trail.moving:
            return [*compared, ("Looks", _looks(subject))]
        return [
            *compared,
            ("Chance", _chance(trail)),
            ("Guards", _guards(subject, test, trail)),
            ("Looks", _looks(subject)),
            ("Budget", _budget(subject, test)),
            ("Margin", _margin(subject)),
            ("Fresh calls", _fresh_calls(subject)),
        ]
    if test is not None:
        return [
            ("Floor", _floor(subject, subject.seen(test), test.p)),
            ("Looks", _looks(subject)),
            ("Budget", _budget(subject, test)),
            ("Fresh calls", _fresh_calls(subject)),
        ]
    if finding.rule == "critical":
        return [("Cases", _critical_cases(subject))]
    if finding.rule == "min" and finding.p is not None:
        return [("Floor", _proven_floor(subject))]
    return [("Comparison", _plain_comparison(subject))]


# ---- drops ------------------------------------------------------------------------------------------------


def _compared(subject: _Subject, test: Test, trail: Trail) -> Lines:
    sides, category = subject.seen(test), subject.finding.category
    pairs = sides.pairs(category)
    units = [_Unit(ids=ids, samples=samples) for ids, samples in _units(sides, pairs)]
    moving = [unit for unit in units if unit.samples.step > 0]
    down = [unit for unit in moving if unit.samples.difference < 0]
    up = [unit for unit in moving if unit.samples.difference > 0]
    level = [unit for unit in moving if unit.samples.difference == 0]
    noun = "cluster" if sides.clusters else "case"
    lines = [
        f"{len(pairs):,} of {count(len(sides.members(category)), 'case')} "
        f"{'has' if len(pairs) == 1 else 'have'} comparable scores on both sides{_left_out(sides, category)}.",
        f"Answers a case: {_spread([len(sides.after[i]) for i in pairs])} now, "
        f"{_spread([len(sides.before[i]) for i in pairs])} before, from {count(len(sides.baseline_runs), 'run')} "
        f"of the {subject.finding.against}.",
    ]
    if sides.clusters:
        lines.append(
            f"Cases of one cluster stand or fall together and count as one: {trail.cases:,} in all, "
            "each with a sum a run over as many repeats as all runs have."
        )
    text = f"{len(down):,} went down, {len(up):,} up"
    text += f", {len(level):,} gave mixed answers with the same mean" if level else ""
    still = trail.cases - trail.moving
    text += f"; the other {still:,} gave one and the same answer on both sides and say nothing" if still else ""
    lines.append(f"{text}.")
    for direction, listed in (("down", down), ("up", up), ("same", level)):
        listed.sort(key=lambda unit: (-abs(unit.samples.difference), unit.ids))
        lines += [f"{direction} {unit}" for unit in listed[:SHIFTS_SHOWN]]
        if len(listed) > SHIFTS_SHOWN:
            lines.append(f"{direction} {count(len(listed) - SHIFTS_SHOWN, f'more {noun}')}")
    return lines


@dataclass(frozen=True, kw_only=True)
class _Unit:
    """One case, or one cluster of them, with its samples."""

    ids: tuple[str, ...]
    samples: Samples

    def __str__(self) -> str:
        """`late-01: 5 of 5 before, 0 of 1 now`; means where scores are graded."""
        before, after = self.samples.before, self.samples.after
        if len(self.ids) > 1:
            whole = f"of {len(self.ids)}"
            was, is_now = (f"{_mean(values):.3g} {whole} a run" for values in (before, after))
            return f"{several(self.ids, 3)}: {was} before, {is_now} now"
        if _is_binary(self.samples):
            was, is_now = (f"{sum(values) // GRID:,} of {len(values):,}" for values in (before, after))
            return f"{self.ids[0]}: {was} before, {is_now} now"
        was, is_now = (f"{_mean(values):.2f} (mean of {len(values):,})" for values in (before, after))
        return f"{self.ids[0]}: {was} before, {is_now} now"


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values) / GRID


def _is_binary(samples: Samples) -> bool:
    return {*samples.before, *samples.after} <= {0, GRID}


def _units(sides: Sides, pairs: Numbers) -> list[tuple[tuple[str, ...], Samples]]:
    units = sides.units(pairs) if sides.clusters else [(number,) for number in pairs]
    return list(zip(map(sides.cases.names, units), sides.samples(pairs), strict=True))


def _left_out(sides: Sides, category: str) -> str:
    """Why the other cases are not compared."""
    members, pairs = sides.members(category), set(sides.pairs(category))
    changed = sides.pool.changed
    reasons: dict[str, int] = {}
    for number in members:
        if number in pairs:
            continue
        if number in sides.apart:
            why = "in quarantine"
        elif not sides.after[number]:
            why = "without a score now"
        else:
            why = "changed in content or scorers" if number in changed else "without a score in the baseline"
        reasons[why] = reasons.get(why, 0) + 1
    return f" ({', '.join(f'{number:,} {why}' for why, number in sorted(reasons.items()))})" if reasons else ""


def _spread(counts: Sequence[int]) -> str:
    least, most = min(counts), max(counts)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _statistic(subject: _Subject, test: Test, trail: Trail) -> Lines:
    if not trail.moving:
        return ["No answer differs from any other of its case: there is nothing to test, and p is 1."]
    sides = subject.seen(test)
    pairs = sides.pairs(subject.finding.category)
    if not sides.clusters and all(_is_binary(samples) for samples in sides.samples(pairs)):
        failed = count(round(trail.shortfall), "answer")
        seen = (
            f"Among the cases that moved, the candidate failed {failed}; a fair draw from the answers of both sides "
            f"would have failed {_amount(trail.expected)} on average."
        )
    else:
        seen = (
            f"The candidate's scores fall short of the best of their case by {_amount(trail.shortfall)} in all (1 is a "
            f"whole answer); a fair draw from the scores of both sides would fall short by {_amount(trail.expected)} "
            "on average."
        )
    rule = subject.rules.of(subject.finding.category)
    if rule.proof is Proof.BEYOND_MARGIN and rule.max_drop:
        return [
            seen,
            f"What a drop of the allowed {rule.max_drop * 100:g} points would add is taken off first.",
        ]
    return [seen]


def _amount(value: float) -> str:
    return f"{value:,.1f}" if value >= 10 else f"{value:.3g}"


def _chance(trail: Trail) -> Lines:
    p = math.exp(trail.log_p)
    return [f"Chance alone gives as much or more with p = {_p(p)}: {_frequency(p)}, looking at nothing else."]


def _guards(subject: _Subject, test: Test, trail: Trail) -> Lines:
    """The factors on the null's variance, which only raise p."""
    churn = (
        f"Churn {_factor(trail.churn)}: more cases went up than chance explains; who moves more both ways falls more "
        "easily by chance, too."
        if trail.churn > 1
        else "Churn ×1 (none): no more cases went up than chance explains."
    )
    if len(subject.side.sides.baseline_runs) < 2:
        run = "Runs ×1: with one run before, nobody knows how much runs differ from each other as wholes."
    elif trail.run > 1:
        run = f"Runs {_factor(trail.run)}: runs before differ from each other as wholes more than their cases explain."
    else:
        run = "Runs ×1 (none): runs before differ from each other no more than their cases explain."
    after = f"p after them: {_p(test.p)}" + ("." if trail.churn * trail.run > 1 else ", as before them.")
    return [churn, run, after]


def _factor(value: float) -> str:
    return f"×{value:.3g}" if value >= 1.005 else "×1.00…"


def _margin(subject: _Subject) -> Lines:
    finding, rule = subject.finding, subject.rules.of(subject.finding.category)
    if finding.before is None or finding.after is None or finding.delta is None:
        return []
    allowed = rule.max_drop or 0.0
    is_beyond = -finding.delta > allowed + ROUNDING
    seen = (
        f"Observed, over all repeats: {points(finding.before)} % before, {points(finding.after)} % now, "
        f"{_change(finding.delta)}; `max_drop` allows {allowed * 100:g}: {'exceeded' if is_beyond else 'not exceeded'}."
    )
    proof = (
        "`proof: beyond_margin`: a drop larger than that has to be proven, which the test above took into account."
        if rule.proof is Proof.BEYOND_MARGIN
        else "`proof: shown`: a breach needs both, a proven drop of any size and an observed one that exceeds this."
    )
    return [seen, proof]


def _change(delta: float) -> str:
    if abs(delta) < 5e-4:
        return "no change"
    return f"a {'drop' if delta < 0 else 'rise'} of {points(abs(delta))} points"


# ---- the error budget and its looks -----------------------------------------------------------------------


def _budget(subject: _Subject, test: Test) -> Lines:
    alpha, look = subject.rules.alpha, subject.judged.looks[test.look]
    family = _family(subject, test)
    active = [other for other in family if other.look == test.look]
    smaller = sum(other.p < test.p for other in active)
    hypotheses = "1 hypothesis has this part" if len(family) == 1 else f"{len(family):,} hypotheses share this part"
    let_go, is_proven = len(family) - len(active), test.p_adjusted <= alpha
    if let_go:
        hypotheses += f", {let_go:,} of them let go earlier"
    return [
        f"Its part of alpha: {_parts(subject, test, look)}, which is a p of {_p(test.spent * alpha)}.",
        f"{hypotheses}; this p is the {_ordinal(smaller + 1)}smallest.{_worth(test, len(family))}",
        f"Adjusted p, scaled so that alpha is the limit: {_scaled(test)}{_p(test.p_adjusted, alpha)}, "
        f"{'at most' if is_proven else 'above'} {alpha:g}: {'proven' if is_proven else 'not proven'}.",
    ]


def _scaled(test: Test) -> str:
    if test.p_adjusted >= 1 or test.spent >= 1:
        return ""
    return f"{_p(test.p_adjusted * test.spent)} / {test.spent:.3g} = "


def _family(subject: _Subject, test: Test) -> list[Test]:
    """The hypotheses that shared the budget with this one at its last look, itself included.

    Of the categories, those that were let go before keep their share; the suite's are judged together or not at all.
    """
    tests = list(subject.side.by_look[test.look].values())
    if len(subject.side.sides.categories) == 1:
        return list({other.same_as: other for other in tests if other.look == test.look}.values())
    return [other for other in tests if (other.category == EVERY_CASE) == (test.category == EVERY_CASE)]


def _parts(subject: _Subject, test: Test, look: Look) -> str:
    """The factors of its part of alpha, each with its reason."""
    part, factors = subject.side.part, []
    if look.steps is not None:
        factors.append(f"{look.share * 100:g} % for look {test.look + 1}")
    if part < 1:
        factors.append(f"{part * 100:g} %, since baseline and anchor have each their half")
    rest = round(test.spent / (look.share * part), 6)
    if rest < 1:
        factors.append(f"{rest * 100:g} % for {'the suite' if test.category == EVERY_CASE else 'all categories'}")
    if len(factors) < 2:
        return factors[0] if factors else "all of it"
    return f"{' × '.join(factors)} = {test.spent * 100:.3g} %"


def _worth(test: Test, size: int) -> str:
    """What the p is worth among the others: the chance, before it is scaled."""
    if size == 1:
        return ""
    if test.p_adjusted >= 1:
        return " That is not rare enough for this part of alpha, whatever the others are."
    return (
        f" The chance that it or any larger one comes out this small: {_p(test.p_adjusted * test.spent)} (surer ones "
        "are named first and no longer count, nor does one that has too few cases for so small a p)."
    )


def _ordinal(number: int) -> str:
    if number == 1:
        return ""
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending} "


def _looks(subject: _Subject) -> Lines:
    """Each look at a run that was repeated step by step, and why this test was repeated after it or let go."""
    run, looks = subject.judged.sides.candidate, subject.judged.looks
    if looks[0].steps is None:
        if not run.steps:
            return []
        return ["The run was repeated step by step for another comparison; here everything is looked at once."]
    lines = []
    for number, tests in enumerate(subject.side.by_look):
        test = tests.get(subject.key)
        if test is None or test.look != number:
            continue
        when = f"{count(run.steps[number].epochs, 'answer')} a case, {looks[number].share * 100:g} % of alpha"
        p = f"p {_p(test.p)}, adjusted {_p(test.p_adjusted, subject.rules.alpha)}"
        lines.append(f"Look {number + 1} ({when}): {p}. {_after_look(subject, test)}")
    return lines


def _after_look(subject: _Subject, test: Test) -> str:
    steps, alpha, number = subject.judged.sides.candidate.steps, subject.rules.alpha, test.look
    is_suite = test.category == EVERY_CASE
    sides, rules = subject.judged.sides, subject.rules
    if is_suite:
        limit = suite_go_on(number, is_ample=is_ample(rules, len(sides.candidate.cases)))
    else:
        limit = go_on(number, len(sides.members(test.category)))
    if number + 1 == len(steps):
        if test.p_adjusted <= alpha:
            return f"At most {alpha:g}: decided here."
        return "The last look at this run."
    following = steps[number + 1].categories
    if EVERY_CASE in following and not is_suite:
        return "Repeated with the whole suite, whose p was small enough."
    if test.category in following:
        return (
            f"Repeated: p is at most {limit:g}." if test.p <= limit else "Repeated for another rule on the same cases."
        )
    if test.p <= limit:
        if is_suite and following:
            return "Not repeated as a whole: calls are scarce, and a category was nearer to a block."
        return "Not repeated: the limits on repeats left no room."
    return f"Let go: above {limit:g}, more answers had little chance to prove anything."


# ---- floors -----------------------------------------------------------------------------------------------


def _floor(subject: _Subject, sides: Sides, p: float) -> Lines:
    finding = subject.finding
    scored = sides.scored(finding.category)
    least = subject.rules.of(finding.category).min or 0.0
    score = math.fsum(sides.means_after[i] for i in scored) / len(scored)
    lines = [f"{count(len(scored), 'case')} with a score average {points(score)} %; the floor is {points(least)} %."]
    if least >= 1:
        return [*lines, "A floor of 100 % needs no statistics: one failed answer disproves it."]
    lines.append(_noise(sides, scored, least))
    lines.append(f"Were the truth at the floor, so low a mean would come up with p = {_p(p)}: {_frequency(p)}.")
    return lines


def _noise(sides: Sides, scored: Numbers, least: float) -> str:
    """What a floor's test takes for the noise: the same choice as the test's own."""
    variance = floors.known_variance([sides.before[i] for i in scored])
    answers = sum(len(sides.after[i]) for i in scored)
    if variance is not None:
        return (
            f"Noise: answers of one case had a variance of {variance:.3g} in earlier runs (a fair coin has 0.25), "
            f"pulled a little towards the floor's own {least * (1 - least):.3g}; {count(answers, 'answer')} now."
        )
    return (
        "Noise: too few cases were answered twice before to know it, so each of the "
        f"{count(answers, 'answer')} counts as a draw that passes {points(least)} times in 100 (binomial, mid-p)."
    )


def _proven_floor(subject: _Subject) -> Lines:
    """A critical floor, whose burden is reversed."""
    finding, sides, alpha = subject.finding, subject.judged.sides, subject.rules.alpha
    scored = sides.scored(finding.category)
    least = finding.limit or 0.0
    is_proven = finding.p is not None and finding.p <= alpha
    return [
        f"`critical: true` reverses the burden: a truth above {points(least)} % has to be proven, or it fails.",
        f"{count(len(scored), 'case')} with a score average {points(finding.after or 0.0)} %.",
        _noise(sides, scored, least),
        f"Were the truth only at the floor, so high a mean would come up with p = {_p(finding.p or 0.0, alpha)}, "
        f"{'at most' if is_proven else 'above'} {alpha:g}: {'proven' if is_proven else 'not proven'}. No part of alpha "
        "is spent on it: an error here would be a pass.",
    ]


def _critical_cases(subject: _Subject) -> Lines:
    sides, mark = subject.judged.sides, subject.rules.pass_mark
    lines = [
        f"A critical case fails the gate on its own if it passed before, fails now, and {critical.FEWEST_REPEATS} "
        "repeats or more confirm it: none of them passes where none before failed, or its own exact test has a p of at "
        f"most {critical.CASE_LEVEL:g}. No other case counts."
    ]
    categories = sides.cases.categories
    down = [i for i in critical.flipped(sides, subject.rules) if subject.finding.category in categories[i]]
    for i in down[:SHIFTS_SHOWN]:
        unit = _Unit(ids=sides.cases.names([i]), samples=Samples.of(sides.before[i], sides.after[i]))
        if len(sides.after[i]) < critical.FEWEST_REPEATS:
            answer = "too few repeats to say"
        else:
            answer = "confirmed" if critical.is_confirmed(sides, i, mark) else "not confirmed"
        lines.append(f"{unit}: {answer}.")
    if len(down) > SHIFTS_SHOWN:
        lines.append(f"{count(len(down) - SHIFTS_SHOWN, 'more case')} flipped.")
    return lines


def _plain_comparison(subject: _Subject) -> Lines:
    finding = subject.finding
    if finding.rule not in ("max_drop", "min"):
        return ["A limit compares two numbers of this run; chance is not weighed, and no part of alpha is spent on it."]
    if finding.status in (Status.MISSING, Status.INCONCLUSIVE):
        return ["Nothing could be compared, so no p was worked out."]
    if subject.rules.of(finding.category).proof is Proof.LITERAL:
        return ["`proof: literal` compares two numbers; chance is not weighed, and no part of alpha is spent on it."]
    return ["A floor of 0 % cannot be missed."]


# ---- fresh calls ------------------------------------------------------------------------------------------


def _fresh_calls(subject: _Subject) -> Lines:
    fresh, confirmation = subject.fresh, subject.judged.sides.candidate.confirmation
    if fresh is None or confirmation is None:
        return []
    category = subject.finding.category
    asked = f"This would have blocked, so it was asked again: {count(fresh.epochs, 'fresh repeat')} of each case, "
    asked += "baseline and candidate in turns." if fresh.has_both else "of the candidate alone."
    lines = [asked]
    if fresh.how:
        lines.append(f"How: {fresh.how}.")
    lines.append(f"Candidate: {_answered(subject, confirmation.after, category)}{_mean_of(fresh.after)}.")
    if fresh.before is not None and fresh.has_both:
        lines.append(f"Baseline: {_answered(subject, confirmation.before, category)}{_mean_of(fresh.before)}.")
    if fresh.p is None:
        return [*lines, "Too few were answered to say anything, so the block stands."]
    needed = f"The fresh answers alone decide, by the same test: p = {_p(fresh.p, fresh.level)}, needed {fresh.level:g}"
    lines.append(f"{needed}: {fresh.answer.value if fresh.answer is not Answer.DRIFT else 'not confirmed'}.")
    if fresh.p_drift is not None:
        verb = "fare worse than they used to" if fresh.p_drift <= DRIFT_LEVEL else "fare as they used to"
        then, again = points(fresh.history or 0.0), points(fresh.before or 0.0)
        lines.append(
            f"The baseline's own requests {verb}: mean {then} % in its history, {again} % asked again, "
            f"p = {_p(fresh.p_drift, DRIFT_LEVEL)} (drift is said from {DRIFT_LEVEL:g} down)."
        )
    return lines


def _answered(subject: _Subject, results: Sequence[Result], category: str) -> str:
    sides = subject.judged.sides
    judged = set(sides.cases.names(sides.scored(category)))
    asked = [result for result in results if result.case_id in judged]
    answered = sum(isinstance(result, Scored) for result in asked)
    return f"{answered:,} of {count(len(asked), 'fresh call')} scored"


def _mean_of(value: float | None) -> str:
    return "" if value is None else f", mean {points(value)} %"


# ---- what it means ----------------------------------------------------------------------------------------

_NOTHING = "It says nothing about quality."
_UNPROVEN: Mapping[Status, str] = {
    Status.INCONCLUSIVE: f"whatever the results, this rule could not have failed with what there is. {_NOTHING}",
    Status.MISSING: f"there is nothing to judge. {_NOTHING}",
    Status.DRIFT: "the baseline's own requests fare worse than they used to, so the change is not blamed. It does not "
    "prove that the change is harmless: what both have in common cannot be told apart.",
    Status.INFO: "shown, and never fails the gate.",
}


def _meaning(subject: _Subject) -> Lines:
    """The status in a word, and what it does and does not prove."""
    finding, test = subject.finding, subject.test
    is_proven = test is not None and test.p_adjusted <= subject.rules.alpha
    if finding.status is Status.BREACH:
        text = _breach(subject, is_proven)
        if not finding.gating:
            text = f"accepted by a waiver, so it does not fail the gate; it is no less real: {text}"
    elif finding.status is Status.PASS:
        text = _pass(subject, is_proven)
    elif finding.rule == "critical":
        text = "a case may have flipped; more repeats of it would tell."
    else:
        text = _UNPROVEN[finding.status]
    return [f"{finding.status.value}: {text}"]


def _breach(subject: _Subject, is_proven: bool) -> str:
    finding, rule = subject.finding, subject.rules.of(subject.finding.category)
    if finding.rule == "critical":
        return "a case that must not fail does. It does not say how its category fares."
    if finding.rule == "min":
        if rule.critical:
            return "the floor is not proven. It does not say that the truth is below it."
        if is_proven:
            return "the truth is below the floor, beyond what chance explains. It does not say that the change did it."
        return "the score is below the floor. It does not prove that the truth is."
    if finding.rule != "max_drop":
        return "above what is allowed, in this run. It does not prove that the change did it."
    if not is_proven:
        return "the score fell by more than is allowed. It does not prove that anything got worse."
    if rule.proof is Proof.BEYOND_MARGIN:
        return "the truth fell by more than `max_drop`. It does not say by how much more, nor why."
    return (
        "the truth fell, and the observed drop exceeds `max_drop`. It does not say that the truth fell as far as that, "
        "nor why."
    )


def _pass(subject: _Subject, is_proven: bool) -> str:
    finding, rule = subject.finding, subject.rules.of(subject.finding.category)
    if subject.is_unconfirmed:
        return "what seemed to fall did not when it was asked again. It does not prove that nothing got worse."
    if finding.rule == "critical":
        return "no critical case is known to have flipped. It does not prove that none can."
    if finding.rule == "min":
        if rule.critical:
            return "the truth is above the floor, beyond what chance explains."
        return "not proven to be below the floor. It does not prove that it is above; `critical: true` asks for that."
    if finding.rule != "max_drop":
        return "within what is allowed, in this run. The next one may differ."
    if is_proven:
        return "a drop is proven, and `max_drop` allows it. It does not say that nothing got worse."
    text = "no drop beyond what is allowed is proven. It does not prove that nothing got worse"
    if finding.detectable is None or finding.against == "anchor":
        return f"{text}: small drops hide in the noise."
    seen = points(finding.detectable)
    return f"{text}: a drop of {seen} points is missed one time in five, a smaller one more often."


# ---- numbers ----------------------------------------------------------------------------------------------


def _p(p: float, level: float | None = None) -> str:
    """A p with as many digits as tell on which side of a level it lies."""
    if 0 < p < 1e-300:
        return "below 1e-300"
    for digits in range(3 if p >= 0.01 else 2, 17):
        shown = f"{p:.{digits}g}"
        if level is None or (float(shown) <= level) == (p <= level):
            return shown
    return repr(p)


def _frequency(p: float) -> str:
    """How often that is: `about once in 2,000 unchanged pull requests`."""
    if p >= 0.5:
        return "more often than not"
    if p >= 0.095:
        return f"in about {p * 100:.0f} of 100 unchanged pull requests"
    if p < 1e-9:
        return "less than once in a billion unchanged pull requests"
    every = 1 / p
    step = 10 ** max(0, math.floor(math.log10(every)) - 1)
    return f"about once in {round(every / step) * step:,} unchanged pull requests"
