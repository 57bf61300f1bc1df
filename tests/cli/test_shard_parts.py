"""Which part of a run this is: a pure function of what was written and of the environment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from builders import make_case
from hypothesis import given, settings
from hypothesis import strategies as st

from evalgate.errors import InputError
from evalgate.pipeline.shard_parts import OWN, SCHEDULERS, Part, parse_part

TOLD: list[tuple[dict[str, str], str]] = [
    ({OWN: "2/4"}, "2/4"),
    ({OWN: " 2/4\n", "CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "9"}, "2/4"),
    ({"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "4"}, "1/4"),
    ({"CIRCLE_NODE_INDEX": "0", "CIRCLE_NODE_TOTAL": "4"}, "1/4"),
    ({"BUILDKITE_PARALLEL_JOB": "3", "BUILDKITE_PARALLEL_JOB_COUNT": "4"}, "4/4"),
    ({"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_PROCID": "7", "SLURM_NTASKS": "9"}, "1/3"),
    ({"SLURM_ARRAY_TASK_ID": "12", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MIN": "10"}, "3/3"),
    (
        {
            "SLURM_ARRAY_TASK_ID": "5",
            "SLURM_ARRAY_TASK_COUNT": "4",
            "SLURM_ARRAY_TASK_MIN": "1",
            "SLURM_ARRAY_TASK_STEP": "2",
        },
        "3/4",
    ),
    ({"SLURM_PROCID": "0", "SLURM_NTASKS": "2"}, "1/2"),
    ({"JOB_COMPLETION_INDEX": "1", "JOB_COMPLETIONS": "2"}, "2/2"),
]


@pytest.mark.parametrize(("environ", "part"), TOLD, ids=[", ".join(environ) for environ, _ in TOLD])
def test_each_scheduler_is_understood(environ: dict[str, str], part: str) -> None:
    """Whether it counts from 0 or from 1."""
    assert str(parse_part("auto", environ)) == part


WRONG: list[tuple[str, dict[str, str], str]] = [
    ("auto", {}, "no variable says"),
    ("auto", {OWN: "two of four"}, "no I/N"),
    ("auto", {OWN: "5/4"}, "no part 5 of 4"),
    ("auto", {"CI_NODE_INDEX": "1"}, "CI_NODE_TOTAL: is not set"),
    ("auto", {"CI_NODE_INDEX": "one", "CI_NODE_TOTAL": "4"}, "no number"),
    ("auto", {"CI_NODE_INDEX": "0", "CI_NODE_TOTAL": "4"}, "no part 0 of 4"),
    ("auto", {"CIRCLE_NODE_INDEX": "4", "CIRCLE_NODE_TOTAL": "4"}, "no part 5 of 4"),
    ("auto", {"JOB_COMPLETION_INDEX": "1"}, "JOB_COMPLETIONS: is not set"),
    ("auto/3", {"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "4"}, "--shard says 3"),
    ("auto", {"SLURM_ARRAY_TASK_ID": "4", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_STEP": "3"}, "evenly"),
    ("auto", {"SLURM_ARRAY_TASK_ID": "9", "SLURM_ARRAY_TASK_COUNT": "3"}, "no part 10 of 3"),
    *((text, {}, "names no part") for text in ("", "2", "2/", "/4", "a/4", "-1/4", "1/4/2", "auto/", "auto/x", "٢/٤")),
    *((text, {}, "there is no part") for text in ("0/4", "5/4", "0/0", "1/0", "1/100001")),
]


@pytest.mark.parametrize(("text", "environ", "told"), WRONG)
def test_what_names_no_part_is_refused(text: str, environ: dict[str, str], told: str) -> None:
    """Never a guess: two machines that take the same part would leave another unrun."""
    with pytest.raises(InputError, match=re.escape(told)):
        parse_part(text, environ)


def test_n_can_be_given_where_the_scheduler_does_not_tell_it() -> None:
    """Kubernetes tells each pod its index only."""
    assert str(parse_part("auto/3", {"JOB_COMPLETION_INDEX": "2"})) == "3/3"


@settings(max_examples=40)
@given(st.sets(st.text(max_size=9), min_size=1, max_size=20), st.integers(1, 9), st.text(max_size=9))
def test_every_case_is_of_exactly_one_part(ids: set[str], count: int, another: str) -> None:
    """Whatever the ids; and another case moves none."""
    cases = [make_case(id) for id in sorted(ids)]
    parts = [Part(index=index, count=count) for index in range(1, count + 1)]
    held = [case.id for part in parts for case in part.of(cases)]
    assert sorted(held) == sorted(ids)
    more = [*cases, make_case(another)] if another not in ids else cases
    for part in parts:
        assert [case for case in part.of(more) if case.id != another] == [
            case for case in part.of(cases) if case.id != another
        ]


def test_large_categories_are_spread_over_the_parts() -> None:
    """A thousand cases in four parts: each has a quarter of every category, give or take a few."""
    cases = [make_case(f"{name}-{number}", categories=(name,)) for name in ("a", "b") for number in range(1000)]
    for index in range(1, 5):
        held = Part(index=index, count=4).of(cases)
        for name in ("a", "b"):
            assert 200 < sum(case.categories == (name,) for case in held) < 300


def test_the_document_names_every_scheduler() -> None:
    """docs/scale.md has the table that the program has."""
    text = (Path(__file__).parents[2] / "docs" / "scale.md").read_text("utf-8")
    rows = re.findall(r"^\| ([^|`]+) \| `(\w+)` \| `(\w+)` \| (?:`(\w+)`|(\d)) \|$", text, re.MULTILINE)
    assert rows == [
        (s.name, s.index, s.count, s.first_from or "", "" if s.first_from else str(s.first)) for s in SCHEDULERS
    ]
