"""The beginning of a request: its first line and its headers. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from evalgate.endpoints.wire.origins import Origin, origin_of
from evalgate.endpoints.wire.proxies import Proxy
from evalgate.endpoints.wire.unpacking import ACCEPTED

_KEPT = "/?:@!$&'()*+,;=%~[]|^"
"""What of a path and a query stays as it is, beside letters and digits: what has a meaning, or is quoted already."""
_BREAKS = re.compile(r"[\r\n\0]")


class Heads:
    """Heads of requests to one server. Most are equal: the last one is kept."""

    def __init__(self, origin: Origin, proxy: Proxy | None) -> None:
        self._origin = origin
        self._proxy = proxy if not origin.is_tls else None
        self._last: tuple[str, str, Mapping[str, str]] = ("", "", {})
        self._encoded = b""

    def encode(self, method: str, url: str, headers: Mapping[str, str]) -> bytes:
        """The head without its last, empty line.

        Raises ValueError for a URL of another server, which must not see these headers, and for a header that has a
        line break.
        """
        asked = (method, url, headers)
        if asked != self._last:
            self._encoded = self._encode(method, url, headers)
            self._last = (method, url, dict(headers))
        return self._encoded

    def _encode(self, method: str, url: str, headers: Mapping[str, str]) -> bytes:
        parts = urlsplit(url)
        if origin_of(url) != self._origin:
            raise ValueError("a request to another server than the one that was opened")
        target = quote(parts.path or "/", safe=_KEPT) + (f"?{quote(parts.query, safe=_KEPT)}" if parts.query else "")
        host = self._origin.authority if self._origin.port != self._origin.usual_port else self._origin.name
        own = {"host": host, "accept-encoding": ACCEPTED}
        if self._proxy is not None:
            target = f"http://{host}{target}"
            if self._proxy.authorization is not None:
                own["proxy-authorization"] = self._proxy.authorization
        given = {name.lower(): value for name, value in headers.items()}
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in (own | given).items())]
        if any(_BREAKS.search(line) for line in lines):
            raise ValueError("a header with a line break in it")
        return "".join(f"{line}\r\n" for line in lines).encode("latin-1")
