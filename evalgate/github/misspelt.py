"""Inputs that a workflow gives to the action and that the action does not have.

GitHub warns of them and hands them to nobody, so that `categroy: refunds` would run everything, green. A composite
action never sees them; the workflow's file does, where the job has checked it out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from evalgate.errors import Fault

_CHECKED_OUT = re.compile(r"/_actions/(?P<owner>[^/]+)/(?P<name>[^/]+)/(?P<ref>[^/]+)/*")
_WORKFLOW = re.compile(r"[^/]+/[^/]+/(?P<path>\.github/workflows/[^/@]+)@")
_KEY = re.compile(r"(?P<before> *(?:- +)?)(?P<key>[A-Za-z_][\w-]*) *:(?: |$)")
_MAX_BYTES = 1_048_576


def misspelt(environ: Mapping[str, str], known: Collection[str]) -> list[Fault]:
    """A fault for each input of the step that runs, or of another step that uses the same action, that is not known.

    Looks at the file of the workflow in the job's workspace; where there is none, or it uses the action in a way that
    cannot be read line by line, nothing is found.
    """
    found = _WORKFLOW.match(environ.get("GITHUB_WORKFLOW_REF", ""))
    used = _used_as(environ.get("GITHUB_ACTION_PATH", ""), environ.get("GITHUB_WORKSPACE", ""))
    if found is None or used is None:
        return []
    try:
        with (Path(environ["GITHUB_WORKSPACE"]) / found["path"]).open("rb") as file:
            lines = file.read(_MAX_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [
        Fault(
            where=f"{found['path']}:{number}",
            what=f"the action has no input {name}",
            hint=f"There are: {', '.join(sorted(known))}.",
        )
        for number, name in _inputs(lines, used)
        if name not in known
    ]


def _used_as(action: str, workspace: str) -> str | None:
    """What stands after `uses:` for the action in this folder; None: it is nowhere that the runner would put it."""
    found = _CHECKED_OUT.search(action)
    if found is not None:
        return f"{found['owner']}/{found['name']}@{found['ref']}"
    return "./" if workspace and Path(action).absolute() == Path(workspace).absolute() else None


def _inputs(lines: list[str], used: str) -> Iterator[tuple[int, str]]:
    """Line, from 1, and name of each input under `with:` of the steps that use this."""
    for start, line in enumerate(lines):
        found = _KEY.match(line)
        if found is None or found["key"] != "uses" or _value(line[found.end() :]).lower() != used.lower():
            continue
        column = len(found["before"])
        for number in _step(lines, start, column):
            key = _KEY.match(lines[number])
            if key is not None and key["key"] == "with" and len(key["before"]) == column:
                yield from _children(lines, number + 1, column)


def _step(lines: list[str], start: int, column: int) -> Iterator[int]:
    """The lines of the step that has its keys in this column and one of them at `start`."""
    first = start
    while first > 0 and not re.match(rf" {{{max(column - 2, 0)}}}- ", lines[first]):
        first -= 1
    yield first
    for number in range(first + 1, len(lines)):
        indent = _indent(lines[number])
        if indent is not None and indent < column:
            return
        yield number


def _children(lines: list[str], start: int, column: int) -> Iterator[tuple[int, str]]:
    own: int | None = None
    for number in range(start, len(lines)):
        indent = _indent(lines[number])
        if indent is None:
            continue
        if indent <= column:
            return
        own = indent if own is None else own
        found = _KEY.match(lines[number])
        if indent == own and found is not None:
            yield number + 1, found["key"]


def _indent(line: str) -> int | None:
    """None: the line is empty, or a comment."""
    text = line.lstrip(" ")
    return None if not text or text.startswith("#") else len(line) - len(text)


def _value(text: str) -> str:
    return text.partition(" #")[0].strip().strip("\"'")
