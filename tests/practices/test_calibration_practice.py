"""The calibration practice: what of a history is noise, what an unchanged system might show next, what to buy."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

import pytest
from builders import make_run

from evalgate.practices.calibration import (
    CaseScores,
    Offer,
    Unchanged,
    cheapest,
    coarsest,
    cost_per_call,
    noise,
    too_coarse,
    wavering,
)
from evalgate.records import Confirmation, Usage


def cases(*rows: str, category: str = "facts") -> list[CaseScores]:
    """One case a row, one run a character: `1` passed, `0` failed, `-` without a score."""
    return [
        CaseScores(
            id=f"{category}-{number:03}",
            categories=(category,),
            by_run=tuple(() if mark == "-" else (float(mark),) for mark in row),
        )
        for number, row in enumerate(rows)
    ]


def test_noise_is_what_differs_between_runs_of_one_version() -> None:
    """By hand: within cases 0, 1/3, 1/3 (sums of squares 0, 2/3, 2/3 over 6); means 2/3, 1/3, 2/3."""
    found = noise(cases("111", "010", "101"), 0.5)
    assert (found.repeated, found.changed) == (3, 2)
    assert found.within_sd == pytest.approx(math.sqrt((0 + 2 / 3 + 2 / 3) / 6))
    assert found.mean_sd == pytest.approx(0.0, abs=1e-12)
    assert noise(cases("110", "110"), 0.5).mean_sd == pytest.approx(math.sqrt(1 / 3))


def test_a_single_run_tells_no_noise() -> None:
    """Unknown is None, not 0."""
    found = noise(cases("1", "0"), 0.5)
    assert (found.repeated, found.within_sd, found.mean_sd) == (0, None, None)


def test_cases_that_come_and_go_do_not_make_the_mean_wander() -> None:
    """Only those that every run has a score of are counted."""
    assert noise(cases("11", "11", "0-"), 0.5).mean_sd == 0.0


def test_the_most_undecided_case_leads() -> None:
    """Half and half is the most; what never changed is not there."""
    found = wavering(cases("1111", "1110", "1100", "0000"), 0.5)
    assert [(case.id, case.passed, case.answers) for case in found] == [("facts-002", 2, 4), ("facts-001", 3, 4)]


def test_a_steady_suite_stays_nearly_steady_and_a_wavering_one_wavers() -> None:
    """The share of further answers that differ from a case's usual one follows the history's."""
    shares = {}
    for name, rows in (("steady", ["11111"] * 40 + ["00000"] * 10), ("wavering", ["11010"] * 25 + ["10100"] * 25)):
        urn = Unchanged(cases(*rows))
        rng = Random(1)
        drawn = [urn.draw(f"facts-{number:03}", 1, rng)[0] for number in range(50) for _ in range(40)]
        usual = [max("01", key=rows[number].count) == "1" for number in range(50) for _ in range(40)]
        shares[name] = sum(score != is_one for score, is_one in zip(drawn, usual, strict=True)) / len(drawn)
    assert shares["steady"] < 0.01
    assert 0.3 < shares["wavering"] < 0.5


def test_scores_of_one_system_follow_each_other() -> None:
    """A case that is drawn as failing tends to fail again: its rate is drawn, not its every answer anew."""
    urn = Unchanged(cases(*["111"] * 20, *["000"] * 20, *["101"] * 5))
    rng = Random(3)
    pairs = [urn.draw("facts-040", 2, rng) for _ in range(4000)]
    fails = [pair for pair in pairs if pair[0] == 0]
    assert sum(pair[1] == 0 for pair in fails) / len(fails) > 1.2 * len(fails) / len(pairs)


def test_graded_scores_stay_scores_that_were_seen() -> None:
    """Nothing is made up between them, but for the one case that may show 0 or 1."""
    graded = [
        CaseScores(id=f"tone-{n}", categories=("tone",), by_run=((0.25,), (0.5,), (0.75 if n % 2 else 0.5,)))
        for n in range(10)
    ]
    urn = Unchanged(graded)
    drawn = {score for n in range(10) for score in urn.draw(f"tone-{n}", 50, Random(n))}
    assert {0.25, 0.5, 0.75} <= drawn <= {0.0, 0.25, 0.5, 0.75, 1.0}


def test_the_same_seed_gives_the_same_answers() -> None:
    """Two calibrations of one history say the same."""
    rows = cases("110", "101", "111")
    assert Unchanged(rows).history("*", 10, Random(5)) == Unchanged(rows).history("*", 10, Random(5))


def test_a_longer_history_begins_with_the_one_that_is_there() -> None:
    """What was seen is not drawn again; who has enough stays as he is."""
    rows = cases("110", "111")
    assert [scores[:3] for scores in Unchanged(rows).history("facts", 5, Random(5))] == [case.scores for case in rows]
    assert Unchanged(rows).history("facts", 2, Random(5)) == [case.scores for case in rows]


def offer(name: str, once: int, each: float, **drops: float | None) -> Offer:
    return Offer(name=name, calls_once=once, calls_per_pull=each, detectable=drops)


def test_the_cheapest_of_what_is_enough_is_advised() -> None:
    """Once paid counts against ten pull requests; what leaves a category too coarse is no bargain."""
    now = {"*": 0.5, "facts": 0.1, "tone": 0.4}
    assert too_coarse(now) == ["tone"]
    enough_once = offer("history", 500, 0, facts=0.1, tone=0.18)
    enough_each = offer("repeats", 0, 60, facts=0.1, tone=0.05)
    too_little = offer("little", 10, 0, facts=0.1, tone=0.3)
    assert cheapest(now, [enough_each, too_little, enough_once]) == enough_once
    assert cheapest(now, [too_little]) == too_little
    assert cheapest(now, [offer("no use", 1, 0, facts=0.1, tone=0.4)]) is None
    assert cheapest({"facts": 0.2}, [enough_once]) is None


def test_a_category_that_sees_nothing_is_the_coarsest() -> None:
    """None is worse than any number."""
    assert coarsest([0.3, 0.5]) == 0.5
    assert coarsest([0.3, None]) is None
    assert too_coarse({"tone": None}) == ["tone"]


def test_an_unknown_price_is_unknown() -> None:
    """One run that does not tell its cost makes the price of a call unknown, never less."""
    told = replace(make_run(facts=[1, 1, 0, 1]), usage=Usage(calls=4, cost_usd=0.02))
    assert cost_per_call([told, told]) == pytest.approx(0.005)
    assert cost_per_call([told, replace(make_run(facts=[1]), usage=Usage(calls=1))]) is None
    assert cost_per_call([]) is None


def test_answers_from_a_cache_make_no_call_cheaper() -> None:
    """Only what was called is divided by; a run that called nothing tells no price, and above all not 0."""
    told = replace(make_run(facts=[1, 1, 0, 1]), usage=Usage(calls=4, cost_usd=0.02))
    saved = replace(told, usage=Usage(calls=0, calls_saved=4, cost_usd=0.0))
    partly = replace(told, usage=Usage(calls=1, calls_saved=3, cost_usd=0.005))
    unasked = replace(told, usage=Usage(calls=0, cost_usd=0.0))
    assert cost_per_call([saved]) is None and cost_per_call([unasked]) is None
    assert cost_per_call([told, saved, partly, unasked]) == pytest.approx(0.005)
    fresh = Confirmation(categories=("facts",), epochs=1, after=told.results, before=told.results, how="both")
    confirmed = replace(told, confirmation=fresh, usage=Usage(calls=12, cost_usd=0.06))
    assert cost_per_call([confirmed]) == pytest.approx(0.005)
