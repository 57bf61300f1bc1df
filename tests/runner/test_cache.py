"""Which questions are the same, and what a run makes of an answer that it need not ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import make_case, make_output
from hypothesis import given, settings
from hypothesis import strategies as st
from runner_fakes import HEADER, FakeEndpoint, FakeScorer, Watcher, go, make_cases, render, resumed

from evalgate.errors import CallError, CallFault
from evalgate.records import Output, Request, Scored, ToolCall
from evalgate.runner.cache import Remembering
from evalgate.runner.cache_file import CacheFile
from evalgate.runner.journal import Journal
from evalgate.runner.judgement import judgement, judging

# ---- the key ----------------------------------------------------------------------------------------------------

JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
WORDS = st.lists(st.sampled_from(["a", "b", "ab"]), max_size=2).map(tuple)
QUESTIONS: Any = st.fixed_dictionaries(
    {
        "identity": st.dictionaries(st.sampled_from(["model", "url", "version"]), JSON, max_size=2),
        "id": st.sampled_from(["a", "b", "1"]),
        "epoch": st.integers(1, 3),
        "sample": st.none() | st.integers(1, 2),
        "messages": st.lists(st.dictionaries(st.sampled_from(["role", "content"]), JSON), max_size=2).map(tuple),
        "params": st.dictionaries(st.text(max_size=3), JSON, max_size=2),
        "input": JSON,
        "context": JSON,
        "categories": WORDS,
        "tags": WORDS,
        "metadata": st.dictionaries(st.text(max_size=3), JSON, max_size=2),
    }
)
OF_THE_CASE = ("input", "context", "categories", "tags", "metadata")


def _key(question: Mapping[str, Any], *, sees_case: bool, **judged_by: Any) -> bytes | None:
    case = make_case(question["id"], **{name: question[name] for name in OF_THE_CASE}, **judged_by)
    request = Request(
        case=case, epoch=question["epoch"], prompt="p", messages=question["messages"], params=question["params"]
    )
    nowhere: Any = None
    remembering = Remembering(nowhere, nowhere, question["identity"], sees_case=sees_case)
    return remembering.key(request, question["sample"])


def _seen(question: Mapping[str, Any], *, sees_case: bool) -> str:
    """What determines the answer, told apart by type: 1, 1.0 and true are three parameters."""
    return repr([value for name, value in question.items() if sees_case or name not in OF_THE_CASE])


@given(QUESTIONS, QUESTIONS, st.booleans(), st.sets(st.sampled_from(["identity", "epoch", *OF_THE_CASE, "params"])))
@settings(max_examples=60)
def test_questions_share_a_key_exactly_if_nothing_that_determines_the_answer_differs(
    one: dict[str, Any], two: dict[str, Any], sees_case: bool, taken: set[str]
) -> None:
    """Endpoint, messages, parameters, case, epoch; for kinds that see more of the case, all that they see."""
    two = {name: two[name] if name in taken else value for name, value in one.items()}
    is_same = _seen(one, sees_case=sees_case) == _seen(two, sees_case=sees_case)
    assert (_key(one, sees_case=sees_case) == _key(two, sees_case=sees_case)) == is_same


@given(QUESTIONS, st.booleans())
@settings(max_examples=30)
def test_what_judges_a_case_is_no_part_of_its_key(question: dict[str, Any], sees_case: bool) -> None:
    """Other scorers, another expectation: the answer is judged again, not asked again."""
    changed = {"expected": "5", "scorers": ("contains",), "critical": True, "cluster": "c", "template": "t"}
    assert _key(question, sees_case=sees_case) == _key(question, sees_case=sees_case, **changed)


def test_a_question_that_cannot_be_written_down_has_no_key() -> None:
    """A column whose keys are no texts ends no run: it is asked every time."""
    odd = make_case(metadata={"table": {(1, 2): "x"}})
    nobody: Any = None
    remembering = Remembering(FakeEndpoint(), nobody, {}, sees_case=True)
    request = render(odd, 1)
    assert remembering.key(request) is None
    assert remembering.recall(request) is None
    assert asyncio.run(remembering.call(request)).text == "4"


# ---- what is kept -----------------------------------------------------------------------------------------------


def _file(folder: Path) -> CacheFile:
    return CacheFile.open(folder / "cache", tell=pytest.fail)


def _again(folder: Path, answer: Output, *, sees_case: bool = False) -> Output | None:
    """What a second process knows of an answer that a first one was given."""
    with _file(folder) as file:
        first = Remembering(FakeEndpoint(lambda request, attempt: answer), file, {}, sees_case=sees_case)
        assert asyncio.run(first.call(render(make_case(), 1))) == answer
    with _file(folder) as file:
        return Remembering(FakeEndpoint(), file, {}, sees_case=sees_case).recall(render(make_case(), 1))


def test_an_answer_comes_back_whole_but_for_its_latency_and_cost(tmp_path: Path) -> None:
    """It took no time and cost nothing: it says so."""
    answer = Output(
        text="4",
        data={"a": [1]},
        tool_calls=(ToolCall(name="add", arguments={"x": 2}),),
        contexts=("p",),
        latency_s=1.5,
        tokens_in=3,
        tokens_out=1,
        cost_usd=0.1,
        model="m",
        response_id="r",
        finish_reason="length",
    )
    assert _again(tmp_path, answer) == replace(answer, latency_s=None, cost_usd=None, cached=True)


def test_what_json_would_change_is_not_kept(tmp_path: Path) -> None:
    """Code may answer with a tuple: as a list it would be another answer."""
    assert _again(tmp_path, Output(text="4", data=(1, 2)), sees_case=True) is None
    assert _again(tmp_path, Output(text="4", data={"when": object()}), sees_case=True) is None
    assert _again(tmp_path, Output(text="4", data=[1, 2]), sees_case=True) is not None


def test_a_failure_is_not_kept(tmp_path: Path) -> None:
    """It is asked again, by whoever comes."""

    def fail(request: Request, attempt: int) -> Output:
        raise CallError(CallFault.SERVER, "500")

    with _file(tmp_path) as file:
        remembering = Remembering(FakeEndpoint(fail), file, {}, sees_case=False)
        with pytest.raises(CallError):
            asyncio.run(remembering.call(render(make_case(), 1)))
        assert remembering.recall(render(make_case(), 1)) is None


# ---- in a run ---------------------------------------------------------------------------------------------------


def _run(
    folder: Path, endpoint: FakeEndpoint, *, reads: bool = True, journal: Journal | None = None, **more: Any
) -> Any:
    with _file(folder) as file:
        remembering = Remembering(endpoint, file, {"model": "m"}, sees_case=False, reads=reads)
        return asyncio.run(go(endpoint=remembering, recall=remembering.recall, journal=journal, **more))


def test_the_second_run_calls_nothing(tmp_path: Path) -> None:
    """Every result is there, judged; no call, no cost, all of it saved."""
    endpoint = FakeEndpoint()
    first, watcher = _run(tmp_path, endpoint, cases=20, epochs=2), Watcher()
    second = _run(tmp_path, endpoint, cases=20, epochs=2, progress=watcher)
    assert len(endpoint.asked) == 40
    assert [result.score for result in second.results] == [result.score for result in first.results]
    assert (second.usage.calls, second.usage.calls_saved, second.usage.cost_usd) == (0, 40, 0.0)
    assert all(result.output.cached for result in watcher.results)  # type: ignore[union-attr]


def test_other_scorers_call_nothing(tmp_path: Path) -> None:
    """Only the judgement is new."""
    endpoint = FakeEndpoint()
    _run(tmp_path, endpoint, cases=3)
    strict = _run(tmp_path, endpoint, cases=3, scorers=[FakeScorer(lambda case, output: 0.25, version="exact/2")])
    assert [result.score for result in strict.results] == [0.25] * 3
    assert len(endpoint.asked) == 3


def test_a_fresh_run_asks_anew_and_keeps_what_it_is_told(tmp_path: Path) -> None:
    """The newest answer is the one that is given again."""
    answers = iter("abc")
    endpoint = FakeEndpoint(lambda request, attempt: make_output(next(answers)))
    texts = [_run(tmp_path, endpoint, reads=reads).results[0].output.text for reads in (True, False, True)]
    assert texts == ["a", "b", "b"]


def test_answers_from_the_cache_do_not_hide_that_the_endpoint_refuses(tmp_path: Path) -> None:
    """A run of which half is known ends at the first refusal, as one does of which nothing is."""

    def refuse(request: Request, attempt: int) -> Output:
        raise CallError(CallFault.CREDENTIALS, "401")

    _run(tmp_path, FakeEndpoint(), cases=make_cases(30)[::2])
    outcome = _run(tmp_path, FakeEndpoint(refuse), cases=30, concurrency=1)
    assert "refuses every call" in outcome.stopped


def test_a_run_that_is_resumed_counts_what_it_saved(tmp_path: Path) -> None:
    """Results from the cache stand in the journal like any; going on neither asks them again nor pays for them."""
    endpoint = FakeEndpoint()
    _run(tmp_path, endpoint, cases=4)
    path = tmp_path / "journal" / "run.jsonl"
    with Journal.create(path, HEADER) as journal:
        _run(tmp_path, endpoint, cases=make_cases(6)[:4], journal=journal)
    journal, kept = resumed(path)
    with journal:
        assert all(isinstance(result, Scored) and result.output.cached for result in kept)
        outcome = _run(tmp_path, endpoint, cases=6, journal=journal)
    assert (outcome.usage.calls, outcome.usage.calls_saved, len(endpoint.asked)) == (2, 4, 6)


# ---- judgements -------------------------------------------------------------------------------------------------


def test_a_judge_is_told_which_answer_it_judges() -> None:
    """The same material for another case, epoch or sample is another question to it."""
    seen = []

    class Judge(FakeScorer):
        async def score(self, case: Any, output: Output) -> Any:
            under_way = judgement()
            seen.append(under_way and [under_way.sample("q"), under_way.sample("q")])
            return self.score_now(case, output)

    judge = Judge(is_async=True)
    asyncio.run(go(2, epochs=2, scorers=[judge], recall=lambda request: None, concurrency=1))
    assert sorted(seen) == [
        [[f"case-{case:04}", epoch, 1], [f"case-{case:04}", epoch, 2]] for case in (0, 1) for epoch in (1, 2)
    ]
    seen.clear()
    asyncio.run(go(1, scorers=[judge]))
    assert seen == [None], "without a cache there is nothing to tell apart"


def test_what_a_judge_said_is_kept_only_where_it_came_to_a_score() -> None:
    """A reply that could not be read would be met again at every run."""
    kept = []
    with pytest.raises(ValueError), judging("a", 1):
        under_way = judgement()
        assert under_way is not None
        under_way.afterwards.append(lambda: kept.append("garbage"))
        raise ValueError
    with judging("a", 1):
        under_way = judgement()
        assert under_way is not None
        under_way.afterwards.append(lambda: kept.append("4 of 5"))
        assert kept == []
    assert kept == ["4 of 5"]
    assert judgement() is None
