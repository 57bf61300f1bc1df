"""GitHub's expressions, `${{ … }}`, as far as evalgate's actions and workflows use them; what is not known fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

STRICT = ("inputs", "steps", "needs")
"""Contexts whose names are ours: a name that is not there is a typing error, where GitHub would give an empty text."""

_TOKEN = re.compile(
    r"\s*(?:(?P<op>\|\||&&|==|!=|!|\(|\)|,)|'(?P<text>(?:[^']|'')*)'|(?P<number>\d+)|(?P<name>[A-Za-z_][\w.-]*))"
)


def filled(text: str, contexts: Mapping[str, Any], is_fine: bool = True) -> str:
    """The text with its expressions evaluated. is_fine: no earlier step, or needed job, has failed."""
    return re.sub(r"\${{(.*?)}}", lambda found: _as_text(evaluated(found[1], contexts, is_fine)), text, flags=re.S)


def holds(condition: str, contexts: Mapping[str, Any], is_fine: bool = True) -> bool:
    """Whether what stands under `if:` lets a step or job run."""
    asks = re.search(r"\b(always|success|failure|cancelled)\(\)", condition)
    return _truth(evaluated(condition, contexts, is_fine)) and (is_fine or asks is not None)


def evaluated(expression: str, contexts: Mapping[str, Any], is_fine: bool = True) -> Any:
    """The value of one expression, with or without its braces."""
    tokens: list[tuple[str, str]] = []
    rest = expression.strip()
    rest = rest[3:-2] if rest.startswith("${{") else rest
    while rest.strip():
        found = _TOKEN.match(rest)
        assert found and found.lastgroup, f"not understood: {rest}"
        tokens.append((found.lastgroup, found[found.lastgroup]))
        rest = rest[found.end() :]
    parser = _Parser(tokens, contexts, is_fine)
    value = parser.either()
    assert not parser.tokens, f"not understood: {expression}"
    return value


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]], contexts: Mapping[str, Any], is_fine: bool) -> None:
        self.tokens = tokens
        self.contexts = contexts
        self.functions: dict[str, Callable[..., Any]] = {
            "always": lambda: True,
            "success": lambda: is_fine,
            "failure": lambda: not is_fine,
            "cancelled": lambda: False,
            "format": lambda form, *values: form.format(*map(_as_text, values)),
            "startsWith": lambda text, start: _as_text(text).lower().startswith(_as_text(start).lower()),
        }

    def either(self) -> Any:
        return self._chain(self._both, "||", lambda left, right: left if _truth(left) else right)

    def _both(self) -> Any:
        return self._chain(self._comparison, "&&", lambda left, right: right if _truth(left) else left)

    def _chain(self, part: Callable[[], Any], operator: str, join: Callable[[Any, Any], Any]) -> Any:
        value = part()
        while self._took(operator):
            value = join(value, part())
        return value

    def _comparison(self) -> Any:
        value = self._single()
        for operator in ("==", "!="):
            if self._took(operator):
                return (_as_text(value).lower() == _as_text(self._single()).lower()) == (operator == "==")
        return value

    def _single(self) -> Any:
        if self._took("!"):
            return not _truth(self._single())
        if self._took("("):
            value = self.either()
            assert self._took(")")
            return value
        kind, text = self.tokens.pop(0)
        if kind == "text":
            return text.replace("''", "'")
        if kind == "number" or text in ("true", "false"):
            return {"true": True, "false": False}.get(text, text)
        return self._called(text) if self._took("(") else self._looked_up(text)

    def _called(self, function: str) -> Any:
        arguments: list[Any] = []
        while not self._took(")"):
            arguments.append(self.either())
            self._took(",")
        return self.functions[function](*arguments)

    def _looked_up(self, path: str) -> Any:
        first, *names = path.split(".")
        assert first in self.contexts, f"unknown context: {path}"
        value = self.contexts[first]
        for position, name in enumerate(names):
            # The outputs of a step that did not run, or wrote none, are empty on GitHub too.
            is_output = "outputs" in names[:position] or (first == "steps" and name == "outputs")
            assert first not in STRICT or is_output or (isinstance(value, Mapping) and name in value), (
                f"unknown: {path}"
            )
            value = value.get(name, "") if isinstance(value, Mapping) else ""
        return "" if value is None else value

    def _took(self, operator: str) -> bool:
        if self.tokens and self.tokens[0] == ("op", operator):
            self.tokens.pop(0)
            return True
        return False


def _truth(value: Any) -> bool:
    return value not in (False, "", None, 0)


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
