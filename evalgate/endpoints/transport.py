"""One HTTP request and its answer. Knows no JSON, no model, no retries; `wire` does the talking.

Why an own client, by benchmarks/http_clients.py: a request costs 0.05 ms of CPU, its JSON included. Libraries take 0.08
(pyreqwest, which leaves a cancelled request running), 0.19 (pyqwest) and 0.20 (aiohttp, and 0.2 s to load). And what is
bounded, what is a fault of which kind, and what is said to the user are ours to decide.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalgate.endpoints.answers import bad_answer
from evalgate.endpoints.quotas import quotas_of
from evalgate.endpoints.statuses import failure_of, redirect_of
from evalgate.errors import CallError, CallFault
from evalgate.masking import excerpt, mask
from evalgate.records import Remaining

if TYPE_CHECKING:
    from evalgate.endpoints.wire.heads import Heads
    from evalgate.endpoints.wire.parsing import Answer
    from evalgate.endpoints.wire.pool import Pool
    from evalgate.endpoints.wire.proxies import Proxy


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A whole answer with a 2xx status."""

    status: int
    headers: Mapping[str, str]
    """With lower-case names; of a repeated header the last value."""
    body: bytes
    latency_s: float
    """From sending the request on an open connection until the last byte had come: what the server took."""


def said_in(reply: Reply) -> str:
    """The beginning of an answer that cannot be used, for the message."""
    return reply.body[: 1 << 14].decode("utf-8", "replace")


class Transport:
    """Calls of one server. Made by `open_transport`."""

    def __init__(
        self,
        pool: Pool,
        heads: Heads,
        *,
        place: str,
        proxy: Proxy | None = None,
        secrets: Sequence[str],
        told: Callable[[Sequence[Remaining]], object] | None = None,
    ) -> None:
        self._pool = pool
        self._proxy = proxy
        self._heads = heads
        self._place = place
        self._secrets = tuple(secrets)
        self._told = told

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        """The answer to one request. Redirects are not followed: the key would go where nobody sent it.

        Raises CallError: CONNECTION (unreachable, cut off), CERTIFICATE, TIMEOUT, BAD_ANSWER (no HTTP, above 32 MiB),
        or what the status says (`statuses.failure_of`). Cancelled, it closes the connection before it returns.
        """
        head = self._heads.encode(method, url, headers)
        request = head + b"\r\n" if body is None else b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body)
        try:
            answer, latency_s = await self._pool.ask(request)
            if self._told is not None and (quotas := quotas_of(answer.headers)):
                self._told(quotas)
            content = self._content_of(answer)
        except CallError as error:
            raise CallError(error.fault, mask(str(error), self._secrets)) from None
        status = answer.status
        if 200 <= status < 300:
            return Reply(status=status, headers=answer.headers, body=content, latency_s=latency_s)
        if status < 400:
            raise redirect_of(status, answer.headers, self._secrets)
        if status == 407 and self._proxy is not None:
            who, variable = f"{self._proxy.host}:{self._proxy.port}", self._proxy.variable
            said = f"the proxy {who} ({variable}) asks for a user and password (407). Check those in {variable}"
            raise CallError(CallFault.CREDENTIALS, said)
        raise failure_of(status, answer.headers, content, self._secrets)

    def _content_of(self, answer: Answer) -> bytes:
        encoding = answer.headers.get("content-encoding")
        if encoding is None:
            return answer.body
        from evalgate.endpoints.wire.parsing import SHOWN, Malformed, TooLong
        from evalgate.endpoints.wire.unpacking import unpack

        try:
            return unpack(answer.body, encoding)
        except Malformed as error:
            sent = error.told(lambda said: excerpt(said, SHOWN, self._secrets))
            raise bad_answer(f"{self._place} sent {sent}", check="Check the server, or the proxy before it") from None
        except TooLong as error:
            raise bad_answer(f"the answer of {self._place} {error} once it is unpacked") from None


@asynccontextmanager
async def open_transport(
    url: str,
    *,
    concurrency: int,
    timeout_s: float,
    environ: Mapping[str, str],
    secrets: Sequence[str],
    told: Callable[[Sequence[Remaining]], object] | None = None,
) -> AsyncIterator[Transport]:
    """A transport for calls of the server in `url`; connections are closed at the end.

    Of `environ` are read SSL_CERT_FILE and SSL_CERT_DIR (certificates are verified against these, or else against the
    system's store), HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY. concurrency: how many connections are kept.
    timeout_s: after this, or a hair less, a call is a TIMEOUT, with its connecting. told: hears what answers say of the
    provider's limits. Raises InputError where these variables name nothing that can be used.
    """
    from evalgate.endpoints.wire.dialing import Dialer
    from evalgate.endpoints.wire.heads import Heads
    from evalgate.endpoints.wire.origins import origin_of
    from evalgate.endpoints.wire.parsing import SHOWN
    from evalgate.endpoints.wire.pool import Pool
    from evalgate.endpoints.wire.proxies import proxy_for

    origin = origin_of(url)
    proxy = proxy_for(origin, environ)
    # Whoever called gives up at `timeout_s`, and knows less: a hair earlier it can be said how far the answer came.
    timeout_s -= min(0.02, timeout_s / 50)
    dialer = Dialer(origin, proxy, environ, timeout_s)
    masked = (*secrets, *(proxy.secrets if proxy else ()))
    pool = Pool(dialer, size=concurrency, timeout_s=timeout_s, show=lambda said: excerpt(said, SHOWN, masked))
    try:
        yield Transport(pool, Heads(origin, proxy), place=origin.authority, proxy=proxy, secrets=masked, told=told)
    finally:
        await pool.close()
