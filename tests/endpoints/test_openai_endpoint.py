"""The kind `openai` against small servers that answer as chat completions do, and as they should not."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import pytest
from endpoint_servers import Canned, ask_server, make_opening, make_request
from pydantic import TypeAdapter, ValidationError

from evalgate.endpoints import KINDS, Settings
from evalgate.endpoints.chat_completions import OpenAI
from evalgate.endpoints.prices import Price
from evalgate.endpoints.python_callable import PythonCallable
from evalgate.errors import CallError, CallFault
from evalgate.records import Output, ToolCall

KEY = "sk-verysecret-0123456789"


def completion(content: Any = "4", **changes: Any) -> bytes:
    message = {"role": "assistant", "content": content, **changes.pop("message", {})}
    answer = {
        "id": "chatcmpl-1",
        "model": "small-chat-1-0613",
        "system_fingerprint": "fp_1",
        "choices": [{"index": 0, "message": message, "finish_reason": changes.pop("finish_reason", "stop")}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 5},
        **changes,
    }
    return json.dumps(answer).encode()


def answer_to(body: bytes, status: int = 200, headers: dict[str, str] | None = None, **settings: Any) -> Any:
    server = Canned(body=body, status=status, headers=headers or {"Content-Type": "application/json"})

    def make(url: str) -> Settings:
        return OpenAI(base_url=f"{url}/v1", model="small-chat-1", api_key_env="KEY", **settings)

    (answer,) = ask_server(server, make, environ={"KEY": KEY + "\n"})
    return answer


def test_the_request_is_a_chat_completion() -> None:
    """System prompt first, then the conversation; params, tools, format as configured; the key as bearer, trimmed."""
    server = Canned(body=completion())
    tool = {"type": "function", "function": {"name": "add"}}

    def make(url: str) -> Settings:
        return OpenAI(
            base_url=f"{url}/v1/?api-version=3",
            model="small-chat-1",
            api_key_env="KEY",
            system="Be brief.",
            params={"temperature": 0, "seed": 1},
            tools=[tool],
            response_format={"type": "json_object"},
            headers={"X-Team": "evals"},
        )

    ask_server(server, make, make_request("2 + 2?", params={"seed": 7}), environ={"KEY": KEY + "\n"})
    head = server.heads[0].lower()
    assert head.startswith(b"post /v1/chat/completions?api-version=3 http/1.1")
    assert b"authorization: bearer sk-verysecret-0123456789\r\n" in head
    assert b"x-team: evals" in head
    assert server.bodies[0] == {
        "model": "small-chat-1",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}],
        "tools": [tool],
        "response_format": {"type": "json_object"},
        "temperature": 0,
        "seed": 7,
    }


@pytest.mark.parametrize("system", [None, 'Say "ja".'])
@pytest.mark.parametrize("params", [{}, {"temperature": 0}, {"temperature": 1, "stop": ["\n"]}])
@pytest.mark.parametrize("prompt", ["2 + 2?", 'é "\\" \n\u2028 \U0001f600', "half \ud83d pair"])
def test_any_text_and_any_parameters_travel_whole(system: str | None, params: dict[str, Any], prompt: str) -> None:
    """What is the same in every body is written once; what a case brings cannot break out of its place."""
    server = Canned(body=completion())

    def make(url: str) -> Settings:
        return OpenAI(base_url=f"{url}/v1", model='m"1', system=system, params={"temperature": 0, "top_p": 1})

    ask_server(server, make, make_request(prompt, params=params))
    user = {"role": "user", "content": prompt.replace("\ud83d", "?")}
    told = [user] if system is None else [{"role": "system", "content": system}, user]
    assert server.bodies[0] == {"model": 'm"1', "messages": told, "temperature": 0, "top_p": 1} | params


def test_an_answer_is_read_whole() -> None:
    """Text, usage, the model that answered, its fingerprint, the id, why it ended; latency measured, price unknown."""
    output = answer_to(completion())
    assert isinstance(output, Output)
    assert output.latency_s is not None and output.latency_s > 0
    assert (output.text, output.tokens_in, output.tokens_out, output.cost_usd) == ("4", 20, 5, None)
    assert (output.model, output.system_fingerprint) == ("small-chat-1-0613", "fp_1")
    assert (output.response_id, output.finish_reason, output.data) == ("chatcmpl-1", "stop", None)


def test_tool_calls_are_an_answer_without_text() -> None:
    """Arguments are parsed where they are JSON, and kept as text where they are not."""
    calls = [
        {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2}'}},
        {"id": "2", "type": "function", "function": {"name": "say", "arguments": "{oops"}},
    ]
    output = answer_to(completion(None, message={"tool_calls": calls}))
    assert output.text is None
    assert output.tool_calls == (ToolCall(name="add", arguments={"a": 2}), ToolCall(name="say", arguments="{oops"))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (completion([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), "ab"),
        (completion(None, message={"refusal": "I cannot help with that."}), "I cannot help with that."),
        (completion(""), ""),
        (completion("half \ud83d pair \U0001f600"), "half \ufffd pair \U0001f600"),
    ],
    ids=["parts", "refusal", "empty", "half a surrogate pair"],
)
def test_what_the_model_said_is_the_text(body: bytes, text: str) -> None:
    """Joined parts, a refusal and an empty content are answers, to be judged by the scorers."""
    assert answer_to(body).text == text


def test_structured_output_is_read_only_where_it_was_asked_for() -> None:
    """With response_format a text that is JSON is also `data`; without, or where it is no JSON, it stays a text."""
    asked = {"response_format": {"type": "json_object"}}
    assert answer_to(completion('{"sum": 4}'), **asked).data == {"sum": 4}
    assert answer_to(completion("four"), **asked).data is None
    assert answer_to(completion('{"sum": 4}')).data is None


def test_retrieved_contexts_are_picked_and_normalised() -> None:
    """Mappings keep id and text whatever these are called; texts stay texts; an absent list is unknown, not empty."""
    found = [{"chunk_id": "7", "content": "thirty days", "score": 0.9}, "a text"]
    message = {"context": {"citations": found}}
    path = "choices[0].message.context.citations"
    assert answer_to(completion(message=message), contexts=path).contexts == (
        {"id": "7", "text": "thirty days"},
        "a text",
    )
    assert answer_to(completion(), contexts=path).contexts is None
    assert answer_to(completion(message={"context": {"citations": []}}), contexts=path).contexts == ()


def test_the_price_is_the_users_the_published_or_unknown() -> None:
    """A configured price counts; a server on this machine has none, whatever its model is called."""
    price = Price(input_per_mtok_usd=1.0, output_per_mtok_usd=4.0)
    assert answer_to(completion(), price=price).cost_usd == pytest.approx((20 * 1.0 + 5 * 4.0) / 1e6)
    assert answer_to(completion(model="gpt-4o")).cost_usd is None
    assert answer_to(completion(usage=None), price=price).cost_usd is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>Welcome to nginx</html>", "not JSON"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"[]", "no chat completion"),
        (b'{"choices": []}', "empty `choices`"),
        (b'{"answer": 4}', "no `choices`"),
        (b'{"choices": [{"text": "4"}]}', "no `choices[0].message`"),
        (completion(None, finish_reason="length"), "Raise params.max_tokens"),
        (completion(usage={"prompt_tokens": -1}), "usage.prompt_tokens"),
        (completion(17), "message.content"),
        (b'{"error": {"message": "overloaded ' + KEY.encode() + b'"}}', "overloaded ***"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"choices": [NaN]}', "NaN"),
    ],
)
def test_what_is_no_answer_is_an_error_that_shows_it(body: bytes, said: str) -> None:
    """Nothing is guessed: the message says what is missing and what came instead, without the key."""
    gc.collect()  # nothing of earlier tests must be finalised at the bottom of a deep recursion
    error = answer_to(body)
    assert isinstance(error, CallError)
    assert error.fault is CallFault.BAD_ANSWER
    assert said in str(error)
    assert KEY not in str(error)
    assert "\n" not in str(error) and len(str(error)) < 500


def test_an_error_with_a_good_status_keeps_its_own_code() -> None:
    """Gateways answer 200 and put the upstream's status into the body: a rate limit stays one."""
    error = answer_to(b'{"error": {"code": 429, "message": "slow down"}}', headers={"Retry-After": "3"})
    assert (error.fault, error.retry_after_s) == (CallFault.RATE_LIMITED, 3.0)


def test_a_refused_key_is_told_without_showing_it() -> None:
    """A wrong key: status, what the endpoint said, what to check, and no key."""
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}}).encode()
    error = answer_to(body, status=401)
    assert error.fault is CallFault.CREDENTIALS
    assert "answered 401: Incorrect API key provided: ***" in str(error)
    assert "api_key_env" in str(error)


def test_a_missing_key_is_named_and_a_settings_repr_shows_none() -> None:
    """`not_evaluated` needs the variable's name; a repr in a traceback must not show what ${VAR} put in."""
    settings = OpenAI(base_url="http://h/v1", model="m", api_key_env="KEY", headers={"api-key": "abcdefgh"})
    assert "KEY" in (settings.missing_credentials({"KEY": " "}) or "")
    assert settings.missing_credentials({"KEY": "x"}) is None
    assert OpenAI(base_url="http://h/v1", model="m").missing_credentials({}) is None
    assert set(settings.secrets({"KEY": KEY})) == {KEY, "abcdefgh"}
    assert "abcdefgh" not in repr(settings)
    assert KEY not in repr(make_opening(environ={"KEY": KEY}))


def test_the_identity_is_what_determines_answers() -> None:
    """Another model, prompt or parameter is another version; key, header, price and a URL's query are not in it."""
    plain = OpenAI(base_url="https://h.example/v1?key=abcdefgh", model="m", api_key_env="KEY")
    identity = plain.identity(Path())
    assert identity["url"] == "https://h.example/v1"
    assert "abcdefgh" not in json.dumps(identity)
    for change in ({"model": "n"}, {"system": "s"}, {"params": {"seed": 1}}, {"version": "2"}, {"tools": ({"a": 1},)}):
        changed: dict[str, Any] = {"base_url": plain.base_url, "model": "m", **change}
        assert OpenAI(**changed).identity(Path()) != identity


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"base_url": "ftp://h/v1"}, "base_url"),
        ({"base_url": "h/v1"}, "base_url"),
        ({"base_url": "http://h:port/v1"}, "base_url"),
        ({"base_url": "http://user:password@h/v1"}, "base_url"),
        ({"base_url": "http://h/v1/chat/completions"}, "base_url"),
        ({"model": " "}, "model"),
        ({"contexts": "a[["}, "contexts"),
        ({"params": {"messages": []}}, "params.messages"),
        ({"params": {"stream": True}}, "params.stream"),
        ({"params": {"n": 2}}, "params.n"),
        ({"headers": {"a b": "c"}}, "headers.a b"),
        ({"headers": {"a": "b\r\nc: d"}}, "headers.a"),
        ({"headers": {"Authorization": "x"}, "api_key_env": "KEY"}, "headers"),
        ({"price": Price(input_per_mtok_usd=-1, output_per_mtok_usd=0)}, "price"),
    ],
)
def test_wrong_settings_are_found_before_the_first_call(settings: dict[str, Any], key: str) -> None:
    """Each fault names its key, says what is wrong and what to write, and repeats no secret."""
    found = OpenAI(**{"base_url": "https://h.example/v1", "model": "m", **settings}).problems()
    assert [place for place, _, _ in found] == [key]
    assert all(what and hint and "password" not in what.replace("user and password", "") for _, what, hint in found)


def test_right_settings_have_no_problems() -> None:
    """The example of the documentation is accepted."""
    settings = OpenAI(base_url="https://h.example/v1", model="m", api_key_env="KEY", params={"temperature": 0})
    assert settings.problems() == []


@pytest.mark.parametrize("kind", KINDS)
def test_pydantic_can_validate_every_kind(kind: str) -> None:
    """The config stage reads the fields' types: wrong ones are refused there, also of what is nested."""
    adapter: TypeAdapter[Settings] = TypeAdapter(KINDS[kind])
    needed = {
        "openai": {"base_url": "http://h", "model": "m", "price": {"input_per_mtok_usd": 1, "output_per_mtok_usd": 2}},
        "http": {"url": "http://h", "body": {"q": ["{{ prompt }}"]}},
        "python": {"callable": "a:b"},
        "command": {"command": ["a", "b"]},
        "replay": {"file": "a.jsonl"},
    }[kind]
    settings = adapter.validate_python({**needed, "version": "1", "params": {"a": 1}})
    assert isinstance(settings, KINDS[kind])
    assert settings.kind == kind
    wrong: dict[str, Any] = {"params": 1}
    if kind == "openai":
        wrong = {"price": {"input_per_mtok_usd": 1, "output_per_mtok_usd": 2, "per_call_usd": 3}}
    with pytest.raises(ValidationError):
        adapter.validate_python({**needed, **wrong})


# ---- whose limits hold ----


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ({"base_url": "https://llm.example.com:443/v2"}, True),
        ({"model": "judge-1", "params": {"temperature": 0}}, True),
        ({"base_url": "https://llm.example.com:8443/v1"}, False),
        ({"base_url": "http://llm.example.com/v1"}, False),
        ({"base_url": "https://llm.example.org/v1"}, False),
        ({"api_key_env": "OTHER_KEY"}, False),
        ({"api_key_env": None}, False),
    ],
)
def test_one_server_with_one_key_is_one_provider(other: dict[str, Any], is_same: bool) -> None:
    """Whatever path or model is asked: limits are the key's."""
    environ = {"KEY": "sk-one-1234", "OTHER_KEY": "sk-two-1234"}
    given = {"base_url": "https://llm.example.com/v1", "model": "small-1", "api_key_env": "KEY"}
    one, two = OpenAI(**given).provider(environ), OpenAI(**{**given, **other}).provider(environ)
    assert (one == two) is is_same
    assert "sk-one" not in str(one)


def test_code_of_our_own_has_no_provider() -> None:
    """Each such endpoint has its own pace."""
    assert PythonCallable(callable="app:answer").provider({}) is None
