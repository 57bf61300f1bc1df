"""Which variable may be sent where: said by the environment, so that a change of the configuration cannot say it.

Whoever can open a pull request can write another `base_url` into it, and the job's key would go there. So who sets the
key can bind it to its hosts. Code that a pull request brings and that runs with the key is bound by nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, urlsplit

from evalgate.errors import Fault, InputError
from evalgate.records import Json

VARIABLE = re.compile(r"\$\$\{|\$\{([^}]*)\}?")
"""A variable in a text, `${NAME}`; `$${` stands for the characters themselves."""

NAME = "EVALGATE_KEY_HOSTS"
EXAMPLE = "OPENAI_API_KEY=api.openai.com,*.openai.azure.com; JUDGE_KEY=judge.example.com:8443"

_USUAL_PORTS = {"https": 443, "http": 80}
_ELSEWHERE = frozenset({"host", "hostaddr", "port", "service", "unix_socket"})
"""What of a database URL's query names another server than its host."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyHosts:
    """The hosts of each variable that may be sent anywhere."""

    allowed: Mapping[str, tuple[str, ...]]
    """Variable → hosts: `host`, `*.domain`, either with `:port` or `:*`, with `http://` for no encryption; `*`."""

    @staticmethod
    def of(environ: Mapping[str, str]) -> KeyHosts | None:
        """What EVALGATE_KEY_HOSTS says; None where it is not set: then nothing is bound. Raises InputError."""
        written = environ.get(NAME, "")
        if not written.strip():
            return None
        allowed: dict[str, tuple[str, ...]] = {}
        for entry in written.replace("\n", ";").split(";"):
            name, equals, hosts = (part.strip() for part in entry.partition("="))
            found = tuple(host.strip().lower() for host in hosts.split(",") if host.strip())
            if not entry.strip():
                continue
            if not equals or not found or not name.isidentifier() or not all(map(_is_pattern, found)):
                hint = f"Write each variable with its hosts: `{EXAMPLE}`."
                raise InputError(Fault(where=NAME, what=f"{entry.strip()[:80]!r} binds no variable", hint=hint))
            allowed[name] = allowed.get(name, ()) + found
        return KeyHosts(allowed=allowed)

    def refusal(self, variable: str, url: str) -> tuple[str, str] | None:
        """Why this variable must not be sent to this URL, and what to do; None: it may."""
        hosts = self.allowed.get(variable)
        if hosts is None:
            hint = f"Whoever sets {NAME} can add it: `{variable}=HOST`, or `{variable}=*` where it is no secret."
            return f"{variable} may be sent nowhere: {NAME} does not name it", hint
        parts = urlsplit(url)
        if any(_matches(host, parts) for host in hosts):
            return None
        place = f"{parts.scheme}://{parts.hostname}" + (f":{_port(parts)}" if _port(parts) else "")
        return (
            f"{variable} may not be sent to {place}: {NAME} allows {', '.join(hosts)}",
            "Whoever sets that variable can add the host.",
        )


def misdirected(
    values: Mapping[str, Json], filled: Mapping[str, Json], environ: Mapping[str, str]
) -> list[tuple[str, str, str]]:
    """(key, why, what to do) for each variable that the endpoint's server must not be sent. Code has no server.

    values: the endpoint as it is written; filled: with `${VAR}` filled in. Raises InputError for a variable
    EVALGATE_KEY_HOSTS that cannot be read.
    """
    key = next((key for key in ("base_url", "url") if isinstance(filled.get(key), str)), None)
    hosts = KeyHosts.of(environ)
    if hosts is None or key is None:
        return []
    found = _refusals(hosts, filled[key], str(values[key]), _variables_in(dict(values)), environ)
    return [(key, what, hint) for what, hint in found]


def misdirected_store(written: str, url: str, environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """The same for a history's database."""
    hosts, variables = KeyHosts.of(environ), list(_variables_in(written))
    if hosts is None or not variables:
        return []
    found = _refusals(hosts, url, written, variables, environ)
    if VARIABLE.fullmatch(written) is None and _leads_elsewhere(url):
        what = "the query of `store` names another server than its host"
        found.append((what, "Write the server as the URL's host."))
    return found


def _refusals(
    hosts: KeyHosts, url: str, written: str, variables: Iterable[str], environ: Mapping[str, str]
) -> list[tuple[str, str]]:
    # A variable that the URL begins with names the server itself. Where nothing after it leads to another one, it is
    # sent to nobody else.
    names = list(dict.fromkeys(variables))
    own = next((name for name in names if written.startswith(f"${{{name}}}")), None)
    if own is not None and urlsplit(environ.get(own, "")).netloc == urlsplit(url).netloc:
        names.remove(own)
    return [refusal for name in names if (refusal := hosts.refusal(name, url)) is not None]


def _variables_in(value: Json, key: str = "") -> Iterator[str]:
    """Names of the variables that are filled in here, or named by a key that ends in `_env`."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _variables_in(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _variables_in(item, key)
    elif isinstance(value, str) and key.endswith("_env"):
        yield value
    elif isinstance(value, str):
        yield from (found[1] for found in VARIABLE.finditer(value) if found[1] is not None)


def _leads_elsewhere(url: str) -> bool:
    """Whether the query of a database URL names another server than its host."""
    return any(name.lower() in _ELSEWHERE for name, _ in parse_qsl(urlsplit(url).query, True))


def _is_pattern(host: str) -> bool:
    bare = host.removeprefix("http://").removeprefix("https://")
    return bool(bare) and not set(bare) & set("/@?# \t\"'") and "*" not in bare.removeprefix("*").removesuffix(":*")


def _matches(pattern: str, parts: SplitResult) -> bool:
    if pattern == "*":
        return True
    host, port = (parts.hostname or "").lower().rstrip("."), _port(parts) or _USUAL_PORTS.get(parts.scheme)
    is_open = pattern.startswith("http://")
    if parts.scheme == "http" and not is_open:
        return False  # anybody on the way could read it
    name, wanted = _host_and_port(pattern.removeprefix("http://").removeprefix("https://"))
    if wanted != "*" and str(port) != (wanted or str(_USUAL_PORTS.get(parts.scheme, port))):
        return False
    return host.endswith(name[1:]) and host != name[2:] if name.startswith("*.") else host == name


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        return -1  # nobody allows it; that it is none is told elsewhere


def _host_and_port(pattern: str) -> tuple[str, str]:
    """Host and port of a pattern; an IPv6 address stands in brackets where a port follows."""
    if pattern.startswith("["):
        name, _, port = pattern[1:].partition("]")
        return name, port.removeprefix(":")
    name, colon, port = pattern.rpartition(":")
    return (name, port) if colon and ":" not in name else (pattern, "")
