"""What was measured as Markdown. Decides nothing; rounds to one digit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.decision.cells import CELLS
from benchmarks.decision.figures import Columns, Figure, mean_of, share_of
from benchmarks.decision.goals import Goal
from benchmarks.decision.reference import Comparison

RULES: Mapping[str, str] = {
    "mean": "mean < baseline in any category",
    "drop2": "drop > 2 pp in any category",
    "drop5": "drop > 5 pp in any category",
    "mcnemar": "McNemar per category, uncorrected",
    "holm": "McNemar + Holm",
    "no_harm": "prove no harm (−5 pp)",
    "once": "recorded, 1 repeat",
    "thrice": "recorded, 3 repeats",
    "found": "**escalating**",
    "blocked": "**… and confirmed**",
    "limit": "limit: rates known, 3 repeats",
    "level": "limit at a level that holds",
}
NOT_MEASURED = "–"


def blocked(measured: Mapping[str, Columns]) -> str:
    """Per cent of pull requests that each rule blocks, a line a cell."""
    rows = [
        [CELLS[cell].title, *(_figure(share_of(columns, rule)) for rule in RULES)] for cell, columns in measured.items()
    ]
    return table(["blocked, per cent (standard error)", *RULES.values()], rows)


def calls_and_names(measured: Mapping[str, Columns]) -> str:
    """What the escalating run costs, and how often it names something that did not fall, a line a cell."""
    head = [
        "", "calls per case", "… of the confirmation, both sides", "both together", "drift told, %",
        "names what did not fall, escalating, %", "… confirmed, %", "… recorded, 1 repeat, %", "… 3 repeats, %",
    ]  # fmt: skip
    rows = []
    for cell, columns in measured.items():
        both = [run + fresh for run, fresh in zip(columns["calls"], columns["confirmation"], strict=True)]
        calls = [mean_of(values) for values in (columns["calls"], columns["confirmation"], both)]
        shares = ("drift", "found_wrong", "blocked_wrong", "once_wrong", "thrice_wrong")
        rows.append(
            [
                CELLS[cell].title,
                *(f"{figure.value:.2f} ({figure.error:.2f})" for figure in calls),
                *(_figure(share_of(columns, name)) for name in shares),
            ]
        )
    return table(head, rows)


def reached(goals: Iterable[Goal]) -> str:
    """Every goal with what was measured, in their order."""
    head = ["what", "measured", "standard error", "goal", ""]
    rows = [
        [goal.what, f"{goal.measured.value:.1f} {goal.unit}", f"{goal.measured.error:.1f}", goal.bound, goal.answer]
        for goal in goals
    ]
    return table(head, rows)


def compared(comparisons: Sequence[Comparison]) -> str:
    """Both simulations side by side; what is more than two standard errors apart is marked."""
    head = ["cell", "rule", "here", "reference simulation", "apart, standard errors"]
    rows = [
        [
            CELLS[each.cell].title,
            RULES[each.rule].strip("*"),
            _figure(each.here),
            _figure(each.there),
            f"**{each.apart:+.1f}**" if abs(each.apart) > 2 else f"{each.apart:+.1f}",
        ]
        for each in comparisons
    ]
    far = sum(abs(each.apart) > 2 for each in comparisons)
    return f"{table(head, rows)}\n\n{far} of {len(comparisons)} figures are more than two standard errors apart."


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _figure(figure: Figure | None) -> str:
    return NOT_MEASURED if figure is None else f"{figure.value:.1f} ({figure.error:.1f})"
