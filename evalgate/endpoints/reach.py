"""Whether an endpoint's server is there: a connection as a call would open it, and nothing sent on it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from evalgate.endpoints.interface import Settings
from evalgate.masking import excerpt


def server_of(settings: Settings) -> str | None:
    """The URL of the server that this endpoint calls; None for a kind that calls none. It may hold a secret."""
    return getattr(settings, "base_url", None) or getattr(settings, "url", None)


def reach(url: str, environ: Mapping[str, str], *, timeout_s: float) -> str:
    """Connects with the server in `url` (by a proxy where `environ` names one, in TLS with the name verified) and hangs
    up; gives its `host:port`, and by which proxy. No request is sent, so nothing is paid for.

    Raises CallError where there is no connection, InputError where a proxy or certificates cannot be used.
    """
    from evalgate.endpoints.wire.origins import origin_of
    from evalgate.endpoints.wire.proxies import proxy_for

    # A template may stand in the path, never in the host.
    origin = origin_of("{0.scheme}://{0.netloc}".format(urlsplit(url)))
    proxy = proxy_for(origin, environ)

    async def connect() -> str:
        from evalgate.endpoints.wire.connection import Connection
        from evalgate.endpoints.wire.dialing import Dialer
        from evalgate.endpoints.wire.parsing import SHOWN

        dialer = Dialer(origin, proxy, environ, timeout_s)
        secrets = proxy.secrets if proxy else ()
        buffer = memoryview(bytearray(64 * 1024))
        connection = await dialer.dial(
            lambda: Connection(dialer.place, lambda said: excerpt(said, SHOWN, secrets), buffer, lambda _: None)
        )
        connection.close()
        for _ in range(10):  # turns of the loop, until the socket is closed: TLS takes three
            await asyncio.sleep(0)
        return origin.authority if proxy is None else f"{origin.authority}, by the proxy {proxy.host}:{proxy.port}"

    return asyncio.run(connect())
