"""Prompts: Jinja2 in a sandbox, undefined names are errors, compiled once; case → request.

A template sees `input`, `context`, `id`, `category` (the first), `categories`, `tags`, `metadata`, and every entry of
the metadata by its name. It never sees `expected`: a prompt that holds the answer measures nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, nodes
from jinja2 import Template as Compiled
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from evalgate.errors import Fault, InputError
from evalgate.records import Case, EvalSet, Json, Request

ALWAYS = ("id", "category", "categories", "tags", "metadata")
"""Names that every case has."""

_ABSENT: Final = object()


class BadTemplate(Exception):
    """A template cannot be read; the message says why, and in which of its lines."""


class Text:
    """One compiled template text."""

    def __init__(self, source: str) -> None:
        """Raises BadTemplate."""
        environment = _environment()
        try:
            tree = environment.parse(source)
            self.names: frozenset[str] = frozenset(find_undeclared_variables(tree))
            self._parts = _plain_parts(tree)
            self._compiled: Compiled | None = None if self._parts is not None else environment.from_string(source)
        except TemplateSyntaxError as error:
            place = f" (line {error.lineno} of the prompt)" if "\n" in source else ""
            raise BadTemplate(f"{(error.message or 'not a template').rstrip('.')}{place}") from error
        except (TemplateError, RecursionError, MemoryError, SyntaxError, ValueError, OverflowError) as error:
            # Python's own compiler refuses what Jinja2's lets through: blocks nested too deep, numbers too long.
            raise BadTemplate(f"it cannot be compiled: {error}") from error
        if "expected" in self.names:
            raise BadTemplate("it uses `expected`, and a prompt that holds the reference answer measures nothing")
        if any(tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends))):
            raise BadTemplate("it includes another file, which prompts cannot")

    @property
    def is_plain(self) -> bool:
        """Nothing but text and names: whether it can be rendered is known from the names alone."""
        return self._parts is not None

    def render(self, case: Case) -> str:
        """The text for this case. Raises what the template raises where a name or an attribute is missing."""
        if self._parts is not None:
            return "".join([part if is_text else _printed(_needed(case, part)) for is_text, part in self._parts])
        assert self._compiled is not None
        return self._compiled.render(_variables(case))


class Template:
    """A prompt: a text, or messages whose contents hold templates."""

    def __init__(self, source: Json) -> None:
        """source: a text, or a list of messages `{role, content}`. Raises BadTemplate."""
        self._texts: list[Text] = []
        self._source = self._compile(source) if isinstance(source, str) else [self._message(item) for item in source]
        self.names: frozenset[str] = frozenset().union(*(text.names for text in self._texts))
        self.needed: tuple[str, ...] = tuple(sorted(self.names.difference(ALWAYS)))
        """Names that a case may lack."""
        self.is_plain = all(text.is_plain for text in self._texts)

    def _compile(self, source: str) -> Text:
        text = Text(source)
        self._texts.append(text)
        return text

    def _message(self, message: Mapping[str, Json]) -> Json:
        return {key: self._content(value) if key == "content" else value for key, value in message.items()}

    def _content(self, value: Json) -> Json:
        if isinstance(value, str):
            return self._compile(value)
        if isinstance(value, list):
            return [self._content(item) for item in value]
        if isinstance(value, Mapping):
            return {key: item if key == "type" else self._content(item) for key, item in value.items()}
        return value

    def lacks(self, case: Case) -> list[str]:
        """Names that the template uses and the case does not have, whether or not the template can do without."""
        return [name for name in self.needed if _value(case, name) is _ABSENT]

    def render(self, case: Case) -> tuple[str, tuple[Mapping[str, Json], ...]]:
        """Prompt and messages for this case; the prompt of messages is the last user's text."""
        if isinstance(self._source, Text):
            prompt = self._source.render(case)
            return prompt, ({"role": "user", "content": prompt},)
        messages = tuple(_rendered(message, case) for message in self._source)
        return last_user_text(messages), messages


def _rendered(value: Json, case: Case) -> Json:
    if isinstance(value, Text):
        return value.render(case)
    if isinstance(value, list):
        return [_rendered(item, case) for item in value]
    if isinstance(value, Mapping):
        return {key: _rendered(item, case) for key, item in value.items()}
    return value


class Renderer:
    """Case and epoch → request, each template compiled once."""

    def __init__(self, evalset: EvalSet, params: Mapping[str, Json]) -> None:
        """params: `endpoint.params`, handed on with every request. Raises InputError for a template that is none."""
        self._params = params
        try:
            self._templates = {key: Template(source) for key, source in evalset.templates.items()}
        except BadTemplate as error:
            raise InputError(f"a prompt of {evalset.name}: {error}") from error

    def __call__(self, case: Case, epoch: int) -> Request:
        """What the endpoint is given. Raises InputError where the template cannot be rendered for this case."""
        if case.messages:
            messages = case.messages
            prompt = last_user_text(messages)
        elif case.template is None:
            prompt = _printed(case.input)
            messages = ({"role": "user", "content": prompt},)
        else:
            try:
                prompt, messages = self._templates[case.template].render(case)
            except Exception as error:  # a template is the user's code and may raise whatever it likes
                raise InputError(
                    Fault(where=str(case.source), what=f"the prompt cannot be rendered: {error}")
                ) from error
        return Request(case=case, epoch=epoch, prompt=prompt, messages=messages, params=self._params)


def last_user_text(messages: Sequence[Mapping[str, Json]]) -> str:
    """The text of the last user message, or of the last message where no user speaks; parts are joined."""
    users = [message for message in messages if message.get("role") == "user"]
    content = (users or list(messages))[-1].get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(str(part["text"]) for part in content if isinstance(part, Mapping) and "text" in part)
    return ""


def available(case: Case) -> set[str]:
    """The names that a template can use for this case."""
    return set(_variables(case))


def _variables(case: Case) -> dict[str, Json]:
    found: dict[str, Json] = {key: value for key, value in case.metadata.items() if value is not None}
    for name in (*ALWAYS, "input", "context"):
        value = _value(case, name)
        if value is not _ABSENT:
            found[name] = value
    return found


def _value(case: Case, name: str) -> Any:
    """What a name stands for; the case's own fields come before its metadata."""
    if name == "input" or name == "context":
        value = case.input if name == "input" else case.context
    elif name == "metadata":
        value = case.metadata
    elif name == "category":
        value = case.categories[0] if case.categories else None
    elif name == "categories":
        value = list(case.categories)
    elif name == "tags":
        value = list(case.tags)
    elif name == "id":
        value = case.id
    else:
        value = case.metadata.get(name)
    return _ABSENT if value is None else value


def _needed(case: Case, name: str) -> Any:
    value = _value(case, name)
    if value is _ABSENT:
        raise LookupError(f"{name!r} is undefined")
    return value


def _printed(value: Any) -> Any:
    """What `{{ value }}` prints: texts as they are, structures, true, false and null as JSON."""
    if value is None or isinstance(value, (bool, dict, list, tuple, Mapping)):
        return _as_json(value)
    return value if isinstance(value, (str, StrictUndefined)) else str(value)


def _as_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, default=dict)


def _plain_parts(tree: nodes.Template) -> list[tuple[bool, str]] | None:
    """`(is it text, text or name)` of a template that holds nothing else; None for any other."""
    parts: list[tuple[bool, str]] = []
    for output in tree.body:
        if not isinstance(output, nodes.Output):
            return None
        for node in output.nodes:
            if isinstance(node, nodes.TemplateData):
                parts.append((True, node.data))
            elif isinstance(node, nodes.Name):
                parts.append((False, node.name))
            else:
                return None
    return parts


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, finalize=_printed
    )
    # Jinja2's own tojson escapes < and > for HTML, which a model would have to read.
    environment.filters["tojson"] = _as_json
    # Nothing random: the same case has to make the same request in both runs.
    del environment.filters["random"], environment.globals["lipsum"]
    return environment
