"""Rows → cases, checked: every fault of a row with its place. The hot loop of loading an eval set.

Knows neither YAML nor files: a row is a mapping, and `at` says where a key of it stands.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from evalgate.config.places import Faults, Place, did_you_mean, quoted
from evalgate.config.templates import Template, available
from evalgate.records import EVERY_CASE, Case, Json, ScorerSpec, Source
from evalgate.spool import Spool

FIELDS = (
    "id", "input", "messages", "expected", "category", "tags", "context", "cluster", "critical", "metadata", "scorers",
)  # fmt: skip
"""Keys of a case everywhere; in data files every other column is a template variable."""

YAML_FIELDS = (*FIELDS, "prompt")

_FIELDS = frozenset(FIELDS)

ROLES = ("system", "developer", "user", "assistant", "tool", "function")


class At(Protocol):
    """Where a part of the row stands; the row itself without a path."""

    def __call__(self, *path: str | int) -> Place: ...


class Row(NamedTuple):
    """One case as the file has it."""

    values: Mapping[str, Json]
    line: int
    at: At
    is_data: bool = False
    """From a data file, where columns without a name of ours are template variables."""
    separates: bool = False
    """Its cells are texts that hold several values, separated by `;` (CSV)."""


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What an eval set's file says for its cases. None: the file said it wrongly, which is told already."""

    file: str
    categories: tuple[str, ...] | None = ()
    tags: tuple[str, ...] = ()
    scorers: tuple[str, ...] | None = ()
    template: str | None = None
    template_is_bad: bool = False
    read_scorers: Callable[[Json, At], tuple[str, ...] | None] | None = None
    """Reads a case's own scorers; None where scorers do not matter (items of recorded results)."""


@dataclass(kw_only=True)
class Cases:
    """The cases so far, over all files, and what they share."""

    faults: Faults
    problem: Callable[[ScorerSpec, Case], str | None]
    scorers: dict[str, ScorerSpec] = field(default_factory=dict)
    sources: dict[str, Json] = field(default_factory=dict)
    """Templates as written, by key."""
    templates: dict[str, Template] = field(default_factory=dict)
    found: Spool[Case] = field(default_factory=Spool)
    categories: set[str] = field(default_factory=set)
    """Those that any of the cases has."""
    ids: set[str] = field(default_factory=set)
    places: dict[str, Place] = field(default_factory=dict)
    """Where the ids stand that a YAML file has: bounded, since such a file is."""
    unmet: dict[tuple[str, str], list[tuple[Case, Place]]] = field(default_factory=lambda: defaultdict(list))
    """(template, name) → the cases that lack the name."""
    users: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Template → how many cases use it."""
    only_items: bool = False

    def add(self, row: Row, defaults: Defaults, template: str | None, *, own_template: bool = False) -> None:
        """Check the row and keep its case. template: its key, the case's own or the file's."""
        before = len(self.faults)
        case = self._case(row, defaults, template, own_template)
        if case is None or len(self.faults) != before:
            return
        self.found.append(case)
        self.categories.update(case.categories)
        for key in case.scorers:
            if what := self.problem(self.scorers[key], case):
                self.faults.add(row.at(), f"case {quoted(case.id)}: {what}")
        if case.template is not None:
            self._check_template(case, row)

    def _case(self, row: Row, defaults: Defaults, template: str | None, own_template: bool) -> Case | None:
        get = row.values.get
        case_id = get("id")
        if type(case_id) is not str or not case_id:
            what = "the case has no `id`" if case_id is None or case_id == "" else "`id` is a text"
            self.faults.add(row.at("id"), what, "Each case has an `id` of its own.")
            return None
        if case_id in self.ids:
            self.faults.add(row.at("id"), f"the id {quoted(case_id)} stands twice (first in {self._first(case_id)})")
            return None
        self.ids.add(case_id)
        if not row.is_data:
            self.places[case_id] = row.at()
        messages = get("messages")
        if messages is not None:
            messages = self._messages(row, messages)
            if own_template:
                self.faults.add(row.at("messages"), "the case has both `prompt` and `messages`", "Keep one of them.")
            template = None
        value = get("input")
        is_asked = value is not None or messages is not None or template is not None
        if not is_asked and not (self.only_items or defaults.template_is_bad):
            hint = "Write `input` or `messages`, or a `prompt` for the whole file."
            self.faults.add(row.at(), f"case {quoted(case_id)} has neither `input` nor `messages`", hint)
        return Case(
            id=case_id,
            categories=self._categories(row, defaults),
            input=value,
            messages=messages or (),
            expected=get("expected"),
            # Most rows have none of these: a call for each would be felt at ten thousand rows.
            tags=defaults.tags if get("tags") is None else self._tags(row, defaults),
            context=get("context"),
            cluster=None if get("cluster") is None else self._cluster(row),
            critical=get("critical") is not None and self._critical(row),
            metadata=self._metadata(row),
            scorers=self._scorers(row, defaults),
            template=template,
            source=Source(file=defaults.file, line=row.line),
        )

    def _first(self, case_id: str) -> Place | str:
        """Where the id stood first."""
        if case_id in self.places:
            return self.places[case_id]
        source = next((case.source for case in self.found if case.id == case_id), None)
        return "a row with another fault" if source is None else Place(source.file, source.line)

    def _categories(self, row: Row, defaults: Defaults) -> tuple[str, ...]:
        value = row.values.get("category")
        if value is None:
            if defaults.categories == () and not self.only_items:
                what = f"case {quoted(str(row.values['id']))} has no category"
                hint = "Write `category` in the case, or one for the whole file at its top."
                self.faults.add(row.at(), what, hint)
            return defaults.categories or ()
        if type(value) is str and value and value != EVERY_CASE and not row.separates:
            return (value,)
        return self.names(value, "category", row.at, separates=row.separates) or ()

    def names(self, value: Json, key: str, at: At, *, separates: bool = False) -> tuple[str, ...] | None:
        """One or more different texts, for `category` and `tags`; None, with a fault, where they are none."""
        names = value if isinstance(value, list) else [value]
        if separates and isinstance(value, str):
            names = [name.strip() for name in value.split(";") if name.strip()]
        if not names and key == "tags":
            return ()
        if not names or any(type(name) is not str or not name for name in names):
            self.faults.add(at(key), f"`{key}` is a text or a list of texts")
            return None
        if key == "category" and EVERY_CASE in names:
            self.faults.add(at(key), 'the category "*" stands for every case', "Give it another name.")
            return None
        return tuple(dict.fromkeys(names))

    def _tags(self, row: Row, defaults: Defaults) -> tuple[str, ...]:
        own = self.names(row.values["tags"], "tags", row.at, separates=row.separates) or ()
        return tuple(dict.fromkeys((*defaults.tags, *own)))

    def _cluster(self, row: Row) -> str | None:
        value = row.values["cluster"]
        if type(value) is str and value:
            return value
        self.faults.add(row.at("cluster"), "`cluster` is a text")
        return None

    def _critical(self, row: Row) -> bool:
        value = row.values["critical"]
        if row.separates and isinstance(value, str):
            value = {"true": True, "false": False}.get(value.strip().lower(), value)
        if not isinstance(value, bool):
            self.faults.add(row.at("critical"), "`critical` is true or false")
            return False
        return value

    def _metadata(self, row: Row) -> Mapping[str, Json]:
        value = row.values.get("metadata")
        if value is None:
            own: Mapping[str, Json] = {}
        else:
            own = self._json_cell(value) if row.separates else value
            if not isinstance(own, dict):
                form = " in JSON" * row.separates
                self.faults.add(row.at("metadata"), f"`metadata` is a mapping{form}")
                return {}
        if not row.is_data:
            return own
        columns = {key: item for key, item in row.values.items() if key not in _FIELDS and item is not None}
        for key in own:
            if key in columns:
                self.faults.add(row.at(key), f"{quoted(key)} is both a column and in `metadata`", "Keep one of them.")
        return {**own, **columns} if own else columns

    def _json_cell(self, value: Json) -> Json:
        """What a CSV cell holds as JSON; None where it is none."""
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return None

    def _scorers(self, row: Row, defaults: Defaults) -> tuple[str, ...]:
        if defaults.read_scorers is None:
            return ()
        value = row.values.get("scorers")
        if value is None:
            if defaults.scorers == ():
                what = f"case {quoted(str(row.values['id']))} has no scorer"
                hint = "Write `scorers` in the case, or for the whole file at its top."
                self.faults.add(row.at(), what, hint)
            return defaults.scorers or ()
        if row.separates and isinstance(value, str):
            value = [name.strip() for name in value.split(";") if name.strip()]
        return defaults.read_scorers(value, row.at) or ()

    def _messages(self, row: Row, value: Json) -> tuple[Mapping[str, Json], ...]:
        if row.separates:
            value = self._json_cell(value)
        what = messages_problem(value)
        if what:
            self.faults.add(row.at("messages"), what, "A message is {role: user, content: …}.")
            return ()
        return tuple(value)

    # ---- prompts ------------------------------------------------------------------------------------------

    def _check_template(self, case: Case, row: Row) -> None:
        assert case.template is not None
        template = self.templates[case.template]
        self.users[case.template] += 1
        lacking = template.lacks(case) if template.needed else ()
        if template.is_plain:
            for name in lacking:
                self.unmet[case.template, name].append((case, row.at()))
            return
        try:
            template.render(case)
        except Exception as error:  # noqa: BLE001  a template is the user's code and may raise whatever it likes
            undefined = [name for name in lacking if f"{name!r} is undefined" in str(error)]
            if undefined:
                for name in undefined:
                    self.unmet[case.template, name].append((case, row.at()))
            else:
                what = f"the prompt cannot be rendered for case {quoted(case.id)}: {error}"
                self.faults.add(row.at(), what)

    def tell_unmet(self, places: Mapping[str, Place]) -> None:
        """Fault the names that prompts use and cases lack: one fault for a name that no case has.

        places: where each template is written.
        """
        for (key, name), lacking in self.unmet.items():
            if len(lacking) == self.users[key] and key in places:
                hint = did_you_mean(name, available(lacking[0][0]), called="A prompt can use")
                self.faults.add(places[key], f"the prompt uses {quoted(name)}, which no case has", hint)
                continue
            for case, place in lacking:
                self.faults.add(place, f"the prompt uses {quoted(name)}, which case {quoted(case.id)} does not have")
        self.unmet.clear()


def messages_problem(value: Json) -> str | None:
    """What is wrong with a conversation; None where nothing is."""
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
        return "`messages` is a list of messages, at least one"
    for item in value:
        if item.get("role") not in ROLES:
            return f"the `role` of a message is one of {', '.join(ROLES)}"
        content = item.get("content")
        if content is None and not item.get("tool_calls"):
            return "a message has no `content`"
        is_parts = isinstance(content, list) and all(isinstance(part, dict) for part in content)
        if content is not None and not isinstance(content, str) and not is_parts:
            return "the `content` of a message is a text or a list of parts"
    return None
