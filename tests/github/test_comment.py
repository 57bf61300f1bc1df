"""One comment a suite, never by an older run over a newer one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fake_github import BOT, REPOSITORY, FakeGitHub, Trouble
from hypothesis import given
from hypothesis import strategies as st

from evalgate.errors import GitHubError
from evalgate.github.client import GitHub, connect
from evalgate.github.comment import Action, Marker, Posted, post, post_unevaluated

HEAD = "a" * 40
OTHER = "b" * 40
MARKER = Marker(suite="support-bot", head_sha=HEAD, run_id=100, run_attempt=1)


def client(github: FakeGitHub) -> GitHub:
    return connect(github.api_url, REPOSITORY, "token-1", retries=3, backoff_s=0.0)


def say(github: FakeGitHub, body: str = "report", **changes: Any) -> Posted:
    github.heads.setdefault(7, HEAD)
    about = {name: changes.pop(name) for name in ("suite", "run_id", "run_attempt", "workflow") if name in changes}
    arguments = {"pull": 7, "marker": replace(MARKER, **about), "body": body, "short_body": "short", **changes}
    return post(client(github), **arguments)


def texts(github: FakeGitHub) -> list[str]:
    return [body.partition("\n")[2] for body in github.bodies(7)]


def test_the_first_run_creates_the_comment() -> None:
    """A pull request without our comment gets one, with the marker as its invisible first line."""
    with FakeGitHub() as github:
        assert say(github) == Posted(action=Action.CREATED)
        assert github.bodies(7) == [f"{MARKER}\nreport"]


def test_the_next_run_edits_it() -> None:
    """A newer run changes the comment in place."""
    with FakeGitHub() as github:
        say(github, "first")
        assert say(github, "second", run_id=101).action is Action.EDITED
        assert texts(github) == ["second"]


def test_a_rerun_edits_it() -> None:
    """A second attempt of the same run counts as newer."""
    with FakeGitHub() as github:
        say(github, "first")
        say(github, "second", run_attempt=2)
        assert texts(github) == ["second"]


@pytest.mark.parametrize(("run_id", "attempt"), [(99, 1), (99, 5), (100, 1)])
def test_an_older_run_never_overwrites_a_newer_one(run_id: int, attempt: int) -> None:
    """Runs end in any order; the comment keeps the newest one's text."""
    with FakeGitHub() as github:
        say(github, "newer", run_attempt=2)
        posted = say(github, "older", run_id=run_id, run_attempt=attempt)
        assert posted == Posted(action=Action.SKIPPED, why="run 100 (attempt 2) is newer and has already reported")
        assert texts(github) == ["newer"]


def test_a_report_on_a_commit_that_is_no_longer_the_head_is_not_written() -> None:
    """A late run of an earlier push says so and leaves the pull request alone."""
    with FakeGitHub() as github:
        github.heads[7] = OTHER
        assert say(github) == Posted(
            action=Action.SKIPPED, why="the pull request has moved on from aaaaaaaaaa to bbbbbbbbbb"
        )
        assert github.bodies(7) == []


def test_each_suite_has_its_own_comment() -> None:
    """Two suites of one repository do not overwrite each other."""
    with FakeGitHub() as github:
        say(github, "one")
        say(github, "two", suite="other bot")
        say(github, "one again", run_id=101)
        assert texts(github) == ["one again", "two"]


def test_our_comment_is_found_on_any_page() -> None:
    """A long discussion does not lead to a second comment."""
    with FakeGitHub() as github:
        for number in range(250):
            github.add_comment(7, f"remark {number}", login="someone")
        github.add_comment(7, f"{replace(MARKER, run_id=99)}\nold")
        assert say(github).action is Action.EDITED
        assert len(github.bodies(7)) == 251


@pytest.mark.parametrize("login", ["someone", "dependabot[bot]", None])
def test_a_copied_marker_does_not_make_a_comment_ours(login: str | None) -> None:
    """Somebody who quotes our marker, with however great a run number, neither blocks nor loses a comment."""
    with FakeGitHub() as github:
        github.add_comment(7, f"{replace(MARKER, run_id=10**17)}\nmine!", login=login)
        assert say(github).action is Action.CREATED
        assert texts(github) == ["mine!", "report"]


def test_a_comment_without_a_text_is_nobodys() -> None:
    """GitHub may answer null for a body."""
    with FakeGitHub() as github:
        number = github.add_comment(7, "", login=BOT)
        github.comments[number]["body"] = None
        assert say(github).action is Action.CREATED


@pytest.mark.parametrize(("mine", "other"), [("one", "two"), ("two", "one")])
def test_suites_that_report_at_the_same_moment_keep_their_slots(mine: str, other: str) -> None:
    """The other one's first comment appears while ours is being made: two comments, each with its own text."""
    with FakeGitHub() as github:

        def rival() -> None:
            github.add_comment(7, f"{replace(MARKER, suite=other)}\nthe other's")

        github.after["POST"] = rival
        assert say(github, "mine", suite=mine).action is Action.CREATED
        assert sorted(texts(github)) == ["mine", "the other's"]


def test_an_edit_of_a_locked_conversation_is_no_fault_either() -> None:
    """What stands there stays."""
    with FakeGitHub() as github:
        say(github, "first")
        github.troubles.append(Trouble("PATCH", ".*", 403, body='{"message": "Issue is locked"}'))
        assert say(github, "second", run_id=101).action is Action.SKIPPED
        assert [body for body in texts(github) if body] == ["first"]


def test_a_marker_counts_only_at_the_start() -> None:
    """A bot's comment that quotes a marker further down is not the sticky one."""
    with FakeGitHub() as github:
        github.add_comment(7, f"See {MARKER}", login=BOT)
        assert say(github).action is Action.CREATED


def test_a_marker_inside_the_report_is_broken() -> None:
    """Text that got into the report cannot pose as a newer run's marker."""
    with FakeGitHub() as github:
        say(github, f"{replace(MARKER, run_id=999)} <!--EVALGATE:v1 --> @<!-- -->name")
        assert texts(github)[0].count("<!--") == 3
        assert "not evalgate:v1 suite=" in texts(github)[0]
        assert "<!--not evalgate:v1" in texts(github)[0]
        assert say(github, run_id=101).action is Action.EDITED


def test_a_report_that_github_finds_too_long_is_replaced_by_the_short_one() -> None:
    """A refusal of the length still ends in a comment, when creating and when editing."""
    with FakeGitHub() as github:
        posted = say(github, "x" * 70_000)
        assert posted.action is Action.CREATED and "too long" in posted.why
        assert say(github, "y" * 70_000, run_id=101).action is Action.EDITED
        assert texts(github) == ["short"]


def test_duplicates_left_by_earlier_runs_are_removed() -> None:
    """The oldest comment stays, where the discussion has seen it."""
    with FakeGitHub() as github:
        for run_id in (97, 98):
            github.add_comment(7, f"{replace(MARKER, run_id=run_id)}\nold")
        say(github)
        assert list(github.comments) == [1] and texts(github) == ["report"]


def test_an_answer_lost_on_the_way_leaves_one_comment() -> None:
    """A POST that took effect but was answered 502 is repeated; the copy goes."""
    with FakeGitHub() as github:
        github.troubles.append(Trouble("POST", ".*", 502, body="<html>Bad Gateway</html>", is_done_anyway=True))
        assert say(github).action is Action.CREATED
        assert texts(github) == ["report"]


@pytest.mark.parametrize(("rival", "winner"), [(99, "report"), (101, "rival")])
def test_two_first_runs_at_once_leave_the_newer_text_once(rival: int, winner: str) -> None:
    """A rival that created its comment just before ours does not leave two."""
    with FakeGitHub() as github:
        github.heads[7] = HEAD

        def rival_creates() -> None:
            # Made between our look and our POST, and so older than ours.
            comment = github.comments.pop(1)
            github.comments[1] = {**comment, "body": f"{replace(MARKER, run_id=rival)}\nrival"}
            github.comments[2] = {**comment, "id": 2}

        github.after["POST"] = rival_creates
        say(github)
        assert texts(github) == [winner]


def test_a_comment_removed_between_look_and_edit_is_made_anew() -> None:
    """Somebody tidies up at the wrong moment: there is a comment all the same."""
    with FakeGitHub() as github:
        say(github, "first")
        github.troubles.append(Trouble("PATCH", ".*", 404))
        github.comments[1]["body"] = f"{replace(MARKER, run_id=99)}\nfirst"
        assert say(github, "second", run_id=101).action is Action.CREATED
        assert texts(github) == ["second"]


def test_an_unexpected_author_is_said() -> None:
    """A token of another app would start a new comment at each push: the first one says what to set."""
    with FakeGitHub(login="evals-app[bot]") as github:
        posted = say(github)
        assert "evals-app[bot]" in posted.why and "comment-login" in posted.why
        assert say(github, "second", run_id=101, login="evals-app[bot]").action is Action.EDITED


def test_a_refused_token_names_the_permission() -> None:
    """The commonest mistake, a job without the permission, is answered with the line to write."""
    with FakeGitHub() as github:
        github.troubles.append(Trouble("POST", ".*", 403, body='{"message": "Resource not accessible by integration"}'))
        with pytest.raises(GitHubError, match="pull-requests: write"):
            say(github)


@given(st.text(min_size=1, max_size=60))
def test_every_suite_name_survives_the_marker(suite: str) -> None:
    """Any name comes back from the first line, and none can end the HTML comment early."""
    marker = replace(MARKER, suite=suite.encode("utf-8", "replace").decode("utf-8"))
    assert Marker.of(f"{marker}\r\nrest") == marker
    assert str(marker).count("-->") == 1 and "--" not in str(marker)[4:-3]


# ---- whether one is made ------------------------------------------------------------------------------------


def test_an_unwanted_comment_is_not_made_but_kept_up_to_date() -> None:
    """Where the configuration wants none now, none is made; a red one of an earlier push does not stay."""
    with FakeGitHub() as github:
        assert say(github, unwanted="nothing failed") == Posted(action=Action.SKIPPED, why="nothing failed")
        assert github.bodies(7) == []
        say(github, "FAIL", run_id=101)
        assert say(github, "PASS", run_id=102, unwanted="nothing failed").action is Action.EDITED
        assert texts(github) == ["PASS"]


def test_a_locked_conversation_is_no_fault() -> None:
    """Nobody can comment there: said, and nothing is tried again."""
    with FakeGitHub() as github:
        locked = Trouble("POST", ".*", 403, body='{"message": "Unable to create comment because issue is locked."}')
        github.troubles.append(locked)
        posted = say(github)
        assert posted.action is Action.SKIPPED and "the conversation is locked" in posted.why


# ---- no verdict ---------------------------------------------------------------------------------------------

WORKFLOW = ".github/workflows/evalgate.yml"


def tell(github: FakeGitHub, **changes: Any) -> Posted:
    github.heads.setdefault(7, HEAD)
    about = {"suite": "", "run_id": 200, "workflow": WORKFLOW}
    about |= {name: changes.pop(name) for name in ("suite", "run_id", "run_attempt", "workflow") if name in changes}
    arguments = {"pull": 7, "marker": replace(MARKER, **about), "body": "not evaluated", **changes}
    return post_unevaluated(client(github), **arguments)


def test_a_run_without_a_verdict_leaves_no_earlier_one_standing() -> None:
    """The green comment of the push before says that this commit was not evaluated; the next verdict replaces that."""
    with FakeGitHub() as github:
        say(github, "PASS", workflow=WORKFLOW)
        assert tell(github).action is Action.EDITED
        assert texts(github) == ["not evaluated"]
        assert say(github, "PASS again", workflow=WORKFLOW, run_id=201).action is Action.EDITED
        assert texts(github) == ["PASS again"]


def test_every_suite_of_the_workflow_is_told_and_no_other_workflows() -> None:
    """A job that ended at the checkout does not know its suite, but does know its workflow."""
    with FakeGitHub() as github:
        say(github, "one", suite="one", workflow=WORKFLOW)
        say(github, "two", suite="two", workflow=WORKFLOW)
        say(github, "other", suite="other", workflow=".github/workflows/other.yml")
        tell(github)
        assert texts(github) == ["not evaluated", "not evaluated", "other"]
        assert say(github, "other again", suite="other", workflow=".github/workflows/other.yml", run_id=150)
        assert texts(github)[2] == "other again"


def test_what_this_very_run_has_reported_stays() -> None:
    """Of two suites in one workflow, one crashes: the other one's report on the same commit is true."""
    with FakeGitHub() as github:
        say(github, "one", suite="one", workflow=WORKFLOW, run_id=200)
        assert tell(github) == Posted(action=Action.SKIPPED, why="this run, or a newer one, has already reported")
        say(github, "two of the push before", suite="two", workflow=WORKFLOW, run_id=199)
        tell(github)
        assert texts(github) == ["one", "not evaluated"]
        say(github, "two", suite="two", workflow=WORKFLOW, run_id=200)
        assert texts(github) == ["one", "two"]


def test_a_comment_of_an_unknown_workflow_keeps_its_age() -> None:
    """Its own workflow's next report comes through, however the numbers of their runs compare."""
    with FakeGitHub() as github:
        say(github, "old", run_id=100)
        tell(github, run_id=200)
        assert texts(github) == ["not evaluated"]
        assert say(github, "new", run_id=150).action is Action.EDITED
        assert texts(github) == ["new"]


def test_the_first_push_that_is_not_evaluated_is_told_and_taken_over() -> None:
    """Where there is no comment one is made, edited by the next crash, and becomes the first suite's."""
    with FakeGitHub() as github:
        assert tell(github).action is Action.CREATED
        assert tell(github, run_id=201).action is Action.EDITED
        assert say(github, "one", suite="one", workflow=WORKFLOW, run_id=202).action is Action.EDITED
        assert say(github, "two", suite="two", workflow=WORKFLOW, run_id=202).action is Action.CREATED
        assert texts(github) == ["one", "two"]


def test_a_crash_of_this_run_is_not_taken_over_by_another_suite_of_it() -> None:
    """That suite is still without a verdict."""
    with FakeGitHub() as github:
        tell(github)
        say(github, "one", suite="one", workflow=WORKFLOW, run_id=200)
        assert sorted(texts(github)) == ["not evaluated", "one"]


def test_a_crash_left_beside_the_suites_own_comment_is_removed() -> None:
    """One slot a suite: the comment that has its history stays."""
    with FakeGitHub() as github:
        tell(github, run_id=99)
        say(github, "old", run_id=100)
        say(github, "new", run_id=101, workflow=WORKFLOW)
        assert texts(github) == ["new"]


@pytest.mark.parametrize("suite", ["", "support-bot"])
def test_a_late_crash_says_nothing(suite: str) -> None:
    """Neither over a newer run, nor on a commit that is no longer the head."""
    with FakeGitHub() as github:
        say(github, "newer", run_id=201, workflow=WORKFLOW)
        assert tell(github, suite=suite).action is Action.SKIPPED
        github.heads[7] = OTHER
        assert tell(github, suite=suite, run_id=300).action is Action.SKIPPED
        assert texts(github) == ["newer"]


def test_a_skipped_job_makes_no_comment_but_corrects_one() -> None:
    """A push that touches nothing of the suite is no news; an earlier commit's report is not about it either."""
    with FakeGitHub() as github:
        assert tell(github, unwanted="skipped") == Posted(action=Action.SKIPPED, why="skipped")
        say(github, "old", workflow=WORKFLOW)
        assert tell(github, unwanted="skipped").action is Action.EDITED
