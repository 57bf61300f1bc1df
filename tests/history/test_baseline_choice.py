"""Which baseline is chosen, and in which words: on real repositories and a real store."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import NOON, make_drift, make_run
from history_builders import merged, verdict
from repositories import commit, git

from evalgate.errors import InputError
from evalgate.history.anchor import anchored
from evalgate.history.baseline import choose, pinned, survey
from evalgate.history.git import Git, Repository
from evalgate.history.store import History
from evalgate.records import Baseline, Missing, Nearest, Pinned, Run, Step, Usage, VerdictName, Version

LATER = NOON + timedelta(days=2)
TODAY = NOON.date()


@pytest.fixture
def history() -> Iterator[History]:
    with History.open("sqlite://") as store:
        yield store


@pytest.fixture
def line(tmp_path: Path) -> tuple[Repository, list[str]]:
    """A repository with five commits in a line, oldest first."""
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    return Repository(tmp_path), [commit(tmp_path, str(number)) for number in range(5)]


def record(
    history: History, id: str, *, minutes: float = 0, exit_code: int | None = 0, name: str = "pass", **changes: Any
) -> Run:
    """A run in the history, with a verdict where an exit code is given."""
    scores = changes.pop("scores", {"facts": [1, 0]})
    run = replace(make_run(id, minutes=minutes, **scores), **changes)
    history.write_run(run)
    if exit_code is not None:
        history.write_verdict(id, verdict(VerdictName(name), exit_code), decided=run.created)
    return run


def candidate(**changes: Any) -> Run:
    return replace(make_run("candidate", minutes=1000, facts=[1, 1]), **changes)


def chosen(
    history: History, run: Run, git: Git | None = None, *, start: str | None = None, in_ci: bool = False, pool: int = 10
) -> Baseline:
    return choose(history, run, git=git, start=start, in_ci=in_ci, pool=pool)


def ids(found: Baseline) -> list[str]:
    assert isinstance(found, Nearest), found
    return [run.id for run in found.runs]


def reason(found: Baseline) -> str:
    assert isinstance(found, Missing), found
    return found.reason


# ---- in CI ------------------------------------------------------------------------------------------------


def test_in_ci_the_nearest_first_parent_counts_even_where_it_failed(
    history: History, line: tuple[Repository, list[str]]
) -> None:
    """What is on the default branch is what a change is held against, good or bad."""
    repository, commits = line
    record(history, "far", commit=commits[0], minutes=50)
    record(history, "near", commit=commits[1], minutes=10, exit_code=1, name="fail")
    found = chosen(history, candidate(commit=commits[4]), repository, start="HEAD^1", in_ci=True)
    assert isinstance(found, Nearest)
    assert (ids(found), found.behind) == (["near"], 2)
    assert found.why == "nearest ancestor with a complete run: 2 commits behind HEAD^1, whose own verdict was fail"


def test_in_ci_earlier_runs_of_the_version_are_pooled(history: History, line: tuple[Repository, list[str]]) -> None:
    """Same version, earlier, on the base branch; another version and later runs stay out; the nearest is first."""
    repository, commits = line
    record(history, "oldest", commit=commits[0], minutes=1)
    record(history, "old", commit=commits[1], minutes=2)
    record(history, "other-version", commit=commits[1], minutes=3, version=Version(id="v2"))
    record(history, "elsewhere", commit="f" * 40, minutes=4)
    record(history, "first", commit=commits[3], minutes=5)
    record(history, "backfilled", commit=commits[0], minutes=9)
    run = candidate(commit=commits[4])
    found = chosen(history, run, repository, start="HEAD^1", in_ci=True)
    assert isinstance(found, Nearest)
    assert ids(found) == ["first", "old", "oldest"]
    assert found.why.endswith("on HEAD^1 itself, pooled with 2 earlier runs of the same version")
    assert ids(chosen(history, run, repository, start="HEAD^1", in_ci=True, pool=2)) == ["first", "old"]
    assert ids(chosen(history, run, repository, start="HEAD^1", in_ci=True, pool=1)) == ["first"]


def test_a_baseline_that_met_drift_is_pooled_and_said(history: History, line: tuple[Repository, list[str]]) -> None:
    """Alone it would lower the bar for whatever fell with it; without it, what a provider does now is blamed on all."""
    repository, commits = line
    for number in range(4):
        record(history, f"run-{number}", commit=commits[number], minutes=number)
    history.write_drift([make_drift("run-3")])
    found = chosen(history, candidate(commit=commits[4]), repository, start="HEAD^1", in_ci=True)
    assert ids(found) == ["run-3", "run-2", "run-1", "run-0"]
    assert isinstance(found, Nearest) and "; it met drift" in found.why


def test_runs_much_older_than_the_nearest_are_not_pooled(history: History) -> None:
    """The age limit is for all of a baseline: an old run cannot ride along with a young one."""
    for days in (0, 9, 11):
        record(history, f"{days}-days-old", minutes=-days * 24 * 60)
    found = survey(history, candidate(), git=None, start=None, in_ci=False, pool_days=10)
    assert ids(found.baseline) == ["0-days-old", "9-days-old"]
    assert [passed.why for passed in found.passed_over] == ["more than 10 days older than 0-days-old"]


def test_runs_of_an_unknown_version_are_not_pooled(history: History, line: tuple[Repository, list[str]]) -> None:
    """Two unknowns need not be the same."""
    repository, commits = line
    for number in range(2):
        record(history, f"run-{number}", commit=commits[0], minutes=number, version=Version(id=None))
    assert ids(chosen(history, candidate(), repository, start="HEAD^1", in_ci=True)) == ["run-1"]


def test_in_ci_the_merged_side_is_no_baseline(history: History, tmp_path: Path) -> None:
    """Only the base branch's own line counts: the second parent is the change itself."""
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    commits = merged(tmp_path)
    record(history, "side", commit=commits["c"], minutes=9)
    record(history, "base", commit=commits["a"])
    run = candidate(commit=commits["m"])
    assert ids(chosen(history, run, Repository(tmp_path), start="HEAD^1", in_ci=True)) == ["base"]


def test_in_ci_without_a_base_an_earlier_attempt_at_this_commit_does_not_count(
    history: History, line: tuple[Repository, list[str]]
) -> None:
    """A change that is compared with itself never got worse."""
    repository, commits = line
    record(history, "attempt", commit=commits[4], minutes=9)
    record(history, "before", commit=commits[3])
    assert ids(chosen(history, candidate(commit=commits[4]), repository, in_ci=True)) == ["before"]


def test_in_ci_a_run_beside_the_line_is_named(history: History, line: tuple[Repository, list[str]]) -> None:
    """The reason says what was looked at, and what there is."""
    repository, commits = line
    record(history, "other", commit="d" * 40, branch="feature")
    found = chosen(history, candidate(commit=commits[4]), repository, start=commits[3], in_ci=True)
    assert reason(found) == (
        '1 complete run of suite "suite" in the store in memory, none on '
        f"{commits[3][:10]} or an ancestor of it (4 commits looked at); "
        "the newest, other, is on dddddddddd on branch feature"
    )


def test_in_ci_a_shallow_clone_is_told(history: History, line: tuple[Repository, list[str]], tmp_path: Path) -> None:
    """The run may be there, only its commit is not."""
    _, commits = line
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth=2", tmp_path.as_uri(), str(clone))
    record(history, "first", commit=commits[0])
    for start in ("HEAD^1", "HEAD~3"):
        found = chosen(history, candidate(commit=commits[4]), Repository(clone), start=start, in_ci=True)
        assert "could not look further back than" in reason(found)
        assert reason(found).endswith(": this clone is shallow: fetch older commits (fetch-depth: 0)")


# ---- locally ----------------------------------------------------------------------------------------------


def test_locally_the_newest_passing_run_on_an_ancestor_counts(
    history: History, line: tuple[Repository, list[str]]
) -> None:
    """A failed run, one that was never decided and one on another line do not set the bar."""
    repository, commits = line
    record(history, "passed", commit=commits[1], minutes=1)
    record(history, "newest", commit=commits[3], minutes=2)
    record(history, "failed", commit=commits[4], minutes=3, exit_code=1, name="fail")
    record(history, "undecided", commit=commits[4], minutes=4, exit_code=None)
    record(history, "elsewhere", commit="e" * 40, minutes=5)
    found = chosen(history, candidate(commit=commits[4]), repository)
    assert isinstance(found, Nearest)
    assert (ids(found), found.behind) == (["newest", "passed"], 1)
    assert found.why == (
        f"newest complete run on an ancestor that exited 0: 1 commit behind {commits[4][:10]}, "
        "pooled with 1 earlier run of the same version"
    )


def test_locally_this_very_commit_counts(history: History, line: tuple[Repository, list[str]]) -> None:
    """What is not committed yet is compared with what is."""
    repository, commits = line
    record(history, "clean", commit=commits[4])
    found = chosen(history, candidate(commit=commits[4]), repository)
    assert isinstance(found, Nearest)
    assert (ids(found), found.behind) == (["clean"], 0)


def test_locally_a_blessed_run_counts(history: History, line: tuple[Repository, list[str]]) -> None:
    """Somebody has said that the drop is accepted."""
    repository, commits = line
    record(history, "failed", commit=commits[3], exit_code=1, name="fail")
    found = reason(chosen(history, candidate(commit=commits[4]), repository))
    assert "none of which exited 0 or was blessed; if the newest may serve, name it: --baseline failed" in found
    history.write_blessing("failed", reason="accepted", author="ann", created=NOON)
    found_now = chosen(history, candidate(commit=commits[4]), repository)
    assert isinstance(found_now, Nearest)
    assert "that was blessed" in found_now.why


def test_locally_a_later_run_is_no_baseline(history: History) -> None:
    """To decide again about an old run is to look back from it."""
    record(history, "later", minutes=2000)
    assert "all of them newer than this one; the newest is later" in reason(chosen(history, candidate()))


def test_an_expired_blessing_lets_nothing_serve(history: History, line: tuple[Repository, list[str]]) -> None:
    """It holds to the end of its last day; of several of a run the newest counts, and so one can be ended."""
    repository, commits = line
    record(history, "unjudged", commit=commits[3], exit_code=None)
    run = candidate(commit=commits[4])

    def bless_until(day: date | None) -> None:
        history.write_blessing("unjudged", reason="r", author="ann", created=NOON, expires=day)

    def on(day: date) -> Baseline:
        return choose(history, run, git=repository, start=None, in_ci=False, today=day)

    bless_until(None)
    assert ids(on(TODAY)) == ["unjudged"]
    bless_until(TODAY)
    assert ids(on(TODAY)) == ["unjudged"]
    assert "none of which exited 0 or was blessed" in reason(on(TODAY + timedelta(days=1)))
    later = replace(run, created=NOON + timedelta(days=1))
    assert whys(history, later, repository) == {"unjudged": "never judged, and its blessing expired on 2026-11-01"}


@pytest.mark.parametrize("in_ci", [True, False])
def test_without_a_repository_the_newest_passing_run_of_the_suite_counts(history: History, in_ci: bool) -> None:
    """Then nothing but time orders the runs."""
    record(history, "old", minutes=1, version=Version(id="other"))
    record(history, "new", minutes=2)
    record(history, "failed", minutes=3, exit_code=1, name="fail")
    record(history, "another-suite", minutes=4, suite="another")
    found = chosen(history, candidate(), in_ci=in_ci)
    assert isinstance(found, Nearest)
    assert (ids(found), found.behind) == (["new"], None)
    assert found.why.startswith("newest complete run of the suite that exited 0 (no repository to ask)")


def test_a_commit_of_another_repository_is_no_commit_here(history: History, line: tuple[Repository, list[str]]) -> None:
    """An imported run names a commit that this repository has never seen: time orders the runs."""
    record(history, "earlier", commit="a" * 40)
    assert ids(chosen(history, candidate(commit="b" * 40), line[0])) == ["earlier"]


# ---- completeness and comparability -----------------------------------------------------------------------


@pytest.mark.parametrize("in_ci", [True, False])
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"selection": "--category facts"}, "1 of a part of the eval set"),
        ({"stopped": "budget"}, "1 stopped early"),
        ({"exit_code": 3, "name": "error"}, "1 that could not be evaluated"),
        ({"exit_code": 0, "name": "not_evaluated"}, "1 that could not be evaluated"),
        ({"scores": {"facts": [None, None]}}, "1 without any score"),
        ({"scores": {}}, "1 without any score"),
    ],
)
def test_an_incomplete_run_is_never_a_baseline(
    history: History, line: tuple[Repository, list[str]], in_ci: bool, changes: dict[str, Any], told: str
) -> None:
    """What measured nothing, or a part, is nothing to compare with, and the reason says so."""
    repository, commits = line
    record(history, "broken", commit=commits[3], **changes)
    run = candidate(commit=commits[4])
    found = chosen(history, run, repository, start="HEAD^1" if in_ci else None, in_ci=in_ci)
    assert reason(found) == f'1 run of suite "suite" in the store in memory, none complete ({told})'


def test_the_first_run_of_a_suite_has_no_baseline(history: History) -> None:
    """The candidate itself and other suites do not count."""
    history.write_run(candidate())
    record(history, "other", suite="another")
    assert reason(chosen(history, candidate())) == (
        'no run of suite "suite" in the store in memory before this one: it is the first'
    )


def marked(run: Run, content: str | None, scorers: str | None) -> Run:
    return replace(run, cases=tuple(replace(case, content=content, scorers=scorers) for case in run.cases))


@pytest.mark.parametrize(
    ("content", "scorers", "expected"),
    [
        ("c1", "s1", "near"),
        (None, None, "near"),
        ("c1", None, "near"),
        (None, "s1", "near"),
        ("c2", "s1", "far"),
        ("c1", "s2", "far"),
    ],
)
def test_the_nearest_comparable_run_counts(
    history: History, content: str | None, scorers: str | None, expected: str
) -> None:
    """Other content or other scorers: look further. Unknown on a side: agreed."""
    for minutes, run_id, marks in ((1, "far", ("c1", "s1")), (2, "near", (content, scorers))):
        history.write_run(marked(make_run(run_id, minutes=minutes, facts=[1, 0]), *marks))
        history.write_verdict(run_id, verdict(), decided=NOON)
    assert ids(chosen(history, marked(candidate(), "c1", "s1")))[0] == expected


def test_one_comparable_case_is_enough(history: History) -> None:
    """Cases that were added or changed do not cost the others their history."""
    record(history, "run", scores={"facts": [1], "removed": [1, 1]})
    assert ids(chosen(history, candidate())) == ["run"]


def test_incomparable_runs_are_not_pooled(history: History) -> None:
    """A run before the eval set changed has nothing to say about it."""
    record(history, "before", minutes=1, scores={"other": [1]})
    record(history, "after", minutes=2)
    assert ids(chosen(history, candidate())) == ["after"]


def test_a_run_of_nothing_but_copies_takes_nobodys_place_in_the_pool(history: History) -> None:
    """Runs again from the cache say nothing new: they would push out the runs whose answers they repeat."""
    record(history, "real-1")
    record(history, "real-2", minutes=1)
    for number in range(3):
        record(history, f"copy-{number}", minutes=2 + number, usage=Usage(calls=0, calls_saved=2))
    record(history, "half", minutes=9, usage=Usage(calls=1, calls_saved=1))
    assert ids(chosen(history, candidate(), pool=3)) == ["half", "real-2", "real-1"]
    found = survey(history, candidate(), git=None, start=None, in_ci=False)
    assert {passed.why for passed in found.passed_over} == {
        "all its answers are copies of earlier ones, from the cache of calls"
    }


def test_where_nothing_is_comparable_the_nearest_is_given_and_said(history: History) -> None:
    """The gate then says `not_comparable`: silence would read as "no baseline yet"."""
    record(history, "older", minutes=1, scores={"other": [1]})
    record(history, "newer", minutes=2, scores={"other": [1]})
    found = chosen(history, candidate())
    assert isinstance(found, Nearest)
    assert ids(found) == ["newer"]
    assert found.why.endswith("it shares no comparable case with this run")


# ---- named runs -------------------------------------------------------------------------------------------


def test_named_runs_are_taken_as_they_are(history: History) -> None:
    """Whatever their verdict; in the order named, each once."""
    for number, suite in enumerate(("suite", "suite", "another")):
        record(
            history, f"run-{number}", minutes=number, suite=suite, exit_code=1, name="fail", usage=Usage(calls=number)
        )
    found = pinned(history, ["latest", "run-0", "run-1", "run-2"], candidate())
    assert [run.id for run in found.runs] == ["run-1", "run-0", "run-2"]
    assert found.why == "named: run-1, run-0, run-2"


def test_a_named_run_that_is_not_there_is_refused(history: History) -> None:
    """A slip in a name never becomes "no baseline"."""
    with pytest.raises(InputError, match='no run "nowhere"'):
        pinned(history, ["nowhere"], candidate())


def test_the_first_runs_detectable_drops_come_with_the_baseline(history: History) -> None:
    """What was worked out when it was recorded is kept, not worked out at every decision."""
    for number, run_id in enumerate(("older", "newer")):
        history.write_run(make_run(run_id, minutes=number, facts=[1, 0]), detectable={"facts": 0.5 - number / 10})
        history.write_verdict(run_id, verdict(), decided=NOON)
    nearest = chosen(history, candidate())
    assert isinstance(nearest, Nearest)
    assert (ids(nearest), nearest.detectable) == (["newer", "older"], {"facts": 0.4})
    assert pinned(history, ["older", "newer"], candidate()).detectable == {"facts": 0.5}
    assert pinned(history, [], candidate()).detectable == {}


def test_an_escalated_run_is_a_full_baseline(history: History) -> None:
    """More repeats of some cases are more knowledge of them, not a part of the eval set."""
    record(history, "even", minutes=1)
    record(history, "escalated", minutes=2, steps=(Step(epochs=4, categories=("facts",)),))
    assert ids(chosen(history, candidate())) == ["escalated", "even"]


# ---- what was passed over ---------------------------------------------------------------------------------


def whys(history: History, run: Run, git: Git | None = None, **place: Any) -> dict[str, str]:
    found = survey(history, run, git=git, **{"start": None, "in_ci": False, **place})
    return {passed.row.id: passed.why for passed in found.passed_over}


def test_locally_every_run_that_is_passed_over_has_a_reason(
    history: History, line: tuple[Repository, list[str]]
) -> None:
    """Newest first; what is chosen is not among them."""
    repository, commits = line
    record(history, "pooled", commit=commits[0], minutes=1)
    record(history, "too-old", commit=commits[0], minutes=0)
    record(history, "other-version", commit=commits[0], minutes=2, version=Version(id="v2"))
    record(history, "unknown-version", commit=commits[0], minutes=3, version=Version(id=None))
    record(history, "nearest", commit=commits[1], minutes=4)
    record(history, "other-cases", commit=commits[1], minutes=5, scores={"other": [1]})
    record(history, "failed", commit=commits[1], minutes=6, exit_code=1, name="fail")
    record(history, "unjudged", commit=commits[1], minutes=7, exit_code=None)
    record(history, "elsewhere", commit="e" * 40, minutes=8)
    record(history, "nowhere", minutes=9)
    record(history, "part", commit=commits[1], minutes=10, selection="--limit 1")
    record(history, "later", commit=commits[1], minutes=2000)
    found = whys(history, candidate(commit=commits[4]), repository, pool=2)
    assert list(found.items()) == [
        ("later", "newer than this one"),
        ("part", "of a part of the eval set"),
        ("nowhere", "carries no commit"),
        ("elsewhere", f"on eeeeeeeeee, none of the commits looked at from {commits[4][:10]} back"),
        ("unjudged", "never judged and not blessed"),
        ("failed", "exited 1 and not blessed"),
        ("other-cases", "shares no comparable case with this run"),
        ("unknown-version", "of an unknown version than nearest"),
        ("other-version", "of another version than nearest"),
        ("too-old", "the baseline has its 2 runs without it"),
    ]


def test_in_ci_runs_beside_the_line_and_later_ones_have_a_reason(
    history: History, line: tuple[Repository, list[str]]
) -> None:
    """Also where there is nothing to compare with."""
    repository, commits = line
    record(history, "near", commit=commits[3], minutes=1)
    record(history, "backfilled", commit=commits[0], minutes=2)
    record(history, "beside", commit="b" * 40, minutes=3)
    run = candidate(commit=commits[4])
    beside = "on bbbbbbbbbb, none of the commits looked at from {} back"
    assert whys(history, run, repository, start="HEAD^1", in_ci=True) == {
        "backfilled": "newer than near, which is nearer",
        "beside": beside.format("HEAD^1"),
    }
    assert whys(history, run, repository, start="nothing", in_ci=True)["beside"] == beside.format("nothing")


def test_a_baseline_without_a_comparable_case_is_not_passed_over(history: History) -> None:
    """It is given all the same, so it is not listed as left out."""
    record(history, "older", minutes=1, scores={"other": [1]})
    record(history, "newer", minutes=2, scores={"other": [1]})
    assert whys(history, candidate()) == {"older": "shares no comparable case with this run"}


# ---- the anchor -------------------------------------------------------------------------------------------


def bless(history: History, run_id: str, name: str | None = None, *, hours: float = 0) -> None:
    history.write_blessing(run_id, name=name, reason="released", author="ann", created=NOON + timedelta(hours=hours))


def anchor(history: History, name: str, run: Run | None = None) -> str:
    found = anchored(history, name, run or candidate(), today=TODAY)
    return found.runs[0].id if isinstance(found, Pinned) else found.reason


def test_an_anchor_is_found_by_name_id_prefix_and_as_the_last_blessed(history: History) -> None:
    """A name given again moves to its newest blessing; the last word is the newest blessing, not the newest run."""
    for number, run_id in enumerate(("aaaa-first", "bbbb-second", "cccc-third")):
        record(history, run_id, minutes=number, commit="f" * 40)
    bless(history, "bbbb-second", "live", hours=2)
    bless(history, "cccc-third", hours=1)
    bless(history, "aaaa-first", "live", hours=3)
    found = {name: anchor(history, name) for name in ("live", "blessed", "cccc-third", "bbbb")}
    assert found == {"live": "aaaa-first", "blessed": "aaaa-first", "cccc-third": "cccc-third", "bbbb": "bbbb-second"}


def test_an_anchor_comes_with_the_reason_and_what_it_could_show(history: History) -> None:
    """The report can say whose word it is."""
    history.write_run(make_run("run-1", facts=[1]), detectable={"facts": 0.3})
    bless(history, "run-1", "live")
    by_name, by_id = (anchored(history, name, candidate(), today=TODAY) for name in ("live", "run-1"))
    assert isinstance(by_name, Pinned) and isinstance(by_id, Pinned)
    assert by_name.why == 'anchor "live": blessed on 2026-11-01 by ann, "released"'
    assert by_id.why == 'anchor "run-1": blessed as "live" on 2026-11-01 by ann, "released"'
    assert by_name.detectable == {"facts": 0.3}


def test_an_anchor_that_is_not_there_is_missing_with_a_reason(history: History) -> None:
    """A slip in a name is told; another suite's blessing is none of ours; never the nearest thing instead."""
    assert anchor(history, "live") == (
        'no run for the anchor "live": no other run of this suite is blessed. '
        "`evalgate baseline bless RUN --reason TEXT` blesses one"
    )
    record(history, "elsewhere", suite="another")
    bless(history, "elsewhere", "live")
    assert "no other run of this suite is blessed" in anchor(history, "live")
    for run_id in ("abcd-1", "abcd-2", "unblessed"):
        record(history, run_id)
    bless(history, "abcd-1", "release-4")
    bless(history, "abcd-2")
    assert anchor(history, "relase-4") == 'no blessed run for the anchor "relase-4". Did you mean release-4?'
    assert anchor(history, "zzz") == 'no blessed run for the anchor "zzz". Blessed: abcd-2, release-4, abcd-1'
    assert anchor(history, "abcd") == 'the anchor "abcd" may mean abcd-1, abcd-2: give more of the id'
    assert anchor(history, "unblessed").startswith("no blessed run")


def test_a_run_is_not_its_own_anchor(history: History) -> None:
    """An earlier holder of the name serves; where there is none, that is said."""
    run = candidate()
    history.write_run(run)
    bless(history, "candidate", "live", hours=1)
    assert "no other run of this suite is blessed" not in anchor(history, "live", run)
    assert anchor(history, "live", run) == 'the anchor "live" is this very run'
    record(history, "before")
    bless(history, "before", "live")
    assert anchor(history, "live", run) == "before"


def test_an_expired_blessing_is_no_anchor(history: History) -> None:
    """And no earlier one of its name takes its place: that one was replaced on purpose."""
    for run_id in ("first", "second"):
        record(history, run_id)
    bless(history, "first", "live")
    day = TODAY - timedelta(days=1)
    history.write_blessing("second", name="live", reason="hotfix", author="ann", created=NOON, expires=day)
    assert anchor(history, "live") == (
        'no run for the anchor "live": the blessing of run second expired on 2026-10-31. '
        "`evalgate baseline bless second --reason TEXT --name live` blesses it again"
    )
    assert "expired" in anchor(history, "blessed") and "expired" in anchor(history, "second")
    assert anchor(history, "first") == "first"
    history.write_blessing("second", name="live", reason="again", author="bob", created=NOON, expires=TODAY)
    found = anchored(history, "live", candidate(), today=TODAY)
    assert isinstance(found, Pinned)
    assert found.why == 'anchor "live": blessed on 2026-11-01 until 2026-11-01 by bob, "again"'


def test_a_blessed_run_that_measured_a_part_is_no_anchor(history: History) -> None:
    """Whoever blessed it: there is nothing to hold the others against."""
    record(history, "part", selection="--limit 1")
    bless(history, "part", "live")
    assert anchor(history, "live") == 'the anchor "live" is part, a run of a part of the eval set: bless another'
