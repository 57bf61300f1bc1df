"""docs/endpoints.md, docs/gate.md and docs/decision.md say what the program takes and does: keys, defaults, examples,
figures."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import io
import json
import math
import os
import re
import statistics
import sys
import threading
from collections.abc import Mapping
from dataclasses import MISSING, Field
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from builders import make_case

import evalgate
from evalgate import decide, gate
from evalgate.config import load_config, load_items
from evalgate.demo.serve import make_server
from evalgate.endpoints import KINDS, Opening, Settings
from evalgate.endpoints.answers import FIELDS
from evalgate.endpoints.python_callable import PythonCallable
from evalgate.endpoints.recorded import Replay
from evalgate.endpoints.shell_command import Command
from evalgate.endpoints.templating import NAMES
from evalgate.errors import CallError, CallFault, InputError
from evalgate.gate import confirm, critical, looks, plan, reach
from evalgate.gate.rules import KEYS, LIMIT_NAMES, RULE_KEYS, Proof, Response, Rule, Rules, When, parse_rules
from evalgate.pipeline.suite import RunOptions, run_suite
from evalgate.records import ChangeKind, Output, Request, Status, VerdictName
from evalgate.rows import KNOWN
from evalgate.stats import floors
from evalgate.stats.detect import detectable_drop

DOCS = Path(__file__).resolve().parents[1] / "docs"
ENDPOINTS = (DOCS / "endpoints.md").read_text("utf-8")
GATE = (DOCS / "gate.md").read_text("utf-8")
DECISION = (DOCS / "decision.md").read_text("utf-8")
ENVIRON = {"ASK_KEY": "k", "JUDGE_KEY": "k"}


def section(text: str, title: str) -> str:
    """What stands under this heading, up to the next of the same or a higher level."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, title
    return re.split(rf"^{found[1]} ", found[2], flags=re.MULTILINE)[0]


def table(text: str, first: str) -> dict[str, list[str]]:
    """The rows of the table whose first header is this: each name in code in the first cell → the other cells."""
    found = re.search(rf"^\| {re.escape(first)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert found, f"no table of {first}"
    rows: dict[str, list[str]] = {}
    for line in found[1].splitlines():
        head, *rest = [cell.strip() for cell in line[1:-1].split("|")]
        rows.update(dict.fromkeys(re.findall(r"`([^`]+)`", head), rest))
    return rows


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


# ---- endpoints: keys and examples ---------------------------------------------------------------------------


def default_of(field: Field[Any]) -> str:
    """A field's default as the tables write it."""
    if field.default is MISSING and field.default_factory is MISSING:
        return "required"
    value = field.default if field.default_factory is MISSING else field.default_factory()
    if value is None:
        return "none"
    if isinstance(value, str):
        return f'`"{value}"`' if value != value.strip() else f"`{value}`"
    return f"`{json.dumps(value)}`"


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_every_key_of_a_kind_stands_in_its_table_with_its_default(kind: type[Settings]) -> None:
    """No more and no fewer."""
    told = table(section(ENDPOINTS, kind.kind), "key")
    assert {name: cells[0] for name, cells in told.items()} == {
        field.name: default_of(field) for field in dataclasses.fields(kind)
    }


def load(folder: Path, text: str) -> Any:
    """The configuration that this example makes in the smallest frame."""
    endpoint = "" if "endpoint:" in text else "endpoint: {kind: replay, file: outputs.jsonl}\n"
    (folder / "evalgate.yaml").write_text(f"version: 1\nsuite: s\nevalsets: [a.yaml]\n{endpoint}{text}", "utf-8")
    return load_config(folder / "evalgate.yaml", environ=ENVIRON, endpoint_kinds=KINDS, check_rules=gate.parse_rules)


def is_waivers(text: str) -> bool:
    """Whether an example is of the file of exceptions; they are tried where they are used."""
    return "waivers:" in text


@pytest.mark.parametrize(
    "text", [text for text in blocks(ENDPOINTS, "yaml") + blocks(GATE, "yaml") if not is_waivers(text)]
)
def test_every_yaml_example_loads(tmp_path: Path, text: str) -> None:
    """As it stands, keys and values checked."""
    config = load(tmp_path, text)
    written = yaml.safe_load(text)
    assert set(written) <= {"endpoint", "judge", "gate"}
    for key, kind in (("endpoint", config.endpoint_kind), ("judge", config.judge_kind)):
        if key in written:
            assert written[key]["kind"] == kind


def test_every_kind_has_an_example_and_a_link() -> None:
    """The list at the top leads to each section."""
    shown = {yaml.safe_load(text).get("endpoint", {}).get("kind") for text in blocks(ENDPOINTS, "yaml")}
    assert shown - {None} == set(KINDS)
    assert set(re.findall(r"^\| \[`(\w+)`\]\(#\1\)", ENDPOINTS, re.MULTILINE)) == set(KINDS)


def test_what_a_template_may_speak_of_is_told() -> None:
    """Every name, and that `expected` is none."""
    told = section(ENDPOINTS, "http")
    assert all(f"`{name}`" in told for name in NAMES)
    assert "not of `expected`" in told


# ---- endpoints: what goes in and comes out --------------------------------------------------------------------


def ask(folder: Path, settings: Settings, request: Request) -> Output:
    async def call() -> Output:
        opening = Opening(base_dir=folder, environ=os.environ, concurrency=1, timeout_s=20)
        async with settings.open(opening) as endpoint:
            return await endpoint.call(request)

    return asyncio.run(call())


def request_of(**changes: Any) -> Request:
    case = make_case("late-01", input="May I return it?", expected=None)
    prompt = "Question: May I return it?"
    return Request(case=case, epoch=1, prompt=prompt, messages=({"role": "user", "content": prompt},), **changes)


def test_the_answer_keys_of_the_table_are_those_that_are_taken() -> None:
    """For functions and programs."""
    assert set(table(section(ENDPOINTS, "python"), "key")) >= {"callable"}
    answers = section(ENDPOINTS, "python").split("**Out**")[1]
    assert set(table(answers, "key")) == set(FIELDS)
    attributes = {name.lstrip(".") for name in table(section(ENDPOINTS, "python"), "attribute")} - {"input"}
    assert {field.name for field in dataclasses.fields(Request)} <= attributes


def test_the_python_examples_answer_as_told(tmp_path: Path) -> None:
    """The first gives its fields, the second asks to be tried again."""
    for number, source in enumerate(blocks(section(ENDPOINTS, "python"), "python")):
        (tmp_path / f"documented_{number}.py").write_text(source, "utf-8")
    output = ask(tmp_path, PythonCallable(callable="documented_0:answer"), request_of())
    assert output.text == "You asked: Question: May I return it?"
    assert (output.contexts, output.tokens_in, output.model) == (
        ({"id": "returns#2", "text": "Within 30 days."},), 12, "mine-1",
    )  # fmt: skip
    with pytest.raises(CallError, match="the index is busy") as raised:
        ask(tmp_path, PythonCallable(callable="documented_1:answer"), request_of())
    assert raised.value.is_retryable
    told = section(ENDPOINTS, "python")
    assert {fault.name for fault in CallFault if CallError(fault, "").is_retryable} <= set(re.findall(r"`(\w+)`", told))


def test_a_command_is_given_and_may_give_what_the_document_shows(tmp_path: Path) -> None:
    """The question key by key, the answer as it stands."""
    question, answer = blocks(section(ENDPOINTS, "command"), "json")
    (tmp_path / "ask.py").write_text(
        "import json, sys\n"
        f"assert json.load(sys.stdin) == json.loads({question!r})\n"
        f"print({answer!r})\n",
        "utf-8",
    )  # fmt: skip
    output = ask(tmp_path, Command(command=[sys.executable, "ask.py"]), request_of())
    assert (output.text, output.contexts, output.tokens_in, output.tokens_out) == (
        "30 days", ("Within 30 days.",), 12, 3,
    )  # fmt: skip


def test_the_replay_rows_of_the_document_are_read(tmp_path: Path) -> None:
    """Text, structure and error; every key of the table is one that a row may have."""
    (rows,) = blocks(section(ENDPOINTS, "replay"), "json")
    (tmp_path / "outputs.jsonl").write_text(rows, "utf-8")
    settings = Replay(file="outputs.jsonl")
    first = ask(tmp_path, settings, request_of())
    assert (first.text, first.latency_s, first.contexts) == ("30 days", 0.8, ("Within 30 days.",))
    second = ask(tmp_path, settings, dataclasses.replace(request_of(), epoch=2))
    assert (second.data, second.model, second.cost_usd) == ({"days": 30}, "small-chat-1", 0.0001)
    missed = dataclasses.replace(request_of(), case=make_case("late-02"))
    with pytest.raises(CallError, match="recorded as an error: timed out"):
        ask(tmp_path, settings, missed)
    told = set(table(section(ENDPOINTS, "replay").split("One object a line")[1], "key"))
    assert told == {"id", "epoch", "output", "error", "latency_s", *FIELDS} - {"text", "data"}


def test_the_bundled_servers_contexts_are_where_the_document_points() -> None:
    """The example's JMESPath finds its passages."""
    from urllib.request import Request as UrlRequest
    from urllib.request import urlopen

    import jmespath

    example = next(text for text in blocks(ENDPOINTS, "yaml") if "citations" in text)
    settings = yaml.safe_load(example)["endpoint"]
    body = {"model": settings["model"], "messages": [{"role": "user", "content": "How many days of leave do I have?"}]}
    with make_server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            question = UrlRequest(
                f"{server.base_url}/chat/completions",
                headers={"content-type": "application/json"},
                data=json.dumps(body).encode(),
            )
            with urlopen(question) as reply:
                answer = json.load(reply)
        finally:
            server.shutdown()
            thread.join()
    found = jmespath.search(settings["contexts"], answer)
    assert found and all(passage["id"] and passage["content"] for passage in found)


def test_every_column_of_recorded_rows_is_told() -> None:
    """And the example is taken row by row."""
    told = section(ENDPOINTS, "Recorded results")
    assert set(table(told, "column")) == KNOWN
    rows = [json.loads(line) for line in blocks(told, "json")[0].splitlines()]
    verdict = decide(rows, [], {"limits": {"error_rate": 1}})
    assert (verdict.categories["*"].n, verdict.categories["*"].unscored) == (4, 1)
    assert verdict.categories["safety"].score == 0.75


# ---- the gate: keys -------------------------------------------------------------------------------------------

RULES = section(GATE, "Rules")


def test_every_key_under_gate_is_told_with_its_default() -> None:
    """No more and no fewer; written out, the defaults are what an empty gate has."""
    told = {name: cells[0] for name, cells in table(RULES, "key under `gate`").items()}
    assert set(told) == set(KEYS)
    assert told.pop("when") == "below"
    given = {name: None if default == "none" else yaml.safe_load(default.strip("`")) for name, default in told.items()}
    assert parse_rules(given) == Rules() == parse_rules({})
    apart = {"limits", "overall", "each_category"}
    for name in given.keys() - apart:
        default = getattr(Rules(), name)
        assert given[name] == (list(default) if isinstance(default, tuple) else default), name
    assert given["limits"] == {"error_rate": Rules().error_rate}
    assert given["overall"] == given["each_category"] == {"max_drop": Rule().max_drop}


def test_the_rules_of_the_document_are_taken_as_a_whole() -> None:
    """The example with an anchor and a critical category; without its floor it is refused."""
    example = yaml.safe_load(blocks(RULES, "yaml")[0])["gate"]
    rules = parse_rules(example)
    assert rules.anchor == "v1.0" and rules.of("safety").critical and rules.of("safety").min == 0.98
    del example["categories"]["safety"]["min"]
    with pytest.raises(InputError, match="there is no `min`"):
        parse_rules(example)


def test_every_key_of_a_rule_is_told_with_its_default() -> None:
    """And every value of `proof`."""
    told = {name: cells[0].strip("`") for name, cells in table(RULES, "key of a rule").items()}
    assert set(told) == set(RULE_KEYS)
    defaults = {name: None if text == "none" else yaml.safe_load(text) for name, text in told.items()}
    assert defaults == {name: getattr(Rule(), name) for name in RULE_KEYS}
    assert set(table(RULES, "`proof`")) >= {item.value for item in Proof}


def test_every_limit_is_told_with_its_default() -> None:
    """Only the error rate has one."""
    told = table(section(GATE, "Limits"), "limit")
    assert set(told) == set(LIMIT_NAMES)
    assert {name: cells[0] for name, cells in told.items() if cells[0] != "none"} == {
        "error_rate": f"`{Rules().error_rate}`"
    }


def test_every_answer_of_when_is_told_with_its_default_and_exit_code() -> None:
    """Each of them, and nothing else."""
    told = table(section(GATE, "When nothing is proven"), "key under `when`")
    assert {name: cells[0].strip("`") for name, cells in told.items()} == dataclasses.asdict(When())
    codes = {name: cells[1] for name, cells in told.items() if cells[1]}
    assert codes == {name: "3" if getattr(When(), name) is Response.STOP else "0" for name in When.__dataclass_fields__}


def test_every_kind_of_change_of_the_rules_is_told_with_what_weakens() -> None:
    """No more and no fewer."""
    rows = re.findall(r"^\| (`.*?) \|", section(GATE, "A change of the rules themselves"), re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(get_args(ChangeKind))


# ---- the gate: verdicts, statuses, the example ------------------------------------------------------------------


def test_verdicts_stand_in_their_order_and_statuses_all() -> None:
    """The first that applies wins."""
    verdicts = table(section(GATE, "Verdicts"), "verdict")
    assert list(verdicts) == [name.value for name in VerdictName]
    assert [verdicts[name][0] for name in ("error", "fail", "pass")] == ["3", "1", "0"]
    for name in ("not_comparable", "not_evaluated", "no_baseline", "inconclusive"):
        assert verdicts[name][0] == f"`when`, {3 if getattr(When(), name) is Response.STOP else 0}"
    assert set(table(section(GATE, "Verdicts"), "status")) == {status.value for status in Status}


def test_the_python_example_prints_what_the_document_says() -> None:
    """Line by line."""
    (code,), (expected,) = blocks(GATE, "python"), blocks(GATE, "text")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, "gate.md", "exec"), {})
    assert said.getvalue() == expected


def write_suite(folder: Path, right: int, *, asks: str = "May I?", rules: Mapping[str, Any] | None = None) -> Path:
    """A suite whose recorded outputs are right in so many of 40 cases of refunds, and in all 80 of another category."""
    categories = ["refunds"] * 40 + ["other"] * 80
    cases = [{"id": f"q{n}", "category": name, "input": asks, "expected": "yes"} for n, name in enumerate(categories)]
    rows = [{"id": f"q{n}", "output": "no" if right <= n < 40 else "yes"} for n in range(len(categories))]
    (folder / "cases.jsonl").write_text("\n".join(map(json.dumps, cases)), "utf-8")
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    (folder / "a.yaml").write_text("scorers: [exact]\ncases_from: cases.jsonl\n", "utf-8")
    endpoint = {"kind": "replay", "file": "rows.jsonl"}
    config = {"suite": "s", "evalsets": ["a.yaml"], "endpoint": endpoint, "gate": rules or {}}
    (folder / "evalgate.yaml").write_text(json.dumps(config), "utf-8")
    return folder / "evalgate.yaml"


def outcome(config: Path, **options: Any) -> tuple[str, int]:
    verdict = run_suite(RunOptions(config=config, environ={}, **options)).verdict
    return verdict.verdict.value, verdict.exit_code


def test_an_intended_drop_is_accepted_as_the_document_says(tmp_path: Path) -> None:
    """By a waiver down to its level and no further, or by recording a new start without judging it."""
    outcome(write_suite(tmp_path, 40))
    assert outcome(write_suite(tmp_path, 35)) == ("fail", 1)
    waivers = next(filter(is_waivers, blocks(GATE, "yaml")))
    # Whoever reads it writes a day to come, as here.
    (tmp_path / "evalgate-exceptions.yaml").write_text(re.sub(r"expires: [\d-]+", "expires: 2999-12-31", waivers))
    assert outcome(write_suite(tmp_path, 35)) == ("pass", 0)
    assert outcome(write_suite(tmp_path, 20)) == ("fail", 1)
    assert outcome(write_suite(tmp_path, 20), gated=False)[1] == 0
    assert outcome(write_suite(tmp_path, 20)) == ("pass", 0)


def test_a_changed_eval_set_is_let_through_as_the_document_says(tmp_path: Path) -> None:
    """By `when`, for the one change, after which the new cases have a history."""
    outcome(write_suite(tmp_path, 40))
    assert outcome(write_suite(tmp_path, 40, asks="May I really?")) == ("not_comparable", 3)
    rules = {"when": {"not_comparable": "warn"}}
    assert outcome(write_suite(tmp_path, 40, asks="May I really?", rules=rules)) == ("not_comparable", 0)
    assert outcome(write_suite(tmp_path, 40, asks="May I really?")) == ("pass", 0)


def test_items_of_an_eval_set_may_be_a_data_file(tmp_path: Path) -> None:
    """What `--evalset` takes."""
    (tmp_path / "items.jsonl").write_text('{"id": "late-01", "category": "refunds"}\n', "utf-8")
    assert [case.id for case in load_items(tmp_path / "items.jsonl").cases] == ["late-01"]


# ---- the decision: figures, sections, the picture -------------------------------------------------------------


def rows(text: str, first: str) -> list[list[str]]:
    """The cells of every row of the table whose first header is this."""
    found = re.search(rf"^\| {re.escape(first)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert found, f"no table of {first}"
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in found[1].splitlines()]


def made_up_history(seed: int, cases: int, runs: int) -> list[tuple[float, ...]]:
    """Right-or-wrong scores of cases that pass 85 % of the time and are of middling flakiness."""
    rng = np.random.default_rng([1, seed, cases, runs])
    rates = rng.beta(0.85 * 0.6, 0.15 * 0.6, cases)
    return [tuple((rng.random(runs) < rate).astype(float)) for rate in rates]


@pytest.mark.parametrize(("repeats", "fixed"), [("as needed", None), ("three", 3), ("one", 1)])
@pytest.mark.parametrize("runs", [1, 5])
def test_the_detectable_drops_of_the_document_are_what_the_code_works_out(
    repeats: str, fixed: int | None, runs: int
) -> None:
    """The smallest and a middling category of the table, to a point."""
    told = next(row for row in rows(DECISION, "repeats") if row[0].startswith(repeats) and row[1] == str(runs))
    for cases, points in ((10, told[2]), (50, told[4])):
        stages = reach.stages(Rules(), "one", 12, fixed, cases=cases)
        drops = [detectable_drop(made_up_history(seed, cases, runs), stages) or 1.0 for seed in range(15)]
        assert float(points) == pytest.approx(100 * statistics.median(drops), abs=1), cases


@pytest.mark.parametrize("row", rows(DECISION, "floor"), ids=lambda row: row[0])
def test_so_many_cases_prove_a_critical_floor_as_the_document_says(row: list[str]) -> None:
    """All of them right: that many prove it, one fewer does not."""
    floor = float(row[0].strip("`").removeprefix("min: "))

    def proves(cases: int, repeats: int, *, has_history: bool) -> bool:
        if has_history:
            p = floors.history_floor_p(0.0, 1 - floor, cases=cases, repeats=repeats, variance=0.0)
        else:
            p = floors.binomial_floor_p(0, cases * repeats, 1 - floor)
        return p <= Rules().alpha

    columns = [(1, False), (critical.REPEATS, False), (1, True), (critical.REPEATS, True)]
    for cell, (repeats, has_history) in zip(row[1:], columns, strict=True):
        assert proves(int(cell), repeats, has_history=has_history), (cell, repeats)
        assert not proves(int(cell) - 1, repeats, has_history=has_history), (cell, repeats)


def test_the_looks_are_told_with_the_numbers_of_the_code() -> None:
    """Repeats, parts of alpha, and up to which p anybody is repeated further, by size and by what calls are left."""
    told = section(DECISION, "4. Looks")
    parts, *categories, suite, ample = rows(told, "look")
    assert [f"{share:.0%}".replace("%", " %") for share in looks.SHARES] == parts[1:4]
    assert ", ".join(f"{share * 100:.0f}" for share in looks.LAST_SHARES) + " %" == parts[5]
    for row, (size, limits) in zip(categories, looks.GO_ON, strict=True):
        assert [f"{most:.2f}"[1:] for most in limits] == row[1:4]
        assert f"of up to {size} cases" in row[0] or (math.isinf(size) and "larger" in row[0])
    assert [f"{most:.2f}"[1:] for most in looks.SUITE_GO_ON] == suite[1:4]
    assert [f"{most:.2f}"[1:] for most in looks.AMPLE_SUITE_GO_ON] == ample[1:4]
    assert f"After {', '.join(map(str, looks.EPOCHS[:-1]))} and {looks.EPOCHS[-1]} calls" in " ".join(told.split())


def test_the_confirmation_is_told_with_the_numbers_of_the_code() -> None:
    """How many fresh repeats, and which p confirms, or says drift."""
    told = " ".join(section(DECISION, "5. Confirmation").split())
    assert f"{plan.FRESH_EPOCHS} repeats a side, {2 * plan.FRESH_EPOCHS} where at most {plan.FEW_CASES} cases" in told
    assert f"p ≤ {Rules().confirm_level:.2f}" in told
    assert f"`trust_history: false`: {Rules(trust_history=False).confirm_level:.2f}" in told
    assert f"p ≤ {confirm.DRIFT_LEVEL:.2f} is drift" in told


def test_sections_that_the_code_names_are_there() -> None:
    """`decision.md 4` in a docstring is section 4 of the document."""
    there = set(re.findall(r"^### (\d+)\. ", DECISION, re.MULTILINE))
    package = Path(evalgate.__file__).parent
    named = {
        number
        for file in package.rglob("*.py")
        for number in re.findall(r"decision\.md (\d+)", file.read_text("utf-8"))
    }
    assert named and named <= there


def test_every_source_is_listed_and_every_listed_source_is_used() -> None:
    """By its last author and year."""
    text, _, listed = DECISION.partition("### Sources\n")
    sources = {(name, year) for name, year in re.findall(r"(\w+) \((\d{4})\)\. ", listed)}
    flat = re.sub(r"\s+", " ", text)
    assert len(sources) == listed.count("\n- ") + listed.startswith("- ")
    for name, year in sources:
        assert re.search(rf"{name}\b[^.]{{0,20}}\b{year}", flat), name
    assert set(re.findall(r"\b(1[89]\d\d|20[01]\d)\b", flat)) == {year for _, year in sources}


def test_the_picture_can_be_read_aloud() -> None:
    """It has a title and a description, and both sides of the page's colours are its own."""
    picture = ElementTree.parse(DOCS / "images" / "decision.svg").getroot()
    names = {child.tag.rpartition("}")[2]: child for child in picture}
    assert picture.get("role") == "img"
    assert picture.get("aria-labelledby") == f"{names['title'].get('id')} {names['desc'].get('id')}"
    assert names["title"].text and len(names["desc"].text or "") > 100
    assert names["rect"].get("fill") == "#ffffff"
