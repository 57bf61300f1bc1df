"""The weekly report's one issue: found, edited, left closed, made anew; never two, never an older over a newer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_github import BOT, REPOSITORY, FakeGitHub, Trouble
from github_events import environment, pull_request
from hypothesis import given
from hypothesis import strategies as st

from evalgate.errors import GitHubError, InputError
from evalgate.github.client import connect
from evalgate.github.issue import Done, Kept, Marker
from evalgate.github.refusals import SwitchedOffError
from evalgate.pipeline.weekly import MOST_BYTES, TITLE, keep_issue
from evalgate.records import Course, Look, SuiteTrend

NOW = datetime(2026, 11, 23, 6, 17, tzinfo=UTC)
HTML = "<html><body>Unicorn!</body></html>"


def trend(suite: str = "support-bot", looks: tuple[Look, ...] = (), **changes: Any) -> SuiteTrend:
    courses = changes.pop("courses", (course("*"), course("refunds", is_moving=Look.MOVING in looks)))
    known: dict[str, Any] = {
        "suite": suite, "runs": 6, "first": NOW - timedelta(days=40), "last": NOW - timedelta(days=2), "versions": 1,
        "last_verdict": "pass", "courses": courses, "baseline_id": "abc", "baseline_age_s": 2 * 86_400.0,
        "oldest_pooled_age_s": 2 * 86_400.0, "looks": looks,
    }  # fmt: skip
    return SuiteTrend(**(known | changes))


def course(category: str, metric: str = "score", *, is_moving: bool = False) -> Course:
    values = (0.95, 0.93, 0.91, 0.89)
    return Course(
        category=category, metric=metric, values=values, early=0.95, late=0.89, p_worse=0.01, is_moving=is_moving
    )


def kept(
    github: FakeGitHub, folder: Path, *trends: SuiteTrend, run: int = 100, now: datetime = NOW, **options: Any
) -> Kept:
    environ = environment(folder, "schedule", {}, GITHUB_RUN_ID=str(run), GITHUB_API_URL=github.api_url)
    there = connect(github.api_url, REPOSITORY, "token-1", retries=2, backoff_s=0.0)
    asked: dict[str, Any] = {"suites": (), "config": folder / "evalgate.yaml", "since": None, "github": there}
    return keep_issue(trends, now=now, environ=environ, **(asked | options))


def reports(github: FakeGitHub) -> list[dict[str, Any]]:
    return [issue for issue in github.issues.values() if issue["title"].startswith(TITLE)]


def test_every_week_edits_the_same_issue(tmp_path: Path) -> None:
    """The second week finds the first one's, among other people's issues and pull requests, on whatever page."""
    with FakeGitHub() as github:
        for number in range(120):
            github.add_issue(f"issue {number}", "text", BOT, **({"pull_request": {}} if number % 2 else {}))
        first = kept(github, tmp_path, trend(), labels=["evals"])
        assert first.done is Done.CREATED
        second = kept(github, tmp_path, trend(), run=101, now=NOW + timedelta(days=7))
        assert (second.done, second.url) == (Done.EDITED, first.url)
        ((issue),) = reports(github)
        assert issue["title"] == TITLE and issue["labels"] == [{"name": "evals"}]
        assert "as of 2026-11-30 06" in issue["body"] and "the report before it was of 2026-11-23" in issue["body"]
        assert "actions/runs/101" in issue["body"] and "60 days" in issue["body"]
        assert {request.method for request in github.requests} == {"GET", "POST", "PATCH"}


def test_a_marker_that_somebody_copied_makes_no_issue_ours(tmp_path: Path) -> None:
    """Author and marker both have to fit; a deleted account is nobody."""
    marker = str(Marker(key="", run_id=1, run_attempt=1, at=NOW))
    with FakeGitHub() as github:
        theirs = [github.add_issue(TITLE, f"{marker}\nhello", "someone"), github.add_issue(TITLE, marker, None)]
        other = github.add_issue(TITLE, f"text first\n{marker}", BOT)
        assert kept(github, tmp_path, trend()).done is Done.CREATED
        assert [github.issues[number]["body"].count("support-bot") for number in (*theirs, other)] == [0, 0, 0]


def test_an_older_run_never_overwrites_a_newer_one(tmp_path: Path) -> None:
    """A job that was started again after months has nothing to say."""
    with FakeGitHub() as github:
        kept(github, tmp_path, trend(), run=200)
        late = kept(github, tmp_path, trend(suite="other"), run=100)
        assert late.done is Done.SKIPPED and "run 200" in late.why
        assert "other" not in reports(github)[0]["body"]


def test_a_closed_issue_stays_closed_until_something_is_to_be_looked_at(tmp_path: Path) -> None:
    """Somebody has dealt with it; a new trouble is a new issue, which people are told of."""
    with FakeGitHub() as github:
        kept(github, tmp_path, trend(looks=(Look.MOVING,)))
        ((issue),) = reports(github)
        issue["state"] = "closed"
        quiet = kept(github, tmp_path, trend(), run=101)
        assert quiet.done is Done.EDITED_CLOSED and issue["state"] == "closed"
        assert "Nothing needs a look" in issue["body"]
        loud = kept(github, tmp_path, trend(looks=(Look.FAILED,)), run=102)
        assert loud.done is Done.CREATED and issue["state"] == "closed"
        assert [found["state"] for found in reports(github)] == ["closed", "open"]
        assert kept(github, tmp_path, trend(), run=103).done is Done.EDITED
        assert len(reports(github)) == 2


@pytest.mark.parametrize("status", [502, 500])
def test_a_repeated_post_leaves_one_issue(tmp_path: Path, status: int) -> None:
    """A gateway gave up too early and the request was sent twice: the younger one is closed."""
    with FakeGitHub() as github:
        github.troubles = [Trouble("POST", "/issues", status, body=HTML, is_done_anyway=True)]
        kept(github, tmp_path, trend())
        assert [issue["state"] for issue in reports(github)] == ["open", "closed"]
        kept(github, tmp_path, trend(), run=101)
        assert "actions/runs/101" in reports(github)[0]["body"]


def test_an_issue_that_vanished_between_look_and_edit_is_made_anew(tmp_path: Path) -> None:
    """Deleted or moved to another repository."""
    with FakeGitHub() as github:
        kept(github, tmp_path, trend())
        github.after["GET"] = github.issues.clear
        assert kept(github, tmp_path, trend(), run=101).done is Done.CREATED
        assert len(reports(github)) == 1


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (Trouble("POST", "/issues", 403, body='{"message": "Resource not accessible"}'), "issues: write"),
        (Trouble("POST", "/issues", 410, body='{"message": "Issues are disabled for this repo"}'), "Switch them on"),
        (Trouble("GET", "/issues", 404, body='{"message": "Not Found"}'), "the token may see it"),
        (Trouble("GET", "/issues", 200, body=HTML), "what came as GitHub's answer"),
        (Trouble("GET", "/issues", 200, body='[{"number": 1}]'), "what came as GitHub's answer"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_to_do(tmp_path: Path, trouble: Trouble, said: str) -> None:
    """And nothing is written."""
    with FakeGitHub() as github:
        github.troubles = [trouble]
        with pytest.raises(GitHubError, match=said):
            kept(github, tmp_path, trend())
        assert reports(github) == []


def test_issues_that_are_switched_off_are_told(tmp_path: Path) -> None:
    """As in every new fork."""
    with FakeGitHub() as github:
        github.about["has_issues"] = False
        with pytest.raises(SwitchedOffError, match="Settings > General"):
            kept(github, tmp_path, trend())


def test_other_suites_and_other_configurations_have_issues_of_their_own(tmp_path: Path) -> None:
    """Two products in one repository do not overwrite each other."""
    with FakeGitHub() as github:
        kept(github, tmp_path, trend())
        kept(github, tmp_path, trend(), run=101, suites=["b", "a"])
        kept(github, tmp_path, trend(), run=102, config=tmp_path / "bots.yaml")
        kept(github, tmp_path, trend(), run=103, suites=["a", "b"])
        assert [issue["title"] for issue in reports(github)] == [TITLE, f"{TITLE} (a,b)", f"{TITLE} (bots.yaml)"]


@pytest.mark.parametrize("size", [3, 40, 120])
def test_any_number_of_suites_fits_and_no_table_is_cut(tmp_path: Path, size: int) -> None:
    """What moves is left out last; what was left out is said."""
    courses = tuple(course(f"category-{number}", is_moving=number == 0) for number in range(30))
    trends = [
        trend(f"suite-{number}", (Look.MOVING,) if number % 10 == 0 else (), courses=courses) for number in range(size)
    ]
    with FakeGitHub() as github:
        kept(github, tmp_path, *trends)
        ((issue),) = reports(github)
        body = issue["body"]
        assert len(body.encode()) <= MOST_BYTES + 3000
        assert "Look first at suite-0: steadily worse" in body
        assert body.count("Left out, so that it fits here") == (size > 3)
        rows = [line for line in body.splitlines() if line.startswith("|")]
        assert all(line.count("|") == rows[0].count("|") for line in rows)
        assert body.rstrip().endswith("under Actions.")


def test_where_github_finds_it_too_long_the_short_one_is_written(tmp_path: Path) -> None:
    """In which unit GitHub counts is not documented."""
    too_long = '{"message": "Validation Failed", "errors": [{"message": "body is too long"}]}'
    with FakeGitHub() as github:
        github.troubles = [Trouble("POST", "/issues", 422, body=too_long)]
        done = kept(github, tmp_path, trend())
        assert "too long" in done.why and "does not fit" in reports(github)[0]["body"]


def test_a_schedule_that_was_switched_off_is_told_at_the_top(tmp_path: Path) -> None:
    """GitHub does so after 60 days without activity, and tells nobody."""
    with FakeGitHub() as github:
        kept(github, tmp_path, trend())
        kept(github, tmp_path, trend(), run=101, now=NOW + timedelta(days=63))
        assert "No report was made for 63 days" in reports(github)[0]["body"]


def test_nothing_recorded_is_said_and_is_no_good_news(tmp_path: Path) -> None:
    """Absent data is never good data."""
    with FakeGitHub() as github:
        kept(github, tmp_path)
        body = reports(github)[0]["body"]
        assert "nothing is known, good or bad" in body and "Nothing needs a look" not in body


def test_what_others_wrote_stays_inert(tmp_path: Path) -> None:
    """A suite's name can neither mention anybody, nor forge our marker, nor bring a picture."""
    name = (
        "<!-- evalgate:v1 weekly= run=999999 attempt=1 at=2026-01-01T00:00:00Z --> @everyone ![](http://evil.invalid/)"
    )
    with FakeGitHub() as github:
        kept(github, tmp_path, trend(name, (Look.FAILED,)))
        body = reports(github)[0]["body"]
        assert body.count("<!-- evalgate:v1") == 1 and "@everyone" not in body and "![" not in body
        assert kept(github, tmp_path, trend(), run=101).done is Done.EDITED


def test_a_pull_requests_job_and_ones_own_machine_keep_no_issue(tmp_path: Path) -> None:
    """The report speaks for the default branch."""
    environ = environment(tmp_path, "pull_request", pull_request())
    with pytest.raises(InputError, match="speaks for a change"):
        keep_issue([], suites=(), config=None, since=None, now=NOW, environ=environ)
    with pytest.raises(InputError, match="no job of GitHub Actions"):
        keep_issue([], suites=(), config=None, since=None, now=NOW, environ={})


@given(key=st.text(max_size=60), run=st.integers(0, 10**17), at=st.datetimes(datetime(1000, 1, 1)))
def test_a_marker_comes_back_as_it_was(key: str, run: int, at: datetime) -> None:
    """Whatever the suite is called; and it is one line that no name can end."""
    key = key.encode("utf-8", "replace").decode()
    marker = Marker(key=key, run_id=run, run_attempt=3, at=at.replace(microsecond=0, tzinfo=UTC))
    assert Marker.of(f"{marker}\ntext") == marker
    assert str(marker).count("-->") == 1 and "\n" not in str(marker)
