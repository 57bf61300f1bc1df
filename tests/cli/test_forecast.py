"""What a run would cost, said before its first call: `validate`, and `run --dry-run`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from kit import Project, answers, build

CONFIG = """\
version: 1
suite: asked
evalsets: [evalsets/*.yaml]
endpoint: {{kind: openai, base_url: "{url}", model: {model}, params: {{{params}}}{price}}}
{more}
"""
PRICE = ", price: {input_per_mtok_usd: 1, output_per_mtok_usd: 10}"
CASES = 10


def suite(
    project: Project,
    *,
    url: str = "http://127.0.0.1:9/v1",
    model: str = "small",
    params: str = "max_tokens: 100",
    price: str = PRICE,
    more: str = "",
    scorers: str = "[exact]",
) -> None:
    """Ten cases whose questions have 40 bytes: 10 tokens, and 4 around the message."""
    text = "".join(f"  - {{id: c-{n}, category: facts, input: '{'abcd' * 10}', expected: a}}\n" for n in range(CASES))
    project.write("evalsets/asked.yaml", f"name: asked\nscorers: {scorers}\ncases:\n{text}")
    project.write("evalgate.yaml", CONFIG.format(url=url, model=model, params=params, price=price, more=more))


def estimate(project: Project, *arguments: str) -> Any:
    said = project.evalgate(*(arguments or ("validate",)), "--format", "json")
    assert said.code == 0, said.err
    return said.json


def test_the_cost_is_told_by_the_prompts_before_there_is_a_history(project: Project) -> None:
    """14 tokens a question at 1 USD a million, 100 an answer at 10; ten first calls, 20 repeats, 160 fresh calls."""
    suite(project)
    found = estimate(project)
    assert (found["calls"], found["calls_max"]) == (10, 10 + 20 + 160)
    assert (found["tokens_in"], found["tokens_out_max"], found["cost_basis"]) == (140, 1000, "prompts")
    assert found["cost_usd_min"] == pytest.approx(140e-6)
    assert found["cost_usd"] == pytest.approx(140e-6 + 1000 * 10e-6)
    assert found["cost_usd_max"] == pytest.approx(19 * (140e-6 + 1000 * 10e-6), abs=1e-6)
    assert found["cost_unknown"] is None
    assert "cost: 0.00014 USD to 0.010 USD for the first calls" in project.evalgate("validate").out


def test_an_unknown_price_is_null_and_says_what_to_write(project: Project) -> None:
    """Never 0, in no figure."""
    suite(project, price="")
    found = estimate(project)
    assert [found[name] for name in ("cost_usd_min", "cost_usd", "cost_usd_max", "cost_basis")] == [None] * 4
    assert "`endpoint.price`" in found["cost_unknown"]
    assert (found["tokens_in"], found["tokens_out_max"]) == (140, 1000)
    assert "cost: unknown before the first call" in project.evalgate("validate").out


def test_answers_without_a_limit_have_no_highest_price(project: Project) -> None:
    """What the questions cost is known all the same."""
    suite(project, params="")
    found = estimate(project)
    assert (found["cost_usd"], found["cost_usd_min"]) == (None, pytest.approx(140e-6))
    assert (found["tokens_in"], found["tokens_out_max"]) == (140, None)
    assert "`endpoint.params.max_tokens`" in found["cost_unknown"]


def test_a_published_price_is_known(project: Project) -> None:
    """By the list, where nobody has written one."""
    suite(project, url="https://api.openai.com/v1", model="gpt-4o-mini", price="")
    found = estimate(project)
    assert found["cost_basis"] == "prompts" and 0 < found["cost_usd_min"] < found["cost_usd"]


def test_judges_are_in_it(project: Project) -> None:
    """Each sees a prompt of its own, the question, and an answer as long as it may be."""
    scorers = "[{judge: {rubric: right?, samples: 2}}]"
    judge = 'judge: {kind: openai, base_url: "http://127.0.0.1:9/v1", model: j, params: {max_tokens: 10}PRICE}'
    suite(project, scorers=scorers, more=judge.replace("PRICE", PRICE))
    found = estimate(project)
    assert (found["judge_calls"], found["tokens_out_max"]) == (20, 1000 + 20 * 10)
    assert found["tokens_in"] > 140 + 20 * 300
    assert "20 calls to judges, up to 380 with every further call" in project.evalgate("validate").out
    suite(project, scorers=scorers, more=judge.replace("PRICE", ""))
    assert "`judge.price`" in estimate(project)["cost_unknown"]


def test_other_kinds_tell_their_price_with_their_answers(project: Project) -> None:
    """Nobody knows it before, and afterwards earlier runs do."""
    build(project, categories={"facts": 12})
    assert "kind python" in estimate(project)["cost_unknown"]
    project.evalgate("run")
    found = estimate(project)
    assert (found["cost_usd"], found["cost_basis"]) == (pytest.approx(0.012), "history")


def test_the_limits_of_the_run_bound_it(project: Project) -> None:
    """And a part of the eval set costs its part: a dry run takes the options of a run."""
    suite(project, more="run: {max_calls: 50, budget_usd: 2}")
    found = estimate(project, "run", "--dry-run", "--sample", "5", "--epochs", "3")
    assert (found["cases"], found["calls"], found["calls_max"]) == (5, 15, 50)
    assert (found["max_calls"], found["budget_usd"], found["selection"]) == (50, 2.0, "--sample 5 --seed 0")
    said = project.evalgate("validate").out
    assert "the run stops at 2.00 USD or 50 calls" in said
    assert "fresh calls before a block, all within the 50 of run.max_calls" in said


def test_a_small_budget_is_not_shown_as_none(project: Project) -> None:
    suite(project, more="run: {budget_usd: 0.0006}")
    assert "the run stops at 0.00060 USD" in project.evalgate("validate").out


def test_the_calls_that_are_told_add_up_to_the_most(project: Project) -> None:
    """First calls, repeats and fresh calls each have their number; fixed epochs are not repeated, but called anew."""
    suite(project)
    found = estimate(project)
    assert found["calls"] + found["repeats_max"] + found["fresh_calls_max"] == found["calls_max"]
    assert (
        "up to 20 repeats of what is in doubt and 160 fresh calls before a block\n" in project.evalgate("validate").out
    )
    said = project.evalgate("run", "--dry-run", "--epochs", "3").out
    assert "up to 160 fresh calls before a block\n" in said and "repeats of" not in said
    suite(project, more="gate: {confirm: false, max_epochs: 1}")
    assert "where needed" not in project.evalgate("validate").out


@pytest.mark.parametrize(("deadline", "is_told"), [(89, True), (90, False), ("null", False)])
def test_a_pace_that_cannot_keep_the_deadline_is_told_before_the_first_call(
    project: Project, deadline: object, is_told: bool
) -> None:
    """Ten calls at six a minute: the first at once, nine more at ten seconds each."""
    suite(project, more=f"run: {{requests_per_minute: 6, deadline_s: {deadline}}}")
    warning = "warning: at 6 requests a minute 10 calls take 1 min 30 s, run.deadline_s is 89 s"
    assert (warning in estimate(project)["remarks"]) == (warning in project.evalgate("validate").out) == is_told


def test_of_a_large_suite_some_prompts_stand_for_all(project: Project) -> None:
    """Not one is left out of the sum."""
    suite(project)
    rows = [{"id": f"r-{n}", "category": "facts", "input": "abcd" * 10, "expected": "a"} for n in range(4_991)]
    project.rows("evalsets/more.jsonl", rows)
    file = project.folder / "evalsets" / "asked.yaml"
    file.write_text(file.read_text() + "cases_from: more.jsonl\n")
    assert estimate(project)["tokens_in"] == 14 * 5_001


def test_there_is_no_estimate_in_markdown(project: Project) -> None:
    suite(project)
    said = project.evalgate("validate", "--format", "markdown")
    assert (said.code, said.out) == (2, "")
    assert "no estimate in markdown" in said.err


def test_every_field_of_the_estimate_is_documented(project: Project) -> None:
    """In the table beside the keys that make it."""
    suite(project)
    told = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text("utf-8")
    assert [name for name in estimate(project) if f"`{name}`" not in told and name not in ("schema", "valid")] == []


def test_a_part_is_told_alone(project: Project) -> None:
    """Its calls and its share of the limits; no repeats and no fresh calls, since it is not judged."""
    suite(project, more="run: {max_calls: 50, budget_usd: 2}")
    parts = [estimate(project, "run", "--dry-run", "--shard", f"{index}/2") for index in (1, 2)]
    assert sum(part["calls"] for part in parts) == CASES and all(0 < part["calls"] < CASES for part in parts)
    for part in parts:
        assert (part["calls_max"], part["max_calls"], part["budget_usd"]) == (part["calls"], 25, 1.0)
        assert "not judged" in part["remarks"][0]
    assert not list(project.folder.glob("*.evalrun"))
    empty = [estimate(project, "run", "--dry-run", "--shard", f"{index}/60") for index in range(1, 6)]
    assert 0 in [part["calls"] for part in empty]
    assert next(part["cost_usd"] for part in empty if part["calls"] == 0) == 0
    for wrong in (["0/2"], ["1/2", "--baseline", "abcd"], ["1/2", "--write", "junit=x.xml"]):
        assert project.evalgate("run", "--dry-run", "--shard", *wrong).code == 2


def test_of_a_resumed_run_the_rest_is_told(project: Project) -> None:
    """As many calls as it then makes, and exit 2 where there is nothing to go on with; the journal is only read."""
    build(project, categories={"facts": 12})
    resumed = ("run", "--dry-run", "--resume")
    assert project.evalgate(*resumed).code == 2 and not (project.folder / ".evalgate").exists()
    config = project.folder / "evalgate.yaml"
    text = config.read_text()
    config.write_text(text.replace("max_retries: 0", "max_retries: 0, max_calls: 5"))
    answers(project, {"facts-0": "boom"})
    project.evalgate("run", "--epochs", "1")
    answers(project, {"facts-0": None})
    config.write_text(text)
    (journal,) = (project.folder / ".evalgate" / "journal").glob("*.jsonl")
    before = journal.read_bytes()
    found = estimate(project, *resumed, "--epochs", "1")
    assert found["kept"] + found["calls"] == 12 and 3 <= found["kept"] <= 5
    assert f"{found['calls']} calls beside {found['kept']} that are answered" in project.evalgate(*resumed).out
    assert project.evalgate(*resumed, "nobody").code == 2 and journal.read_bytes() == before
    done = project.evalgate("run", "--resume", "--epochs", "1", "--format", "json").json
    assert done["usage"]["calls"] == 5 + found["calls"]


def test_a_dry_run_refuses_what_a_run_refuses(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers without an engine, an engine that there is not, one that is not installed."""
    monkeypatch.setitem(sys.modules, "ray", None)
    build(project, categories={"facts": 2})
    for wrong in (["--workers", "2"], ["--engine", "spark"], ["--engine", "ray"]):
        said = project.evalgate("run", "--dry-run", *wrong)
        assert (said.code, said.out) == (2, "") and wrong[0] in said.err
        assert said.err == project.evalgate("run", *wrong).err
