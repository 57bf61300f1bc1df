"""Repeats decided step by step: only what is undecided gets more calls, and the verdict replays what was decided."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from builders import make_scored
from gating import found
from stepping import Scripted, broken, first_calls, history, number, passing, step, verdict_of

from evalgate.gate import More
from evalgate.gate.pool import pool_of
from evalgate.records import Exceptions, Finding, Pinned, Run, Status, VerdictName, Waiver

SIZES = {"facts": 40, "lists": 40, "tone": 40}
NO_CONFIRMATION = {"confirm": False}


def test_what_did_not_move_is_called_once() -> None:
    """No category is near anything: no repeat, one step."""
    calls = Scripted(now=passing)
    run = step(first_calls(SIZES, passing), history(SIZES, passing), calls)
    assert calls.asked == []
    assert [(s.epochs, s.categories) for s in run.steps] == [(1, ("*",))]
    assert verdict_of(run, history(SIZES, passing)).verdict is VerdictName.PASS


def test_only_the_undecided_category_is_repeated_until_it_is_decided() -> None:
    """Two of forty broke against two runs: not proven by one call, proven by more; the other categories stay at one."""
    now, base = broken("facts", 2), history(SIZES, passing, runs=2)
    calls = Scripted(now=now)
    run = step(first_calls(SIZES, now), base, calls, {"overall": None, **NO_CONFIRMATION})
    assert [(more.epochs, more.categories) for more in calls.asked if isinstance(more, More)][:2] == [
        (2, ("facts",)),
        (4, ("facts",)),
    ]
    assert {r.case_id.split("-")[0] for r in run.results if r.epoch > 1} == {"facts"}
    verdict = verdict_of(run, base, {"overall": None, **NO_CONFIRMATION})
    assert found(verdict, "facts").status is Status.BREACH
    assert verdict.usage == run.usage
    assert any("facts to 2" in note for note in verdict.notes)


def test_the_verdict_replays_the_steps_from_the_run_alone() -> None:
    """Same run, same baseline, any order of its results: the same bytes."""
    rng = np.random.default_rng(1)
    truth = {f"{name}-{n:03d}": float(rng.beta(0.8, 0.2)) for name, size in SIZES.items() for n in range(size)}
    table = {case_id: rng.random(8) < p for case_id, p in truth.items()}
    base_table = {case_id: rng.random(5) < p for case_id, p in truth.items()}
    base = history(SIZES, lambda case_id, k: float(base_table[case_id][k - 1]))

    def now(case_id: str, epoch: int) -> float:
        return float(table[case_id][epoch - 1])

    run = step(first_calls(SIZES, now), base, Scripted(now=now, fresh_before=now))
    shuffled = replace(base, runs=tuple(reversed(base.runs)))
    told = verdict_of(run, base).to_dict()
    again = verdict_of(run, shuffled).to_dict()
    told["baseline"] = again["baseline"] = None
    assert told == again


def test_a_category_that_is_let_go_is_judged_by_what_was_seen_then() -> None:
    """Its p stays that of its last look, whatever the others do later."""
    now, base = broken("facts", 2), history(SIZES, passing, runs=2)
    rules = {"overall": None, **NO_CONFIRMATION}
    run = step(first_calls(SIZES, now), base, Scripted(now=now), rules)
    assert len(run.steps) > 1
    assert found(verdict_of(run, base, rules), "lists").p == pytest.approx(1.0)


def test_repeats_stop_at_max_epochs_and_the_last_look_has_the_rest_of_the_level() -> None:
    """`max_epochs: 2` looks twice; `max_epochs: 1` once, at the full level."""
    now, base = broken("facts", 2), history(SIZES, passing, runs=2)
    calls = Scripted(now=now)
    run = step(first_calls(SIZES, now), base, calls, {"overall": None, "max_epochs": 2})
    assert [(s.epochs, s.is_last) for s in run.steps] == [(1, False), (2, True)]
    once = step(first_calls(SIZES, now), base, Scripted(now=now), {"max_epochs": 1})
    assert [(s.epochs, s.is_last) for s in once.steps] == [(1, True)]
    fixed = verdict_of(first_calls(SIZES, now), base, {"max_epochs": 1})
    assert [f.p_adjusted for f in verdict_of(once, base, {"max_epochs": 1}).findings] == [
        f.p_adjusted for f in fixed.findings
    ]


def test_where_no_repeat_is_allowed_the_one_look_has_the_whole_level() -> None:
    """`max_extra_calls: 0` decides as `max_epochs: 1` does."""
    now, base = broken("facts", 3), history(SIZES, passing)
    ps = []
    for limit in ({"max_extra_calls": 0}, {"max_epochs": 1}):
        rules = {**limit, **NO_CONFIRMATION}
        run = step(first_calls(SIZES, now), base, Scripted(now=now), rules)
        ps.append(found(verdict_of(run, base, rules), "facts").p_adjusted)
    assert ps[0] == ps[1]


@pytest.mark.parametrize(("limit", "most"), [(0, 0), (39, 0), (40, 40), (100, 80)])
def test_extra_calls_stay_within_their_limit(limit: int, most: int) -> None:
    """Forty cases of the one undecided category: a whole step or none."""
    now, base = broken("facts", 2), history(SIZES, passing, runs=2)
    rules = {"overall": None, "max_extra_calls": limit, "confirm": False}
    run = step(first_calls(SIZES, now), base, Scripted(now=now), rules)
    assert sum(result.epoch > 1 for result in run.results) == most <= limit


def test_the_budget_of_the_endpoint_bounds_repeats_as_well() -> None:
    """Where the money is for forty calls, no eightieth is planned."""
    now, base = broken("facts", 2), history(SIZES, passing, runs=2)
    run = step(first_calls(SIZES, now), base, Scripted(now=now, budget=0), {"overall": None})
    assert sum(result.epoch > 1 for result in run.results) == 0


def test_fixed_repeats_are_never_added_to() -> None:
    """`--epochs 3` is three, and one look at the full level."""
    now, base = broken("facts", 1), history(SIZES, passing)
    calls = Scripted(now=now)
    run = step(first_calls(SIZES, now, epochs=3), base, calls, {"confirm": False}, escalates=False)
    assert (run.steps, calls.asked) == ((), [])


def test_judged_against_other_runs_all_that_is_there_is_looked_at_once() -> None:
    """Its steps were planned for another comparison: they say nothing about this one, and the report says so."""
    now, base = broken("facts", 2), history(SIZES, passing, runs=2)
    run = step(first_calls(SIZES, now), base, Scripted(now=now), {"overall": None, **NO_CONFIRMATION})
    other = replace(base, runs=base.runs[:1])
    verdict = verdict_of(run, other)
    assert any("repeated for another comparison" in note for note in verdict.notes)
    assert found(verdict, "lists").status is Status.PASS


def test_without_a_baseline_nothing_is_repeated() -> None:
    """There is nothing to be undecided about."""
    from evalgate.records import Missing

    run = first_calls(SIZES, passing)
    assert step(run, Missing(reason="the first"), Scripted(now=passing)) == run


def test_a_planned_repeat_that_is_missing_is_an_error_and_no_pass() -> None:
    """The step says that every case of the category had two calls; one is not there."""
    now, base = broken("facts", 2), history(SIZES, passing, runs=2)
    run = step(first_calls(SIZES, now), base, Scripted(now=now), {"overall": None, **NO_CONFIRMATION})
    lost = tuple(r for r in run.results if not (r.case_id == "facts-030" and r.epoch == 2))
    verdict = verdict_of(replace(run, results=lost), base, {"overall": None, **NO_CONFIRMATION})
    assert (verdict.verdict, verdict.cases.missing) == (VerdictName.ERROR, ("facts-030",))


def test_in_every_look_a_breach_is_an_adjusted_p_within_alpha() -> None:
    """Fifty suites, half of them damaged: what the first look calls a breach needs far more proof than the last."""
    rng = np.random.default_rng(7)
    for seed in range(50):
        truth = {f"{name}-{n:03d}": float(rng.beta(0.7, 0.2)) for name, size in SIZES.items() for n in range(size)}
        hurt = 0.7 if seed % 2 else 1.0
        table = {c: rng.random(8) < p * (hurt if c.startswith("tone") else 1) for c, p in truth.items()}
        old = {c: rng.random(5) < p for c, p in truth.items()}
        base = history(SIZES, lambda c, k, old=old: float(old[c][k - 1]))  # type: ignore[misc]
        calls = Scripted(now=lambda c, e, table=table: float(table[c][e - 1]))  # type: ignore[misc]
        run = step(first_calls(SIZES, calls.now), base, calls, NO_CONFIRMATION)
        verdict = verdict_of(run, base, NO_CONFIRMATION)
        for finding in verdict.findings:
            if finding.p_adjusted is not None:
                assert (finding.status is Status.BREACH) == _breaches(finding, verdict.alpha)


def _breaches(finding: Finding, alpha: float) -> bool:
    return (finding.p_adjusted or 0.0) <= alpha and (finding.delta or 0.0) < -1e-12


def test_a_waived_drop_costs_no_calls_and_hides_nothing() -> None:
    """Half of tone is accepted: it is neither repeated nor confirmed, and what happens to facts is found as ever."""
    waiver = Waiver(category="tone", before=1.0, drop=0.5, owner="ann", reason="on purpose", expires=date(2099, 1, 1))
    exempt = Exceptions(waivers=(waiver,))

    def now(case_id: str, epoch: int) -> float:
        return min(broken("tone", 20)(case_id, epoch), broken("facts", 2)(case_id, epoch))

    base, calls = history(SIZES, passing, runs=2), Scripted(now=now)
    rules = {"overall": None, **NO_CONFIRMATION}
    run = step(first_calls(SIZES, now), base, calls, rules, exempt=exempt)
    assert {r.case_id.split("-")[0] for r in run.results if r.epoch > 1} == {"facts"}
    verdict = verdict_of(run, base, rules, exempt=exempt)
    tone = found(verdict, "tone")
    assert (tone.status, tone.gating, found(verdict, "facts").status) == (Status.BREACH, False, Status.BREACH)


# ---- what counts as a repeat --------------------------------------------------------------------------------


def test_a_response_given_again_is_no_repeat() -> None:
    """Five answers of a case with one id are one sample; real ones count."""
    from evalgate.records import Output

    base = history(SIZES, passing, runs=1)
    real = first_calls(SIZES, broken("facts", 3), epochs=5)
    ids = tuple(replace(r, output=Output(response_id=f"id-{r.case_id}")) for r in real.results)  # type: ignore[arg-type]
    p_once = found(verdict_of(first_calls(SIZES, broken("facts", 3)), base), "facts").p
    assert found(verdict_of(replace(real, results=ids), base), "facts").p == p_once
    assert (found(verdict_of(real, base), "facts").p or 1) < (p_once or 0)


def test_a_run_made_again_from_the_cache_is_judged_as_the_first_time() -> None:
    """Each epoch is an earlier call of its own: were they one sample, a block would go away by running again."""
    base = history(SIZES, passing, runs=1)
    real = first_calls(SIZES, broken("facts", 3), epochs=5)
    assert found(verdict_of(_from_cache(real), base), "facts").p == found(verdict_of(real, base), "facts").p


def test_a_run_that_repeats_its_baselines_answers_passes() -> None:
    """Nothing was changed and nothing asked: identical answers are no error and no drop."""
    base = history(SIZES, lambda case_id, epoch: float(number(case_id) % 4 != 0), runs=1)
    again = _from_cache(replace(first_calls(SIZES, passing), results=base.runs[0].results))
    verdict = verdict_of(again, base)
    assert (verdict.verdict, verdict.exit_code) == (VerdictName.PASS, 0)


def test_copies_add_nothing_to_a_baseline() -> None:
    """A run of answers that another of the pool was given is as if it were not there, in the spread of runs too."""
    one, two = history(SIZES, passing, runs=2).runs
    after = first_calls(SIZES, broken("facts", 3), epochs=2)
    alone = verdict_of(after, Pinned(runs=(one,), why=""))
    for copied in (Pinned(runs=(one, _from_cache(two)), why=""), Pinned(runs=(_from_cache(two), one), why="")):
        assert found(verdict_of(after, copied), "facts").p == found(alone, "facts").p
    assert pool_of(after.cases, Pinned(runs=(one, _from_cache(two)), why="")).per_run[1].count(()) == len(after.cases)


def test_repeats_from_the_cache_stand_for_a_baseline_that_is_gone() -> None:
    """Where nothing else is there they are samples, each epoch one: they were once real calls."""
    once = history(SIZES, passing, runs=1).runs[0]
    twice = first_calls(SIZES, passing, epochs=2)
    after = first_calls(SIZES, broken("facts", 3))
    p = {
        epochs: found(verdict_of(after, Pinned(runs=(_from_cache(run),), why="")), "facts").p
        for epochs, run in ((1, once), (2, twice))
    }
    assert p[2] == found(verdict_of(after, Pinned(runs=(twice,), why="")), "facts").p != p[1]


def _from_cache(run: Run) -> Run:
    from evalgate.records import Output

    return replace(run, results=tuple(replace(r, output=Output(cached=True)) for r in run.results))  # type: ignore[arg-type]


def test_a_server_that_numbers_all_responses_alike_loses_no_repeats() -> None:
    """The same id for different cases is no identity."""
    from evalgate.records import Output

    base = history(SIZES, passing, runs=1)
    real = first_calls(SIZES, broken("facts", 3), epochs=5)
    same = tuple(replace(r, output=Output(response_id="chatcmpl-1")) for r in real.results)  # type: ignore[arg-type]
    assert found(verdict_of(replace(real, results=same), base), "facts").p == found(verdict_of(real, base), "facts").p


def test_an_answer_from_the_cache_alone_is_one_sample() -> None:
    """In the baseline as well: three runs that hand the same stored answer on are one."""
    from evalgate.records import Output

    cached = tuple(
        replace(run, results=tuple(replace(r, output=Output(cached=True)) for r in run.results))  # type: ignore[arg-type]
        for run in history(SIZES, passing, runs=3).runs
    )
    one = found(verdict_of(first_calls(SIZES, broken("facts", 3)), history(SIZES, passing, runs=1)), "facts").p
    three = found(verdict_of(first_calls(SIZES, broken("facts", 3)), Pinned(runs=cached, why="")), "facts").p
    assert three == one
    assert make_scored("x").output.cached is False
