"""No attack of the corpus gets through, whatever carries it, into whichever sink."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from carriers import CARRIERS, benign, carried, telling
from corpus import ATTACKS
from sinks import SINKS, Written
from workflow_commands import commands

TOGETHER = 3
"""Attacks in one story, each in a third of the carriers: in all of them, `benchmarks/github/attacks.py` puts each."""

STORIES = -(-len(ATTACKS) // TOGETHER)


@pytest.mark.parametrize("number", range(STORIES))
def test_no_attack_gets_through(number: int, tmp_path: Path) -> None:
    """Whatever carries it, into whichever sink; where a sink complains, attacks and carriers are told apart."""
    attacks = ATTACKS[number::STORIES]
    carriers = {name: attacks[(place + number) % len(attacks)] for place, name in enumerate(CARRIERS)}
    complaints = _complaints({name: attack.text for name, attack in carriers.items()}, tmp_path)
    if complaints:
        guilty = [
            f"{attack.kind}: {attack.name}, as {name}, would: {attack.would}"
            for name, attack in carriers.items()
            if _complaints({name: attack.text}, tmp_path)
        ]
        pytest.fail("\n".join([*guilty, *complaints[:10]]))


def _complaints(texts: Mapping[str, str], folder: Path) -> list[str]:
    written = Written(telling(texts), folder)
    return [f"{sink}: {complaint}" for sink, read in SINKS.items() for complaint in read(written)]


def test_the_story_itself_gives_no_complaint(tmp_path: Path) -> None:
    """What is found in a hostile story comes from the attack."""
    written = Written(benign(), tmp_path)
    assert [complaint for read in SINKS.values() for complaint in read(written)] == []


class Careless(Written):
    """Writes a text into every document as it is."""

    @property
    def text(self) -> str:
        return self.story.why

    texts = property(lambda self: {"report": self.text})  # type: ignore[assignment]
    pages = property(lambda self: {"fork's comment": f"> [!TIP]\n> all is well\n\n{self.text}\n"})  # type: ignore[assignment]
    documents = property(lambda self: {"verdict": f'{{"verdict": "fail", "exit_code": 1, "x": "{self.text}"}}'})  # type: ignore[assignment]
    junit = property(lambda self: f'<testsuites tests="0" failures="0">{self.text}</testsuites>')  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("sink", "kinds", "least"),
    [
        ("terminal", ("terminal", "invisible"), 30),
        ("files printed by cat", ("command", "old command"), 65),
        ("rendered Markdown", ("reference", "link", "html", "markdown"), 72),
        ("raw Markdown", ("marker",), 7),
        ("JUnit XML", ("html", "terminal"), 25),
    ],
)
def test_the_sinks_would_find_what_gets_through(sink: str, kinds: tuple[str, ...], least: int, tmp_path: Path) -> None:
    """A report that escapes nothing is found out: no complaint means something."""
    asked = [attack for attack in ATTACKS if attack.kind in kinds]
    missed = []
    for attack in asked:
        try:
            found = list(SINKS[sink](Careless(carried(attack.text), tmp_path)))
        except ValueError:
            found = ["it cannot be read"]
        if not found:
            missed.append(attack.name)
    assert len(asked) - len(missed) >= least, missed


def test_a_log_without_a_filter_is_found_out() -> None:
    """As they are, the corpus' commands are obeyed, but for those that appear once something else is cleaned away."""
    asked = [attack for attack in ATTACKS if attack.kind in ("command", "old command")]
    assert [attack.name for attack in asked if not commands(attack.text)] == [
        "after colour", "after title", "after erase line", "after hangul filler", "after undecodable",
        "colour between the colons", "four colons", "percent-encoded line feed", "colour inside",
    ]  # fmt: skip


def test_attacks_are_told_apart_by_name_and_by_text() -> None:
    """Nothing is counted twice."""
    assert len({(attack.kind, attack.name) for attack in ATTACKS}) == len({attack.text for attack in ATTACKS})
    assert len(ATTACKS) == len({attack.text for attack in ATTACKS})
