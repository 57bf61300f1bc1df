"""The kind `openai`: any server that speaks chat completions (OpenAI, vLLM, Ollama, TGI, gateways, Azure, the demo)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit, urlunsplit

from evalgate.endpoints.answers import (
    NotJson,
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
from evalgate.endpoints.pointing import Pick, path_problem, picker
from evalgate.endpoints.prices import Price, Pricing, Tokens, pricing_for
from evalgate.endpoints.statuses import error_in
from evalgate.endpoints.transport import Reply, Transport, open_transport, said_in
from evalgate.errors import CallError
from evalgate.masking import secret_headers
from evalgate.records import Json, Output, Request

_OWN_PARAMS = {
    "model": "write it as endpoint.model",
    "messages": "they come from the eval set; write a system prompt as endpoint.system",
    "tools": "write them as endpoint.tools",
    "response_format": "write it as endpoint.response_format",
}


_encode = json.JSONEncoder(ensure_ascii=False).encode

CHECK = "Check endpoint.base_url: it has to lead to chat completions and mostly ends in /v1"


@dataclass(frozen=True, kw_only=True)
class OpenAI(Settings):
    """Chat completions of any server: text, structured output, tool calls, usage."""

    kind: ClassVar[str] = "openai"

    base_url: str = field(repr=False)
    """Up to and without `/chat/completions`: https://api.openai.com/v1"""
    model: str
    """The model's name, as the server knows it."""
    api_key_env: str | None = None
    """Name of the environment variable with the key, never the key. Absent: no key is sent."""
    system: str | None = None
    """The system prompt: a text, or {file: path}."""
    tools: Sequence[Mapping[str, Json]] = ()
    """Tools that the model may call, in the shape of chat completions."""
    response_format: Mapping[str, Json] | None = None
    """Asks for structured output; then the answer is also read as JSON."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further headers: `{api-key: ${AZURE_KEY}}`."""
    contexts: str | None = None
    """JMESPath to the retrieved passages in the whole answer: choices[0].message.context.citations"""
    price: Price | None = None
    """What the model costs, where no public list says so."""

    def problems(self) -> list[tuple[str, str, str]]:
        found = url_problems("base_url", self.base_url)
        if urlsplit(self.base_url).path.rstrip("/").endswith("/chat/completions"):
            found.append(("base_url", "it already ends in /chat/completions", "Write it without; evalgate adds it"))
        if not self.model.strip():
            found.append(("model", "it is empty", "Write the model's name, as the server knows it"))
        found += header_problems(self.headers)
        if self.api_key_env and any(name.lower() == "authorization" for name in self.headers):
            found.append(("headers", "authorization is given beside api_key_env", "Keep one of them"))
        for name in self.params:
            if name in _OWN_PARAMS:
                found.append((f"params.{name}", "it is not a parameter here", _OWN_PARAMS[name]))
        if self.params.get("stream"):
            found.append(("params.stream", "streamed answers cannot be read", "Leave it out"))
        if self.params.get("n", 1) != 1:
            found.append(("params.n", "one answer is read of each call", "Leave it out and use run.epochs"))
        if self.contexts is not None and (problem := path_problem(self.contexts)):
            found.append(("contexts", f"not a JMESPath: {problem}", "Write one, e.g. choices[0].message.contexts"))
        if self.price and min(self.price.input_per_mtok_usd, self.price.output_per_mtok_usd) < 0:
            found.append(("price", "a price is negative", "Write dollars for a million tokens"))
        return found

    def missing_credentials(self, environ: Mapping[str, str]) -> str | None:
        return missing_key(self.api_key_env, environ)

    def secrets(self, environ: Mapping[str, str]) -> tuple[str, ...]:
        key = environ.get(self.api_key_env, "").strip() if self.api_key_env else ""
        return tuple(filter(None, (key, *secret_headers(self.headers), *url_secrets(self.base_url))))

    def provider(self, environ: Mapping[str, str]) -> str | None:
        return provider_of(self.base_url, self.secrets(environ))

    def identity(self, base_dir: Path) -> dict[str, Json]:
        return super().identity(base_dir) | {
            "url": place_of(self.base_url),
            "model": self.model,
            "system": self.system,
            "tools": list(self.tools),
            "response_format": self.response_format,
            "contexts": self.contexts,
        }

    def determinants(self, base_dir: Path) -> dict[str, Json]:
        return self.identity(base_dir) | beside_place(self.base_url, self.headers)

    @asynccontextmanager
    async def open(self, opening: Opening) -> AsyncIterator[Endpoint]:
        secrets = self.secrets(opening.environ)
        headers = {"content-type": "application/json", "accept": "application/json", "user-agent": "evalgate"}
        headers |= {name.lower(): value for name, value in self.headers.items()}
        if self.api_key_env:
            headers |= bearer(self.api_key_env, opening.environ)
        async with open_transport(
            self.base_url,
            concurrency=opening.concurrency,
            timeout_s=opening.timeout_s,
            environ=opening.environ,
            secrets=secrets,
            told=opening.told,
        ) as transport:
            yield _ChatCompletions(self, transport, headers, secrets)


class _ChatCompletions:
    """The opened endpoint."""

    def __init__(
        self, settings: OpenAI, transport: Transport, headers: Mapping[str, str], secrets: tuple[str, ...]
    ) -> None:
        parts = urlsplit(settings.base_url)
        self._url = urlunsplit(parts._replace(path=parts.path.rstrip("/") + "/chat/completions"))
        self._settings = settings
        self._transport = transport
        self._headers = dict(headers)
        self._secrets = secrets
        self._contexts = picker(settings.contexts, "contexts")
        self._pricing = pricing_for(settings.base_url, settings.price)
        # What every body begins and ends with; between them stand the messages.
        system = _encode({"role": "system", "content": settings.system}) + ", " if settings.system else ""
        self._begin = f'{{"model": {_encode(settings.model)}, "messages": [{system}'
        self._end = self._after_messages({})

    async def call(self, request: Request) -> Output:
        reply = await self._transport.send("POST", self._url, self._headers, self.body_of(request))
        return output_of(reply, self._settings, self._contexts, self._pricing, self._secrets)

    def body_of(self, request: Request) -> bytes:
        """What is sent for a request: JSON."""
        is_usual = not request.params or request.params == self._settings.params
        end = self._end if is_usual else self._after_messages(request.params)
        messages = _encode([dict(message) for message in request.messages])
        return f"{self._begin}{messages[1:-1]}{end}".encode("utf-8", "replace")

    def _after_messages(self, params: Mapping[str, Json]) -> str:
        settings = self._settings
        rest: dict[str, Json] = {"tools": list(settings.tools)} if settings.tools else {}
        if settings.response_format is not None:
            rest["response_format"] = settings.response_format
        rest |= {**settings.params, **params}
        return f"], {_encode(rest)[1:]}" if rest else "]}"


def output_of(reply: Reply, settings: OpenAI, contexts: Pick, pricing: Pricing, secrets: tuple[str, ...]) -> Output:
    """The output in a chat completion. Raises CallError where it has none: no JSON, an error, no choice, no message."""
    try:
        answer = parse_json(reply.body)
    except NotJson as error:
        raise bad_answer(f"the endpoint answered {reply.status}, but {error}", secrets, said_in(reply), CHECK) from None
    if not isinstance(answer, dict):
        raise bad_answer("the endpoint's answer is no chat completion", secrets, said_in(reply), CHECK)
    if reported := error_in(answer, reply.headers, secrets):
        raise reported
    message, finish_reason = _message_of(answer, reply, secrets)
    try:
        text, calls = _text_of(message), tool_calls_of(message.get("tool_calls"), "message.tool_calls")
        if text is None and not calls:
            hint = ". Raise params.max_tokens" if finish_reason == "length" else ""
            reason = f"finish_reason {finish_reason}{hint}"
            raise bad_answer(f"the message has neither content nor tool calls ({reason})", secrets, said_in(reply))
        model = text_of(answer.get("model"), "model")
        usage = answer["usage"] if isinstance(answer.get("usage"), dict) else {}
        tokens_in = count_of(usage.get("prompt_tokens"), "usage.prompt_tokens")
        tokens_out = count_of(usage.get("completion_tokens"), "usage.completion_tokens")
        return Output(
            text=text,
            data=_data_of(text) if settings.response_format is not None else None,
            tool_calls=calls,
            contexts=contexts_of(contexts(answer)),
            latency_s=reply.latency_s,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            cost_usd=_cost_of(usage, tokens_in, tokens_out, pricing, (model, settings.model)),
            model=model,
            system_fingerprint=text_of(answer.get("system_fingerprint"), "system_fingerprint"),
            response_id=text_of(answer.get("id"), "id"),
            finish_reason=finish_reason,
        )
    except CallError as error:
        raise CallError(error.fault, f"the endpoint answered {reply.status}, but {error}") from None


def _message_of(answer: dict[str, Json], reply: Reply, secrets: tuple[str, ...]) -> tuple[dict[str, Json], str | None]:
    choices = answer.get("choices")
    if not isinstance(choices, list):
        raise bad_answer("the endpoint's answer is no chat completion (no `choices`)", secrets, said_in(reply), CHECK)
    if not choices:
        raise bad_answer("the endpoint answered with empty `choices`", secrets, said_in(reply), CHECK)
    message = choices[0].get("message") if isinstance(choices[0], dict) else None
    if not isinstance(message, dict):
        raise bad_answer("the endpoint's answer has no `choices[0].message`", secrets, said_in(reply), CHECK)
    finish_reason = choices[0].get("finish_reason")
    return message, finish_reason if isinstance(finish_reason, str) else None


def _text_of(message: dict[str, Json]) -> str | None:
    """The content, its text parts joined; a refusal is what the model said, too."""
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") or part.get("refusal") for part in content if isinstance(part, dict)]
        texts = [part for part in parts if isinstance(part, str)]
        content = "".join(texts) if texts else None
    text = text_of(content, "message.content")
    return text if text is not None else text_of(message.get("refusal"), "message.refusal")


def _data_of(text: str | None) -> Json:
    try:
        return None if text is None else parse_json(text)
    except NotJson:
        return None


def _cost_of(
    usage: dict[str, Json],
    tokens_in: int | None,
    tokens_out: int | None,
    pricing: Pricing,
    models: tuple[str | None, ...],
) -> float | None:
    if tokens_in is None or tokens_out is None:
        return None
    details = usage.get("prompt_tokens_details")
    cached = count_of(details.get("cached_tokens"), "usage…cached_tokens") if isinstance(details, dict) else None
    tokens = Tokens(input=tokens_in, output=tokens_out, cached=min(cached or 0, tokens_in))
    return pricing(tokens, tuple(model for model in models if model))
