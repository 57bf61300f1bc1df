"""What the kinds that speak HTTP share about their settings: URL, headers, key. Nothing here opens a connection."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit

from evalgate.errors import Fault, InputError
from evalgate.masking import is_secret_name
from evalgate.records import Json, fingerprint

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NEAR = (".localhost", ".local", ".internal", ".lan", ".test", ".svc", ".home.arpa")
_HOP_BY_HOP = frozenset({"host", "content-length", "transfer-encoding", "connection"})


def url_problems(key: str, url: str) -> list[tuple[str, str, str]]:
    """Why `url` cannot be called. The URL itself is not repeated: it may hold a secret."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it is the check
    except ValueError as error:
        return [(key, f"not a URL: {error}", "Write one like https://host:8000/v1")]
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return [(key, "not an http:// or https:// URL", "Write one like https://host:8000/v1")]
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        return [(key, "there is white space in the URL", "Remove or quote it (%20)")]
    if "@" in parts.netloc:
        return [(key, "user and password stand in the URL", "Use api_key_env or headers, which are kept secret")]
    return []


def header_problems(headers: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Headers that cannot be sent; values are never repeated."""
    found = []
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _HOP_BY_HOP:
            found.append((f"headers.{name}", "no such header can be set", "Use letters, digits and -"))
        elif not _sendable(value):
            found.append((f"headers.{name}", "its value has characters that no header may have", "Use printable ASCII"))
    return found


def missing_key(api_key_env: str | None, environ: Mapping[str, str]) -> str | None:
    """A sentence where the named variable is not set or empty."""
    if api_key_env is None or environ.get(api_key_env, "").strip():
        return None
    return f"the environment variable {api_key_env} (endpoint.api_key_env) is not set or empty"


def bearer(
    api_key_env: str, environ: Mapping[str, str], header: str = "authorization", prefix: str = "Bearer "
) -> dict[str, str]:
    """The header with the key. Raises InputError where there is none, or none that a header can hold."""
    # Secrets pasted into CI settings often end in a line break.
    key = environ.get(api_key_env, "").strip()
    if missing := missing_key(api_key_env, environ):
        raise InputError(missing)
    if not _sendable(key):
        raise InputError(
            Fault(where=api_key_env, what="the key has characters that no header may have", hint="Copy it again")
        )
    return {header.lower(): prefix + key}


def place_of(url: str) -> str:
    """Scheme, host and path: what of a URL may be kept. Queries may hold keys."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path.rstrip('/')}"


def provider_of(url: str, secrets: Sequence[str]) -> str:
    """The same for URLs of one server that are called with one key: providers set their limits by key. No secret can be
    read from it."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443}.get(parts.scheme, 80)
    return fingerprint([parts.scheme, parts.hostname, port, sorted(set(secrets))])


def beside_place(url: str, headers: Mapping[str, str]) -> dict[str, Json]:
    """What of a URL's query and of the headers determines answers beside `place_of`: secrets' names, others' values."""
    query = [[name, None if is_secret_name(name) else value] for name, value in parse_qsl(urlsplit(url).query, True)]
    shown = {name.lower(): None if is_secret_name(name) else value for name, value in headers.items()}
    return {"query": query, "headers": shown}


def is_near(url: str) -> bool:
    """Whether a URL leads to this machine or into a private network: what answers there may be built from the very
    change under test, while what a public name stands for is not."""
    from ipaddress import ip_address

    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_NEAR)


def url_secrets(url: str) -> tuple[str, ...]:
    """Values in the URL's query whose names say that they are secret."""
    return tuple(value for name, value in parse_qsl(urlsplit(url).query) if is_secret_name(name))


def _sendable(value: str) -> bool:
    return all(" " <= character <= "~" or character == "\t" for character in value)
