"""Every place that a story is written to, and what its reader would do with it: each sink gives complaints, or none."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, cached_property
from pathlib import Path
from xml.etree import ElementTree

from builders import NOON
from carriers import Story, carried
from readers import Page, outputs_of
from workflow_commands import commands

from evalgate.errors import EvalgateError, Fault, InputError, StoreError
from evalgate.gate.explain import Explanation
from evalgate.github import checks
from evalgate.github.actions import Annotation, annotation_commands, tell_faults, write_outputs
from evalgate.github.annotate import annotate
from evalgate.github.comment import Marker
from evalgate.github.verdict_file import read_verdict
from evalgate.harmless import INVISIBLE, UNENCODABLE, LogStream, log_safe
from evalgate.history import branch_names, result_file, run_file
from evalgate.history.store import History
from evalgate.records import Run, RunRow, Verdict
from evalgate.report import explanation, foreign, junit, machine, markdown, sides, terminal
from evalgate.report import trend as weekly
from evalgate.report.model import Report
from evalgate.report.pages import Format
from evalgate.report.pen import Pen

MARKER = Marker(suite="support-bot", head_sha="a" * 40, run_id=7, run_attempt=1)


@dataclass(frozen=True)
class Written:
    """A story in all its documents, each made once."""

    story: Story
    folder: Path

    @cached_property
    def verdict(self) -> Verdict:
        return self.story.verdict()

    @cached_property
    def _report(self) -> Report:
        return self.story.report(self.verdict)

    @cached_property
    def _row(self) -> RunRow:
        return self.story.row(self.verdict)

    @cached_property
    def _explained(self) -> tuple[Explanation, ...]:
        return self.story.explained()

    @cached_property
    def texts(self) -> dict[str, str]:
        """What goes to a terminal or a log, by what writes it."""
        story, pen = self.story, Pen(width=100)
        return {
            "report": terminal.render(self._report, width=100),
            "explanation": explanation.render(self._report, self._explained, format="text", pen=pen),
            "compare": sides.compare(story.baseline, story.candidate, pen=pen),
            "show": sides.show(story.candidate, pen=pen),
            "history": sides.history((self._row,), pen=pen),
            "weekly": self._weekly("text"),
        }

    @cached_property
    def pages(self) -> dict[str, str]:
        """Markdown, by what writes it."""
        story = self.story
        report = markdown.render(self._report)
        explained = explanation.render(self._report, self._explained, format="markdown")
        return {
            "summary": markdown.render_summary(self._report),
            "fork's comment": f"{self._banner}\n{report}",
            "explanation": explained.removeprefix(report.rstrip("\n")),  # which the comment has
            "compare": sides.compare(story.baseline, story.candidate, format="markdown"),
            "show": sides.show(story.candidate, format="markdown"),
            "history": sides.history((self._row,), format="markdown"),
            "weekly": self._weekly("markdown"),
        }

    @cached_property
    def documents(self) -> dict[str, str]:
        """JSON, by what writes it."""
        story = self.story
        return {
            "verdict": machine.render(self._report),
            "explanation": explanation.render(self._report, self._explained, format="json"),
            "compare": sides.compare(story.baseline, story.candidate, format="json"),
            "show": sides.show(story.candidate, format="json"),
            "history": sides.history((self._row,), format="json"),
            "weekly": self._weekly("json"),
        }

    def _weekly(self, format: Format) -> str:
        return weekly.render([self.story.trend()], since=NOON - timedelta(days=30), now=NOON, format=format)

    @cached_property
    def _banner(self) -> str:
        run = self.story.candidate
        url = "https://github.com/octo-org/repo/actions/runs/1"
        text = foreign.banner(whose="a fork", run_url=url, branch=run.branch or "main", commit=run.commit or "c0ffee")
        # The link and the alert are ours.
        return text.replace(f"[a run]({url})", "a run").replace("[!IMPORTANT]", "")

    @cached_property
    def junit(self) -> str:
        return junit.render(self._report, self.story.candidate)

    @cached_property
    def annotations(self) -> list[Annotation]:
        """What is shown beside the diff."""
        (self.folder / "junit.xml").write_text(self.junit, encoding="utf-8")
        (self.folder / "verdict.json").write_text(self.documents["verdict"], encoding="utf-8")
        try:
            verdict = read_verdict(self.folder / "verdict.json", max_bytes=100_000_000)
        except InputError:
            verdict = None  # a name that no verdict of ours has: refused, and told as such
        made = annotate(verdict, 1, junit=self.folder / "junit.xml", roots=[self.folder])
        told = Annotation(
            level="notice", title=self.story.candidate.suite, message=self.story.why, file="a.yaml", line=3
        )
        return [told, *made]


def in_the_log(written: Written) -> Iterator[str]:
    """What a job prints, as the runner reads it: reports, documents and whatever else goes through the process."""
    log = io.StringIO()
    stream = LogStream(log)
    story = written.story
    message = f"{story.candidate.suite}\n{story.candidate.branch}\n{story.why}\n"
    traceback = f"Traceback\nRuntimeError: {message}{[result.output for result in story.candidate.results]}\n"
    pages, documents = written.pages.values(), written.documents.values()
    for text in (*written.texts.values(), *pages, *documents, written.junit, message, traceback):
        stream.write(text)
    stream.end()
    yield from (f"the runner obeys {found}" for found in commands(log.getvalue()))


def in_a_terminal(written: Written) -> Iterator[str]:
    """What a terminal obeys, or a reader cannot see."""
    for name, text in written.texts.items():
        if found := INVISIBLE.search(text.replace("\ufe0f", "")) or UNENCODABLE.search(text):
            yield f"{name}: {found.group()!r} is printed"


def printed_by_cat(written: Written) -> Iterator[str]:
    """Files that a step prints without a filter."""
    made = {"Markdown": written.pages, "JSON": written.documents, "JUnit": {"report": written.junit}}
    for name, text in ((f"{name} of {kind}", text) for kind, texts in made.items() for name, text in texts.items()):
        if text != log_safe(text):
            yield f"{name}: the log's filter changes it"


def in_the_outputs(written: Written) -> Iterator[str]:
    """The step's outputs, as the runner reads them."""
    file = written.folder / "outputs"
    file.unlink(missing_ok=True)
    outputs = {"verdict": "fail", "exit-code": "1", "run-id": written.story.candidate.id, "json": written.story.path}
    try:
        write_outputs(file, outputs)
    except InputError:
        if file.exists():
            yield "something was written though it was refused"
        return
    if outputs_of(file.read_bytes().decode("utf-8")) != outputs:
        yield "other outputs are read than were written"


def in_markdown(written: Written) -> Iterator[str]:
    """Comment, summary and pages, as GitHub renders them: same shape as without the attack, and nothing happens."""
    usual = shapes(written.story.carriers)
    for name, text in written.pages.items():
        page = Page(text)
        for happening in page.happenings():
            yield f"{name}: {happening}"
        if more := page.shape - usual[name]:
            yield f"{name}: it has more {more}"
        if len(text.encode()) > 65_536 and name == "fork's comment":
            yield f"{name}: {len(text.encode())} bytes"


def in_raw_markdown(written: Written) -> Iterator[str]:
    """Tools that read a comment's text as it was sent: for our marker, and for comments that hide."""
    for name, text in written.pages.items():
        body = f"{MARKER}\n{text}"
        if Marker.of(body) != MARKER or Marker.of(text) is not None:
            yield f"{name}: another marker counts"
        if "<!--" in text.replace("<!-- -->", ""):
            yield f"{name}: it holds a comment"
        if INVISIBLE.search(text.replace("\ufe0f", "")) or UNENCODABLE.search(text):
            yield f"{name}: it holds what cannot be seen"


def in_json(written: Written) -> Iterator[str]:
    """Programs that read the documents: the same names and values, and text that may be printed."""
    for name, text in written.documents.items():
        if INVISIBLE.search(text.replace("\ufe0f", "")) or not isinstance(json.loads(text), dict):
            yield f"{name}: no clean document"
        text.encode("utf-8")
    verdict = json.loads(written.documents["verdict"])
    if (verdict["verdict"], verdict["exit_code"]) != ("fail", 1):
        yield f"the verdict reads {verdict['verdict']}"


def in_junit(written: Written) -> Iterator[str]:
    """Test views: well-formed, with as many suites, cases and failures as the story has."""
    try:
        root = ElementTree.fromstring(written.junit.encode("utf-8"))
    except ElementTree.ParseError as error:
        yield f"no XML: {error}"
        return
    if "<!" in written.junit:
        yield "it declares something"
    known = {"testsuites", "testsuite", "testcase", "failure", "error", "skipped", "system-out"}
    strange = {element.tag for element in root.iter()} - known
    cases, failures = len(list(root.iter("testcase"))), len(list(root.iter("failure")))
    if strange or str(cases) != root.get("tests") or str(failures) != root.get("failures"):
        yield f"another document: {strange or (cases, failures)}"


def in_annotations(written: Written) -> Iterator[str]:
    """Annotations and faults that the action's step tells: one command of ours each, and no other."""
    lines = annotation_commands(written.annotations)
    found = [name for name, _ in commands("\n".join(lines))]
    if any("\n" in line or "\r" in line for line in lines) or len(found) != len(lines):
        yield f"{len(lines)} annotations are {len(found)} commands"
    log = io.StringIO()
    fault = Fault(where=written.story.candidate.suite, what=written.story.why)
    tell_faults(written.story.candidate.suite, lambda: _raise(InputError(fault)), log)
    if [name for name, _ in commands(log.getvalue())] != ["error"]:
        yield f"a fault is told as {commands(log.getvalue())}"


def _raise(error: EvalgateError) -> int:
    raise error


def in_the_run_file(written: Written) -> Iterator[str]:
    """What others read of a run: the same run, or a refusal; without texts no word of a model."""
    run = written.story.candidate
    file = written.folder / "run.evalrun"
    for outputs in ("full", "hashes"):
        try:
            run_file.write(file, run, outputs=outputs)  # type: ignore[arg-type]
            again = run_file.read(file).run
        except (StoreError, InputError):
            continue  # an id or a text that no run of ours has
        if outputs == "full" and _facts(again) != _facts(run):
            yield "another run is read than was written"
        if outputs == "hashes" and any(r.output and (r.output.text or r.output.data) for r in again.results):
            yield "a model's words are in a file without texts"
    if left := [found.name for found in written.folder.iterdir() if found.name.startswith(".")]:
        yield f"left behind: {left}"


def in_the_result_file(written: Written) -> Iterator[str]:
    """What a fork's run hands over, and this repository's job reads: the same ids, no text, or a refusal."""
    run, file = written.story.candidate, written.folder / "result.json"
    try:
        result_file.write(file, run.suite, run)
        handed = result_file.read(file.read_bytes(), where="result.json")
    except (StoreError, InputError):
        return
    if handed.run is None or [ref.id for ref in handed.run.cases] != [ref.id for ref in run.cases]:
        yield "another run is read than was written"
    elif any(result.output and (result.output.text or result.output.data) for result in handed.run.results):
        yield "a model's words are in it"


def in_a_path_of_the_branch(written: Written) -> Iterator[str]:
    """Where a run lies on the history's branch: where runs lie, under its own id, or nowhere."""
    run = written.story.candidate
    try:
        path = branch_names.run_path(run.id, created=run.created, commit=run.commit, by=branch_names.By(ci_run=1))
    except InputError:
        return
    if path.count("/") != 4 or not path.startswith("v1/runs/2026/11/") or not path.isprintable() or ".git/" in path:
        yield f"it lies at {path!r}"


def in_a_check_run(written: Written) -> Iterator[str]:
    """A check run's annotations: at a line of a file inside, texts that can be seen."""
    for row in map(checks._row, written.annotations):
        texts = (row["title"], row["message"])
        if any(INVISIBLE.search(text) or "\n" in text for text in texts) or len(row["title"]) > 255:
            yield f"another annotation: {row!r}"


def in_the_store(written: Written) -> Iterator[str]:
    """The history store gives back what was written, under the name that it was written under."""
    run, history = written.story.candidate, _store()
    try:
        history.write_run(run)
        history.write_verdict(run.id, written.verdict, decided=NOON)
        again = history.read_run(run.id, suite=run.suite)
    except (StoreError, InputError):
        return
    if _facts(again) != _facts(run):
        yield "another run is read than was written"


@cache
def _store() -> History:
    """One for all stories: what one of them wrote must not be read as another."""
    return History.open("sqlite:///:memory:")


def _facts(run: Run) -> tuple[object, ...]:
    return run.id, run.suite, run.branch, run.commit, run.selection, [ref.id for ref in run.cases], len(run.results)


Sink = Callable[[Written], Iterator[str]]

SINKS: Mapping[str, Sink] = {
    "log": in_the_log,
    "terminal": in_a_terminal,
    "files printed by cat": printed_by_cat,
    "step outputs": in_the_outputs,
    "rendered Markdown": in_markdown,
    "raw Markdown": in_raw_markdown,
    "JSON": in_json,
    "JUnit XML": in_junit,
    "annotations": in_annotations,
    "check run": in_a_check_run,
    "run file": in_the_run_file,
    "result file": in_the_result_file,
    "path on the branch": in_a_path_of_the_branch,
    "history store": in_the_store,
}


@cache
def shapes(carriers: tuple[str, ...]) -> Mapping[str, Counter[str]]:
    """How often each page has what it is made of where the same carriers hold a word."""
    story = carried("word", carriers)
    return {name: Page(text).shape for name, text in Written(story, Path()).pages.items()}
