"""`evalgate-exceptions.yaml` → `Exceptions`: the drops and cases that a reviewed file takes out of the gate's reach.

Knows no clock, so nothing is expired here, and no eval set: `check_exceptions` is told which categories and cases
there are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from evalgate.config.documents import TEXT, Document, read_yaml
from evalgate.config.places import Faults, did_you_mean, quoted
from evalgate.errors import Fault
from evalgate.records import EVERY_CASE, Exceptions, Json, Quarantined, Source, Waiver

DEFAULT_FILE = "evalgate-exceptions.yaml"
"""Read beside the configuration where that names no other file."""

KEYS = ("version", "waivers", "quarantine")
WAIVER_KEYS = ("category", "from", "drop", "owner", "reason", "expires")
QUARANTINE_KEYS = ("case", "owner", "reason", "expires", "judged_on")

HINTS = {
    "category": 'Name a category; "*" is the suite as a whole.',
    "from": "The score from which it falls, for example `from: 0.91`.",
    "drop": "How far it may fall from there: six points are `drop: 0.06`.",
    "owner": 'Who answers for it, for example `owner: "@alice"`.',
    "reason": "Why this is right, in one line.",
    "expires": "The last day on which it holds, for example `expires: 2026-12-31`.",
    "case": "The id of a case.",
    "judged_on": "The runs in which the case was seen to be unsteady: `judged_on: [3f1c09a2b7de]`.",
}

MOST_CHARACTERS = 300
"""Of an owner or a reason: each stands in a sentence of every report."""

LEAST_ID = 4
"""Characters of a run's id that name it at all; the history asks for as many."""

_WRITTEN = {"owner": TEXT, "reason": TEXT, "expires": TEXT}
SHAPE = {
    "waivers": [{"category": TEXT, **_WRITTEN}],
    "quarantine": [{"case": TEXT, "judged_on": TEXT, **_WRITTEN}],
}

# More than this `date.fromisoformat` takes, such as 20261231 and 2026-W53-4, and nobody would know how it was meant.
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PLACEHOLDER = re.compile(r"<.*>")


def read_exceptions(path: Path, faults: Faults) -> Exceptions:
    """The exceptions in this file, in the order written; what is wrong is added to `faults` and left out."""
    document = read_yaml(path, faults, shape=SHAPE)
    return Exceptions() if document is None else _Reader(document=document, faults=faults).exceptions()


def check_exceptions(exceptions: Exceptions, categories: Collection[str], case_ids: Collection[str]) -> list[Fault]:
    """A fault for each waiver of a category, and each quarantine of a case, that the eval set does not have.

    categories, case_ids: everything that the eval set has, whatever was selected of it. An exception that covers
    nothing is a typing error or has outlived what it was for; kept, it would cover the next thing of that name.
    """
    found = []
    for waiver in exceptions.waivers:
        if waiver.category != EVERY_CASE and waiver.category not in categories:
            what = f"a waiver for the category {quoted(waiver.category)}, which no case has"
            found.append(_stray(waiver.source, what, waiver.category, categories))
    for case in exceptions.quarantine:
        if case.case_id not in case_ids:
            what = f"a quarantine for the case {quoted(case.case_id)}, which does not exist"
            found.append(_stray(case.source, what, case.case_id, case_ids))
    return found


def _stray(source: Source | None, what: str, name: str, known: Collection[str]) -> Fault:
    near = did_you_mean(name, known)
    # Of thousands of ids a list would not help.
    hint = near if near.startswith("Did") or len(known) <= 20 else "Take it out, or mend the name."
    return Fault(where=str(source or ""), what=what, hint=hint)


@dataclass(frozen=True, kw_only=True)
class _Reader:
    document: Document
    faults: Faults

    def exceptions(self) -> Exceptions:
        data = self.document.data
        if data is None:
            return Exceptions()  # everything is commented out: no exceptions
        if not isinstance(data, dict):
            place = self.document.at(())
            self.faults.add(place, "a file of exceptions is a mapping", "Its keys are `waivers:` and `quarantine:`.")
            return Exceptions()
        for key in data:
            if key not in KEYS:
                self.faults.add(self.document.at((key,)), f"unknown key {quoted(key)}", did_you_mean(key, KEYS))
        version = data.get("version", 1)
        if isinstance(version, bool) or version != 1:
            what = "this evalgate reads exceptions of version 1"
            self.faults.add(self.document.at(("version",)), what, "Write `version: 1`.")
        waivers = [_waiver(entry) for entry in self._entries(data, "waivers", WAIVER_KEYS)]
        quarantine = [_quarantined(entry) for entry in self._entries(data, "quarantine", QUARANTINE_KEYS)]
        return Exceptions(
            waivers=tuple(waiver for waiver in waivers if waiver is not None),
            quarantine=tuple(case for case in quarantine if case is not None),
        )

    def _entries(self, data: Mapping[str, Json], section: str, keys: Sequence[str]) -> Iterator[_Entry]:
        """The entries under this key; what is no mapping, unknown keys and second entries for one name are faulted."""
        entries = data.get(section)
        if entries is None:
            return
        if not isinstance(entries, list):
            hint = f"Begin each entry with a dash: `- {{{keys[0]}: …}}`."
            self.faults.add(self.document.at((section,)), f"`{section}` is a list", hint)
            return
        named = keys[0]
        first: dict[str, int] = {}
        for number, values in enumerate(entries):
            path = (section, number)
            place = self.document.at(path)
            if not isinstance(values, dict):
                what = f"an entry of `{section}` is a mapping"
                self.faults.add(place, what, f"Its keys are {', '.join(keys)}.")
                continue
            for key in values:
                if key not in keys:
                    what = f"unknown key {quoted(key)}"
                    self.faults.add(self.document.at((*path, key)), what, did_you_mean(key, keys))
            name = values.get(named)
            if isinstance(name, str) and name in first:
                what = f"a second entry for the {named} {quoted(name)} (the first is in line {first[name]})"
                self.faults.add(self.document.at((*path, named)), what, "Make them one.")
            elif isinstance(name, str):
                first[name] = place.line
            yield _Entry(values=values, path=path, document=self.document, faults=self.faults)


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """One waiver or quarantine as written. What is wrong is faulted, and something harmless given in its stead."""

    values: Mapping[str, Json]
    path: tuple[str, int]
    document: Document
    faults: Faults

    @property
    def source(self) -> Source:
        place = self.document.at(self.path)
        return Source(file=place.file, line=place.line)

    def fault(self, key: str, what: str, hint: str | None = None) -> None:
        self.faults.add(self.document.at((*self.path, key)), what, HINTS[key] if hint is None else hint)

    def value(self, key: str) -> Json:
        """What stands under a key, None with a fault where nothing does: no exception has a default."""
        value = self.values.get(key)
        if value is None:
            self.fault(key, f"`{key}` is missing")
        return value

    def name(self, key: str) -> str:
        """The name of a category or a case, as written."""
        value = self.value(key)
        if value is not None and (not isinstance(value, str) or not value):
            self.fault(key, f"`{key}` is a text")
        return value if isinstance(value, str) else ""

    def line(self, key: str) -> str:
        """A text for the reader of a report."""
        value = self.value(key)
        text = value.strip() if isinstance(value, str) else ""
        if value is None:
            return text
        if not text or not text.isprintable() or len(text) > MOST_CHARACTERS:
            self.fault(key, f"`{key}` is a text of one line and at most {MOST_CHARACTERS} characters")
        elif _PLACEHOLDER.fullmatch(text):
            self.fault(key, f"`{key}` still is the placeholder {quoted(text)}")
        return text

    def share(self, key: str) -> float:
        """A number in (0, 1]."""
        value = self.value(key)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if value is None or (is_number and 0 < value <= 1):
            return float(value or 1)
        hint = "Write it without quotes." if isinstance(value, str) else None
        self.fault(key, f"`{key}` is a number above 0 and at most 1", hint)
        return 1.0

    def day(self, key: str) -> date:
        value = self.value(key)
        if isinstance(value, str) and _DAY.fullmatch(value):
            try:
                return date.fromisoformat(value)
            except ValueError:
                self.fault(key, f"there is no day {quoted(value)}")
        elif value is not None:
            self.fault(key, f"`{key}` is a day, written year-month-day")
        return date.max

    def runs(self, key: str) -> tuple[str, ...]:
        """Ids of runs, or beginnings of ids."""
        value = self.value(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not value:
            self.fault(key, f"`{key}` is a list of run ids, at least one")
            return ()
        for number, run in enumerate(value):
            place = self.document.at((*self.path, key, number))
            if not isinstance(run, str) or len(run) < LEAST_ID:
                self.faults.add(place, f"a run's id is a text of {LEAST_ID} or more characters", HINTS[key])
            elif run == "latest":
                self.faults.add(place, "`latest` is another run every day", "Write the id of the run.")
        return tuple(dict.fromkeys(run for run in value if isinstance(run, str)))


def _waiver(entry: _Entry) -> Waiver | None:
    before_this = len(entry.faults)
    waiver = Waiver(
        category=entry.name("category"),
        before=entry.share("from"),
        drop=entry.share("drop"),
        owner=entry.line("owner"),
        reason=entry.line("reason"),
        expires=entry.day("expires"),
        source=entry.source,
    )
    if waiver.least < -1e-9 and len(entry.faults) == before_this:
        what = "the drop is larger than the score from which it falls"
        entry.fault("drop", what, "No score is below 0: write at most what stands under `from`.")
    return waiver if len(entry.faults) == before_this else None


def _quarantined(entry: _Entry) -> Quarantined | None:
    before_this = len(entry.faults)
    case = Quarantined(
        case_id=entry.name("case"),
        owner=entry.line("owner"),
        reason=entry.line("reason"),
        expires=entry.day("expires"),
        judged_on=entry.runs("judged_on"),
        source=entry.source,
    )
    return case if len(entry.faults) == before_this else None
