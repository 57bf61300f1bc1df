"""The kind `http`: a template goes out, paths pick what comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from endpoint_servers import Canned, ask_server, make_request

from evalgate.endpoints import Settings
from evalgate.endpoints.http_template import Http
from evalgate.errors import CallError, CallFault
from evalgate.records import ToolCall

JSON = {"Content-Type": "application/json"}


def exchange(server: Canned, *requests: Any, path: str = "/ask", environ: Any = None, **settings: Any) -> list[Any]:
    def make(url: str) -> Settings:
        return Http(**{"url": url + path, "body": {"q": "{{ prompt }}"}, **settings})

    return ask_server(server, make, *requests, environ=environ)


def test_templates_fill_the_body_and_keep_the_types_of_values() -> None:
    """A text that is one expression becomes its value; within a text it becomes text; other JSON stays as it is."""
    server = Canned(body=b'{"a": "4"}', headers=JSON)
    body = {
        "question": "Q: {{ prompt }}!",
        "history": "{{ messages }}",
        "nested": [{"temperature": "{{ params.temperature }}", "n": 3, "none": None}],
        "who": "{{ case.metadata.user }}",
        "id": "{{ case.id }}/{{ epoch }}",
        "verbatim": "{{ input }}",
    }
    request = make_request("010", epoch=2, metadata={"user": {"name": "x"}}, params={"temperature": 0.5})
    exchange(server, request, body=body, output="a")
    assert server.bodies[0] == {
        "question": "Q: 010!",
        "history": [{"role": "user", "content": "010"}],
        "nested": [{"temperature": 0.5, "n": 3, "none": None}],
        "who": {"name": "x"},
        "id": "case-1/2",
        "verbatim": "010",
    }
    assert b"content-type: application/json" in server.heads[0].lower()


def test_paths_pick_everything_that_an_output_has() -> None:
    """Answer, contexts, tool calls, tokens, cost, model: each by its own path."""
    answer = {
        "result": {"answer": "4"},
        "docs": [{"id": 1, "text": "two and two"}, "plain"],
        "calls": [{"name": "add", "arguments": {"a": 2}}],
        "usage": {"in": 7, "out": 1.0, "usd": 0.002},
        "by": "m-1",
    }
    (output,) = exchange(
        Canned(body=json.dumps(answer).encode(), headers=JSON),
        output="result.answer",
        contexts="docs",
        tool_calls="calls",
        tokens_in="usage.in",
        tokens_out="usage.out",
        cost_usd="usage.usd",
        model="by",
    )
    assert (output.text, output.data) == ("4", None)
    assert output.contexts == ({"id": "1", "text": "two and two"}, "plain")
    assert output.tool_calls == (ToolCall(name="add", arguments={"a": 2}),)
    assert (output.tokens_in, output.tokens_out, output.cost_usd, output.model) == (7, 1, 0.002, "m-1")
    assert output.latency_s > 0


@pytest.mark.parametrize("value", [{"sum": 4}, [1, 2], 4, False])
def test_a_structured_answer_is_data_and_its_json_is_the_text(value: Any) -> None:
    """Scorers of structures see the structure, scorers of texts its JSON."""
    (output,) = exchange(Canned(body=json.dumps({"a": value}).encode()), output="a")
    assert output.data == value
    assert json.loads(output.text) == value


def test_plain_text_needs_no_path() -> None:
    """text/plain is the answer; a body that is a text is sent as text."""
    server = Canned(body="vier €".encode(), headers={"Content-Type": "text/plain; charset=utf-8"})
    (output,) = exchange(server, body="{{ prompt }}?")
    assert output.text == "vier €"
    assert server.bodies == [b"2 + 2??"]


def test_get_puts_the_question_into_the_url_percent_quoted() -> None:
    """What a template inserts into the URL cannot add parameters to it."""
    server = Canned(body=b'"4"')
    request = make_request("2 + 2 & x=é/")
    exchange(server, request, method="GET", body=None, path="/ask?q={{ prompt }}&n=1", output="@")
    assert server.heads[0].startswith(b"GET /ask?q=2%20%2B%202%20%26%20x%3D%C3%A9%2F&n=1 HTTP/1.1")


def test_the_key_travels_in_the_header_that_was_asked_for() -> None:
    """Any header, any prefix."""
    server = Canned(body=b'"4"')
    settings = {"api_key_env": "KEY", "api_key_header": "X-Api-Key", "api_key_prefix": ""}
    exchange(server, environ={"KEY": "abcdefgh"}, output="@", **settings)
    assert b"x-api-key: abcdefgh\r\n" in server.heads[0].lower()


@pytest.mark.parametrize(
    ("body", "settings", "said"),
    [
        (b'{"b": 1}', {"output": "a"}, "finds nothing"),
        (b'{"b": 1}', {}, "write endpoint.output"),
        (b"oops", {"output": "a"}, "not JSON"),
        (b'{"a": "x", "n": "many"}', {"output": "a", "tokens_in": "n"}, "tokens_in"),
        (b'{"a": "x", "n": -0.1}', {"output": "a", "cost_usd": "n"}, "cost_usd"),
        (b'{"a": "x", "n": "text"}', {"output": "a", "contexts": "n"}, "contexts"),
        (b'{"a": "x", "n": [1]}', {"output": "a", "contexts": "n"}, "contexts"),
        (b'{"a": "x", "n": [{}]}', {"output": "a", "tool_calls": "n"}, "tool_calls"),
        (b'{"a": 1}', {"output": "length(a)"}, "does not fit"),
    ],
)
def test_an_answer_that_does_not_fit_is_an_error(body: bytes, settings: dict[str, Any], said: str) -> None:
    """A figure that is no figure is not an unknown one; a path that finds nothing is not an empty answer."""
    (error,) = exchange(Canned(body=body, headers=JSON), **settings)
    assert isinstance(error, CallError)
    assert error.fault is CallFault.BAD_ANSWER
    assert said in str(error)


def test_an_undefined_attribute_is_an_error_of_the_request() -> None:
    """A case without the column that the template needs is told, not sent with a hole."""
    (error,) = exchange(Canned(), body={"u": "{{ case.metadata.user }}"}, output="@")
    assert error.fault is CallFault.REFUSED_REQUEST
    assert "user" in str(error)


def test_templates_cannot_leave_the_sandbox() -> None:
    """An eval set's text is data; a template reaches no Python through it."""
    (error,) = exchange(Canned(), body={"u": "{{ ''.__class__.__mro__ }}"}, output="@")
    assert error.fault is CallFault.REFUSED_REQUEST


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"url": "h/ask"}, "url"),
        ({"url": "http://{{ prompt }}/ask"}, "url"),
        ({"body": None}, "body"),
        ({"method": "GET"}, "body"),
        ({"body": {"q": ["{{ promt }}"]}}, "body.q.0"),
        ({"body": {"q": "{{ expected }}"}}, "body.q"),
        ({"body": {"q": "{{ prompt "}}, "body.q"),
        ({"output": "a[["}, "output"),
        ({"tokens_in": ""}, "tokens_in"),
        ({"api_key_header": "a b"}, "headers.a b"),
        ({"headers": {"authorization": "x"}, "api_key_env": "KEY"}, "headers"),
    ],
)
def test_wrong_settings_are_found_before_the_first_call(settings: dict[str, Any], key: str) -> None:
    """Each fault names its key; the reference answer is not among the names of a template."""
    found = Http(**{"url": "http://h/ask", "body": {"q": "{{ prompt }}"}, **settings}).problems()
    assert key in [place for place, _, _ in found]


def test_the_identity_holds_no_secret_and_changes_with_the_request() -> None:
    """Headers and body may hold keys from the environment: their fingerprints are kept, of secret headers nothing."""
    headers = {"X-Index": "2026-11", "X-Api-Key": "abcdefgh"}
    body = {"q": "{{ prompt }}", "password": "ijklmnop"}
    plain = Http(url="http://h/ask?token=qrstuvwx", headers=headers, body=body, output="a")
    identity = plain.identity(Path())
    assert not any(secret in json.dumps(identity) + repr(plain) for secret in ("abcdefgh", "ijklmnop", "qrstuvwx"))
    rotated = Http(url="http://h/ask", headers=headers | {"X-Api-Key": "other-key"}, body=body, output="a")
    assert rotated.identity(Path()) == identity
    moved = Http(url="http://h/ask", headers=headers | {"X-Index": "2026-12"}, body=body, output="a")
    assert moved.identity(Path()) != identity
