"""Scorers as a user names them → checked specs. Knows no scorer: kinds, shorthands and the check are passed in."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass

from evalgate.config.fields import problems_of
from evalgate.config.places import Faults, Place, did_you_mean, quoted
from evalgate.records import Json, ScorerSpec

OWN = ".py:"
"""What the name of an own scorer holds: `file.py:function`."""

FORMS = "Write a name (`exact`), a name with options (`contains: {ignore_case: true}`) or `file.py:function`."


@dataclass(kw_only=True)
class ScorerReader:
    """Reads lists of scorers of one file; equal ones of all files share a spec in `table`."""

    kinds: Mapping[str, type]
    shorthand: Mapping[str, str]
    """Kind → the option that a bare value stands for: `{regex: "^A"}`."""
    check: Callable[[ScorerSpec], list[str]]
    base_dir: str
    table: dict[str, ScorerSpec]
    faults: Faults

    def __post_init__(self) -> None:
        self._known: dict[str, tuple[str, ...] | None] = {}

    def __call__(self, value: Json, at: Callable[..., Place]) -> tuple[str, ...] | None:
        """Keys of the specs in `value`, a scorer or a list of them; None, with faults, where one is wrong.

        at: path in the row or file → where that stands.
        """
        written = json.dumps(value, sort_keys=True, default=str)
        if written not in self._known:
            self._known[written] = self._read(value, at)
        elif self._known[written] is None:
            self._read(value, at)  # the same mistake at another place is told there too
        return self._known[written]

    def _read(self, value: Json, at: Callable[..., Place]) -> tuple[str, ...] | None:
        before = len(self.faults)
        keys: list[str] = []
        items = value if isinstance(value, list) else [value]
        if not items:
            self.faults.add(at("scorers"), "`scorers` is empty", FORMS)
        for number, item in enumerate(items):
            place = at("scorers", number)
            spec = self._spec(item, place)
            if spec is None:
                continue
            if spec.key in keys:
                self.faults.add(place, f"the scorer {quoted(spec.name)} stands twice", "Give it a `weight` instead.")
            keys.append(spec.key)
            self.table.setdefault(spec.key, spec)
        return tuple(keys) if len(self.faults) == before else None

    def _spec(self, item: Json, place: Place) -> ScorerSpec | None:
        name, options = item, None
        if isinstance(item, dict) and len(item) == 1:
            name, options = next(iter(item.items()))
        if not isinstance(name, str) or not name:
            self.faults.add(place, "a scorer is a name, or one name with its options", FORMS)
            return None
        if name not in self.kinds and OWN not in name:
            self.faults.add(place, f"unknown scorer {quoted(name)}", did_you_mean(name, self.kinds))
            return None
        if options is None:
            options = {}
        elif not isinstance(options, dict):
            if name not in self.shorthand:
                what = f"the options of {quoted(name)} are a mapping"
                self.faults.add(place, what, f"For example {{{name}: {{weight: 2}}}}.")
                return None
            options = {self.shorthand[name]: options}
        weight = options.get("weight", 1.0)
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 < weight < math.inf:
            self.faults.add(place, f"the weight of {quoted(name)} is a number above 0")
            return None
        rest = {key: option for key, option in options.items() if key != "weight"}
        spec = ScorerSpec(name=name, options=rest, weight=float(weight), base_dir=self.base_dir)
        kind = self.kinds.get(name)
        wrong = problems_of(kind, rest) if is_dataclass(kind) else []
        # Beyond types a kind can only say something of options whose types are right.
        problems = [
            ". ".join(filter(None, (problem.what, problem.hint.rstrip(".")))) for problem in wrong
        ] or self.check(spec)
        for problem in problems:
            self.faults.add(place, f"scorer {quoted(name)}: {problem}")
        return None if problems else spec
