"""What `evalgate doctor` says of GitHub: the token, what it may do, and an API in trouble."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_github import FakeGitHub, Trouble
from github_events import environment, pull_request

from evalgate.pipeline.doctor import Asked, Check, State
from evalgate.pipeline.doctor.github import look, repository_of

HTML = "<html><body>Unicorn!</body></html>"
SECRET = "ghs_notarealtoken0123456789"


def looked(github: FakeGitHub, folder: Path, event: str = "push", **changes: Any) -> dict[str, Check]:
    """The lines by name, of a job of this event."""
    payload = pull_request() if event == "pull_request" else {"repository": {"full_name": "acme/support-bot"}}
    environ = environment(folder, event, payload, GITHUB_API_URL=github.api_url, GITHUB_TOKEN=SECRET)
    environ |= changes.pop("environ", {})
    environ = {name: value for name, value in environ.items() if value}
    asked = Asked(config=folder / "evalgate.yaml", now=datetime.now(UTC), environ=environ, **changes)
    found = {check.name: check for check in look(asked)}
    assert SECRET not in repr(found)
    return found


def test_a_job_with_all_it_needs_is_all_right(tmp_path: Path) -> None:
    """Reads only, and each request is as GitHub describes it."""
    with FakeGitHub() as github:
        github.add_comment(7, "hello", "someone")
        found = looked(github, tmp_path, "pull_request")
        assert {check.state for check in found.values()} == {State.OK}
        assert list(found) == ["API", "rate limit", "clock", "repository", "comments"]
        assert "4,990 of 5,000" in found["rate limit"].found
        assert "1 on pull request 7 can be read" in found["comments"].found
        assert set(github.methods()) == {"GET"}


@pytest.mark.parametrize(
    ("trouble", "name", "found", "advice", "code"),
    [
        (Trouble("GET", ".*rate_limit", 401, body='{"message": "Bad credentials"}'),
         "token", "GITHUB_TOKEN: GitHub answered 401", "Set GITHUB_TOKEN anew", 2),
        (Trouble("GET", ".*rate_limit", 500, body=HTML), "API", "answered 500", "", 3),
        (Trouble("GET", ".*rate_limit", 200, body=HTML), "API", "what came as GitHub's answer",
         "GITHUB_API_URL", 3),
        (Trouble("GET", ".*rate_limit", 200, body='{"resources": []}'), "API", "what came as GitHub's answer", "", 3),
        (Trouble("GET", ".*rate_limit", 403, {"x-ratelimit-remaining": "0"}), "API", "403", "run the job again", 3),
        (Trouble("GET", ".*rate_limit", 302, {"Location": "http://127.0.0.1:1/"}), "API", "did not answer", "", 3),
        (Trouble("GET", "", 404, body='{"message": "Not Found"}'), "repository", "404", "the token may see it", 2),
        (Trouble("GET", "", 403, body='{"message": "Resource not accessible by integration"}'),
         "repository", "not accessible", "may not see this repository", 2),
        (Trouble("GET", "/issues/7/comments", 403, body='{"message": "Resource not accessible by integration"}'),
         "comments", "not accessible", "pull-requests: write", 2),
    ],
)  # fmt: skip
def test_each_trouble_has_its_line(
    tmp_path: Path, trouble: Trouble, name: str, found: str, advice: str, code: int
) -> None:
    """A wrong token and a missing permission are for the user to mend; an API in trouble is out of reach."""
    with FakeGitHub() as github:
        github.troubles = [trouble, trouble] if trouble.status >= 500 else [trouble]
        check = looked(github, tmp_path, "pull_request")[name]
        assert check.state is State.FAIL and check.exit_code == code
        assert found in check.found and advice in check.advice, check


def test_an_api_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    """A look is given up in its time; what comes after is not asked."""
    with FakeGitHub() as github:
        github.troubles = [Trouble("GET", ".*rate_limit", 200, delay_s=0.3)] * 2
        found = looked(github, tmp_path, timeout_s=0.05)
        assert "did not answer" in found["API"].found and found["API"].exit_code == 3
        assert list(found) == ["API"]


def test_what_is_not_at_its_best_is_a_warning(tmp_path: Path) -> None:
    """Few requests left, a clock that is off, no issues, an archived repository; a person's token with few rights."""
    (tmp_path / "evalgate.yaml").write_text("")
    with FakeGitHub() as github:
        github.rate["remaining"] = 3
        github.about |= {"has_issues": False, "archived": True}
        found = looked(github, tmp_path)
        assert found["rate limit"].state is State.WARN and "at 17:46 UTC" in found["rate limit"].advice
        assert found["issues"].state is State.WARN and found["archive"].state is State.FAIL


def test_a_clock_that_is_off_is_told(tmp_path: Path) -> None:
    """By GitHub's own Date header."""
    with FakeGitHub() as github:
        environ = environment(tmp_path, "push", {}, GITHUB_API_URL=github.api_url, GITHUB_TOKEN=SECRET)
        asked = Asked(config=tmp_path / "evalgate.yaml", now=datetime.now(UTC) - timedelta(hours=2), environ=environ)
        (clock,) = [check for check in look(asked) if check.name == "clock"]
        assert clock.state is State.WARN and "2 h 0 min behind" in clock.found


def test_on_ones_own_machine_no_token_is_needed(tmp_path: Path) -> None:
    """A job without one is told how to pass it on."""
    with FakeGitHub() as github:
        found = looked(github, tmp_path, environ={"GITHUB_TOKEN": ""})
        assert found["token"].state is State.WARN and "github.token" in found["token"].advice
        assert github.requests == []
    assert [check.state for check in look(Asked(now=datetime.now(UTC), config=tmp_path / "evalgate.yaml"))] == [
        State.SKIPPED
    ]


def test_a_garbled_event_is_a_failed_line(tmp_path: Path) -> None:
    """Not a traceback."""
    with FakeGitHub() as github:
        found = looked(github, tmp_path, environ={"GITHUB_RUN_ID": "x"})
        assert found["job"].exit_code == 2 and "GITHUB_RUN_ID" in found["job"].found


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://github.com/acme/support-bot.git", "acme/support-bot"),
        ("git@github.com:acme/support-bot.git", "acme/support-bot"),
        ("ssh://git@github.com/acme/support.bot", "acme/support.bot"),
        ("https://user:password@github.com/acme/support-bot/", "acme/support-bot"),
        ("https://gitlab.com/acme/support-bot.git", None),
        ("https://notgithub.com/acme/support-bot.git", None),
        ("/srv/git/support-bot.git", None),
    ],
)
def test_the_repository_is_read_from_where_origin_is(tmp_path: Path, address: str, name: str | None) -> None:
    """Only of github.com itself; a password in the address goes nowhere."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True, timeout=30)
    subprocess.run(["git", "-C", str(tmp_path), "remote", "add", "origin", address], check=True, timeout=30)
    assert repository_of(Asked(now=datetime.now(UTC), config=tmp_path / "evalgate.yaml")) == name
