"""The kind `http`: any HTTP API, described by a body template and paths into its answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from evalgate.endpoints.answers import (
    NotJson,
    amount_of,
    as_text,
    bad_answer,
    contexts_of,
    count_of,
    parse_json,
    text_of,
    tool_calls_of,
)
from evalgate.endpoints.http_settings import (
    bearer,
    beside_place,
    header_problems,
    missing_key,
    place_of,
    provider_of,
    url_problems,
    url_secrets,
)
from evalgate.endpoints.interface import Endpoint, Opening, Settings
from evalgate.endpoints.pointing import path_problem, picker
from evalgate.endpoints.templating import compile_template, compile_url, template_problems, variables
from evalgate.endpoints.transport import Reply, Transport, open_transport, said_in
from evalgate.errors import CallError
from evalgate.masking import is_secret_name, secret_headers
from evalgate.records import Json, Output, Request, fingerprint

_PATHS = ("output", "contexts", "tool_calls", "tokens_in", "tokens_out", "cost_usd", "model")


@dataclass(frozen=True, kw_only=True)
class Http(Settings):
    """Any HTTP API: a body template for the request, JMESPaths for what to read of the answer."""

    kind: ClassVar[str] = "http"

    url: str = field(repr=False)
    """Where to send. After the host it may hold templates; what they insert is percent-quoted."""
    method: Literal["GET", "POST", "PUT", "PATCH"] = "POST"
    """The HTTP method."""
    body: Json = field(default=None, repr=False)
    """What to send: JSON whose texts are Jinja2 templates over prompt, input, messages, context, case, params, epoch.

    A text that is exactly one {{ expression }} becomes its value, lists and mappings included. A body that is a text is
    sent as text.
    """
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Headers, as they are."""
    api_key_env: str | None = None
    """Name of the environment variable with the key, never the key."""
    api_key_header: str = "Authorization"
    """The header that carries the key."""
    api_key_prefix: str = "Bearer "
    """What stands before the key in that header."""
    output: str | None = None
    """JMESPath to the answer: a text, or a structure. Needed unless the answer is text/plain."""
    contexts: str | None = None
    """JMESPath to the retrieved passages: a list of texts, or of mappings with `id` and `text`."""
    tool_calls: str | None = None
    """JMESPath to the tool calls: a list of mappings with `name` and `arguments`."""
    tokens_in: str | None = None
    """JMESPath to the number of tokens read."""
    tokens_out: str | None = None
    """JMESPath to the number of tokens written."""
    cost_usd: str | None = None
    """JMESPath to the cost of the call in dollars."""
    model: str | None = None
    """JMESPath to the name of the model that answered."""

    def problems(self) -> list[tuple[str, str, str]]:
        found = url_problems("url", self.url.replace("{{ ", "{{").replace(" }}", "}}")) if self._is_plain() else []
        before_path = self.url.split("{{")[0].split("{%")[0]
        if not self._is_plain():
            found += url_problems("url", before_path)
            if urlsplit(before_path).path == "":
                found.append(("url", "a template stands in the host", "Templates may stand after the host's /"))
            found += template_problems("url", self.url)
        if self.body is None and self.method != "GET":
            found.append(("body", "there is none", 'Write one, e.g. {question: "{{ prompt }}"}'))
        if self.method == "GET" and self.body is not None:
            found.append(("body", "GET sends none", "Put it into the URL: ?q={{ prompt }}, or use POST"))
        if self.method == "GET" and self._is_plain():
            found.append(("url", "the case's input is sent nowhere", "Put it into the URL: ?q={{ prompt }}"))
        found += template_problems("body", self.body)
        found += header_problems({**self.headers, self.api_key_header: self.api_key_prefix})
        if self.api_key_env and self.api_key_header.lower() in map(str.lower, self.headers):
            found.append(("headers", f"{self.api_key_header} is given beside api_key_env", "Keep one of them"))
        for key in _PATHS:
            path = getattr(self, key)
            if path is not None and (problem := path_problem(path)):
                found.append((key, f"not a JMESPath: {problem}", "Write one, e.g. result.answer"))
        return found

    def missing_credentials(self, environ: Mapping[str, str]) -> str | None:
        return missing_key(self.api_key_env, environ)

    def secrets(self, environ: Mapping[str, str]) -> tuple[str, ...]:
        key = environ.get(self.api_key_env, "").strip() if self.api_key_env else ""
        return tuple(filter(None, (key, *secret_headers(self.headers), *url_secrets(self.url))))

    def provider(self, environ: Mapping[str, str]) -> str | None:
        return provider_of(self.url, self.secrets(environ))

    def identity(self, base_dir: Path) -> dict[str, Json]:
        # Headers and body may hold what ${VAR} put there: only their fingerprints are kept, of headers that look secret
        # nothing, so that a rotated key is no other version.
        shown = {name.lower(): value for name, value in self.headers.items() if not is_secret_name(name)}
        return super().identity(base_dir) | {
            "url": place_of(self.url),
            "method": self.method,
            "headers": {name: fingerprint(value) for name, value in sorted(shown.items())},
            "body": fingerprint(self.body),
            "paths": {key: getattr(self, key) for key in _PATHS if getattr(self, key) is not None},
        }

    def determinants(self, base_dir: Path) -> dict[str, Json]:
        return self.identity(base_dir) | beside_place(self.url, self.headers)

    @asynccontextmanager
    async def open(self, opening: Opening) -> AsyncIterator[Endpoint]:
        secrets = self.secrets(opening.environ)
        headers = {"accept": "application/json, text/plain", "user-agent": "evalgate"}
        headers |= {name.lower(): value for name, value in self.headers.items()}
        if self.api_key_env:
            headers |= bearer(self.api_key_env, opening.environ, self.api_key_header, self.api_key_prefix)
        async with open_transport(
            self.url,
            concurrency=opening.concurrency,
            timeout_s=opening.timeout_s,
            environ=opening.environ,
            secrets=secrets,
            told=opening.told,
        ) as transport:
            yield _TemplatedHttp(self, transport, headers, secrets)

    def _is_plain(self) -> bool:
        return "{{" not in self.url and "{%" not in self.url


class _TemplatedHttp:
    """The opened endpoint."""

    def __init__(
        self, settings: Http, transport: Transport, headers: Mapping[str, str], secrets: tuple[str, ...]
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._headers = dict(headers)
        self._secrets = secrets
        self._url = compile_url(settings.url)
        self._body = compile_template(settings.body)
        self._picks = {key: picker(getattr(settings, key), key) for key in _PATHS}

    async def call(self, request: Request) -> Output:
        names = variables(request)
        names["params"] = {**self._settings.params, **request.params}
        headers, body = self._headers, None
        if self._settings.body is not None:
            rendered = self._body(names)
            is_text = isinstance(rendered, str)
            media = "text/plain; charset=utf-8" if is_text else "application/json"
            headers = {"content-type": media} | headers
            body = (rendered if is_text else as_text(rendered)).encode("utf-8", "replace")
        reply = await self._transport.send(self._settings.method, self._url(names), headers, body)
        try:
            return self._output(reply)
        except CallError as error:
            raise CallError(error.fault, f"the endpoint answered {reply.status}, but {error}") from None

    def _output(self, reply: Reply) -> Output:
        is_plain = reply.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/plain"
        if is_plain and self._settings.output is None:
            try:
                return Output(text=reply.body.decode("utf-8-sig"), latency_s=reply.latency_s)
            except UnicodeDecodeError as error:
                raise bad_answer(f"it is not UTF-8 at byte {error.start}", self._secrets, said_in(reply)) from None
        try:
            answer = parse_json(reply.body)
        except NotJson as error:
            raise bad_answer(f"it is {error}", self._secrets, said_in(reply)) from None
        if self._settings.output is None:
            keys = f" (its keys: {', '.join(map(str, answer))})" if isinstance(answer, dict) else ""
            raise bad_answer(
                f"nothing says where in it the answer is{keys}: write endpoint.output", self._secrets, said_in(reply)
            )
        found = {key: pick(answer) for key, pick in self._picks.items()}
        calls = tool_calls_of(found["tool_calls"], "tool_calls")
        value = found["output"]
        if value is None and not calls:
            raise bad_answer(
                f"endpoint.output `{self._settings.output}` finds nothing in it", self._secrets, said_in(reply)
            )
        is_structure = value is not None and not isinstance(value, str)
        return Output(
            text=as_text(value) if is_structure else value,
            data=value if is_structure else None,
            tool_calls=calls,
            contexts=contexts_of(found["contexts"]),
            latency_s=reply.latency_s,
            tokens_in=count_of(found["tokens_in"], "tokens_in"),
            tokens_out=count_of(found["tokens_out"], "tokens_out"),
            cost_usd=amount_of(found["cost_usd"], "cost_usd"),
            model=text_of(found["model"], "model"),
        )
