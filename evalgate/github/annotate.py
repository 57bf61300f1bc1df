"""What a finished run shows beside the diff: why the gate did not pass, and at which cases' lines.

Reads the verdict and the JUnit file, in which the report has marked the cases to blame; decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from evalgate.github.actions import Annotation
from evalgate.github.verdict_file import VerdictFile
from evalgate.records import VerdictName

_MAX_JUNIT_BYTES = 50_000_000


def annotate(verdict: VerdictFile | None, exit_code: int, *, junit: Path, roots: Sequence[Path]) -> list[Annotation]:
    """What to show, the most important first; empty where the gate passed.

    verdict: None where the run ended without one. roots: the repository's root, then further folders that the places of
    cases may be relative to. A case whose file is not inside the repository is shown without a place.
    """
    if verdict is None:
        what = {2: "The configuration or the input is wrong", 130: "The run was interrupted"}.get(
            exit_code, "The run ended without a verdict"
        )
        return [Annotation(level="error", title="evalgate", message=f"{what} (exit code {exit_code}); see the log.")]
    if verdict.verdict is VerdictName.PASS:
        return []
    level: Literal["error", "warning"] = "error" if exit_code else "warning"
    first = Annotation(level=level, title=f"evalgate: {verdict.verdict}", message=verdict.reason)
    others = [text for text in dict.fromkeys(verdict.breaches) if text != verdict.reason]
    sentences = [Annotation(level=level, title=f"evalgate: {verdict.verdict}", message=text) for text in others]
    return [first, *sentences, *_blamed_cases(junit, roots)]


def _blamed_cases(junit: Path, roots: Sequence[Path]) -> Iterator[Annotation]:
    """One annotation for each case with a place that the report marks as a failure."""
    seen: set[str] = set()
    for case in _test_cases(junit):
        name, file, line, failure = case.get("name", ""), case.get("file"), case.get("line", ""), case.find("failure")
        if failure is None or file is None or not line.isdecimal() or name in seen:
            continue
        seen.add(name)
        yield Annotation(
            level="error",
            title=f"evalgate: {name}"[:200],
            message=failure.get("message") or "regressed",
            file=_inside(file, roots),
            line=int(line),
        )


def _test_cases(junit: Path) -> Iterator[ElementTree.Element]:
    try:
        if junit.stat().st_size > _MAX_JUNIT_BYTES or b"<!" in junit.read_bytes():
            return  # Our reports declare nothing: whoever declares entities is up to something.
        yield from ElementTree.parse(junit).iter("testcase")
    except (OSError, ElementTree.ParseError):
        return


def _inside(file: str, roots: Sequence[Path]) -> str | None:
    """The file relative to the first root, where it is inside; found under whichever root has it."""
    top = roots[0].resolve()
    for root in roots:
        try:
            found = (root / file).resolve()
            if found.is_file():
                return found.relative_to(top).as_posix()
        except (OSError, ValueError):
            continue
    return None
