"""One HTTP request and its answer. The only home of the HTTP client; knows no JSON, no model, no retries.

Why pyqwest (Rust's reqwest), by benchmarks/http_clients.py: it loads in 8 ms where aiohttp takes 250, and costs
0.5 ms of CPU a request (aiohttp 0.3, pyreqwest 0.2). pyreqwest 0.15 leaves a cancelled request running, its connection
open, even when its client is closed; pyqwest and aiohttp close it within a millisecond.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from evalgate.endpoints.answers import bad_answer
from evalgate.endpoints.masking import excerpt
from evalgate.endpoints.statuses import failure_of, redirect_of
from evalgate.errors import CallError, CallFault

if TYPE_CHECKING:
    from pyqwest import HTTPTransport, Response

CONNECT_TIMEOUT_S = 10.0
MAX_BODY_BYTES = 32 * 1024 * 1024
_READING = "Error reading content: request or response body error: "


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A whole answer with a 2xx status."""

    status: int
    headers: Mapping[str, str]
    """With lower-case names; of a repeated header one value."""
    body: bytes
    latency_s: float
    """From before the request was sent until the last byte had come."""


class Transport:
    """Keeps connections open between calls. Made by `open_transport`."""

    def __init__(self, client: HTTPTransport, secrets: Sequence[str]) -> None:
        self._client = client
        self._secrets = tuple(secrets)

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        """The answer to one request. Redirects are not followed: the key would go where nobody sent it.

        Raises CallError: CONNECTION (unreachable, TLS, cut off), TIMEOUT, BAD_ANSWER (no HTTP, above 32 MiB), or what
        the status says (`statuses.failure_of`). Cancelled, it closes the connection before it returns.
        """
        from pyqwest import Headers, ReadError, RemoteProtocolError, Request, WriteError

        begin = time.perf_counter()
        try:
            response = await self._client.execute(Request(method, url, Headers(list(headers.items())), body))
            found = dict(response.headers.items())
            content = await _body_of(response, found.get("content-length"))
        except (ConnectionError, TimeoutError, RemoteProtocolError, ReadError, WriteError) as error:
            self._explain(error, url)
        latency_s = time.perf_counter() - begin
        if 300 <= response.status < 400:
            raise redirect_of(response.status, found, self._secrets)
        if not 200 <= response.status < 300:
            raise failure_of(response.status, found, content, self._secrets)
        return Reply(status=response.status, headers=found, body=content, latency_s=latency_s)

    def _explain(self, error: Exception, url: str) -> NoReturn:
        """The error in terms of what the user can check; the client's own words name the cause at their end."""
        place, said = _place(url), str(error)
        cause = excerpt(said.rpartition("): ")[2].removeprefix(_READING), 200, self._secrets)
        if isinstance(error, ConnectionError):
            raise CallError(CallFault.CONNECTION, f"no connection to {place}: {cause}. {_advice(said)}") from None
        if isinstance(error, TimeoutError):
            raise CallError(CallFault.TIMEOUT, f"{place} did not answer in time: {cause}") from None
        if any(
            word in said
            for word in ("parsed", "unexpected end of file", "gzip", "brotli", "zstd", "corrupt", "checksum")
        ):
            raise bad_answer(
                f"{place} answered in no HTTP, or badly compressed ({cause}). Check scheme and port of the URL"
            ) from None
        raise CallError(
            CallFault.CONNECTION,
            f"{place} closed the connection before its answer was complete: {cause}. Check the server's log; "
            "a server that speaks HTTPS does this to http://",
        ) from None


@asynccontextmanager
async def open_transport(
    url: str, *, concurrency: int, timeout_s: float, environ: Mapping[str, str], secrets: Sequence[str]
) -> AsyncIterator[Transport]:
    """A transport for calls of `url`; connections are closed at the end.

    Certificates are verified against the system's store, or against SSL_CERT_FILE and SSL_CERT_DIR where they are
    set. HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY hold. `timeout_s` is the runner's: here it is a last resort.
    """
    from pyqwest import HTTPTransport, HTTPVersion

    speaks_tls = urlsplit(url).scheme == "https" or any(
        value.startswith("https:") for name, value in environ.items() if name.lower().endswith("_proxy")
    )
    client = HTTPTransport(
        tls_include_system_certs=speaks_tls,  # reading them takes 0.1 s
        http_version=HTTPVersion.HTTP1,
        connect_timeout=min(CONNECT_TIMEOUT_S, timeout_s),
        timeout=timeout_s * 1.5 + 5,
        pool_max_idle_per_host=concurrency,
        use_system_dns=True,
        follow_redirects=False,
        enable_otel=False,
    )
    async with client:
        yield Transport(client, secrets)


async def _body_of(response: Response, length: str | None) -> bytes:
    """The whole body. Raises CallError as soon as it is longer than may be, having kept no more than that."""
    promised = int(length) if length and length.isdecimal() else None
    chunks: list[bytes] = []
    size = 0
    try:
        if promised is not None and promised > MAX_BODY_BYTES:
            raise _too_long()
        # Waiting for the end of a body whose length is known costs as much as the chunk itself.
        if promised != 0:
            async for chunk in response.content:
                size += len(chunk)
                if size > MAX_BODY_BYTES:
                    raise _too_long()
                chunks.append(bytes(chunk))
                if size == promised:
                    break
    except BaseException:
        await response.aclose()
        raise
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_long() -> CallError:
    return bad_answer(f"the answer is longer than {MAX_BODY_BYTES >> 20} MiB")


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _advice(said: str) -> str:
    lowered = said.lower()
    if "certificate" in lowered:
        return "For a certificate of your own authority set SSL_CERT_FILE to its PEM file"
    if "dns" in lowered or "lookup" in lowered:
        return "Check the host name in the URL, and the proxy settings"
    if "timed out" in lowered:
        return "Check host and port, the firewall, and whether the server speaks HTTPS there"
    return "Check that the server runs there, the URL, and the proxy settings"
