"""Prompts: Jinja2 in a sandbox, undefined names are errors, compiled once; case → request.

A template sees `input`, `context`, `id`, `category` (the first), `categories`, `tags`, `metadata`, and every entry of
the metadata by its name. It never sees `expected`: a prompt that holds the answer measures nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from evalgate.config.prompting import BadTemplate, printed
from evalgate.errors import Fault, InputError
from evalgate.records import Case, EvalSet, Json, Request

if TYPE_CHECKING:
    from evalgate.config.jinja import Compiled

ALWAYS = ("id", "category", "categories", "tags", "metadata")
"""Names that every case has."""

_ABSENT: Final = object()


_NAME = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")

_WORDS = frozenset({
    "true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if", "else", "elif",
    "self", "super", "loop", "caller", "varargs", "kwargs",
})  # fmt: skip
"""Names that mean something of their own to Jinja2."""


class Text:
    """One compiled template text."""

    def __init__(self, source: str) -> None:
        """Raises BadTemplate."""
        self._compiled: Compiled | None = None
        self._parts = _text_and_names(source)
        if self._parts is not None:
            self.names = frozenset(part for is_text, part in self._parts if not is_text)
        else:
            from evalgate.config import jinja  # 0.03 s, which a prompt of text and names need not wait for

            self.names, self._parts, self._compiled = jinja.compiled(source)
        if "expected" in self.names:
            raise BadTemplate("it uses `expected`, and a prompt that holds the reference answer measures nothing")

    @property
    def is_plain(self) -> bool:
        """Nothing but text and names: whether it can be rendered is known from the names alone."""
        return self._parts is not None

    def render(self, case: Case) -> str:
        """The text for this case. Raises what the template raises where a name or an attribute is missing."""
        if self._parts is not None:
            return "".join([part if is_text else printed(_needed(case, part)) for is_text, part in self._parts])
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
            prompt = printed(case.input)
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


def _text_and_names(source: str) -> list[tuple[bool, str]] | None:
    """`(is it text, text or name)` of a template that plainly holds nothing else; None where Jinja2 has to say."""
    if "\r" in source:  # line ends are Jinja2's to translate
        return None
    pieces = _NAME.split(source)
    texts, names = pieces[::2], pieces[1::2]
    if any("{{" in text or "{%" in text or "{#" in text for text in texts) or _WORDS.intersection(names):
        return None
    if any(text.endswith("{") for text in texts[:-1]):  # {{{ begins a mapping
        return None
    parts = [(place % 2 == 0, piece) for place, piece in enumerate(pieces)]
    return [(is_text, piece) for is_text, piece in parts if piece]
