"""How noisy a gate is, for people who know no statistics. Draws what the calibration found; decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evalgate.records import EVERY_CASE, Json
from evalgate.report.escape import json_document
from evalgate.report.numbers import UNKNOWN, count, money, percent
from evalgate.report.pages import Format, Grid, Part, Sentence, as_markdown, as_text, few
from evalgate.report.pen import Pen
from evalgate.report.phrases import EVERY_CASE_NAME

SCHEMA = "evalgate.calibration/1"

NOW, REPEATS, TWICE, RUNS = "now", "three_repeats", "twice_the_cases", "runs_of_history"
"""Names of what the detectable drops are worked out for; `RUNS` is followed by `_5` or `_10`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """Each stored run, judged against the others."""

    judged: int
    blocked: tuple[str, ...]
    """Ids of those that the gate would have blocked."""
    unevaluated: int
    """Those of which nothing could be said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulated:
    """Pull requests that change nothing, put through the gate."""

    pulls: int
    blocked: int
    standard_error: float
    """Of the share that is blocked; never 0."""
    doubted: int
    """Those that would have been blocked, had nothing been called anew first."""
    calls_per_case: float
    """Calls of the change itself and of confirmations, over the cases."""
    confirms: bool
    """Whether anything is called anew before a block."""
    is_baseline_called: bool
    """Whether the baseline is called anew, too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CategoryFigures:
    """One category, or `"*"`."""

    name: str
    cases: int
    blocked: int | None
    """Of the simulated pull requests, those that it would have blocked; None: none were simulated."""
    doubted: int | None
    repeated: int
    """Cases with two answers or more."""
    changed: int | None
    """Those of them that passed in one answer and failed in another; None: no case is repeated."""
    within_sd: float | None
    mean_sd: float | None
    detectable: Mapping[str, float | None]
    """Smallest drop that is found four times out of five, by what it is worked out for; None: not even a total failure
    would be. What was not worked out is absent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseFigures:
    """A case that passed in one answer and failed in another."""

    id: str
    category: str
    passed: int
    answers: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Culprit:
    """A rule that blocks more of the unchanged pull requests than the whole gate should."""

    category: str
    rule: str
    """As in a verdict's findings (`min`, `max_drop`, `critical`), or `anchor`: the drop from there."""
    blocked: int
    mean: float
    """Mean score of the category in the runs."""
    floor: float | None
    """`min`, where that is the rule."""
    is_critical: bool
    is_literal: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Advice:
    """The cheapest change that makes the coarse categories finer."""

    name: str
    """What it is, as under `detectable`."""
    calls_once: int
    calls_per_pull: float
    worst_before: float | None
    """Largest detectable drop of the coarse categories; None: not even a total failure."""
    worst_after: float | None
    coarse_after: tuple[str, ...]
    new_cases: int
    """Cases to be written for it."""
    new_runs: int
    """Runs to be recorded for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """Everything that a page of it shows."""

    suite: str
    runs: tuple[str, ...]
    """Ids of the runs that it is made from, the newest first."""
    why: str
    """How they were chosen."""
    cases: int
    alpha: float
    left_out: LeftOut | None
    """None: there is one run only."""
    simulated: Simulated | None
    """None: the history does not tell noise."""
    categories: tuple[CategoryFigures, ...]
    """`"*"` first."""
    wavering: tuple[CaseFigures, ...]
    """The most undecided first, not all of them."""
    wavering_in_all: int
    useful: float
    """Categories with a larger detectable drop are coarse."""
    coarse: tuple[str, ...]
    culprits: tuple[Culprit, ...]
    """The worst first."""
    advice: Advice | None
    cost_per_call_usd: float | None
    """None: unknown."""
    runs_to_know: int
    """Runs that are lacking before noise can be known; 0: it is known."""
    calls_to_know: int
    """Their calls."""
    notes: tuple[str, ...] = ()


def render(found: Calibration, *, format: Format = "text", pen: Pen | None = None) -> str:
    """The page as text, Markdown or JSON."""
    if format == "json":
        return json_document(_document(found))
    parts = _parts(found)
    return as_markdown(parts) if format == "markdown" else as_text(parts, pen or Pen())


def _parts(found: Calibration) -> list[Part]:
    parts: list[Part] = [Sentence(text=_answer(found), is_heading=True), Sentence(text=_basis(found))]
    if found.simulated is not None:
        parts.append(Sentence(text=_simulated(found.simulated)))
    if found.left_out is not None:
        parts.append(Sentence(text=_left_out(found.left_out)))
    parts += [Sentence(text=note) for note in found.notes]
    parts += _drops(found)
    if found.simulated is not None:
        parts += _noise(found)
    return [*parts, Sentence(text="What to do", is_heading=True), *(Sentence(text=text) for text in _advice(found))]


# ---- the answer -------------------------------------------------------------------------------------------


def _answer(found: Calibration) -> str:
    simulated = found.simulated
    if simulated is None:
        return "How often this gate would block what did not change cannot be told yet"
    blocked, pulls = simulated.blocked, simulated.pulls
    if not blocked:
        share = f"at most {_bound(pulls)} of 100"
    else:
        rate = 100 * blocked / pulls
        share = f"about {rate:.0f} of 100" if 1 <= rate <= 99 or blocked == pulls else f"{blocked:,} of {pulls:,}"
    return f"This gate would block {share} pull requests that change nothing"


def _bound(pulls: int) -> str:
    """What is not exceeded with 95 % where none of so many was blocked: three in so many."""
    return str(max(1, -(-300 // pulls)))


def _basis(found: Calibration) -> str:
    runs = len(found.runs)
    which = f"run {found.runs[0]}" if runs == 1 else f"{runs} runs of one version ({few(found.runs, 3)})"
    text = f"Suite {found.suite}, {count(found.cases, 'case')}, from {which}."
    if found.runs_to_know:
        text += (
            " With one answer a case, an unsteady case looks like a steady one: how noisy the categories are, and how "
            "often noise alone would block, is not known."
        )
    elif runs == 2:
        text += " Two runs tell little of noise, and what they tell may be far off: read this from three runs on."
    return text


def _simulated(found: Simulated) -> str:
    text = (
        f"{found.pulls:,} pull requests that change nothing were simulated from these runs and put through the gate. "
        f"It would have blocked {_number(found.blocked)} of them ({percent(found.blocked / found.pulls)}, give or take "
        f"{100 * found.standard_error:.1f} points)"
    )
    if found.confirms:
        both = "both sides" if found.is_baseline_called else "the change"
        text += (
            f" with confirmation, that is, after fresh calls of {both}; without confirmation {_number(found.doubted)}"
        )
    text += "."
    if found.calls_per_case > 1:
        text += f" Each took {found.calls_per_case:.2f} calls a case on average: what is in doubt is repeated."
    return text


def _left_out(found: LeftOut) -> str:
    text = (
        f"The same with real runs, each judged against the others: {len(found.blocked)} of {found.judged} of your own "
        "unchanged runs would have been blocked"
    )
    if found.blocked:
        text += f" ({few(found.blocked, 3)})"
    if found.unevaluated:
        text += f"; {found.unevaluated} could not be evaluated"
    return f"{text}."


def _number(number: int) -> str:
    return "none" if number == 0 else f"{number:,}"


# ---- what can be seen -------------------------------------------------------------------------------------


def _drops(found: Calibration) -> list[Part]:
    kinds = [kind for kind in (NOW, REPEATS, TWICE, f"{RUNS}_5", f"{RUNS}_10") if _is_told(found, kind)]
    if not kinds:
        return [Sentence(text="No rule of this gate judges drops: nothing is compared with the baseline.")]
    pulls = 0 if found.simulated is None else found.simulated.pulls
    headers = ("category", "cases", *(("blocked",) if pulls else ()), *(_header(kind) for kind in kinds))
    rows = tuple(
        (
            EVERY_CASE_NAME if row.name == EVERY_CASE else row.name,
            f"{row.cases:,}",
            *((f"{row.blocked}",) if pulls else ()),
            *(_drop(row, kind) for kind in kinds),
        )
        for row in found.categories
    )
    blocked = f'"Blocked" counts those of the {pulls:,} that the category blocks for nothing. ' if pulls else ""
    usual = " Where noise is unknown, that of other systems is assumed." if found.runs_to_know else ""
    return [
        Sentence(text="What the gate sees", is_heading=True),
        Sentence(
            text=f"{blocked}The other columns show the smallest drop that is found four times out of five, in points "
            "of the score out of 100: as things are now (and how many cases would have to break for it), and what one "
            f"change would make of it.{usual}"
        ),
        Grid(headers=headers, rows=rows, last_is_text=False),
    ]


def _is_told(found: Calibration, kind: str) -> bool:
    return any(kind in row.detectable for row in found.categories)


def _header(kind: str) -> str:
    return {
        NOW: "now (cases)",
        REPEATS: "3 repeats",
        TWICE: "2 x cases",
        f"{RUNS}_5": "5 runs",
        f"{RUNS}_10": "10 runs",
    }[kind]


def _drop(row: CategoryFigures, kind: str) -> str:
    if kind not in row.detectable:
        return UNKNOWN
    drop = row.detectable[kind]
    if drop is None:
        return "none"
    shown = f"{100 * drop:.1f}"
    return f"{shown} ({max(1, round(drop * row.cases)):,})" if kind == NOW else shown


# ---- noise ------------------------------------------------------------------------------------------------


def _noise(found: Calibration) -> list[Part]:
    every = next(row for row in found.categories if row.name == EVERY_CASE)
    parts: list[Part] = [
        Sentence(text="How noisy it is", is_heading=True),
        Sentence(text=_wavering(found, every)),
        Grid(
            headers=("category", "cases that changed", "one case varies by", "the mean varies by"),
            rows=tuple(
                (
                    EVERY_CASE_NAME if row.name == EVERY_CASE else row.name,
                    UNKNOWN if row.changed is None else f"{row.changed} of {row.repeated}",
                    _spread(row.within_sd),
                    _spread(row.mean_sd),
                )
                for row in found.categories
            ),
            last_is_text=False,
        ),
    ]
    if found.wavering:
        parts += [
            Sentence(text="The cases that waver most", is_heading=True),
            Grid(
                headers=("case", "passed", "category"),
                rows=tuple((row.id, f"{row.passed} of {row.answers}", row.category) for row in found.wavering),
            ),
            Sentence(text=_leave_them(found)),
        ]
    return parts


def _wavering(found: Calibration, every: CategoryFigures) -> str:
    if not every.changed:
        text = f"None of {count(every.repeated, 'case')} gave another answer in these runs."
    else:
        share = percent(every.changed / every.repeated)
        text = (
            f"{every.changed:,} of {count(every.repeated, 'case')} ({share}) passed at one time and failed at another "
            "though nothing changed."
        )
    if every.mean_sd is not None:
        text += f" So the mean of all cases wanders by about {_spread(every.mean_sd)} points from run to run by itself."
    return f"{text} A ± is what two of three answers or runs stay within, in points."


def _spread(value: float | None) -> str:
    return UNKNOWN if value is None else f"±{100 * value:.1f}"


def _leave_them(found: Calibration) -> str:
    more = found.wavering_in_all - len(found.wavering)
    others = f"{more} more waver. " if more > 0 else ""
    return (
        f"{others}They can stay as they are: each case is compared with itself and weighs by its own noise. To keep "
        "one out of judgement for a while (quarantine, in `evalgate-exceptions.yaml`), pick it from runs that are "
        "older than these: cases picked from the very runs that serve as baseline make the gate block what did not "
        "change."
    )


# ---- advice -----------------------------------------------------------------------------------------------


def _advice(found: Calibration) -> list[str]:
    if found.runs_to_know:
        return [
            f"Record {count(found.runs_to_know, 'more run')} of the same version and ask again, both with: evalgate "
            f"calibrate --runs {found.runs_to_know}. Price: {_price(found, found.calls_to_know)}, once."
        ]
    return [*(_culprit(found, culprit) for culprit in found.culprits), *_finer(found)]


def _culprit(found: Calibration, culprit: Culprit) -> str:
    name = "The suite" if culprit.category == EVERY_CASE else culprit.category
    pulls = 0 if found.simulated is None else found.simulated.pulls
    text = f"{name} alone blocks {culprit.blocked:,} of {pulls:,} unchanged pull requests"
    if culprit.floor is not None:
        text += f" by its floor (min {culprit.floor:g}). These runs score {percent(culprit.mean)}, "
        if culprit.mean < culprit.floor:
            return f"{text}which is below it: mend the system, or lower the floor until it is mended."
        return f"{text}which is above it, but too little to be proven: it takes more cases, or a lower floor."
    if culprit.rule == "anchor":
        return f"{text} by its drop from the anchor: these runs have fallen since. Mend that, or bless a newer run."
    if culprit.is_literal:
        return f"{text}, since proof: literal compares two numbers without regard to noise. Take that out."
    if culprit.rule == "critical":
        return f"{text} by cases that are marked critical and waver. Mend these cases, or take the mark from them."
    return f"{text}. Its answers vary more than its history shows: record more runs, then ask again."


def _finer(found: Calibration) -> list[str]:
    if not _is_told(found, NOW):
        return ["No rule judges drops: write max_drop for what must not get worse."]
    useful = f"{100 * found.useful:.0f} points"
    if not found.coarse:
        worst = max((row for row in found.categories if row.detectable.get(NOW) is not None), key=_worst)
        return [
            f"Nothing has to be bought: a drop of {useful} is found four times out of five in every category. The "
            f"coarsest is {worst.name if worst.name != EVERY_CASE else 'the suite'}, which sees "
            f"{100 * _worst(worst):.1f} points."
        ]
    names = few(found.coarse)
    text = f"In {names} even a drop of {useful} may pass unseen."
    advice = found.advice
    if advice is None:
        return [
            text,
            "Neither more runs of history nor repeats nor twice the cases would change that: give these cases a second "
            "category that holds more of their kind, and set the rule there.",
        ]
    return [text, _what(found, advice), *_what_is_left(found, advice)]


def _worst(row: CategoryFigures) -> float:
    return row.detectable.get(NOW) or 0.0


def _what(found: Calibration, advice: Advice) -> str:
    once, each = _price(found, advice.calls_once), _price(found, round(advice.calls_per_pull))
    if advice.name == REPEATS:
        what, price = (
            "Repeat every case three times (run: {epochs: 3} in evalgate.yaml)",
            f"{each} more for every pull request",
        )
    elif advice.name == TWICE:
        what = f"Write as many cases again for these categories ({count(advice.new_cases, 'case')})"
        price = f"{each} more for every pull request, beside the writing"
    else:
        what = f"Record {count(advice.new_runs, 'more run')}: evalgate baseline record --runs {advice.new_runs}"
        price = f"{once}, once for this version"
    before, after = _points(advice.worst_before), _points(advice.worst_after)
    return f"{what}. Price: {price}. The smallest drop found in the worst of them goes from {before} to {after}."


def _what_is_left(found: Calibration, advice: Advice) -> list[str]:
    if not advice.coarse_after:
        return []
    return [
        f"That leaves {few(advice.coarse_after)} above {100 * found.useful:.0f} points: there more cases help, or a "
        "second category for them that holds more of their kind."
    ]


def _points(drop: float | None) -> str:
    return "none at all" if drop is None else f"{100 * drop:.1f} points"


def _price(found: Calibration, calls: int) -> str:
    each = found.cost_per_call_usd
    known = "their price is unknown, since no run tells it" if each is None else f"about {money(calls * each)}"
    return f"{count(calls, 'call')} ({known})"


# ---- for programs -----------------------------------------------------------------------------------------


def _document(found: Calibration) -> dict[str, Json]:
    left, simulated, advice = found.left_out, found.simulated, found.advice
    return {
        "schema": SCHEMA,
        "suite": found.suite,
        "runs": list(found.runs),
        "why": found.why,
        "cases": found.cases,
        "alpha": found.alpha,
        "left_out": None
        if left is None
        else {"judged": left.judged, "blocked": list(left.blocked), "unevaluated": left.unevaluated},
        "simulated": None
        if simulated is None
        else {
            "pulls": simulated.pulls,
            "blocked": simulated.blocked,
            "rate": _rounded(simulated.blocked / simulated.pulls),
            "standard_error": _rounded(simulated.standard_error),
            "blocked_without_confirmation": simulated.doubted,
            "calls_per_case": _rounded(simulated.calls_per_case),
            "confirms": simulated.confirms,
            "is_baseline_called": simulated.is_baseline_called,
        },
        "categories": {row.name: _category(row) for row in found.categories},
        "wavering": [
            {"id": row.id, "category": row.category, "passed": row.passed, "answers": row.answers}
            for row in found.wavering
        ],
        "wavering_in_all": found.wavering_in_all,
        "useful": found.useful,
        "coarse": list(found.coarse),
        "culprits": [
            {
                "category": culprit.category,
                "rule": culprit.rule,
                "blocked": culprit.blocked,
                "mean": _rounded(culprit.mean),
                "floor": culprit.floor,
                "critical": culprit.is_critical,
                "literal": culprit.is_literal,
            }
            for culprit in found.culprits
        ],
        "advice": None
        if advice is None
        else {
            "name": advice.name,
            "calls_once": advice.calls_once,
            "calls_per_pull": _rounded(advice.calls_per_pull),
            "usd_once": _dollars(found, advice.calls_once),
            "usd_per_pull": _dollars(found, advice.calls_per_pull),
            "worst_before": _rounded(advice.worst_before),
            "worst_after": _rounded(advice.worst_after),
            "coarse_after": list(advice.coarse_after),
            "new_cases": advice.new_cases,
            "new_runs": advice.new_runs,
        },
        "cost_per_call_usd": found.cost_per_call_usd,
        "runs_to_know": found.runs_to_know,
        "calls_to_know": found.calls_to_know,
        "notes": list(found.notes),
    }


def _category(row: CategoryFigures) -> dict[str, Json]:
    return {
        "cases": row.cases,
        "blocked": row.blocked,
        "blocked_without_confirmation": row.doubted,
        "repeated": row.repeated,
        "changed": row.changed,
        "within_sd": _rounded(row.within_sd),
        "mean_sd": _rounded(row.mean_sd),
        "detectable": {kind: _rounded(drop) for kind, drop in row.detectable.items()},
    }


def _dollars(found: Calibration, calls: float) -> float | None:
    return None if found.cost_per_call_usd is None else _rounded(calls * found.cost_per_call_usd)


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 6)
