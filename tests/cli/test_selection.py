"""Which cases a run takes: the sample's promises, how the options compose, and what a partial run may never be."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import pytest
from builders import make_case
from hypothesis import given
from hypothesis import strategies as st
from kit import Project, build

from evalgate.pipeline.selection import sample
from evalgate.records import Case

GOOD = {"facts": 30, "numbers": 10}


@st.composite
def evalsets(draw: st.DrawFn, *, overlapping: bool) -> list[Case]:
    """Cases of up to five categories; with `overlapping` a case may have several."""
    groups = st.lists(st.sampled_from("abcde"), min_size=1, max_size=3 if overlapping else 1, unique=True)
    return [
        make_case(f"case-{number}", categories=tuple(names))
        for number, names in enumerate(draw(st.lists(groups, min_size=1, max_size=60)))
    ]


COUNTS = st.integers(min_value=1, max_value=60)
SEEDS = st.integers(min_value=0, max_value=5)


def ids(cases: Sequence[Case]) -> set[str]:
    return {case.id for case in cases}


@given(evalsets(overlapping=True), COUNTS, SEEDS)
def test_a_sample_has_the_size_asked_for_and_keeps_the_order(cases: list[Case], count: int, seed: int) -> None:
    """No more, no fewer, none twice; all of them where there are no more."""
    drawn = sample(cases, count, seed)
    assert len(drawn) == min(count, len(cases))
    assert list(drawn) == [case for case in cases if case.id in ids(drawn)]


@given(evalsets(overlapping=True), COUNTS, SEEDS)
def test_every_category_keeps_a_case_where_the_size_allows(cases: list[Case], count: int, seed: int) -> None:
    """Also one whose cases all have another category too."""
    there = {name for case in cases for name in case.categories}
    drawn = {name for case in sample(cases, count, seed) for name in case.categories}
    assert len(drawn) >= min(count, len(there))


@given(evalsets(overlapping=False), COUNTS, SEEDS)
def test_a_category_gets_its_share_give_or_take_one(cases: list[Case], count: int, seed: int) -> None:
    """The method of the largest remainder, unless small categories had to be given their one case."""
    sizes = Counter(case.categories[0] for case in cases)
    drawn = Counter(case.categories[0] for case in sample(cases, count, seed))
    shares = {name: min(count, len(cases)) * size / len(cases) for name, size in sizes.items()}
    if all(share >= 1 for share in shares.values()):
        assert all(math.floor(share) <= drawn[name] <= math.ceil(share) for name, share in shares.items())
        taken = [share % 1 for name, share in shares.items() if drawn[name] > share]
        left = [share % 1 for name, share in shares.items() if drawn[name] < share]
        assert not taken or not left or min(taken) >= max(left) - 1e-9


@given(evalsets(overlapping=True), COUNTS, SEEDS, st.randoms())
def test_the_order_of_the_cases_does_not_matter(cases: list[Case], count: int, seed: int, rng: object) -> None:
    """Files may be renamed and sorted."""
    shuffled = list(cases)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert ids(sample(cases, count, seed)) == ids(sample(shuffled, count, seed))


@given(evalsets(overlapping=False), COUNTS, SEEDS, st.sampled_from("abcde"))
def test_a_case_more_changes_the_sample_by_a_few(cases: list[Case], count: int, seed: int, category: str) -> None:
    """At most one leaves in each category, and one more in the one that grew: the others stay for who compares."""
    before = ids(sample(cases, count, seed))
    after = ids(sample([*cases, make_case("new", categories=(category,))], count, seed))
    assert len(before - after) <= len({case.categories for case in cases}) + 1


def test_another_seed_draws_other_cases() -> None:
    """And the same seed always the same, today and in a year."""
    cases = [make_case(f"case-{number}") for number in range(100)]
    assert ids(sample(cases, 5, 0)) == {"case-12", "case-17", "case-36", "case-55", "case-65"}
    assert ids(sample(cases, 50, 0)) != ids(sample(cases, 50, 1))


def test_a_sample_is_labelled_and_its_command_repeats_it(project: Project) -> None:
    """In the verdict with its seed, in the report with the command: 6 of the 30 facts, 2 of the 10 numbers."""
    build(project, categories=GOOD)
    said = project.evalgate("run", "--sample", "8", "--format", "json").json
    assert said["selection"] == "--sample 8 --seed 0"
    assert {name: row["n"] for name, row in said["categories"].items()} == {"*": 8, "facts": 6, "numbers": 2}
    assert any("never becomes a baseline" in note for note in said["notes"])
    assert "evalgate run --sample 8 --seed 0" in project.evalgate("run", "--sample", "8").out


def test_each_option_narrows_what_the_others_leave(project: Project) -> None:
    """Category and tag first, then the sample, then the limit."""
    build(project, categories=GOOD)
    arguments = ["--category", "numbers", "--sample", "5", "--seed", "3", "--limit", "2"]
    said = project.evalgate("run", *arguments, "--format", "json").json
    assert said["selection"] == "--category numbers --sample 5 --seed 3 --limit 2"
    assert {name: row["n"] for name, row in said["categories"].items()} == {"*": 2, "numbers": 2}


def test_a_sample_is_no_baseline_is_not_blessed_and_not_pooled(project: Project) -> None:
    """Whatever its verdict: the next run is compared with the whole ones alone."""
    build(project, categories=GOOD)
    part = project.evalgate("run", "--sample", "39", "--format", "json").json["run"]["id"]
    assert project.evalgate("run", "--format", "json").json["baseline"]["kind"] == "missing"
    later = project.evalgate("run", "--sample", "39", "--seed", "1", "--format", "json").json
    said = project.evalgate("run", "--format", "json").json
    assert said["verdict"] == "pass" and not {part, later["run"]["id"]} & set(said["baseline"]["ids"])
    assert project.evalgate("baseline", "bless", part, "--reason", "r", "--author", "ann").code == 2


def test_a_sample_of_everything_is_a_whole_run(project: Project) -> None:
    """Nothing was left out, so it may serve as baseline."""
    build(project, categories=GOOD)
    assert project.evalgate("run", "--sample", "100", "--format", "json").json["selection"] is None
    assert project.evalgate("run", "--format", "json").json["baseline"]["kind"] == "nearest"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sample", "0"], "--sample: 0 leaves no case"),
        (["--seed", "1"], "--seed: says nothing without --sample"),
        (["--sample", "5", "--category", "fats"], "Did you mean 'facts'?"),
    ],
)
def test_what_draws_nothing_is_exit_2(project: Project, arguments: list[str], message: str) -> None:
    build(project, categories=GOOD)
    said = project.evalgate("run", *arguments)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
