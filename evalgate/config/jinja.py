"""Prompts that are more than text and names: Jinja2 in a sandbox, whose only home this is beside the endpoints."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeAlias

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from evalgate.config.prompting import BadTemplate, as_json, printed

Compiled: TypeAlias = Template


def compiled(source: str) -> tuple[frozenset[str], list[tuple[bool, str]] | None, Compiled | None]:
    """The names that a template uses, and its parts where it is plain after all, or else the template itself.

    Raises BadTemplate for what is no template, and for one that includes another file.
    """
    environment = _environment()
    try:
        tree = environment.parse(source)
        names: frozenset[str] = frozenset(find_undeclared_variables(tree))
        parts = _plain_parts(tree)
        template = environment.from_string(source) if parts is None else None
    except TemplateSyntaxError as error:
        place = f" (line {error.lineno} of the prompt)" if "\n" in source else ""
        raise BadTemplate(f"{(error.message or 'not a template').rstrip('.')}{place}") from error
    except (TemplateError, RecursionError, MemoryError, SyntaxError, ValueError, OverflowError) as error:
        # Python's own compiler refuses what Jinja2's lets through: blocks nested too deep, numbers too long.
        raise BadTemplate(f"it cannot be compiled: {error}") from error
    if any(tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends))):
        raise BadTemplate("it includes another file, which prompts cannot")
    return names, parts, template


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
        undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, finalize=_finalized
    )
    # Jinja2's own tojson escapes < and > for HTML, which a model would have to read.
    environment.filters["tojson"] = as_json
    # Nothing random: the same case has to make the same request in both runs.
    del environment.filters["random"], environment.globals["lipsum"]
    return environment


def _finalized(value: Any) -> Any:
    return value if isinstance(value, StrictUndefined) else printed(value)
