"""Which proxy stands between this machine and a server, by the environment. Pure: nothing is opened here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from evalgate.endpoints.wire.origins import Origin
from evalgate.errors import Fault, InputError


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """A proxy that speaks HTTP."""

    variable: str
    """The environment variable that names it."""
    host: str
    port: int
    is_tls: bool
    """Whether the way to the proxy itself is encrypted."""
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def authorization(self) -> str | None:
        """The value of Proxy-Authorization; None where the proxy asks for none."""
        if not self.user and not self.password:
            return None
        import base64

        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown, as it is and as it is sent."""
        return tuple(filter(None, (self.password, f"{self.user}:{self.password}" if self.password else "")))


def proxy_for(origin: Origin, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy for calls of a server; None: it is reached directly.

    HTTP_PROXY or HTTPS_PROXY by the server's scheme, else ALL_PROXY, each also in small letters, which win. NO_PROXY
    lists hosts, domains (with all below them), addresses and networks that are reached directly, each perhaps with a
    port; * is every host. Raises InputError for what names no proxy that can be used.
    """
    names = (f"{origin.scheme}_proxy", f"{origin.scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    variable = next((name for name in names if environ.get(name, "").strip()), None)
    exempt = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if variable is None or _is_exempt(origin.host, origin.port, exempt):
        return None
    return _parse(variable, environ[variable].strip())


def _parse(variable: str, value: str) -> Proxy:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme.startswith("socks"):
        hint = "Name one that speaks HTTP, or list the endpoint's host in NO_PROXY"
        raise InputError(Fault(where=variable, what="SOCKS proxies cannot be used", hint=hint))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        hint = "Write one like http://user:password@host:3128"
        raise InputError(Fault(where=variable, what="its value is no address of a proxy", hint=hint))
    is_tls = parts.scheme == "https"
    return Proxy(
        variable=variable,
        host=parts.hostname,
        port=port or (443 if is_tls else 80),
        is_tls=is_tls,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def _is_exempt(host: str, port: int, listed: str) -> bool:
    return any(_matches(host, port, entry.strip().lower()) for entry in listed.split(",") if entry.strip())


def _matches(host: str, port: int, entry: str) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return _is_in_network(host, entry)
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdecimal() and (":" not in name or name.endswith("]")):
        if int(wanted) != port:
            return False
        entry = name
    entry = entry.strip("[]").removeprefix("*").lstrip(".")
    host = host.lower().rstrip(".")
    return host == entry or host.endswith("." + entry)


def _is_in_network(host: str, entry: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
