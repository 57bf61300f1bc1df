"""The scorer `tool_calls`: did the model ask for the right tools with the right arguments?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

from evalgate.errors import ScorerError
from evalgate.records import Case, Json, Output, ToolCall
from evalgate.scorers.agreement import Likeness, matched
from evalgate.scorers.interface import Lacks, Mark, Options, lacking
from evalgate.scorers.structure import NoJson, parse_json
from evalgate.scorers.wording import quoted, sentence

KEY = "expected_tool_calls"
MOST_CALLS = 200
"""Calls of one output that are compared: more are no answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedCall:
    """One expected call; `arguments` None: any."""

    name: str
    arguments: Json = None


@dataclass(frozen=True, kw_only=True)
class ToolCalls(Options):
    """1 where the model's tool calls are the expected ones."""

    VERSION: ClassVar[str] = "tool_calls/1"

    mode: Literal["exact", "subset", "any_order", "names"] = "exact"
    """`exact`: these calls in this order and no other; `any_order`: these and no other; `subset`: these, whatever else;
    `names`: these tools in this order and no other, whatever their arguments."""
    arguments: Literal["subset", "equal", "ignore"] = "subset"
    """Whether the expected arguments have to be among the call's, to be all of them, or do not matter."""
    tolerance: float = 0.0
    """How far a number among the arguments may be from the expected one, in its own unit."""
    partial: bool = False
    """The share of right calls (of the expected or the given, whichever are more), instead of all or nothing."""

    def faults(self) -> list[str]:
        return [f"`tolerance` is {self.tolerance:g}: write 0 or more"] if not self.tolerance >= 0 else []

    def problem(self, case: Case) -> str | None:
        return lacking(self._wanted, case)

    def mark(self, case: Case, output: Output) -> Mark:
        wanted, given = self._wanted(case), output.tool_calls
        if len(given) > MOST_CALLS:
            raise ScorerError(f"the output has {len(given)} tool calls; at most {MOST_CALLS} are compared")
        if not wanted:
            if given:
                return Mark(value=0.0, reason=f"expected no tool call, got {_names(given)}")
            return Mark(value=1.0, reason="no tool call, as expected")
        if not given:
            return Mark(value=0.0, reason=f"expected {_names(wanted)}, got no tool call")
        right = self._right(wanted, given)
        needed = len(wanted) if self.mode == "subset" else max(len(wanted), len(given))
        if right == needed:
            return Mark(value=1.0, reason="the tool calls are as expected")
        value = right / needed if self.partial else 0.0
        return Mark(value=value, reason=f"{self._difference(wanted, given)} ({right} of {needed} calls right)")

    def _right(self, wanted: Sequence[WantedCall], given: Sequence[ToolCall]) -> int:
        table = [[self._unlike(one, call) is None for call in given] for one in wanted]
        if self.mode in ("exact", "names"):
            return _longest_common(table)
        return len(matched([[at for at, is_right in enumerate(row) if is_right] for row in table], len(given)))

    def _unlike(self, wanted: WantedCall, call: ToolCall) -> str | None:
        """The first difference; None: this is the wanted call."""
        if wanted.name != call.name:
            return f"expected {quoted(wanted.name)}, got {quoted(call.name)}"
        if self.mode == "names" or self.arguments == "ignore" or wanted.arguments is None:
            return None
        found = self._likeness.compare(wanted.arguments, call.arguments, quoted(call.name)[1:-1])
        return None if found.is_full else found.difference

    def _difference(self, wanted: Sequence[WantedCall], given: Sequence[ToolCall]) -> str:
        """One sentence on the first wanted call that is not there, or the first call that nobody wanted."""
        for at, one in enumerate(wanted):
            if any(self._unlike(one, call) is None for call in given):
                continue
            same_place = given[at] if at < len(given) and given[at].name == one.name else None
            namesake = same_place or next((call for call in given if call.name == one.name), None)
            if namesake is not None:
                return sentence(self._unlike(one, namesake) or "", 240)
            return f"expected {quoted(one.name)}, got {_names(given)}"
        if len(given) > len(wanted) and self.mode != "subset":
            return f"expected {_names(wanted)}, got {_names(given)}"
        return f"expected {_names(wanted)} in this order and number, got {_names(given)}"

    @cached_property
    def _likeness(self) -> Likeness:
        return Likeness(tolerance=self.tolerance, all_keys=self.arguments == "equal")

    def _wanted(self, case: Case) -> tuple[WantedCall, ...]:
        listed, where = case.metadata.get(KEY), f"`{KEY}`"
        if listed is None:
            listed, where = case.expected, "`expected`"
        if listed is None:
            calls = f"metadata: {{{KEY}: [{{name: …, arguments: {{…}}}}]}}"
            raise Lacks(f"no expected tool calls: write `{calls}`, with `[]` for none")
        if isinstance(listed, str) and listed.lstrip()[:1] in ("[", "{"):
            # A CSV has no other way to write a structure.
            try:
                listed = parse_json(listed)
            except NoJson as error:
                raise Lacks(f"{where} is no JSON ({error}): write a list of calls") from error
        items = listed if isinstance(listed, list | tuple) else [listed]
        wanted = tuple(_wanted_call(item, where) for item in items)
        if not wanted and self.mode == "subset":
            raise Lacks(f"{where} is empty, with `mode: subset` every output would pass: use another mode")
        return wanted


def _wanted_call(item: Json, where: str) -> WantedCall:
    if isinstance(item, str) and item.strip():
        return WantedCall(name=item)
    if not isinstance(item, Mapping) or not isinstance(item.get("name"), str) or not item["name"]:
        raise Lacks(f"an item of {where} is no tool call: write `{{name: …, arguments: {{…}}}}`, or the name alone")
    unknown = sorted(set(map(str, item)) - {"name", "arguments"})
    if unknown:
        raise Lacks(f"a call in {where} has a key `{unknown[0]}`: only `name` and `arguments` are compared")
    return WantedCall(name=item["name"], arguments=item.get("arguments"))


def _longest_common(table: Sequence[Sequence[bool]]) -> int:
    """Length of the longest sequence of right pairs that keeps both orders."""
    best = [0] * (len(table[0]) + 1)
    for row in table:
        before = best[:]
        for at, is_right in enumerate(row):
            best[at + 1] = before[at] + 1 if is_right else max(before[at + 1], best[at])
    return best[-1]


def _names(calls: Sequence[WantedCall | ToolCall]) -> str:
    shown = ", ".join(quoted(call.name, 40) for call in calls[:4])
    return shown + (f" and {len(calls) - 4} more" if len(calls) > 4 else "")
