"""Scorers of structured output: `json_schema`, `json_subset`; and the reading of JSON that others share."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, ClassVar

from evalgate.errors import ScorerError
from evalgate.records import Case, Json, Output
from evalgate.scorers.agreement import Agreement, Likeness
from evalgate.scorers.interface import Lacks, Mark, Options, lacking
from evalgate.scorers.wording import quoted, sentence

_FENCE = re.compile(r"^[ \t]*```[ \t]*([\w+-]*)[ \t]*\r?\n(.*?)^[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)
_MOST_ERRORS = 100
"""Schema errors that are looked at: enough to name the first, whatever a model wrote."""


class NoJson(ValueError):
    """The text holds no JSON; the message says why in half a sentence."""


def parse_json(text: str) -> Json:
    """The JSON value of the whole text. Raises NoJson, also for duplicate keys, NaN and infinities."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except NoJson:
        raise
    except json.JSONDecodeError as error:
        raise NoJson(f"{error.msg} at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise NoJson("nested too deeply") from error
    except ValueError as error:  # an integer of thousands of digits
        raise NoJson("a number with too many digits") from error


def json_of(output: Output, *, allow_fence: bool) -> Json:
    """The output as a JSON value: its structure, else its text, else the text's only fenced block. Raises NoJson."""
    if output.data is not None:
        return output.data
    if output.text is None or not output.text.strip():
        raise NoJson("the output is empty")
    try:
        return parse_json(output.text)
    except NoJson:
        blocks = [body for language, body in _FENCE.findall(output.text) if language.lower() in ("", "json")]
        if not allow_fence or not blocks:
            raise
        if len(blocks) > 1:
            raise NoJson(f"{len(blocks)} fenced blocks, it is not clear which one is the answer") from None
        return parse_json(blocks[0])


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise NoJson(f"the key {quoted(twice, 40)} stands there twice")
    return found


def _refuse_constant(word: str) -> Json:
    raise NoJson(f"{word} is no JSON number")


@dataclass(frozen=True, kw_only=True)
class JsonSchema(Options):
    """1 where the output is JSON that a JSON Schema accepts."""

    VERSION: ClassVar[str] = "json_schema/1"

    schema: Mapping[str, Json] | str
    """The schema, or the path of a JSON file that holds it. Draft 2020-12 unless `$schema` says otherwise."""
    allow_fence: bool = True
    """JSON in the output's only fenced code block is accepted; false: the whole output has to be JSON."""

    def faults(self) -> list[str]:
        from jsonschema.exceptions import SchemaError

        if isinstance(self.schema, str):
            return ["`schema` is a text: it has to be read from its file first"]
        if not self.schema:
            return ["`schema` is empty: it accepts everything"]
        try:
            self._validator.check_schema(self.schema)
        except SchemaError as error:
            return [f"`schema` is no valid JSON Schema: {error.json_path}: {sentence(error.message, 160)}"]
        return [f"`schema` refers to {quoted(ref)}, which it does not hold" for ref in self._dangling()]

    def problem(self, case: Case) -> str | None:
        return None

    def mark(self, case: Case, output: Output) -> Mark:
        from referencing.exceptions import Unresolvable

        try:
            value = json_of(output, allow_fence=self.allow_fence)
        except NoJson as error:
            return Mark(value=0.0, reason=f"no JSON: {error}")
        try:
            errors = list(islice(self._validator.iter_errors(value), _MOST_ERRORS))
        except Unresolvable as error:
            raise ScorerError(f"the schema refers to {quoted(str(error.ref))}, which it does not hold") from error
        if not errors:
            return Mark(value=1.0, reason="valid")
        errors.sort(key=lambda error: (len(error.absolute_path), error.json_path, str(error.validator)))
        first, more = errors[0], len(errors) - 1
        reason = f"{sentence(first.json_path, 80)} breaks `{first.validator}`: {sentence(first.message, 120)}"
        return Mark(value=0.0, reason=reason + (f" (and {more} more)" if more else ""))

    @cached_property
    def _validator(self) -> Any:
        from jsonschema.validators import Draft202012Validator, validator_for
        from referencing import Registry

        # An empty registry of our own: the library's default would fetch remote references from the network.
        schema = self._loaded
        return validator_for(schema, default=Draft202012Validator)(schema, registry=Registry())

    @property
    def _loaded(self) -> dict[str, Json]:
        """The schema itself. Raises ScorerError while it is still the path of a file."""
        if isinstance(self.schema, str):
            raise ScorerError("the schema has not been read from its file")
        return dict(self.schema)

    def _dangling(self) -> list[str]:
        """The references that lead nowhere. Not judged where sub-schemas have ids of their own."""
        from referencing import Registry, Resource
        from referencing.exceptions import Unresolvable
        from referencing.jsonschema import DRAFT202012

        nodes = list(_mappings(self.schema))
        if any("$id" in node for node in nodes[1:]):
            return []
        resource = Resource.from_contents(self._loaded, default_specification=DRAFT202012)
        address = resource.id() or ""
        resolver = Registry().with_resource(address, resource).crawl().resolver(address)
        missing = []
        for ref in sorted({node["$ref"] for node in nodes if isinstance(node.get("$ref"), str)}):
            try:
                resolver.lookup(ref)
            except Unresolvable:
                missing.append(ref)
        return missing


def _mappings(value: Json) -> Iterator[Mapping[str, Json]]:
    if isinstance(value, Mapping):
        yield value
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _mappings(item)


@dataclass(frozen=True, kw_only=True)
class JsonSubset(Options):
    """1 where the output's JSON holds everything that is expected; keys that nobody expects do not matter."""

    VERSION: ClassVar[str] = "json_subset/1"

    value: Mapping[str, Json] | tuple[Json, ...] | None = None
    """What to expect instead of the case's `expected`."""
    tolerance: float = 0.0
    """How far a number may be from the expected one, in its own unit."""
    ignore_order: bool = False
    """Lists may have their items in any order."""
    ignore_extra_items: bool = False
    """Lists may have further items."""
    partial: bool = False
    """The share of the expected values that are there, instead of all or nothing."""
    loose: bool = False
    """Scalars are equal if they are written alike: `"30"` is 30, `"True"` is true, white space around is nothing."""
    allow_fence: bool = True
    """JSON in the output's only fenced code block is accepted; false: the whole output has to be JSON."""

    def faults(self) -> list[str]:
        found = []
        if not math.isfinite(self.tolerance) or self.tolerance < 0:
            found.append(f"`tolerance` is {self.tolerance:g}: write 0 or more")
        if self.value is not None and not self.value:
            found.append("`value` is empty: every output holds it")
        return found

    def problem(self, case: Case) -> str | None:
        return lacking(self._wanted, case)

    def mark(self, case: Case, output: Output) -> Mark:
        wanted = self._wanted(case)
        try:
            given = json_of(output, allow_fence=self.allow_fence)
        except NoJson as error:
            return Mark(value=0.0, reason=f"no JSON: {error}")
        agreement = self._likeness.compare(wanted, given)
        if agreement.is_full:
            return Mark(value=1.0, reason="holds everything expected")
        return Mark(value=agreement.share if self.partial else 0.0, reason=_difference(agreement))

    @cached_property
    def _likeness(self) -> Likeness:
        return Likeness(
            tolerance=self.tolerance,
            ignore_order=self.ignore_order,
            ignore_extra_items=self.ignore_extra_items,
            loose=self.loose,
        )

    def _wanted(self, case: Case) -> Json:
        wanted = case.expected if self.value is None else self.value
        if isinstance(wanted, str):
            # A CSV has no other way to write a structure.
            try:
                wanted = parse_json(wanted)
            except NoJson as error:
                raise Lacks(f"`expected` {quoted(wanted)} is no JSON ({error}): write a mapping or a list") from error
        if not isinstance(wanted, Mapping | list | tuple):
            raise Lacks("no mapping or list in `expected`: write one, or give the scorer a `value`")
        if not wanted:
            raise Lacks("`expected` is empty, every output holds it: write what has to be there")
        return wanted


def _difference(agreement: Agreement) -> str:
    counted = f" ({agreement.right} of {agreement.total} values right)" if agreement.total > 1 else ""
    return f"{agreement.difference}{counted}"
