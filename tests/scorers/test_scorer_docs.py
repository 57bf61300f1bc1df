"""The scorers' documentation says what the scorers are."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import yaml
from scoring import value

from evalgate.records import ScorerSpec
from evalgate.scorers import KINDS, SHORTHAND
from evalgate.scorers.build import check
from evalgate.scorers.own import is_own
from evalgate.scorers.wording import Wording

PAGE = (Path(__file__).parents[2] / "docs" / "scorers.md").read_text(encoding="utf-8")
SHARED = {option.name for option in dataclasses.fields(Wording)}
ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| ", re.MULTILINE)


def section(name: str) -> str:
    return re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)[1]


def written(default: object) -> str:
    if default is dataclasses.MISSING:
        return "required"
    if default is None:
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if default == ():
        return "`[]`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


@pytest.mark.parametrize("name", KINDS)
def test_the_tables_list_every_option_with_its_default(name):
    """In the order of the class; the shared ones stand in their own table."""
    options = list(dataclasses.fields(KINDS[name]))
    if issubclass(KINDS[name], Wording):
        options = [option for option in options if option.name not in SHARED]
    assert ROW.findall(section(name)) == [(option.name, written(option.default)) for option in options]


def test_the_shared_options_have_a_table():
    """With their defaults."""
    table = ROW.findall(PAGE.split("### Differences that do not count")[1].split("\n## ")[0])
    assert table == [(option.name, written(option.default)) for option in dataclasses.fields(Wording)]


def specs():
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL):
        data = yaml.safe_load(block)
        for listed in [data["scorers"], *(case.get("scorers", []) for case in data.get("cases", []))]:
            for item in listed:
                [(name, options)] = item.items() if isinstance(item, dict) else [(item, {})]
                if not isinstance(options, dict):
                    options = {SHORTHAND[name]: options}
                weight = options.pop("weight", 1.0)
                if not is_own(name):
                    yield ScorerSpec(name=name, options=options, weight=weight)


@pytest.mark.parametrize("spec", list(specs()), ids=lambda spec: spec.name)
def test_every_example_can_be_built(spec):
    """As far as it needs no file of the reader's."""
    assert check(spec) == []


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_has_an_example_and_stands_in_the_overview(name):
    """With what a bare value sets."""
    assert name in {spec.name for spec in specs()}
    assert re.search(rf"^\| \[`{name}`\]\(#{name}\) \| .* \| `{SHORTHAND[name]}`", PAGE, re.MULTILINE)


def test_the_figure_in_the_text_is_true():
    """The warning about `fuzzy`."""
    assert round(value("fuzzy", "30 days", value="80 days"), 2) == 0.86
