"""The handbook assistant behind HTTP, on localhost."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from demo_suite import load_suite, make_request

from evalgate.demo import answer
from evalgate.demo.serve import DemoServer, make_server

FOUNDED = {"model": "handbook-1", "messages": [{"role": "user", "content": "When was Quillmarsh founded?"}]}


def running(**params: Any) -> Iterator[DemoServer]:
    with make_server(params=params) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[DemoServer]:
    yield from running()


@pytest.fixture(scope="module")
def narrow_server() -> Iterator[DemoServer]:
    """Started with other settings than the defaults."""
    yield from running(retrieval={"passages": 1, "stemming": False})


class Client:
    """One connection, kept alive."""

    def __init__(self, server: DemoServer) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())

    def complete(self, **changes: Any) -> tuple[int, Any]:
        return self.send("POST", "/v1/chat/completions", json.dumps({**FOUNDED, **changes}).encode())


def test_completion_has_the_protocols_shape(server: DemoServer) -> None:
    """What a client of chat completions reads is there: choice, usage, model, fingerprint."""
    with Client(server) as client:
        status, reply = client.complete()
    choice = reply["choices"][0]
    assert status == 200
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"].startswith("3 May 1998. The company was founded")
    assert choice["finish_reason"] == "stop"
    assert (reply["object"], reply["model"]) == ("chat.completion", "handbook-1")
    assert reply["id"].startswith("chatcmpl-")
    assert reply["system_fingerprint"].startswith("fp_")
    usage = reply["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_whole_suite_is_the_same_over_http(server: DemoServer) -> None:
    """Every case of the bundled eval sets: the same text, contexts and token counts as in process."""
    with Client(server) as client:
        for case in load_suite().cases:
            inside = answer(make_request(str(case.input)))
            _, outside = client.complete(messages=[{"role": "user", "content": case.input}])
            message = outside["choices"][0]["message"]
            citations = [{"id": each["id"], "text": each["content"]} for each in message["context"]["citations"]]
            assert (message["content"], citations) == (inside["text"], inside["contexts"]), case.id
            assert outside["usage"]["prompt_tokens"] == inside["tokens_in"]
            assert outside["usage"]["completion_tokens"] == inside["tokens_out"]


def test_settings_come_with_the_request(server: DemoServer) -> None:
    """The same params as in process, as further keys of the body."""
    prompt = "How long is the warranty, and what does a repair cost?"
    params: dict[str, Any] = {"retrieval": {"passages": 1}, "temperature": 1.5, "seed": 3}
    with Client(server) as client:
        _, reply = client.complete(messages=[{"role": "user", "content": prompt}], **params)
    assert reply["choices"][0]["message"]["content"] == answer(make_request(prompt, **params))["text"]
    assert len(reply["choices"][0]["message"]["context"]["citations"]) == 1


def test_servers_settings_are_the_defaults(narrow_server: DemoServer) -> None:
    """A request's own settings win one by one over those that the server was started with."""
    messages = [{"role": "user", "content": "How long is the warranty, and what does a repair cost?"}]
    with Client(narrow_server) as client:
        _, plain = client.complete(messages=messages)
        _, wider = client.complete(messages=messages, retrieval={"passages": 3}, temperature=None)
    assert [len(r["choices"][0]["message"]["context"]["citations"]) for r in (plain, wider)] == [1, 3]
    assert plain["system_fingerprint"] != wider["system_fingerprint"]


def test_fingerprint_changes_with_the_search_only(server: DemoServer, narrow_server: DemoServer) -> None:
    """Another way to search is another system; a temperature is not."""
    with Client(server) as client, Client(narrow_server) as narrow:
        usual = client.complete()[1]["system_fingerprint"]
        assert client.complete(temperature=1)[1]["system_fingerprint"] == usual
        assert narrow.complete()[1]["system_fingerprint"] != usual


def test_parts_and_system_messages_are_read(server: DemoServer) -> None:
    """Content may be a list of parts; a system message is no question."""
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "When was Quillmarsh founded?"}]},
    ]
    with Client(server) as client:
        assert client.complete(messages=messages)[1]["choices"] == client.complete()[1]["choices"]


def test_max_tokens_ends_with_length(server: DemoServer) -> None:
    """Both names of the limit work, and the reason to finish says so."""
    with Client(server) as client:
        for name in ("max_tokens", "max_completion_tokens"):
            choice = client.complete(**{name: 2})[1]["choices"][0]
            assert (choice["message"]["content"], choice["finish_reason"]) == ("3 May", "length")


def test_models_are_listed(server: DemoServer) -> None:
    """A client can look up what is served."""
    with Client(server) as client:
        status, models = client.send("GET", "/v1/models")
        assert (status, [model["id"] for model in models["data"]]) == (200, ["handbook-1"])
        assert client.send("GET", "/v1/models/handbook-1")[0] == 200


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"model": "gpt-9"}, 404, "handbook-1"),
        ({"messages": []}, 400, "messages must be a list"),
        ({"messages": ["hi"]}, 400, "messages must be a list"),
        ({"messages": [{"role": "system", "content": "x"}]}, 400, "message of the user"),
        ({"stream": True}, 400, "stream must be false"),
        ({"n": 2}, 400, "n must be 1"),
        ({"tools": []}, 400, "Unknown parameter: 'tools'"),
        ({"temperature": 9}, 400, "temperature must be a number from 0 to 2"),
        ({"retrieval": {"passages": 99}}, 400, "from 1 to 20"),
        ({"retrieval": "all"}, 400, "retrieval must be a mapping"),
    ],
)
def test_bad_request_is_told_in_the_protocols_shape(
    server: DemoServer, changes: dict[str, Any], status: int, said: str
) -> None:
    """A client gets a status and an error object that say what to change; the connection stays usable."""
    with Client(server) as client:
        given, reply = client.complete(**changes)
        assert (given, reply["error"]["type"]) == (status, "invalid_request_error")
        assert said in reply["error"]["message"]
        assert client.complete()[0] == 200


def test_unknown_model_has_the_protocols_code(server: DemoServer) -> None:
    """Clients tell a wrong model name by its code."""
    with Client(server) as client:
        assert client.complete(model="gpt-9")[1]["error"]["code"] == "model_not_found"


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff", b""])
def test_body_that_is_no_object_is_refused(server: DemoServer, body: bytes) -> None:
    """Not JSON, or not an object: 400."""
    with Client(server) as client:
        status, reply = client.send("POST", "/v1/chat/completions", body)
    assert (status, reply["error"]["type"]) == (400, "invalid_request_error")


def test_unknown_path_is_not_found(server: DemoServer) -> None:
    """Whatever else is asked for: 404 with the path."""
    with Client(server) as client:
        assert client.send("GET", "/v2/models")[0] == 404
        assert "/v1/embeddings" in client.send("POST", "/v1/embeddings", b"{}")[1]["error"]["message"]


def test_huge_body_is_refused_unread(server: DemoServer) -> None:
    """A body above the limit is not read into memory."""
    with Client(server) as client:
        status, reply = client.send("POST", "/v1/chat/completions", b"", **{"Content-Length": "2000000"})
    assert (status, reply["error"]["type"]) == (413, "invalid_request_error")


def test_unknown_settings_stop_the_server_before_it_listens() -> None:
    """A misspelt setting is told at the start, not with every request."""
    with pytest.raises(ValueError, match="unknown parameter 'passages'"):
        make_server(params={"passages": 1})


def test_base_url_is_what_a_client_needs(server: DemoServer) -> None:
    """Port 0 took a free port, and the address says which."""
    assert server.base_url == f"http://127.0.0.1:{server.server_address[1]}/v1"
