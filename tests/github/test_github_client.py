"""Requests as GitHub describes them, and what becomes of the troubles on the way."""

from __future__ import annotations

import json

import pytest
from fake_github import REPOSITORY, FakeGitHub, Request, Trouble
from github_openapi import VARIABLE, published_description

from evalgate.errors import GitHubError
from evalgate.github.answers import Comment, Pull
from evalgate.github.client import GitHub, connect
from evalgate.github.refusals import NotFoundError

HEAD = "a" * 40
BASE = "b" * 40
OUTPUT = {
    "title": "PASS",
    "summary": "text",
    "annotations": [
        {"path": "a.yaml", "start_line": 3, "end_line": 3, "annotation_level": "failure", "title": "a", "message": "b"}
    ],
}
HTML = "<html><body>Unicorn!</body></html>"


def client(github: FakeGitHub, retries: int = 3) -> GitHub:
    return connect(github.api_url, REPOSITORY, "token-1", retries=retries, backoff_s=0.0)


def test_every_request_is_as_github_describes_it() -> None:
    """Each verb's path, parameters, headers and body fit GitHub's own OpenAPI description."""
    description = published_description()
    if description is None:
        pytest.skip(f"{VARIABLE} does not name api.github.com.json of the npm package @octokit/openapi")
    with FakeGitHub() as github:
        github.heads[7] = HEAD
        there = client(github)
        there.pull(7)
        comment = there.create_comment(7, "text")
        there.edit_comment(comment.id, "other text")
        there.list_comments(7)
        there.delete_comment(comment.id)
        check = there.create_check("evalgate", HEAD, OUTPUT, conclusion="success", url="https://github.com/x/y")
        there.add_to_check(check, OUTPUT)
        github.add_pull(8, HEAD, repository="fork/support-bot", branch="a/b c#d")
        github.commits[HEAD] = [BASE]
        github.merge_bases["release/1", HEAD] = BASE
        there.artifacts_of(100)
        there.download(github.add_artifact("evalgate-result-1", b"PK", 100), most_bytes=10)
        assert [pull.number for pull in there.pulls_from("fork", "a/b c#d")] == [8]
        there.pulls_with(HEAD)
        there.parents(HEAD)
        assert there.merge_base("release/1", HEAD) == BASE
        assert [description.faults(request) for request in github.requests] == [[]] * 13


@pytest.mark.parametrize(
    ("method", "path", "body", "fault"),
    [
        ("POST", "issues/7/comments", {}, "'body' is a required property"),
        ("POST", "issues/7/comments", {"body": 3}, "3 is not of type 'string'"),
        ("POST", "issues/7/comments", {"body": "x", "bodi": "y"}, "unknown key bodi"),
        ("GET", "issues/seven/comments", None, "'seven' is not of type 'integer'"),
        ("PUT", "issues/7/comments", None, "no such operation"),
    ],
)
def test_the_description_refuses_wrong_requests(method: str, path: str, body: object, fault: str) -> None:
    """The check itself works: requests that GitHub would refuse are found."""
    description = published_description()
    if description is None:
        pytest.skip(f"{VARIABLE} does not name api.github.com.json of the npm package @octokit/openapi")
    found = description.faults(Request(method, f"/api/v3/repos/{REPOSITORY}/{path}", {}, {}, body))
    assert any(fault in text for text in found)


def test_a_deleted_author_does_not_end_the_listing() -> None:
    """A comment whose account is gone has no author; the others are still read."""
    with FakeGitHub() as github:
        github.add_comment(7, "from a ghost", login=None)
        github.add_comment(7, "from a person", login="someone")
        assert client(github).list_comments(7) == [
            Comment(id=1, author=None, body="from a ghost"),
            Comment(id=2, author="someone", body="from a person"),
        ]


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble("GET", ".*", 502, body=HTML),
        Trouble("GET", ".*", 503, {"Retry-After": "0"}),
        Trouble("GET", ".*", 429, {"Retry-After": "0"}),
        Trouble("GET", ".*", 403, {"Retry-After": "0"}, '{"message": "You have exceeded a secondary rate limit"}'),
    ],
)
def test_passing_troubles_are_waited_out(trouble: Trouble) -> None:
    """Server faults and secondary rate limits, which come as 403, are tried again."""
    with FakeGitHub() as github:
        github.heads[7] = HEAD
        github.troubles += [trouble, trouble]
        assert client(github).pull(7) == Pull(number=7, head_sha=HEAD, base_branch="main")
        assert len(github.requests) == 3


def limited(said: str, status: int = 403, **headers: str) -> Trouble:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Trouble("POST", ".*", status, named, json.dumps({"message": said}))


SECONDARY = "You have exceeded a secondary rate limit and have been temporarily blocked from content creation."


@pytest.mark.parametrize(
    ("troubles", "waits"),
    [
        ([limited(SECONDARY)] * 2, [60.0, 120.0]),
        ([limited(SECONDARY, retry_after="7")], [7.0]),
        ([limited("slow down", 429)], [60.0]),
        ([limited("was submitted too quickly", 422)], [60.0]),
        ([limited("API rate limit exceeded", x_ratelimit_remaining="0", x_ratelimit_reset="1")], [1.0]),
    ],
)
def test_rate_limits_are_waited_for_as_github_asks(troubles: list[Trouble], waits: list[float]) -> None:
    """With a time given or without: a minute then, and twice that the next time."""
    slept: list[float] = []
    with FakeGitHub() as github:
        github.troubles += troubles
        there = connect(github.api_url, REPOSITORY, "token-1", retries=3, backoff_s=0.0, sleep=slept.append)
        assert there.create_comment(7, "text").body == "text"
        assert slept == waits
        assert len(github.bodies(7)) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        limited(SECONDARY, retry_after="3600"),
        limited("API rate limit exceeded", x_ratelimit_remaining="0", x_ratelimit_reset="99999999999"),
        limited("API rate limit exceeded", x_ratelimit_remaining="0"),
    ],
)
def test_a_limit_that_outlasts_the_job_is_told_at_once(trouble: Trouble) -> None:
    """Nobody pays for an hour of a runner that waits; asking again before the time is what GitHub bans for."""
    slept: list[float] = []
    with FakeGitHub() as github:
        github.troubles.append(trouble)
        there = connect(github.api_url, REPOSITORY, "token-1", sleep=slept.append)
        with pytest.raises(GitHubError, match="rate limit is used up"):
            there.create_comment(7, "text")
        assert slept == [] and github.methods() == ["POST"]


def test_limits_without_end_are_waited_for_five_minutes_in_all() -> None:
    """Then the job says so and ends."""
    slept: list[float] = []
    with FakeGitHub() as github:
        github.troubles += [limited(SECONDARY)] * 9
        there = connect(github.api_url, REPOSITORY, "token-1", sleep=slept.append)
        with pytest.raises(GitHubError, match="rate limit is used up"):
            there.create_comment(7, "text")
        assert slept == [60.0, 120.0]


def test_a_refusal_is_not_tried_again() -> None:
    """A 403 without Retry-After is an answer."""
    with FakeGitHub() as github:
        github.troubles.append(Trouble("GET", ".*", 403, body='{"message": "Resource not accessible by integration"}'))
        with pytest.raises(GitHubError, match=r"403 .*Resource not accessible"):
            client(github).pull(7)
        assert len(github.requests) == 1


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        (Trouble("POST", ".*", 301, {"Location": "/elsewhere"}), "has moved"),
        (Trouble("POST", ".*", 307, {"Location": "/elsewhere"}), "has moved"),
        (Trouble("POST", ".*", 401, body='{"message": "Bad credentials"}'), "wrong or has expired"),
        (Trouble("POST", ".*", 403, {"x-ratelimit-remaining": "0"}), "rate limit is used up"),
        (Trouble("POST", ".*", 404), "token may see it"),
        (Trouble("POST", ".*", 201, body=HTML), "what came as GitHub's answer"),
        (Trouble("POST", ".*", 201, body="[]"), "what came as GitHub's answer"),
    ],
)
def test_each_refusal_says_what_to_do(trouble: Trouble, message: str) -> None:
    """A moved repository above all: followed as a GET it would look like success."""
    with FakeGitHub() as github:
        github.troubles.append(trouble)
        with pytest.raises(GitHubError, match=message):
            client(github).create_comment(7, "text")
        assert github.methods() == ["POST"]


def test_lasting_trouble_ends_in_one_message() -> None:
    """When the patience is used up, the last answer is told, without a proxy's HTML."""
    with FakeGitHub() as github:
        github.troubles += [Trouble("GET", ".*", 502, body=HTML)] * 3
        with pytest.raises(GitHubError, match=r"GitHub answered 502 to GET /pulls/7$"):
            client(github, retries=2).pull(7)


def test_nobody_there_is_one_message() -> None:
    """A refused connection is a GitHubError and not a library's."""
    with FakeGitHub() as github:
        address = github.api_url
    with pytest.raises(GitHubError, match="did not answer"):
        connect(address, REPOSITORY, "token-1", retries=0).pull(7)


def test_without_a_token_nothing_is_asked() -> None:
    """The message names the variable to set."""
    with pytest.raises(GitHubError, match="GITHUB_TOKEN"):
        connect("https://api.github.com", REPOSITORY, "")


def test_the_token_is_in_no_message() -> None:
    """Errors may be printed in public logs."""
    with FakeGitHub() as github, pytest.raises(GitHubError) as caught:
        client(github).pull(7)
    assert "token-1" not in str(caught.value) and "token-1" not in repr(caught.value)


def test_deleting_what_is_gone_is_no_error() -> None:
    """Two runs may tidy up at once."""
    with FakeGitHub() as github:
        client(github).delete_comment(99)


# ---- artifacts, which lie on another host ---------------------------------------------------------------------


def test_an_artifact_is_fetched_from_the_other_host_without_the_token() -> None:
    """GitHub answers with an address of its storage; whoever serves that must not learn what may write here."""
    with FakeGitHub() as github:
        artifact = github.add_artifact("evalgate-result-1", b"PK\x05\x06", 100)
        assert client(github).download(artifact, most_bytes=4) == b"PK\x05\x06"
        assert [sorted(request.headers.keys() & {"authorization", "cookie"}) for request in github.fetched] == [[]]


def test_no_more_is_read_than_an_artifact_may_have() -> None:
    """Whatever size was announced: the read ends at the cap, and says which."""
    with FakeGitHub() as github:
        artifact = github.add_artifact("evalgate-result-1", b"x" * 300_000, 100, size_in_bytes=1)
        with pytest.raises(GitHubError, match="more than the 299,999 bytes"):
            client(github).download(artifact, most_bytes=299_999)


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        (Trouble("STORAGE", "", 404), "is gone"),
        (Trouble("STORAGE", "", 410), "is gone"),
        (Trouble("STORAGE", "", 403, body=HTML), "answered 403"),
        (Trouble("STORAGE", "", 302, {"Location": "http://127.0.0.1:1/"}), "answered 302"),
        (Trouble("STORAGE", "", 200, {"Content-Length": "99", "Connection": "close"}, "PK"), "did not answer"),
        (Trouble("GET", ".*zip", 302, {"Location": "ftp://elsewhere.invalid/x"}), "what came as GitHub's answer"),
        (Trouble("GET", ".*zip", 200, body=HTML), "what came as GitHub's answer"),
        (Trouble("GET", ".*zip", 403, body='{"message": "Resource not accessible by integration"}'), "403"),
        (Trouble("GET", ".*zip", 410), "expired"),
    ],
)
def test_an_artifact_that_cannot_be_had_is_one_message(trouble: Trouble, message: str) -> None:
    """Gone, refused, led elsewhere, cut off; never with the address, which is a key for some minutes."""
    with FakeGitHub() as github:
        github.troubles.append(trouble)
        artifact = github.add_artifact("evalgate-result-1", b"PK", 100)
        with pytest.raises(GitHubError, match=message) as caught:
            client(github, retries=0).download(artifact, most_bytes=100)
        assert "secret-signature" not in str(caught.value)


def test_the_storage_is_asked_again_after_a_passing_trouble() -> None:
    """As the API is."""
    with FakeGitHub() as github:
        github.troubles += [Trouble("STORAGE", "", 503)] * 2
        artifact = github.add_artifact("evalgate-result-1", b"PK", 100)
        assert client(github).download(artifact, most_bytes=100) == b"PK"
        assert len(github.fetched) == 3


def test_artifacts_of_a_run_come_newest_first_from_all_pages() -> None:
    """Expired ones too: that there was one is worth telling."""
    with FakeGitHub() as github:
        numbers = [
            github.add_artifact(f"evalgate-result-{n}", b"PK", 100, created_at=f"2026-{n:03}") for n in range(150)
        ]
        github.add_artifact("evalgate-result-1", b"PK", 101)
        found = client(github).artifacts_of(100)
        assert [artifact.id for artifact in found] == numbers[::-1]


def test_an_unknown_commit_is_told_as_one() -> None:
    """Whichever of its words GitHub has for it."""
    with FakeGitHub() as github:
        for asked in (client(github).parents, client(github).pulls_with):
            with pytest.raises(NotFoundError):
                asked(HEAD)
