"""JUnit XML: red where the gate is red, in the shape that CI systems read."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from builders import make_failed, make_run
from report_situations import Situation, drop, error, failed, hostile, limit, no_baseline, passed, situations, verdict

from evalgate.records import CaseLists, Status, VerdictName
from evalgate.report import junit
from evalgate.report.model import build

KINDS = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def parsed(situation: Situation) -> ElementTree.Element:
    text = junit.render(situation.report, situation.candidate)
    return ElementTree.fromstring(text.encode("utf-8"))


@pytest.mark.parametrize("situation", tuple(situations()), ids=lambda situation: situation.name)
def test_the_document_has_the_common_shape(situation: Situation) -> None:
    """testsuites / testsuite / testcase, required attributes, at most one outcome each, numbers that add up."""
    root = parsed(situation)
    assert root.tag == "testsuites"
    for suite in root:
        assert suite.tag == "testsuite"
        assert {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"} >= set(suite.attrib)
        assert int(suite.attrib["tests"]) == len(suite)
        for key, kind in KINDS.items():
            assert int(suite.attrib[key]) == len(suite.findall(f"testcase/{kind}"))
        for case in suite:
            assert case.tag == "testcase"
            assert {"name", "classname", "time"} <= set(case.attrib) <= {"name", "classname", "time", "file", "line"}
            assert [child.tag for child in case] in (
                [],
                ["system-out"],
                *([kind] for kind in KINDS.values()),
                *([kind, "system-out"] for kind in KINDS.values()),
            )
            assert all("message" in child.attrib for child in case if child.tag != "system-out")
            assert float(case.attrib["time"]) >= 0
    for key in ("tests", *KINDS):
        assert int(root.attrib[key]) == sum(int(suite.attrib[key]) for suite in root)


def outcomes(root: ElementTree.Element, suite: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for case in root.iterfind(f"testsuite[@name='{suite}']/testcase"):
        kinds = [child.tag for child in case if child.tag != "system-out"]
        found[case.attrib["name"]] = kinds[0] if kinds else "passed"
    return found


def test_a_failed_gate_is_red_where_it_fails() -> None:
    """The verdict, the rules in breach, and the regressed cases of their categories; nothing else."""
    root = parsed(failed())
    gate = outcomes(root, "evalgate gate")
    assert {name for name, kind in gate.items() if kind != "passed"} == {
        "verdict",
        "refunds: max_drop",
        "safety: max_drop",
    }
    assert set(outcomes(root, "refunds").values()) == {"failure"}
    assert set(outcomes(root, "dates").values()) == {"passed"}


def test_a_passed_gate_is_green_whatever_single_cases_score() -> None:
    """Rules judge means: a red mark at every imperfect answer would cry wolf."""
    candidate = make_run("c", dates=[1, 0, 0.2])
    made = verdict(
        VerdictName.PASS, "fine", (drop("dates", 0.5, 0.4, Status.PASS),), cases=CaseLists(regressed=("dates-1",))
    )  # fmt: skip
    root = parsed(Situation("pass", build(made, candidate), candidate))
    assert (root.attrib["failures"], root.attrib["errors"], root.attrib["skipped"]) == ("0", "0", "0")
    assert [out.text for out in root.iterfind("testsuite[@name='dates']/testcase/system-out")] == [
        "score 1",
        "score 0",
        "score 0.2",
    ]
    assert parsed(passed()).attrib["failures"] == "0"


def test_a_result_without_a_score_is_an_error_not_a_failure() -> None:
    """Infrastructure is no statement on quality, in any suite."""
    situation = error()
    candidate = make_run(
        "c", results=[make_failed("lists-1", "overloaded")], categories={"lists-1": ["lists"], "x": ["lists"]}
    )
    root = parsed(replace(situation, candidate=candidate))
    assert outcomes(root, "lists") == {"lists-1": "error", "x": "error"}
    gate = outcomes(root, "evalgate gate")
    assert (gate["verdict"], gate["every case: error_rate"]) == ("error", "error")
    assert root.attrib["failures"] == "0"


def test_what_is_let_through_is_skipped_with_its_reason() -> None:
    """Neither green nor red."""
    root = parsed(no_baseline())
    assert outcomes(root, "evalgate gate")["verdict"] == "skipped"
    skipped = root.find("testsuite/testcase[@name='verdict']/skipped")
    assert skipped is not None
    assert "no baseline" in skipped.attrib["message"]
    assert (root.attrib["failures"], root.attrib["errors"]) == ("0", "0")


def test_a_grave_finding_is_no_redder_than_its_verdict() -> None:
    """A limit that could not be judged stays unjudged where `when` lets it through."""
    found = (limit("cost_per_call_usd", None, None, 0.1, Status.MISSING),)
    made = verdict(VerdictName.INCONCLUSIVE, "unknown", found)
    candidate = make_run("c", dates=[1])
    root = parsed(Situation("x", build(made, candidate), candidate))
    assert outcomes(root, "evalgate gate") == {"verdict": "skipped", "every case: cost_per_call_usd": "skipped"}


def test_text_of_a_model_stands_in_it_only_when_asked() -> None:
    """Test reports are published too."""
    situation = failed()
    open_one = replace(situation.report, show_outputs=True)
    assert "You can return it" not in junit.render(situation.report, situation.candidate)
    assert "You can return it" in junit.render(open_one, situation.candidate)


def test_characters_that_xml_cannot_hold_are_left_out() -> None:
    """Whatever a name is made of, the document can be read, and the rest of the name is in it."""
    situation = hostile()
    text = junit.render(situation.report, situation.candidate)
    assert not {"\x1b", "\x00", "\u202e"} & set(text)
    assert "</details>|<img src=x" in "".join(case.attrib["name"] for case in parsed(situation).iter("testcase"))
