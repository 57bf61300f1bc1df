"""Scorers that users bring: files, entry points, and their errors."""

from __future__ import annotations

import asyncio
import sys

import pytest
from builders import make_case, make_output

from evalgate.errors import InputError, ScorerError
from evalgate.records import ScorerSpec
from evalgate.scorers.build import build, check


@pytest.fixture
def own(tmp_path):
    """Writes a scorer's file and builds its function `judge`."""

    def written(source, function="judge", **options):
        (tmp_path / "own.py").write_text(source, encoding="utf-8")
        return build(ScorerSpec(name=f"own.py:{function}", options=options, base_dir=str(tmp_path)))

    return written


def said(scorer, output="4"):
    return scorer.score_now(make_case(), make_output(output))


@pytest.mark.parametrize(
    ("returned", "value", "reason"),
    [
        ("True", 1.0, "1, no reason given"),
        ("0.25", 0.25, "0.25, no reason given"),
        ("1", 1.0, "1, no reason given"),
        ("(0.5, 'half')", 0.5, "half"),
        ("(True, 'yes\\nindeed')", 1.0, "yes indeed"),
        ("{'value': 0.5, 'reason': 'half'}", 0.5, "half"),
        ("{'score': 1}", 1.0, "1, no reason given"),
        ("__import__('numpy').float32(0.5)", 0.5, "0.5, no reason given"),
        ("__import__('numpy').bool_(True)", 1.0, "1, no reason given"),
        ("__import__('evalgate.scorers.interface').scorers.interface.Mark(value=0.5, reason='m')", 0.5, "m"),
    ],
)
def test_a_function_may_return_what_is_natural(own, returned, value, reason):
    """A bool, a number, either with a reason, or a mapping."""
    score = said(own(f"def judge(case, output):\n    return {returned}\n"))
    assert (score.value, score.reason) == (value, reason)
    assert score.scorer == "own.py:judge"


@pytest.mark.parametrize(
    "returned",
    [
        "float('nan')",
        "float('inf')",
        "-0.01",
        "1.01",
        "2",
        "10 ** 400",
        "-(10 ** 400)",
        "None",
        "'0.5'",
        "[1]",
        "(1, 2, 3)",
        "(0.5, 7)",
        "{}",
        "{'value': 1, 'score': 1}",
        "{'value': 1, 'why': 'x'}",
        "{'value': None}",
        "object()",
        "1j",
        "__import__('numpy').float64('nan')",
        "__import__('numpy').array([0.5])",
    ],
)
def test_what_is_no_value_in_0_to_1_is_unscored(own, returned):
    """Never clipped, never taken for a zero."""
    scorer = own(f"def judge(case, output):\n    return {returned}\n")
    with pytest.raises(ScorerError, match=r"scorer own\.py:judge: returned"):
        said(scorer)


def test_an_error_in_a_function_is_unscored_and_names_its_line(own):
    """Type, message, file and line of the user's code, also below a helper or a library."""
    scorer = own(
        "import json\n\ndef judge(case, output):\n    return helper(output)\n"
        "\ndef helper(output):\n    json.loads('{')\n"
    )
    with pytest.raises(ScorerError, match=r"scorer own\.py:judge: JSONDecodeError: .* \(own\.py:7\)"):
        said(scorer)


@pytest.mark.parametrize("statement", ["raise SystemExit(0)", "import sys; sys.exit('bye')"])
def test_a_function_that_exits_does_not_end_the_run(own, statement):
    """It is an error of that scorer like any other."""
    with pytest.raises(ScorerError, match="SystemExit"):
        said(own(f"def judge(case, output):\n    {statement}\n"))


def test_options_are_handed_over_by_name(own):
    """And are part of the version."""
    source = "def judge(case, output, *, limit=3):\n    return len(output.text) <= limit\n"
    assert said(own(source), "four").value == 0.0
    assert said(own(source, limit=4), "four").value == 1.0
    assert own(source).version != own(source, limit=4).version


def test_options_that_the_function_does_not_take_are_refused(own):
    """When it is loaded, not at each case."""
    with pytest.raises(InputError, match=r"cannot be called with \(case, output, limit=…\)"):
        own("def judge(case, output):\n    return 1\n", limit=4)
    with pytest.raises(InputError, match=r"cannot be called with \(case, output\)"):
        own("def judge(output):\n    return 1\n")


@pytest.mark.parametrize(
    "source",
    [
        "async def judge(case, output):\n    return output.text == case.expected\n",
        "class Judge:\n    async def __call__(self, case, output):\n        return 1\n\njudge = Judge()\n",
        "import functools\nasync def f(case, output, by):\n    return by\n\njudge = functools.partial(f, by=1)\n",
    ],
)
def test_async_functions_are_awaited(own, source):
    """Coroutine functions, objects with an async call, partials."""
    scorer = own(source)
    assert scorer.is_async
    assert asyncio.run(scorer.score(make_case(), make_output("4"))).value == 1.0


def test_an_error_after_an_await_is_located_too(own):
    """The same message as for plain functions."""
    scorer = own("import asyncio\nasync def judge(case, output):\n    await asyncio.sleep(0)\n    return 1 / 0\n")
    with pytest.raises(ScorerError, match=r"ZeroDivisionError: division by zero \(own\.py:4\)"):
        asyncio.run(scorer.score(make_case(), make_output("4")))


def test_a_plain_function_that_returns_a_coroutine_is_told_so(own):
    """Its value is not there yet: no score is made up."""
    scorer = own("async def later():\n    return 1\n\ndef judge(case, output):\n    return later()\n")
    assert not scorer.is_async
    with pytest.raises(ScorerError, match="async def"):
        said(scorer)


def test_cancelling_a_function_cancels_it(own):
    """A cancelled run is no failed scorer."""
    scorer = own("import asyncio\nasync def judge(case, output):\n    await asyncio.sleep(60)\n")

    async def cancelled():
        task = asyncio.ensure_future(scorer.score(make_case(), make_output("4")))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())


def test_a_changed_file_beside_it_is_another_version(own, tmp_path):
    """However deep it is imported: a scorer that leaves the judging to a helper is the helper."""
    source = "def judge(case, output):\n    from kit.deep import check\n    return check()\n"
    (tmp_path / "kit").mkdir()
    versions = []
    for name, content in (
        ("__init__", ""),
        ("deep", "from . import core"),
        ("core", "def check(): return 0"),
        ("core", "#"),
    ):
        (tmp_path / "kit" / f"{name}.py").write_text(content)
        versions.append(own(source).version)
    assert len(set(versions)) == 4
    (tmp_path / "unrelated.py").write_text("nobody imports it")
    assert own(source).version == versions[-1]


def test_a_changed_source_is_another_version(own):
    """The same file with another content judges differently; the same content does not."""
    first = own("def judge(case, output):\n    return 1\n")
    second = own("def judge(case, output):\n    return 0\n")
    assert first.version != second.version
    assert own("def judge(case, output):\n    return 1\n").version == first.version
    assert (said(first).value, said(second).value) == (1.0, 0.0)


def test_a_file_is_executed_once(own, tmp_path):
    """However many specs ask for its functions."""
    source = "from pathlib import Path\nlog = Path(__file__).with_name('log')\nlog.open('a').close()\n"
    source = source.replace("log.open('a').close()", "log.write_text((log.read_text() if log.exists() else '') + 'x')")
    source += "def judge(case, output):\n    return 1\ndef other(case, output):\n    return 0\n"
    own(source)
    own(source, function="other")
    own(source, function="judge")
    assert (tmp_path / "log").read_text() == "x"


def test_a_file_may_import_its_neighbours_and_use_dataclasses(own, tmp_path):
    """And leaves the module search path as it was."""
    (tmp_path / "neighbour_of_own.py").write_text("LIMIT = 4\n")
    before = list(sys.path)
    source = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom neighbour_of_own import LIMIT\n"
        "@dataclass\nclass Limit:\n    value: int = LIMIT\n"
        "def judge(case, output):\n    return len(output.text) <= Limit().value\n"
    )
    try:
        assert said(own(source), "four").value == 1.0
    finally:
        sys.modules.pop("neighbour_of_own", None)
    assert sys.path == before


def test_a_file_runs_as_it_would_on_its_own(own):
    """Without the `__future__` features of evalgate's modules."""
    assert said(own("x: int = 1\ndef judge(case, output):\n    return __annotations__['x'] is int\n")).value == 1.0


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import nothing_like_this\n", r"^own\.py:1: .*ModuleNotFoundError.*Install `nothing_like_this`"),
        ("x = 1\ny = x / 0\n", r"^own\.py:2: .*ZeroDivisionError"),
        ("raise SystemExit(3)\n", r"^own\.py:1: .*SystemExit: 3"),
        ("judge = 7\n", "is no function"),
    ],
)
def test_a_file_that_does_not_load_is_refused_with_its_line(own, source, words):
    """A broken import is the user's to mend before any call."""
    with pytest.raises(InputError, match=words):
        own(source if "judge" in source else source + "def judge(case, output):\n    return 1\n")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("owm.py:judge", "there is no file `owm.py`"),
        ("owm.py:judge", "Did you mean `own.py`?"),
        ("own.py:juge", "has no function `juge`. Did you mean `judge`?"),
        ("bad.py:judge", "is no valid Python: invalid syntax at line 2"),
        ("own.txt:judge", "is no `file.py:function`"),
        ("own.py:", "is no `file.py:function`"),
    ],
)
def test_what_can_be_known_without_running_the_file_is(tmp_path, name, words):
    """`check` reads, it executes nothing."""
    (tmp_path / "own.py").write_text("raise SystemExit\ndef judge(case, output):\n    return 1\n")
    (tmp_path / "bad.py").write_text("x = 1\ndef judge(:\n")
    [fault] = check(ScorerSpec(name=name, base_dir=str(tmp_path)))
    assert words in fault
    with pytest.raises(InputError):
        build(ScorerSpec(name=name, base_dir=str(tmp_path)))


@pytest.mark.parametrize(
    "source",
    [
        "from other import judge\n",
        "judge = print\n",
        "if True:\n    def judge(case, output): ...\n",
        "from x import *\n",
    ],
)
def test_a_function_may_be_bound_in_any_way(tmp_path, source):
    """Imported, assigned, under a condition, or by a star that only running resolves."""
    (tmp_path / "own.py").write_text(source)
    assert check(ScorerSpec(name="own.py:judge", base_dir=str(tmp_path))) == []


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package that offers the scorer `polite`."""
    (tmp_path / "politeness_pkg.py").write_text("def polite(case, output):\n    return 'please' in output.text\n")
    info = tmp_path / "politeness_pkg-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: politeness-pkg\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(
        "[evalgate.scorers]\npolite = politeness_pkg:polite\nbroken = politeness_pkg:gone\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("politeness_pkg", None)


def test_an_installed_package_may_offer_scorers(package):
    """By its entry point's name; package and source are part of the version."""
    scorer = build(ScorerSpec(name="polite"))
    assert said(scorer, "please").value == 1.0
    assert scorer.version.startswith("politeness_pkg:polite/politeness-pkg-1.2/sha256:")
    assert check(ScorerSpec(name="polit"))[0] == "unknown scorer `polit`. Did you mean `polite`?"


def test_a_package_whose_scorer_does_not_load_is_refused(package):
    """A broken plug-in is an error, not a warning."""
    with pytest.raises(InputError, match=r"politeness_pkg:gone cannot be loaded: AttributeError"):
        build(ScorerSpec(name="broken"))
