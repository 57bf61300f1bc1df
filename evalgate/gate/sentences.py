"""The gate's sentences: what each finding says, in words and numbers. Pure text; decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evalgate.records import EVERY_CASE

if TYPE_CHECKING:
    from evalgate.gate.confirm import Fresh


def points(share: float) -> str:
    """A share in points: 0.081 is `8.1`."""
    return f"{round(share * 100, 1) + 0.0:.1f}"  # + 0.0: never "-0.0"


def named(category: str) -> str:
    return "the suite" if category == EVERY_CASE else category


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def chance(p: float | None) -> str:
    """A p as people read it: `< 0.0001`, or two digits, or three where it comes near a level: 0.0504 is not 0.05."""
    if p is None:
        return "unknown"
    if p < 0.0001:
        return "< 0.0001"
    return f"{p:.2g}" if p < 0.01 else f"{p:.3g}"


def moved(category: str, delta: float) -> str:
    if abs(delta) < 5e-4:
        return f"{named(category)} did not move"
    return f"{named(category)} {'fell' if delta < 0 else 'rose'} {points(abs(delta))} points"


def interval(ci: tuple[float, float] | None) -> str:
    return "" if ci is None else f"95 % CI {points(ci[0])} to {points(ci[1])}"


def drop(
    category: str,
    before: float,
    delta: float,
    ci: tuple[float, float] | None,
    p_adjusted: float | None,
    allowed: float,
    *,
    breached: bool,
    could_breach: bool,
    cases: int,
    runs: int,
) -> str:
    said = [part for part in (interval(ci), f"adjusted p {chance(p_adjusted)}") if part]
    text = f"{moved(category, delta)} ({', '.join(said)}); allowed {allowed * 100:g}"
    if breached:
        return text
    if before <= allowed + 1e-12:
        return f"{text}. It stood at {points(before)} %, so no drop could have exceeded that"
    if not could_breach:
        return f"{text}. {count(cases, 'case')} against {count(runs, 'run')} could not have proven any drop"
    if delta < -allowed - 1e-12:
        return f"{text}. No drop is proven: chance can explain it"
    return text


def literal_drop(category: str, delta: float, allowed: float, false_blocks: float) -> str:
    """The plain comparison, with what it is worth."""
    return (
        f"{moved(category, delta)}; allowed {allowed * 100:g} (plain comparison: it would block an unchanged system "
        f"{false_blocks * 100:.0f} % of the time)"
    )


def no_pairs(category: str, *, has_baseline: bool, changed: int) -> str:
    if not has_baseline:
        return f"{named(category)}: no baseline, so a drop could not be judged"
    if changed:
        return (
            f"{named(category)}: all of its {count(changed, 'case')} have other content or other scorers than in the "
            "baseline, so a drop could not be judged"
        )
    return f"{named(category)}: the baseline has no scored case of it, so a drop could not be judged"


def floor(
    category: str, score: float, least: float, p_adjusted: float | None, *, breached: bool, could_breach: bool
) -> str:
    text = f"{named(category)} scores {points(score)} %, the floor is {points(least)} %"
    if p_adjusted is None:
        return f"{text} (plain comparison: noise alone can fail it)" if least > 0 else text
    if breached:
        return f"{text}: the truth is below it (adjusted p {chance(p_adjusted)})"
    if not could_breach:
        return f"{text}. Too few cases to prove anything below it"
    if score < least - 1e-12:
        return f"{text}. Not proven to be below (adjusted p {chance(p_adjusted)})"
    return text


def critical_floor(category: str, score: float, least: float, p: float | None, *, is_proven: bool) -> str:
    text = f"{named(category)} is critical: it scores {points(score)} %, and {points(least)} % has to be proven"
    if is_proven:
        return f"{text}: it is (p {chance(p)})"
    if score < least - 1e-12:
        return f"{text}: it is below"
    return f"{text}: it is not (p {chance(p)}). More cases, repeats or baseline runs would prove it, if it is true"


def critical_cases(category: str, cases: int, fallen: Sequence[str], few: Sequence[str], unsure: Sequence[str]) -> str:
    """fallen: flips that their own repeats confirm; few: flips with too few repeats; unsure: flips that repeats do not
    confirm."""
    text = f"{count(cases, 'critical case')} of {named(category)}"
    if fallen:
        return f"{text}: {several(fallen)} passed in the baseline and {'does' if len(fallen) == 1 else 'do'} not now"
    if few:
        return f"{text}: {several(few)} may have flipped; three repeats of a case are needed to say so"
    if unsure:
        return f"{text}: {several(unsure)} failed now and then, which its history explains"
    return f"{text}: none flipped"


def untested(category: str) -> str:
    return f"{named(category)}: too few answers came in time to test it"


def in_quarantine(category: str, cases: int) -> str:
    return f"{named(category)}: {'its case is' if cases == 1 else f'all of its {cases:,} cases are'} in quarantine"


def fresh_calls(fresh: Fresh) -> str:
    """What calling both sides anew has shown, to be put behind a sentence on a drop or a floor."""
    asked = f"{count(fresh.epochs, 'fresh repeat')} of {'both sides' if fresh.has_both else 'this change alone'}"
    if fresh.answer == "unknown":
        return ". It could not be confirmed: too few fresh calls were answered"
    if fresh.before is None:
        seen = f"{points(fresh.after or 0.0)} %, p {chance(fresh.p)}"
    else:
        then = "before" if fresh.has_both else "in its history"
        seen = f"{points(fresh.before)} % {then}, {points(fresh.after or 0.0)} % now, p {chance(fresh.p)}"
    if fresh.answer == "confirmed":
        return f". Confirmed by {asked}: {seen}"
    if fresh.answer == "drift":
        return (
            ". Not blamed on this change: asked again now, the baseline's own requests fell from "
            f"{points(fresh.history or 0.0)} to {points(fresh.before or 0.0)} % (p {chance(fresh.p_drift)}), and "
            f"against them {asked} show no drop (p {chance(fresh.p)})"
        )
    return f". Not confirmed by {asked}: {seen}, and p {fresh.level:g} was needed"


def repeats(steps: Sequence[tuple[int, Sequence[str]]]) -> str:
    """steps: repeats and who had them, from the second step on."""
    told = [f"{several([named(name) for name in names])} to {epochs}" for epochs, names in steps]
    return f"Undecided after one call a case, and repeated: {'; then '.join(told)} calls a case."


def called_anew(epochs: int, cases: int, how: str, *, both: bool) -> str:
    sides = "this change and the baseline, in turns" if both else "this change alone"
    # A result file of somebody else's holds no sentences.
    said = f": {how}" if how else ""
    return f"Before blocking, {count(cases, 'case')} were called anew, {epochs} times, {sides}{said}."


def fresh_failures(side: str, failed: int, asked: int, cause: str) -> str:
    return f"{failed:,} of {count(asked, 'fresh call')} of {side} had no score; most often: {cause}."


def nothing_scored(category: str, cases: int) -> str:
    return f"{named(category)}: none of its {count(cases, 'case')} has a score"


def vanished(category: str) -> str:
    return (
        f"{category}: no case of this category was run, though the rules or the baseline have it. "
        "If it was taken out on purpose, list it under `gate.removed_categories`"
    )


def error_rate(unscored: int, planned: int, ceiling: float, *, lost: int = 0) -> str:
    missing = f" or missing (of {count(lost, 'case')})" if lost else ""
    return (
        f"{unscored:,} of {count(planned, 'result')} unscored{missing} ({unscored / planned * 100:.1f} %); "
        f"allowed {ceiling * 100:g} %"
    )


def limit(
    metric: str, before: float | None, after: float | None, ceiling: float | None, *, unknown_before: bool
) -> str:
    if after is None:
        return f"{metric} is unknown: not every call of this run tells it, so the limit could not be judged"
    text = f"{metric} is {_amount(metric, after)}"
    if before is not None:
        text += f" (baseline {_amount(metric, before)})"
    if ceiling is not None:
        text += f"; allowed {_amount(metric, ceiling)}"
    if unknown_before:
        text += "; its rise could not be judged, the baseline does not tell it"
    return text


def limit_beside_copies(sentence: str, metric: str, copies: int, asked: int) -> str:
    """The sentence of a limit where answers came from the cache: they have no latency and no cost."""
    if not asked:
        why = "every answer of this run came from the cache, so the limit could not be judged"
        return f"{metric} was not measured: {why}; --fresh makes the calls anew"
    return f"{sentence}; measured on {count(asked, 'new call')}, {copies:,} answers came from the cache"


def _amount(metric: str, value: float) -> str:
    if metric.endswith("_usd"):
        return f"${value:.6f}".rstrip("0").rstrip(".")
    return f"{value:.3g} s" if metric.endswith("_s") else f"{value:,.1f}"


def several(names: Sequence[str], most: int = 5) -> str:
    """A list for a sentence: `a, b and 3 more`."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most:,} more"
