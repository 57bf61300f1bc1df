"""Requests as GitHub describes them, and what becomes of the troubles on the way."""

from __future__ import annotations

import pytest
from fake_github import REPOSITORY, FakeGitHub, Request, Trouble
from github_openapi import VARIABLE, published_description

from evalgate.errors import GitHubError
from evalgate.github.client import Comment, GitHub, Pull, connect

HEAD = "a" * 40
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
        there.list_artifacts("evalgate-history")
        assert [description.faults(request) for request in github.requests] == [[]] * 6


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
        assert client(github).pull(7) == Pull(number=7, head_sha=HEAD)
        assert len(github.requests) == 3


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
        (Trouble("POST", ".*", 201, body=HTML), "not what its description promises"),
        (Trouble("POST", ".*", 201, body="[]"), "not what its description promises"),
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
