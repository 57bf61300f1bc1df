"""What is read equals what was written, whatever was written."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from builders import NOON, make_failed, make_output, make_run, make_scored
from history_builders import rows_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalgate.history.store import History
from evalgate.records import (
    CaseRef,
    Confirmation,
    Failed,
    Output,
    Result,
    Run,
    Score,
    Scored,
    Source,
    Stage,
    Step,
    ToolCall,
    Usage,
    Version,
)

# Surrogates, NUL and the mark of escaped texts are drawn often: they are what breaks databases.
TEXT = st.text(st.one_of(st.characters(), st.sampled_from("\x00\x01\ud800\udfff é😀'\"%\\")), max_size=12)
MAYBE_TEXT = st.none() | TEXT
COUNT = st.integers(0, 2**62)
NUMBER = st.floats(0, 1e9)
RATE = st.floats(0, 1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
MAPPING = st.dictionaries(TEXT, JSON, max_size=3)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


OUTPUTS = st.builds(
    Output,
    text=MAYBE_TEXT,
    data=JSON,
    tool_calls=st.lists(st.builds(ToolCall, name=TEXT, arguments=JSON), max_size=2).map(tuple),
    contexts=maybe(st.lists(JSON, max_size=2).map(tuple)),
    latency_s=maybe(NUMBER),
    tokens_in=maybe(COUNT),
    tokens_out=maybe(COUNT),
    cost_usd=maybe(NUMBER),
    model=MAYBE_TEXT,
    system_fingerprint=MAYBE_TEXT,
    response_id=MAYBE_TEXT,
    finish_reason=MAYBE_TEXT,
    cached=st.booleans(),
)
SCORES = st.builds(Score, scorer=TEXT, value=RATE, reason=TEXT, version=TEXT, weight=st.floats(0.01, 100))
ATTEMPTS = st.integers(1, 9)
CASES = st.builds(
    CaseRef,
    id=TEXT,
    categories=st.lists(TEXT, min_size=1, max_size=2, unique=True).map(tuple),
    content=MAYBE_TEXT,
    scorers=MAYBE_TEXT,
    critical=st.booleans(),
    cluster=MAYBE_TEXT,
    tags=st.lists(TEXT, max_size=2).map(tuple),
    input=JSON,
    expected=JSON,
    metadata=MAPPING,
    source=maybe(st.builds(Source, file=TEXT, line=st.integers(1, 10**6))),
)


@st.composite
def results(draw: st.DrawFn, case_id: str, epoch: int) -> Result:
    if draw(st.booleans()):
        return Scored(
            case_id=case_id,
            epoch=epoch,
            score=draw(RATE),
            scores=tuple(draw(st.lists(SCORES, max_size=2))),
            output=draw(OUTPUTS),
            attempts=draw(ATTEMPTS),
        )
    return Failed(
        case_id=case_id,
        epoch=epoch,
        stage=draw(st.sampled_from(Stage)),
        cause=draw(TEXT),
        output=draw(maybe(OUTPUTS)),
        attempts=draw(ATTEMPTS),
    )


NAMES = st.lists(TEXT, max_size=2).map(tuple)
STEPS = st.builds(Step, epochs=st.integers(1, 9), categories=NAMES, is_last=st.booleans())


@st.composite
def confirmations(draw: st.DrawFn) -> Confirmation:
    def side() -> tuple[Result, ...]:
        return tuple(draw(results(draw(TEXT), epoch)) for epoch in range(1, draw(st.integers(0, 2)) + 1))

    return Confirmation(
        categories=draw(NAMES), epochs=draw(st.integers(1, 9)), after=side(), before=side(), how=draw(TEXT)
    )


@st.composite
def runs(draw: st.DrawFn) -> Run:
    cases = draw(st.lists(CASES, max_size=3, unique_by=lambda case: case.id))
    moment = draw(st.datetimes(datetime(1900, 1, 1), datetime(2999, 1, 1)))
    return Run(
        id=draw(st.uuids()).hex,
        suite=draw(TEXT),
        created=moment.replace(tzinfo=UTC),
        cases=tuple(sorted(cases, key=lambda case: case.id)),
        results=tuple(
            draw(results(case.id, epoch))
            for case in sorted(cases, key=lambda case: case.id)
            for epoch in range(1, draw(st.integers(0, 2)) + 1)
        ),
        epochs=draw(st.integers(1, 9)),
        commit=draw(MAYBE_TEXT),
        branch=draw(MAYBE_TEXT),
        version=Version(id=draw(MAYBE_TEXT), parts=draw(MAPPING)),
        evalset=draw(MAYBE_TEXT),
        selection=draw(MAYBE_TEXT),
        stopped=draw(MAYBE_TEXT),
        origin=draw(st.sampled_from(["run", "import"])),
        usage=draw(
            st.builds(
                Usage,
                calls=COUNT,
                calls_saved=COUNT,
                tokens_in=maybe(COUNT),
                tokens_out=maybe(COUNT),
                cost_usd=maybe(NUMBER),
                wall_s=maybe(NUMBER),
            )
        ),
        steps=tuple(draw(st.lists(STEPS, max_size=2))),
        against=draw(NAMES),
        confirmation=draw(maybe(confirmations())),
        metadata=draw(MAPPING),
    )


# Rules of hypothesis: a fixture is not renewed between examples. One store for all of them is what is meant here.
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=runs())
def test_a_run_is_read_as_it_was_written(store_url: str, written: Run) -> None:
    """Every field of every record survives, whatever it holds."""
    with History.open(store_url) as history:
        try:
            history.write_run(written)
        except Exception as error:
            if "already" not in str(error):  # hypothesis may draw an id twice
                raise
            return
        assert written == history.read_run(written.id)


@pytest.mark.parametrize(
    "text",
    ["", "x" * 1_000_000, "\ud83d", "a\x00b", '\x01"not json', "zwölf 😀 日本", "%s ? :name", "\x01"],
    ids=["empty", "big", "lone surrogate", "NUL", "mark", "unicode", "placeholders", "mark alone"],
)
def test_texts_that_databases_dislike_survive(store_url: str, text: str) -> None:
    """A model may answer anything; none of it breaks the store or comes back changed."""
    written = make_run(
        results=[make_scored("a", output=make_output(text, data={text: [text]}, model=text))],
        categories={"a": [text or "none"]},
    )
    with History.open(store_url) as history:
        history.write_run(written)
        assert written == history.read_run("run-1")


def test_nothing_and_emptiness_stay_apart(store_url: str) -> None:
    """None is unknown, "" and () are known to be empty: they are different facts."""
    outputs = [Output(text=None, contexts=None), Output(text="", contexts=(), model="")]
    written = make_run(results=[make_scored("a", epoch=n + 1, output=output) for n, output in enumerate(outputs)])
    with History.open(store_url) as history:
        history.write_run(written)
        assert outputs == [result.output for result in history.read_run("run-1").results]


def test_times_are_exact_and_in_utc(store_url: str) -> None:
    """Microseconds survive, and a time told in another zone is the same moment in UTC."""
    moment = datetime(2026, 3, 1, 1, 30, 0, 1, tzinfo=timezone(timedelta(hours=2)))
    with History.open(store_url) as history:
        history.write_run(replace(make_run(), created=moment))
        found = history.read_run("run-1").created
    assert (moment, timedelta(0)) == (found, found.utcoffset())


def test_a_time_without_zone_is_refused(store_url: str) -> None:
    """A local time would sort wrongly in another place: it is our fault, and loud."""
    with History.open(store_url) as history, pytest.raises(Exception, match="without time zone"):
        history.write_run(replace(make_run(), created=datetime(2026, 3, 1)))


def test_the_order_of_keys_is_kept(store_url: str) -> None:
    """A prompt's JSON reads as it was written."""
    with History.open(store_url) as history:
        history.write_run(replace(make_run(), metadata={"b": 1, "a": {"z": 1, "y": 2}}))
        found = history.read_run("run-1").metadata
    assert [list(found), list(found["a"])] == [["b", "a"], ["z", "y"]]


def test_runs_of_one_eval_set_share_its_cases(store_url: str) -> None:
    """The texts of an eval set are kept once, not once a run; another content is another text."""
    case = CaseRef(id="a", categories=("facts",), input="2 + 2?", expected="4")
    with History.open(store_url) as history:
        for number in range(3):
            history.write_run(replace(make_run(f"same-{number}"), cases=(case,)))
        history.write_run(replace(make_run("moved"), cases=(replace(case, source=Source(file="a.yaml", line=3)),)))
        history.write_run(replace(make_run("other"), cases=(replace(case, input="2 + 3?"),)))
    assert [rows_of(store_url, table) for table in ("plans", "case_texts")] == [3, 2]


def test_summaries_follow_the_definitions(store_url: str) -> None:
    """Scores are per case first, cached answers have no speed, and the unknown has no row.

    By hand: case a scored 1 and 0 in its epochs -> 0.5; case b scored 1; case c failed. Mean 0.75 over 2 cases; 1 of 4
    results unscored. Latencies 1 and 3 (the cached 100 does not count): median 2, p95 2.9. Tokens 10 + 5 of one call.
    """
    written = make_run(
        results=[
            make_scored("a", 1.0, output=Output(latency_s=1.0, tokens_in=10, tokens_out=5)),
            make_scored("a", 0.0, epoch=2, output=Output(latency_s=3.0, tokens_in=10)),
            make_scored("b", 1.0, output=Output(latency_s=100.0, cost_usd=9.0, cached=True)),
            Failed(case_id="c", epoch=1, stage=Stage.ENDPOINT, cause="500"),
        ],
        categories={"a": ["x"], "b": ["x", "y"], "c": ["z"]},
    )
    with History.open(store_url) as history:
        history.write_run(written)
        rows = {(row.category, row.metric): (round(row.value, 9), row.n) for row in history.summaries(suite="suite")}
    assert rows == {
        ("*", "score"): (0.75, 2),
        ("*", "error_rate"): (0.25, 4),
        ("*", "latency_p50_s"): (2.0, 2),
        ("*", "latency_p95_s"): (2.9, 2),
        ("*", "tokens_per_call"): (15.0, 1),
        ("x", "score"): (0.75, 2),
        ("x", "error_rate"): (0.0, 3),
        ("x", "latency_p50_s"): (2.0, 2),
        ("x", "latency_p95_s"): (2.9, 2),
        ("x", "tokens_per_call"): (15.0, 1),
        ("y", "score"): (1.0, 1),
        ("y", "error_rate"): (0.0, 1),
        ("z", "error_rate"): (1.0, 1),
    }


def test_what_was_called_to_confirm_does_not_count_as_the_runs_own(store_url: str) -> None:
    """Counts, score, figures and usage are the run's own, whatever both sides of the confirmation answered."""
    alone = replace(make_run("alone", facts=[1, 1, 0, None]), usage=Usage(calls=4, cost_usd=0.5))
    again = Confirmation(
        categories=("facts",),
        epochs=2,
        after=(make_scored("facts-0", 0.0), make_failed("facts-0", epoch=2)),
        before=(make_scored("facts-0", 0.0, output=Output(latency_s=9.0)), make_scored("facts-0", 0.0, epoch=2)),
        how="its requests were sent again",
    )
    confirmed = replace(alone, id="confirmed", confirmation=again)
    with History.open(store_url) as history:
        for run in (alone, confirmed):
            history.write_run(run)
        first, second = history.list_runs()
        figures = [
            [
                (row.category, row.metric, row.value, row.n)
                for row in history.summaries(suite="suite")
                if row.run_id == i
            ]
            for i in ("alone", "confirmed")
        ]
        assert confirmed == history.read_run("confirmed")
    assert replace(first, id="") == replace(second, id="")
    assert figures[0] == figures[1]


def test_summaries_come_oldest_run_first(store_url: str) -> None:
    """A trend reads from left to right."""
    with History.open(store_url) as history:
        for number, minutes in enumerate((5, 0, 10)):
            history.write_run(make_run(f"run-{number}", minutes=minutes, b=[1], a=[1]))
        rows = history.summaries(suite="suite", since=NOON + timedelta(minutes=1))
    assert [(row.run_id, row.category) for row in rows if row.metric == "score"] == [
        ("run-0", "*"),
        ("run-0", "a"),
        ("run-0", "b"),
        ("run-2", "*"),
        ("run-2", "a"),
        ("run-2", "b"),
    ]


def test_what_is_no_json_does_not_lose_the_run(store_url: str) -> None:
    """A recorded row may carry a date: the run was paid for, so it is kept, the date as its text."""
    with History.open(store_url) as history:
        history.write_run(replace(make_run(), metadata={"day": NOON.date(), "odd": {1: "x"}, "inf": math.inf}))
        assert {"day": "2026-11-01", "odd": {"1": "x"}, "inf": math.inf} == history.read_run("run-1").metadata


def test_ids_with_any_characters_work(store_url: str) -> None:
    """A name is a name: % and _ are no wildcards."""
    with History.open(store_url) as history:
        for run_id in ("100%_a", "100xya"):
            history.write_run(make_run(run_id))
        assert history.read_run("100%").id == "100%_a"
