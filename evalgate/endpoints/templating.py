"""A JSON template whose texts are Jinja2 templates: sandboxed, undefined names are errors. Loaded when one is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from evalgate.errors import CallError, CallFault
from evalgate.records import Json, Request

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

NAMES = frozenset({"prompt", "input", "messages", "context", "case", "params", "epoch"})
"""What a template may speak of. Not `expected`: an endpoint that knows the reference answer is not tested."""

Render = Callable[[Mapping[str, Json]], Json]


def variables(request: Request) -> dict[str, Json]:
    """The names of `NAMES` for one request."""
    case = request.case
    return {
        "prompt": request.prompt,
        "input": case.input if case.input is not None else request.prompt,
        "messages": [dict(message) for message in request.messages],
        "context": case.context,
        "case": {
            "id": case.id,
            "categories": list(case.categories),
            "tags": list(case.tags),
            "context": case.context,
            "metadata": dict(case.metadata),
        },
        "params": dict(request.params),
        "epoch": request.epoch,
    }


def template_problems(key: str, template: Json) -> list[tuple[str, str, str]]:
    """Syntax errors and unknown names in every text of `template`: (key, what, what to write instead)."""
    from jinja2 import TemplateSyntaxError, meta

    environment = _environment()
    found = []
    for place, text in _texts(key, template):
        try:
            names = meta.find_undeclared_variables(environment.parse(text))
        except TemplateSyntaxError as error:
            found.append((place, f"not a template: {error.message}", "Write {{ prompt }} where the prompt goes"))
            continue
        for name in sorted(names - NAMES - environment.globals.keys()):
            found.append((place, f"undefined name {name}", f"Known are {', '.join(sorted(NAMES))}"))
    return found


def compile_template(template: Json) -> Render:
    """A function from variables to the rendered structure. Texts that are one `{{ expression }}` keep its value's type.

    The function raises CallError where a name or an attribute is undefined, or the template fails.
    """
    return _guarded(_compile(template, _environment()))


def compile_url(template: str) -> Render:
    """The same for a URL: what is inserted is percent-quoted."""
    environment = _environment()
    environment.finalize = lambda value: quote(str(value), safe="")
    return _guarded(environment.from_string(template).render)


def _compile(template: Json, environment: SandboxedEnvironment) -> Render:
    if isinstance(template, Mapping):
        parts = {key: _compile(value, environment) for key, value in template.items()}
        return lambda names: {key: render(names) for key, render in parts.items()}
    if isinstance(template, list | tuple):
        items = [_compile(value, environment) for value in template]
        return lambda names: [render(names) for render in items]
    if not isinstance(template, str) or ("{{" not in template and "{%" not in template and "{#" not in template):
        return lambda names: template
    if (expression := _sole_expression(template, environment)) is not None:
        evaluate = environment.compile_expression(expression, undefined_to_none=False)
        return lambda names: _defined(evaluate(**names))
    return environment.from_string(template).render


def _sole_expression(template: str, environment: SandboxedEnvironment) -> str | None:
    """The expression of a text that is exactly one `{{ expression }}`."""
    from jinja2 import nodes

    text = template.strip()
    body = environment.parse(text).body
    if len(body) == 1 and isinstance(body[0], nodes.Output) and len(body[0].nodes) == 1:
        is_expression = not isinstance(body[0].nodes[0], nodes.TemplateData)
        if is_expression and text.startswith("{{") and text.endswith("}}"):
            return text[2:-2].strip("-+ \t\n")
    return None


def _defined(value: Any) -> Json:
    from jinja2 import Undefined

    if isinstance(value, Undefined):
        str(value)  # a strict Undefined raises, and names what is missing
    return value


def _guarded(render: Render) -> Render:
    from jinja2 import TemplateError

    def guarded(names: Mapping[str, Json]) -> Json:
        try:
            return render(names)
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            what = f"the template of the request failed: {error}"
            raise CallError(CallFault.REFUSED_REQUEST, f"{what}. Check endpoint.url and endpoint.body") from None

    return guarded


def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)


def _texts(key: str, template: Json) -> Iterator[tuple[str, str]]:
    if isinstance(template, str):
        yield key, template
    elif isinstance(template, Mapping):
        for name, value in template.items():
            yield from _texts(f"{key}.{name}", value)
    elif isinstance(template, list | tuple):
        for number, value in enumerate(template):
            yield from _texts(f"{key}.{number}", value)
