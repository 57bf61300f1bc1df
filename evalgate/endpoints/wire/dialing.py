"""New connections to one server: straight, by a proxy, in TLS. Says in a user's words why there is none."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
from collections.abc import Callable, Mapping

from evalgate.endpoints.wire.connection import Connection
from evalgate.endpoints.wire.origins import Origin
from evalgate.endpoints.wire.parsing import Answer
from evalgate.endpoints.wire.proxies import Proxy
from evalgate.endpoints.wire.tls import failure, trusting
from evalgate.errors import CallError, CallFault

CONNECT_TIMEOUT_S = 10.0
HAPPY_EYEBALLS_S = 0.25
"""After this the next address of a host is tried beside the first: where IPv6 leads nowhere, it is not waited for."""


class Dialer:
    """Opens connections to an origin."""

    def __init__(self, origin: Origin, proxy: Proxy | None, environ: Mapping[str, str], timeout_s: float) -> None:
        """Raises InputError where the certificates that `environ` names cannot be read."""
        self._origin = origin
        self._proxy = proxy
        self._timeout_s = min(CONNECT_TIMEOUT_S, timeout_s)
        self._host, self._port = (proxy.host, proxy.port) if proxy else (origin.host, origin.port)
        self._is_tls = proxy.is_tls if proxy else origin.is_tls
        self._context = trusting(environ) if self._is_tls or origin.is_tls else None
        self._literal = self._host if _is_address(self._host) else None
        self._address = self._literal
        self._finding = asyncio.Lock()
        self.place = self._place = origin.authority
        """The server in messages."""
        if proxy is not None:
            self._place = f"the proxy {proxy.host}:{proxy.port} ({proxy.variable})"
            self.place = f"{origin.authority}, by {self._place},"

    async def dial(self, make: Callable[[], Connection]) -> Connection:
        """An open connection, as `make` makes it. Raises CallError: CONNECTION, CERTIFICATE, BAD_ANSWER, or for a
        proxy that refuses CREDENTIALS and REFUSED_REQUEST."""
        connection: Connection | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = await self._connect(make)
                if self._is_tls:
                    await self._secure(connection, self._host, self._place)
                if self._proxy is not None and self._origin.is_tls:
                    await self._tunnel(connection, self._proxy)
                    await self._secure(connection, self._origin.host, self._origin.authority)
                return connection
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, OSError):
                raise self._unreached(error) from None
            raise

    async def _connect(self, make: Callable[[], Connection]) -> Connection:
        """To the server or its proxy. One call looks up the name and finds the address that answers; the others, which
        wait for it, and later ones go there: a thousand calls at once are not a thousand look-ups."""
        if self._address is None:
            async with self._finding:
                if self._address is None:
                    connection = await self._open(make, self._host, HAPPY_EYEBALLS_S)
                    self._address = connection.address
                    return connection
        address = self._address
        try:
            return await self._open(make, address)
        except OSError:
            self._address = self._literal
            raise

    async def _open(self, make: Callable[[], Connection], host: str, delay_s: float | None = None) -> Connection:
        """delay_s: for a name with several addresses. With one, asyncio's race would only lose the socket of a call
        that is cancelled as it connects."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(make, host, self._port, happy_eyeballs_delay=delay_s)
        return connection

    async def _secure(self, connection: Connection, host: str, place: str) -> None:
        assert self._context is not None
        try:
            await connection.secure(self._context, host)
        except ssl.SSLError as error:
            raise failure(error, place) from None
        except ConnectionError:
            raise CallError(
                CallFault.CONNECTION,
                f"{place} closed the connection during the TLS handshake. Check whether the server speaks HTTPS there",
            ) from None

    async def _tunnel(self, connection: Connection, proxy: Proxy) -> None:
        target = self._origin.authority
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", "User-Agent: evalgate"]
        if proxy.authorization is not None:
            lines.append(f"Proxy-Authorization: {proxy.authorization}")
        answer = Answer(is_head=True)
        ends_at = asyncio.get_running_loop().time() + self._timeout_s
        await connection.exchange("\r\n".join([*lines, "", ""]).encode("latin-1"), answer, ends_at)
        if 200 <= answer.status < 300:
            return
        what = f"{self._place} answered {answer.status} to a connection with {target}"
        if answer.status == 407:
            raise CallError(CallFault.CREDENTIALS, f"{what}. Check user and password in {proxy.variable}")
        if answer.status < 500:
            advice = f"Check {proxy.variable}, what the proxy allows, and whether the host belongs into NO_PROXY"
            raise CallError(CallFault.REFUSED_REQUEST, f"{what}. {advice}")
        raise CallError(CallFault.CONNECTION, f"{what}: it does not reach it. Check the URL's host and port")

    def _unreached(self, error: OSError) -> CallError:
        settings = f"the proxy in {self._proxy.variable}" if self._proxy else "the proxy settings"
        if isinstance(error, TimeoutError) and error.errno is None:
            cause = f"timed out after {self._timeout_s:g} s"
            advice = "Check host and port, the firewall, and whether the server speaks HTTPS there"
        elif isinstance(error, socket.gaierror):
            cause = f"the name is not known ({error.strerror})"
            advice = f"Check the host name in the URL, and {settings}"
        else:
            cause = _reasons(error)
            advice = f"Check that the server runs there, the URL, and {settings}"
        return CallError(CallFault.CONNECTION, f"no connection to {self._place}: {cause}. {advice}")


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
            return True
        except OSError:
            continue
    return False


def _reasons(error: OSError) -> str:
    """The system's words. Of several addresses asyncio gives one error with the texts of all."""
    numbers = {error.errno} if error.errno else {int(number) for number in re.findall(r"\[Errno (\d+)\]", str(error))}
    return ", ".join(sorted(os.strerror(number).lower() for number in numbers)) or str(error) or "closed at once"
