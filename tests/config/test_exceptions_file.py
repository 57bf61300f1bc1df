"""The file of exceptions: where it is looked for, what becomes of its entries, and names that lead nowhere.

What is said of wrong files stands in `bad/exceptions-*.txt`.
"""

from __future__ import annotations

import contextlib
import re
from datetime import date
from pathlib import Path

import pytest
import yaml
from config_kit import Chat, Code, config
from hypothesis import given
from hypothesis import strategies as st

from evalgate.config import check_exceptions
from evalgate.config.exceptions import QUARANTINE_KEYS, WAIVER_KEYS
from evalgate.errors import Fault, InputError
from evalgate.records import Exceptions, Quarantined, Source, Waiver

SMALL = "suite: s\nevalsets: [a.yaml]\nendpoint: {kind: python, callable: 'm:f'}\n"
GOOD = """\
version: 1
waivers:
  - {category: refunds, from: 0.91, drop: 0.06, owner: "@alice", reason: "shorter answers", expires: 2026-12-31}
  - {category: "*", from: 1, drop: 0.05, owner: "@alice", reason: "the suite falls with it", expires: "2026-12-31"}
quarantine:
  - case: late-07
    owner: "@bob"
    reason: the index is rebuilt at night
    expires: 2026-12-31
    judged_on: [3f1c09a2b7de, 0010, 1e35, 3f1c09a2b7de]
"""
DEFAULT = "evalgate-exceptions.yaml"
DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "exceptions.md").read_text("utf-8")


def read(folder: Path, text: str, *, name: str = DEFAULT, key: str = "") -> Exceptions:
    """The exceptions of a configuration that has this file beside it."""
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text, "utf-8")
    (folder / "evalgate.yaml").write_text(SMALL + key, "utf-8")
    return config(folder / "evalgate.yaml").exceptions


def test_every_key_of_the_file_is_a_value(folder: Path) -> None:
    """Days with and without quotes; ids keep the text that was written, each once."""
    last_day = date(2026, 12, 31)
    assert read(folder, GOOD) == Exceptions(
        waivers=(
            Waiver(
                category="refunds", before=0.91, drop=0.06, owner="@alice", reason="shorter answers",
                expires=last_day, source=Source(file=DEFAULT, line=3),
            ),
            Waiver(
                category="*", before=1.0, drop=0.05, owner="@alice", reason="the suite falls with it",
                expires=last_day, source=Source(file=DEFAULT, line=4),
            ),
        ),
        quarantine=(
            Quarantined(
                case_id="late-07", owner="@bob", reason="the index is rebuilt at night", expires=last_day,
                judged_on=("3f1c09a2b7de", "0010", "1e35"), source=Source(file=DEFAULT, line=6),
            ),
        ),
    )  # fmt: skip


def test_the_documented_file_is_read_and_every_key_explained(folder: Path) -> None:
    """What docs/exceptions.md shows can be copied, and its table has exactly the keys that there are."""
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    found = read(folder, example)
    assert (len(found.waivers), len(found.quarantine)) == (1, 1)
    explained = re.findall(r"^\| `(\w+)` \| (?:waiver|quarantine|both) ", DOCUMENT, re.MULTILINE)
    assert sorted(explained) == sorted({*WAIVER_KEYS, *QUARANTINE_KEYS})


def test_without_a_file_nothing_is_excepted(folder: Path) -> None:
    """The usual case needs no key and no file."""
    (folder / "evalgate.yaml").write_text(SMALL, "utf-8")
    assert config(folder / "evalgate.yaml").exceptions == Exceptions()


@pytest.mark.parametrize(
    "text", ["", "# nothing at present\n", "version: 1\n", "version: 1\nwaivers:\nquarantine: []\n"]
)
def test_a_file_without_entries_excepts_nothing(folder: Path, text: str) -> None:
    """Taking the last entry out needs no further change."""
    assert read(folder, text) == Exceptions()


def test_another_file_can_be_named(folder: Path) -> None:
    """Relative to the configuration; the default file is not read then."""
    (folder / DEFAULT).write_text("not: [read", "utf-8")
    found = read(folder, GOOD, name="review/accepted.yaml", key="exceptions: review/accepted.yaml\n")
    assert [waiver.category for waiver in found.waivers] == ["refunds", "*"]
    assert found.waivers[0].source == Source(file="review/accepted.yaml", line=3)


def test_commands_that_call_nothing_read_the_exceptions(folder: Path) -> None:
    """A decision from the history obeys the same file."""
    read(folder, GOOD)
    found = config(folder / "evalgate.yaml", needs_endpoint=False)
    assert len(found.exceptions.waivers) == 2


@pytest.mark.parametrize("line", ["  - {category: no, ", "  - {category: 010, ", '  - {category: "null", '])
def test_a_category_is_the_text_that_was_written(folder: Path, line: str) -> None:
    """As in an eval set, so that the two are the same."""
    rest = "from: 0.5, drop: 0.5, owner: o, reason: r, expires: 2026-12-31}\n"
    (waiver,) = read(folder, "waivers:\n" + line + rest).waivers
    assert waiver.category == line.removeprefix("  - {category: ").strip(', "')
    assert waiver.least == 0


def test_a_second_entry_is_seen_in_one_line_too(folder: Path) -> None:
    """Which of two waivers holds must not be a matter of order."""
    entry = "{category: a, from: 0.5, drop: 0.1, owner: o, reason: r, expires: 2026-12-31}"
    with pytest.raises(InputError, match="a second entry for the category `a`"):
        read(folder, f"waivers: [{entry}, {entry}]\n")


@given(
    key=st.sampled_from(["category", "from", "drop", "owner", "reason", "expires", "case", "judged_on", "version"]),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    ),
)
def test_whatever_stands_under_a_key_is_read_or_refused(key: str, value: object) -> None:
    """Nothing but an InputError comes out, and what is read keeps its bounds."""
    document = yaml.safe_load(GOOD)
    for part in (document, document["waivers"][0], document["quarantine"][0]):
        if key in part:
            part[key] = value
    with contextlib.suppress(InputError):
        found = read(Path(), yaml.safe_dump(document))
        assert all(0 < w.drop <= w.before + 1e-9 and w.before <= 1 and w.owner and w.reason for w in found.waivers)
        assert all(case.judged_on for case in found.quarantine)


# ---- names that lead nowhere ------------------------------------------------------------------------------


def test_an_exception_for_what_does_not_exist_is_a_fault_with_its_line(folder: Path) -> None:
    """A typing error must not wait, unseen, for something of that name."""
    exceptions = read(folder, GOOD)
    assert check_exceptions(exceptions, ["refund", "safety"], ["late-70", "x"]) == [
        Fault(
            where=f"{DEFAULT}:3",
            what="a waiver for the category `refunds`, which no case has",
            hint="Did you mean `refund`?",
        ),
        Fault(
            where=f"{DEFAULT}:6",
            what="a quarantine for the case `late-07`, which does not exist",
            hint="Did you mean `late-70`?",
        ),
    ]


def test_exceptions_for_what_exists_are_no_fault(folder: Path) -> None:
    """The suite always exists."""
    assert check_exceptions(read(folder, GOOD), {"refunds"}, {"late-07"}) == []


def test_of_many_cases_no_list_is_shown(folder: Path) -> None:
    """Thousands of ids would bury the message."""
    cases = [f"{number:05}" for number in range(1000)]
    (fault,) = check_exceptions(read(folder, GOOD), ["refunds"], cases)
    assert fault.hint == "Take it out, or mend the name."


# ---- the baseline's endpoint ------------------------------------------------------------------------------


def test_the_baselines_endpoint_is_an_endpoint_of_its_own(folder: Path) -> None:
    """Any kind, with variables, whatever the candidate's kind is."""
    text = SMALL + "baseline_endpoint: {kind: openai, base_url: '${HOST}', model: old}\n"
    (folder / "evalgate.yaml").write_text(text, "utf-8")
    found = config(folder / "evalgate.yaml", {"HOST": "http://old"})
    assert (found.endpoint_kind, found.endpoint) == ("python", Code(callable="m:f"))
    assert (found.baseline_endpoint_kind, found.baseline_endpoint) == (
        "openai",
        Chat(base_url="http://old", model="old"),
    )
    assert "http://old" not in repr(found)


def test_the_baselines_endpoint_is_not_needed(folder: Path) -> None:
    """Absent it is None, and commands that call nothing do not read it."""
    (folder / "evalgate.yaml").write_text(SMALL, "utf-8")
    assert config(folder / "evalgate.yaml").baseline_endpoint is None
    text = SMALL + "baseline_endpoint: {kind: python, callable: '${NOPE}'}\n"
    (folder / "evalgate.yaml").write_text(text, "utf-8")
    found = config(folder / "evalgate.yaml", needs_endpoint=False)
    assert (found.baseline_endpoint_kind, found.baseline_endpoint) == (None, None)
