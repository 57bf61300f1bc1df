"""A verdict file (`evalgate.verdict/1`) read by a job that did not write it: checked before a word of it is used.

Knows the file's shape and nothing of how a verdict comes about.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from evalgate.errors import Fault, InputError
from evalgate.records import VERDICT_SCHEMA, CommentWhen, Json, Status, VerdictName

MAX_BYTES = 1_048_576
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
"""It becomes an output of the step."""
_MAX_TEXT = 4_000
_COMMENT: dict[str, Json] = {"when": "always", "changed": True}
"""Of a verdict that was not written by a command with a configuration."""
_EXITS = {"pass": 0, "fail": 1}
"""Verdicts that leave no choice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictFile:
    """The part of a verdict that GitHub's surfaces show."""

    suite: str
    verdict: VerdictName
    exit_code: int
    """0, 1 or 3."""
    reason: str
    run_id: str | None
    commit: str | None
    breaches: tuple[str, ...]
    """The sentences of the gating findings that decided."""
    comment: CommentWhen = "always"
    """When the pull request gets a comment, as the configuration says."""
    has_changed: bool = True
    """Whether there is anything to tell that was not so in the baseline."""

    @property
    def unwanted(self) -> str:
        """Why no comment is to be made; empty where one is."""
        if self.comment == "never":
            return "the configuration says `comment: never`"
        if self.comment == "on_change" and not self.has_changed:
            return "nothing has changed, and the configuration says `comment: on_change`"
        if self.comment == "on_failure" and self.exit_code == 0:
            return "nothing failed, and the configuration says `comment: on_failure`"
        return ""


def read_verdict(path: Path, *, max_bytes: int = MAX_BYTES) -> VerdictFile:
    """The verdict in this file. Raises InputError with every fault of its shape, or where it is over `max_bytes`.

    The default suits files from elsewhere; who has written the file may allow the lists of a large run.
    """
    try:
        content = json.loads(read_text(path, max_bytes=max_bytes))
    except (ValueError, RecursionError) as fault:
        raise InputError(Fault(where=str(path), what="is not JSON", hint=_HINT)) from fault
    if not isinstance(content, dict) or content.get("schema") != VERDICT_SCHEMA:
        what = f'is not a verdict: its "schema" is not "{VERDICT_SCHEMA}"'
        raise InputError(Fault(where=str(path), what=what, hint=_HINT))
    faults = [Fault(where=str(path), what=what) for what in _faults(content)]
    if faults:
        raise InputError(faults)
    deciding = (
        row["sentence"]
        for row in content["findings"]
        if row.get("status") in (Status.BREACH, Status.MISSING) and row.get("gating") is True
    )
    return VerdictFile(
        suite=content["suite"],
        verdict=VerdictName(content["verdict"]),
        exit_code=content["exit_code"],
        reason=content["reason"],
        run_id=content["run"]["id"],
        commit=content["run"]["commit"],
        breaches=tuple(deciding),
        comment=content.get("comment", _COMMENT)["when"],
        has_changed=content.get("comment", _COMMENT)["changed"],
    )


def _faults(content: dict[str, Json]) -> Iterator[str]:
    """What is wrong with the fields that are used."""
    if not _is_text(content.get("suite"), 200):
        yield '"suite" is not a text of 1 to 200 characters'
    if content.get("verdict") not in list(VerdictName):
        yield '"verdict" is none of ' + ", ".join(VerdictName)
    if type(content.get("exit_code")) is not int or content["exit_code"] not in (0, 1, 3):
        yield '"exit_code" is none of 0, 1, 3'
    elif content["exit_code"] != _EXITS.get(str(content.get("verdict")), content["exit_code"]):
        yield '"verdict" and "exit_code" contradict each other'
    if not _is_text(content.get("reason"), _MAX_TEXT):
        yield f'"reason" is not a text of 1 to {_MAX_TEXT} characters'
    run = content.get("run")
    run = run if isinstance(run, dict) else {"id": 0, "commit": 0}
    if not (run.get("id") is None or (isinstance(run["id"], str) and _RUN_ID.fullmatch(run["id"]))):
        yield '"run.id" is neither null nor a run id'
    if not (run.get("commit") is None or _is_text(run["commit"], 200)):
        yield '"run.commit" is neither null nor a text'
    findings = content.get("findings")
    if not isinstance(findings, list) or not all(
        isinstance(row, dict) and _is_text(row.get("sentence"), _MAX_TEXT) for row in findings
    ):
        yield '"findings" is not a list of findings with sentences'
    comment = content.get("comment", _COMMENT)
    if not isinstance(comment, dict) or comment.get("when") not in get_args(CommentWhen):
        yield '"comment.when" is none of ' + ", ".join(get_args(CommentWhen))
    elif type(comment.get("changed")) is not bool:
        yield '"comment.changed" is neither true nor false'


_HINT = "Write one with: evalgate run --write json=verdict.json"


def read_text(path: Path, *, max_bytes: int = MAX_BYTES) -> str:
    """The text of a report file. Raises InputError where it cannot be read, is no UTF-8, or is over `max_bytes`."""
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as fault:
        raise InputError(Fault(where=str(path), what=f"cannot be read ({fault.strerror})", hint=_HINT)) from fault
    if len(content) > max_bytes:
        raise InputError(Fault(where=str(path), what=f"is larger than {max_bytes:,} bytes"))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise InputError(Fault(where=str(path), what="is not UTF-8")) from fault


def _is_text(value: Json, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest
