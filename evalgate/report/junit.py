"""A report as JUnit XML, for the test views of CI systems. Decides nothing.

Red means what the gate says is red. The suite `evalgate gate` has the verdict and every finding as test cases; each
category is a suite with its cases. A case below the pass mark is no failure of its own: rules judge means, and a red
mark at every imperfect answer would cry wolf. It is one where it regressed in a category that is in breach; results
without a score are errors.

The shape is the one that Jenkins' and Ant's readers agree on: `testsuites / testsuite / testcase`, each test case with
at most one of `failure`, `error` and `skipped`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

from evalgate.harmless import visible
from evalgate.records import EVERY_CASE, CaseRef, Failed, Finding, Result, Run, Status, Verdict, VerdictName
from evalgate.report.model import Flip, Report, breached_categories, gating_status, output_text
from evalgate.report.numbers import count, percent
from evalgate.report.phrases import title

TEXT_LIMIT = 10_000


@dataclass(frozen=True, kw_only=True)
class _TestCase:
    name: str
    classname: str
    outcome: Literal["failure", "error", "skipped"] | None = None
    message: str = ""
    out: str = ""
    time_s: float = 0.0
    ref: CaseRef | None = None


def render(report: Report, candidate: Run) -> str:
    """The report as an XML document that ends in a line feed. Model text stands in it only with `show_outputs`.

    A case of several categories stands in the suite of each, as the table counts it in each.
    """
    root = ElementTree.Element("testsuites", {"name": "evalgate"})
    suites = [_suite(root, "evalgate gate", _gate_cases(report.verdict), report.verdict)]
    suites += [_suite(root, name, cases, report.verdict) for name, cases in _category_cases(report, candidate)]
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in suites)))
    root.set("time", _time(report.verdict.usage.wall_s or 0.0))
    ElementTree.indent(root)
    return _unread_by_the_runner(
        '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
    )


# ---- the gate ---------------------------------------------------------------------------------------------


def _gate_cases(verdict: Verdict) -> list[_TestCase]:
    classname = "evalgate.gate"
    whole = _TestCase(
        name="verdict",
        classname=classname,
        outcome=_verdict_outcome(verdict),
        message=f"{title(verdict)}: {verdict.reason}",
    )
    return [whole, *(_finding_case(finding, verdict, classname) for finding in verdict.findings)]


def _verdict_outcome(verdict: Verdict) -> Literal["failure", "error", "skipped"] | None:
    if verdict.verdict is VerdictName.PASS:
        return None
    if verdict.exit_code == 0:
        return "skipped"
    return "failure" if verdict.verdict is VerdictName.FAIL else "error"


def _finding_case(finding: Finding, verdict: Verdict, classname: str) -> _TestCase:
    status = gating_status(finding)
    outcome: Literal["failure", "error", "skipped"] | None = None
    if status in (Status.BREACH, Status.MISSING):
        # As grave as the verdict lets it be: what `when` lets through is not red, and what could not be evaluated is
        # an error, whatever the numbers say.
        outcome = _verdict_outcome(verdict) or "skipped"
    elif status in (Status.INCONCLUSIVE, Status.DRIFT):
        outcome = "skipped"
    where = "every case" if finding.category == EVERY_CASE else finding.category
    return _TestCase(name=f"{where}: {finding.rule}", classname=classname, outcome=outcome, message=finding.sentence)


# ---- the cases --------------------------------------------------------------------------------------------


def _category_cases(report: Report, candidate: Run) -> Iterable[tuple[str, list[_TestCase]]]:
    results: dict[str, list[Result]] = {}
    for result in candidate.results:
        results.setdefault(result.case_id, []).append(result)
    flips = {flip.case_id: flip for flip in report.flips if flip.kind == "regressed"}
    guilty = breached_categories(report.verdict) if report.verdict.verdict is VerdictName.FAIL else frozenset()
    by_category: dict[str, list[_TestCase]] = {}
    for ref in candidate.cases:
        for category in ref.categories:
            blamed = flips.get(ref.id) if category in guilty or EVERY_CASE in guilty else None
            case = _case(ref, category, results.get(ref.id, []), blamed, show_outputs=report.show_outputs)
            by_category.setdefault(category, []).append(case)
    return sorted(by_category.items())


def _case(ref: CaseRef, category: str, results: list[Result], blamed: Flip | None, *, show_outputs: bool) -> _TestCase:
    scores = [result.score for result in results if not isinstance(result, Failed)]
    failed = [result for result in results if isinstance(result, Failed)]
    outcome: Literal["failure", "error"] | None = None
    message = ""
    if failed or not results:
        outcome = "error"
        message = f"{failed[0].stage.value}: {failed[0].cause}" if failed else "no result"
        if scores:
            message += f" ({len(failed)} of {count(len(results), 'epoch')} without a score)"
    elif blamed is not None:
        outcome = "failure"
        message = f"fell from {percent(blamed.before)} to {percent(blamed.after)} in a category in breach"
    lines = [f"score {sum(scores) / len(scores):.6g}"] if scores else []
    if show_outputs:
        lines += [text for result in results if (text := output_text(result.output)) is not None]
        lines += [f"because {blamed.reason}"] if blamed and blamed.reason else []
    return _TestCase(
        name=ref.id,
        classname=category,
        outcome=outcome,
        message=message,
        out="\n".join(lines),
        time_s=sum(result.output.latency_s or 0.0 for result in results if result.output is not None),
        ref=ref,
    )


# ---- XML --------------------------------------------------------------------------------------------------


def _suite(root: ElementTree.Element, name: str, cases: list[_TestCase], verdict: Verdict) -> ElementTree.Element:
    suite = ElementTree.SubElement(root, "testsuite", {"name": _clean(name), "tests": str(len(cases))})
    for key, outcome in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(sum(case.outcome == outcome for case in cases)))
    suite.set("time", _time(sum(case.time_s for case in cases)))
    if verdict.run_created is not None:
        suite.set("timestamp", verdict.run_created.strftime("%Y-%m-%dT%H:%M:%S"))
    for case in cases:
        attributes = {"name": _clean(case.name), "classname": _clean(case.classname), "time": _time(case.time_s)}
        if case.ref and case.ref.source and case.ref.source.file:
            attributes |= {"file": _clean(case.ref.source.file), "line": str(case.ref.source.line)}
        element = ElementTree.SubElement(suite, "testcase", attributes)
        message = _clean(case.message)
        if case.outcome == "skipped":
            ElementTree.SubElement(element, "skipped", {"message": message})
        elif case.outcome is not None:
            ElementTree.SubElement(element, case.outcome, {"message": message, "type": "evalgate"}).text = message
        out = _clean(case.out if case.outcome is not None or not case.message else case.message)
        if out:
            ElementTree.SubElement(element, "system-out").text = out
    return suite


def _clean(text: str) -> str:
    """The text without what XML 1.0 cannot hold, nor what a reader cannot see."""
    return visible(text[:TEXT_LIMIT])


def _unread_by_the_runner(document: str) -> str:
    """The same document, which does nothing where a job prints it to its log: see `harmless.log_safe`."""
    spelt = re.sub(r"(?m)^([^\n\x21-\x7e]*):(?=[^\x00-\x7f]*:)", r"\1&#58;", document)
    return re.sub(r"#(?=[^\x00-\x7f]*#[^\x00-\x7f]*\[)", "&#35;", spelt)


def _time(span: float) -> str:
    return f"{span:.3f}"
