"""A good configuration file: what becomes of its keys, of what is absent, of variables and of paths."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from config_kit import Chat, Code, config

from evalgate.config import RunSettings
from evalgate.errors import InputError

SMALL = "suite: s\nevalsets: [a.yaml]\nendpoint: {kind: python, callable: 'm:f'}\n"


def _write(folder: Path, text: str) -> Path:
    file = folder / "evalgate.yaml"
    file.write_text(text, "utf-8")
    return file


def test_absent_sections_take_their_defaults(folder: Path) -> None:
    """Three keys are enough: every other default is right for a newcomer."""
    found = config(_write(folder, SMALL))

    assert found.run == RunSettings(
        concurrency=64, epochs=1, timeout_s=60, deadline_s=1800, max_retries=5, budget_usd=None, cache=None
    )
    assert (found.suite, found.evalsets, found.endpoint) == ("s", ("a.yaml",), Code(callable="m:f"))
    assert (found.judge, found.comment_outputs, found.history_outputs, found.gate) == (None, False, "hashes", {})
    assert found.history_store == f"sqlite:///{folder.resolve()}/.evalgate/history.db"


@pytest.mark.parametrize(
    ("written", "when", "outputs"),
    [
        ("on_failure", "on_failure", False),
        ("{when: never}", "never", False),
        ("{outputs: true}", "always", True),
        ("", "always", False),
    ],
)
def test_a_bare_word_says_when_there_is_a_comment(folder: Path, written: str, when: str, outputs: bool) -> None:
    """`comment: on_change` is short for `comment: {when: on_change}`."""
    found = config(_write(folder, SMALL + f"comment: {written}\n"))
    assert (found.comment_when, found.comment_outputs) == (when, outputs)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("on-change", "must be 'always', 'on_change', 'on_failure' or 'never'. Did you mean `on_change`?"),
        ("true", "`comment` is a mapping, or what its `when` is"),
        ("[always]", "`comment` is a mapping, or what its `when` is"),
    ],
)
def test_another_word_is_refused(folder: Path, written: str, message: str) -> None:
    """With the one that may have been meant."""
    with pytest.raises(InputError, match=re.escape(message)):
        config(_write(folder, SMALL + f"comment: {written}\n"))


def test_an_empty_section_is_an_absent_one(folder: Path) -> None:
    """`run:` with everything commented out below it means the defaults."""
    assert config(_write(folder, SMALL + "run:\nhistory:\ngate:\n")).run == RunSettings()


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("sqlite:///runs.db", "sqlite:///{base}/runs.db"),
        ("sqlite:///../runs.db?timeout=5", "sqlite:///{base}/../runs.db?timeout=5"),
        ("sqlite:////var/runs.db", "sqlite:////var/runs.db"),
        ("sqlite://", "sqlite://"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("${STORE}", "postgresql://me:pw@host/db"),
    ],
)
def test_a_relative_store_is_relative_to_the_file(folder: Path, written: str, url: str) -> None:
    """The history is the same one wherever the command is called from."""
    base = folder / "sub"
    base.mkdir()
    file = _write(base, SMALL + f'history: {{store: "{written}"}}\n')

    found = config(file, {"STORE": "postgresql://me:pw@host/db"})

    assert found.history_store == url.format(base=base.resolve())


def test_variables_are_filled_into_the_endpoint_and_nowhere_shown(folder: Path) -> None:
    """A value from the environment reaches the endpoint, and neither `raw` nor the repr holds it."""
    text = SMALL.replace(
        "{kind: python, callable: 'm:f'}",
        '{kind: openai, base_url: "http://${HOST}/$${x}", model: m, headers: {Authorization: "Bearer ${KEY}"}}',
    )
    found = config(_write(folder, text), {"HOST": "localhost", "KEY": "very-secret"})

    assert isinstance(found.endpoint, Chat)
    assert found.endpoint.base_url == "http://localhost/${x}"
    assert found.endpoint.headers == {"Authorization": "Bearer very-secret"}
    assert found.raw["endpoint"]["headers"] == {"Authorization": "Bearer ${KEY}"}
    assert "very-secret" not in repr(found)


def test_variables_elsewhere_are_plain_text(folder: Path) -> None:
    """Only `endpoint`, `judge` and `history.store` read variables."""
    assert config(_write(folder, SMALL.replace("suite: s", 'suite: "${S}"')), {}).suite == "${S}"


def test_a_secret_value_is_never_in_a_message(folder: Path) -> None:
    """A variable's value may be a key; the message about it names the variable only."""
    text = SMALL.replace(
        "{kind: python, callable: 'm:f'}", '{kind: openai, base_url: "${KEY}", model: m, params: "${KEY}"}'
    )
    with pytest.raises(InputError) as caught:
        config(_write(folder, text), {"KEY": "very-secret"})

    assert "very-secret" not in str(caught.value)
    assert "`params` must be a mapping" in str(caught.value)


def test_a_system_prompt_is_read_from_its_file(folder: Path) -> None:
    """`system: {file: …}` is the file's text as it is, relative to the configuration."""
    (folder / "prompts").mkdir()
    (folder / "prompts" / "system.md").write_text("Be brief.\nBe kind.\n", "utf-8")
    text = SMALL.replace(
        "{kind: python, callable: 'm:f'}",
        "{kind: openai, base_url: http://h, model: m, system: {file: prompts/system.md}}",
    )
    assert config(_write(folder, text)).endpoint.system == "Be brief.\nBe kind.\n"


def test_lists_become_the_tuples_of_the_settings(folder: Path) -> None:
    """The endpoint's own types decide: a list in the file is a tuple there."""
    text = SMALL.replace("{kind: python, callable: 'm:f'}", "{kind: openai, base_url: u, model: m, stop: [a, b]}")
    assert config(_write(folder, text)).endpoint.stop == ("a", "b")


def test_a_judge_is_an_endpoint_of_its_own(folder: Path) -> None:
    """Scorers that judge ask another endpoint than the one under test."""
    found = config(_write(folder, SMALL + "judge: {kind: openai, base_url: u, model: j}\n"))
    assert (found.judge_kind, found.judge) == ("openai", Chat(base_url="u", model="j"))


def test_commands_that_call_nothing_need_no_variables(folder: Path) -> None:
    """Deciding again from the history works where the endpoint's variables are not defined."""
    text = SMALL.replace("callable: 'm:f'", "callable: '${NOPE}'")
    file = _write(folder, text)

    assert config(file, needs_endpoint=False).endpoint is None
    with pytest.raises(InputError, match="the variable NOPE is not defined"):
        config(file)


def test_an_empty_variable_is_as_good_as_none(folder: Path) -> None:
    """CI hands over a missing secret as an empty text."""
    with pytest.raises(InputError, match=r"evalgate\.yaml:3:26: the variable NOPE is empty"):
        config(_write(folder, SMALL.replace("callable: 'm:f'", "callable: '${NOPE}'")), {"NOPE": ""})


def test_rules_are_told_where_their_categories_stand(folder: Path) -> None:
    """A rule for a category that no case has can be shown at its line; one that may vanish is not asked for."""
    text = SMALL + "gate:\n  categories:\n    v1.2: {min: 0.5}\n    010: {}\n    old: {}\n  removed_categories: [old]\n"
    found = config(_write(folder, text))
    assert found.rule_categories == {"v1.2": "evalgate.yaml:6:5", "010": "evalgate.yaml:7:5"}


def test_a_missing_file_says_how_to_get_one(folder: Path) -> None:
    """The newcomer's first mistake gets the way out."""
    with pytest.raises(InputError) as caught:
        config(folder / "evalgate.yaml")
    assert str(caught.value) == (
        "evalgate.yaml: there is no such file. `evalgate init` writes one; `--config FILE` names another."
    )


def test_a_byte_order_mark_is_tolerated(folder: Path) -> None:
    """Editors on Windows write one."""
    file = folder / "evalgate.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + SMALL.encode())
    assert config(file).suite == "s"
