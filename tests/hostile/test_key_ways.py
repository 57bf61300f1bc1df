"""A key goes to the server it is for, and to no other: not by a change of the files, not by a redirect."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from listening import listening

from evalgate.cli import call
from evalgate.endpoints import Opening
from evalgate.endpoints.chat_completions import OpenAI
from evalgate.errors import CallError, GitHubError
from evalgate.github.client import connect
from evalgate.records import Case, Request

KEY = "sk-the-key-of-this-test"

SUITE = """
version: 1
suite: s
evalsets: [set.yaml]
endpoint: {{kind: {kind}, api_key_env: OPENAI_API_KEY}}
{rest}
"""
EVALSET = "name: s\nscorers: [{scorer}]\ncases: [{{id: a, category: c, input: x, expected: x}}]\n"
TO_EVIL = "kind: openai, base_url: '{evil}/v1', model: m, api_key_env: OPENAI_API_KEY"


@pytest.mark.parametrize("way", ["endpoint", "judge", "a scorer's own judge", "baseline_endpoint", "http", "a header"])
@pytest.mark.parametrize("command", ["run", "validate"])
def test_a_changed_host_is_refused_before_anything_is_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, way: str, command: str
) -> None:
    """Whatever part of the suite names the other server: exit 2, one line that says which variable, no connection."""
    with listening() as evil:
        good, to_evil = "openai, base_url: 'https://llm.example/v1', model: m", TO_EVIL.format(evil=evil.url)
        scorer, rest = "exact: {}", ""
        if way == "endpoint":
            good = f"openai, base_url: '{evil.url}/v1', model: m"
        elif way == "http":
            good = f"http, url: '{evil.url}', body: x, output: a"
        elif way == "a header":
            good = f"openai, base_url: '{evil.url}/v1', model: m, headers: {{x-y: '${{OPENAI_API_KEY}}'}}"
        elif way == "a scorer's own judge":
            scorer = f"judge: {{rubric: r, endpoint: {{{to_evil}}}}}"
        else:
            rest = f"{way}: {{{to_evil}}}"
        (tmp_path / "evalgate.yaml").write_text(SUITE.format(kind=good, rest=rest), encoding="utf-8")
        (tmp_path / "set.yaml").write_text(EVALSET.format(scorer="{" + scorer + "}"), encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("EVALGATE_KEY_HOSTS", "OPENAI_API_KEY=llm.example")
        code = call([command])
        out, err = capsys.readouterr()
        assert (code, out, evil.heard) == (2, "", [])
        assert "OPENAI_API_KEY may not be sent to http://127.0.0.1" in err
        assert KEY not in err and "Traceback" not in err


def test_an_endpoint_follows_no_redirect() -> None:
    """The other server hears nothing at all."""
    with listening() as here, listening() as evil:
        here.redirect = f"{evil.url}/v1/chat/completions"

        async def ask() -> None:
            settings = OpenAI(base_url=f"{here.url}/v1", model="m", api_key_env="K")
            opening = Opening(base_dir=Path(), environ={"K": KEY}, concurrency=1, timeout_s=5)
            async with settings.open(opening) as endpoint:
                await endpoint.call(Request(case=Case(id="a", categories=("c",)), epoch=1, prompt="", messages=()))

        with pytest.raises(CallError, match="redirects are not followed"):
            asyncio.run(ask())
        assert [heard["authorization"] for heard in here.heard] == [f"Bearer {KEY}"]
        assert evil.heard == []


def test_githubs_token_does_not_go_along_with_a_redirect() -> None:
    """A read may be sent on, as after a renaming; another server, or another port of it, gets no token with it."""
    with listening() as here, listening() as evil:
        here.redirect = f"{evil.url}/elsewhere"
        with pytest.raises(GitHubError):
            connect(here.url, "o/r", KEY, retries=0).pull(1)
        assert [KEY in heard.get("authorization", "") for heard in here.heard] == [True]
        assert evil.heard and not any("authorization" in heard for heard in evil.heard)


def test_githubs_token_is_never_written_to_where_a_redirect_points() -> None:
    """What writes is not sent on at all."""
    with listening() as here, listening() as evil:
        here.redirect = f"{evil.url}/elsewhere"
        with pytest.raises(GitHubError):
            connect(here.url, "o/r", KEY, retries=0).create_comment(1, "text")
        assert evil.heard == []
