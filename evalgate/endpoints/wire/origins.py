"""The one server that an endpoint's calls, and its key, may go to."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from evalgate.errors import Fault, InputError


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Scheme, host and port."""

    scheme: str
    host: str
    """Small letters, a name beyond ASCII as it is looked up; an IPv6 address without brackets."""
    port: int

    @property
    def is_tls(self) -> bool:
        return self.scheme == "https"

    @property
    def usual_port(self) -> int:
        return 443 if self.is_tls else 80

    @property
    def name(self) -> str:
        """The host as it is written in a URL."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def authority(self) -> str:
        """`host:port`."""
        return f"{self.name}:{self.port}"


def origin_of(url: str) -> Origin:
    """The origin in a URL that `http_settings.url_problems` found nothing wrong with.

    Raises InputError for a host that can be no name.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host.isascii() or len(host) > 63:
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError as error:
            hint = "Write it as it is in the DNS"
            raise InputError(Fault(where="endpoint", what=f"the URL's host is no name: {error}", hint=hint)) from None
    return Origin(scheme=parts.scheme, host=host, port=parts.port or (443 if parts.scheme == "https" else 80))
