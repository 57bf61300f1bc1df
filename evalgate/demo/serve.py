"""The assistant over HTTP, as chat completions: what any client of that protocol can talk to.

`POST /v1/chat/completions`, `GET /v1/models`, `GET /v1/models/handbook-1`. The passages that were read stand in
`choices[0].message.context.citations`. The same settings give the same texts and passages as in process.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from evalgate.demo.assistant import MODEL, content_text, reply_to
from evalgate.demo.pages import handbook_hash
from evalgate.demo.settings import Settings
from evalgate.records import fingerprint

MAX_BODY = 1_000_000
"""Longest request body, in bytes."""

_SETTINGS = frozenset({"retrieval", "temperature", "seed", "max_tokens"})
_NO_EFFECT = frozenset(
    {"top_p", "presence_penalty", "frequency_penalty", "user", "metadata", "store", "stream_options"}
)
"""Of the protocol, without meaning for this assistant: taken and left alone."""
_ONLY = {"n": 1, "stream": False}
"""Of the protocol, with the one value that is served."""


class _Refused(Exception):
    """A request that is answered with an error in the protocol's shape."""

    def __init__(self, status: HTTPStatus, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param


class DemoServer(ThreadingHTTPServer):
    """The assistant behind a port: one thread a connection. `with make_server() as server:` closes it."""

    daemon_threads = True
    request_queue_size = 128  # a runner opens its connections all at once; 5 of them would be let in

    def __init__(self, address: tuple[str, int], params: Mapping[str, Any]) -> None:
        Settings.of(params)
        self.params = dict(params)
        """Settings of every request that does not bring its own."""
        super().__init__(address, _Handler)

    @property
    def base_url(self) -> str:
        """What a client is configured with: `http://127.0.0.1:8100/v1`."""
        host, port = self.server_address[:2]
        return f"http://{host if isinstance(host, str) else host.decode()}:{port}/v1"


def make_server(port: int = 0, *, host: str = "127.0.0.1", params: Mapping[str, Any] | None = None) -> DemoServer:
    """A server that listens but does not serve yet: call `serve_forever` (from another thread, `shutdown`).

    port: 0 takes a free one; `base_url` says which. params: as for `evalgate.demo:answer`; a request's own win.
    Raises ValueError for unknown params, OSError where the port is taken.
    """
    return DemoServer((host, port), params or {})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65_536  # head and body leave in one packet
    timeout = 120
    """Seconds after which an idle connection is closed."""
    server: DemoServer

    def do_GET(self) -> None:
        self._respond({"/v1/models": _models, f"/v1/models/{MODEL}": _model}.get(self.path.split("?")[0]))

    def do_POST(self) -> None:
        try:
            body = self._body()
        except _Refused as refused:
            self.close_connection = True  # the rest of the body was not read
            self._send(refused.status, _error(refused))
            return
        if self.path.split("?")[0] == "/v1/chat/completions":
            self._respond(lambda: _complete(body, self.server.params))
        else:
            self._respond(None)

    def _respond(self, make: Any) -> None:
        try:
            if make is None:
                raise _Refused(
                    HTTPStatus.NOT_FOUND, f"Unknown request URL: {self.command} {self.path}.", code="unknown_url"
                )
            status, content = HTTPStatus.OK, make()
        except _Refused as refused:
            status, content = refused.status, _error(refused)
        self._send(status, content)

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "Send the length of the body in Content-Length.")
        if int(length) > MAX_BODY:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body may have at most {MAX_BODY} bytes.")
        return self.rfile.read(int(length))

    def _send(self, status: HTTPStatus, content: Mapping[str, Any]) -> None:
        data = json.dumps(content, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: stderr belongs to whoever serves."""


def _complete(body: bytes, defaults: Mapping[str, Any]) -> dict[str, Any]:
    request = _parsed(body)
    messages = _messages(request)
    if request.get("model") != MODEL:
        message = f"The model {request.get('model')!r} does not exist: this server has {MODEL!r}."
        raise _Refused(HTTPStatus.NOT_FOUND, message, code="model_not_found", param="model")
    params = _merged(defaults, request)
    try:
        settings = Settings.of(params)
    except ValueError as error:
        raise _Refused(HTTPStatus.BAD_REQUEST, f"{error}.") from None
    prompt = next((content_text(m.get("content")) for m in reversed(messages) if m.get("role") == "user"), "")
    reply = reply_to(prompt, messages, settings)
    citations = [{"id": passage.id, "content": passage.text} for passage in reply.passages]
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": MODEL,
        "system_fingerprint": _system_fingerprint(settings),
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": reply.text, "context": {"citations": citations}},
                "finish_reason": "length" if reply.is_cut else "stop",
            }
        ],
        "usage": {
            "prompt_tokens": reply.tokens_in,
            "completion_tokens": reply.tokens_out,
            "total_tokens": reply.tokens_in + reply.tokens_out,
        },
    }


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _Refused(HTTPStatus.BAD_REQUEST, f"The body is not JSON: {error}.") from None
    if not isinstance(request, dict):
        raise _Refused(HTTPStatus.BAD_REQUEST, "The body must be a JSON object.")
    for key, value in request.items():
        if key in _ONLY and value not in (None, _ONLY[key]):
            raise _Refused(HTTPStatus.BAD_REQUEST, f"{key} must be {json.dumps(_ONLY[key])}.", param=key)
        if key not in _SETTINGS | _NO_EFFECT | {"model", "messages", "max_completion_tokens", *_ONLY}:
            raise _Refused(HTTPStatus.BAD_REQUEST, f"Unknown parameter: {key!r}.", code="unknown_parameter", param=key)
    return request


def _messages(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(each, dict) for each in messages):
        raise _Refused(HTTPStatus.BAD_REQUEST, "messages must be a list of at least one message.", param="messages")
    if not any(each.get("role") == "user" for each in messages):
        raise _Refused(HTTPStatus.BAD_REQUEST, "messages must have a message of the user.", param="messages")
    return messages


def _merged(defaults: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """The server's settings under the request's; `null` is as good as absent."""
    own = {key: request[key] for key in _SETTINGS if request.get(key) is not None}
    if request.get("max_completion_tokens") is not None:
        own["max_tokens"] = request["max_completion_tokens"]
    merged = {**defaults, **own}
    if isinstance(own.get("retrieval"), Mapping):
        merged["retrieval"] = {**defaults.get("retrieval", {}), **own["retrieval"]}
    return merged


def _system_fingerprint(settings: Settings) -> str:
    """Changes with the handbook and with how it is searched: what would be another system behind the same name."""
    searched = [handbook_hash(), settings.passages, settings.stemming, settings.synonyms, settings.titles]
    return "fp_" + fingerprint(searched).removeprefix("s1:")


def _model() -> dict[str, Any]:
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": "evalgate-demo"}


def _models() -> dict[str, Any]:
    return {"object": "list", "data": [_model()]}


def _error(refused: _Refused) -> dict[str, Any]:
    return {
        "error": {
            "message": str(refused),
            "type": "invalid_request_error",
            "param": refused.param,
            "code": refused.code,
        }
    }
