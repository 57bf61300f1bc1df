"""From a store's URL to the place it names. Knows no driver."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from evalgate.errors import InputError

_FORMS = 'Write "sqlite:///path/to/history.db" or "postgresql://user@host/database"'

_URL = re.compile(
    r"""
    (?P<kind>[\w+]+)://
    (?: (?P<user>[^:/?]*) (?: :(?P<password>[^@]*) )? @ )?
    (?: \[(?P<ipv6>[^/?]+)\] | (?P<name>[^/:?@]+) )?
    (?: :(?P<port>[0-9]*) )?
    (?: /(?P<database>[^?]*) )?
    (?: \?(?P<query>.*) )?
    """,
    re.VERBOSE | re.DOTALL,
)

_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg")


class Place:
    """Where a store is: its URL, understood, and its name in messages (no password)."""

    def __init__(self, url: str) -> None:
        # The URL itself is never repeated in a message: it may hold a password where none can be told apart.
        found = _URL.fullmatch(url)
        if found is None:
            raise InputError(f"history.store is no URL of a store. {_FORMS}")
        parts = found.groupdict()
        if parts["kind"] not in ("sqlite", *_POSTGRES):
            raise InputError(f'history.store: there is no store of kind "{parts["kind"]}". {_FORMS}')
        self.is_sqlite = parts["kind"] == "sqlite"
        self.file = _file(parts) if self.is_sqlite else None
        """None: in memory, or a server."""
        self.is_in_memory = self.is_sqlite and self.file is None
        self.options = {} if self.is_sqlite else _options(parts)
        """What the server's driver is told, in libpq's words; holds the password."""
        if self.is_sqlite:
            self.name = "the store in memory" if self.is_in_memory else url
        else:
            self.name = _server(parts)

    def __str__(self) -> str:
        return self.name

    def hide(self, text: str) -> str:
        """The text without the URL's password, wherever the URL has it."""
        for name, secret in self.options.items():
            if "password" in name and secret:
                text = text.replace(secret, "***")
        return text


def _file(parts: dict[str, str | None]) -> Path | None:
    if any(parts[name] is not None for name in ("user", "ipv6", "name", "port")):
        raise InputError("history.store: a SQLite URL has three slashes before a path, four before an absolute one")
    database = unquote(parts["database"] or "")
    if parts["query"] is not None or database.startswith("file:"):
        raise InputError("history.store: a SQLite URL ends with the file's path; options are not taken")
    return None if database in ("", ":memory:") else Path(database)


def _server(parts: dict[str, str | None]) -> str:
    """The server's URL as it may be shown: without the password, and without the query, which may hold one too."""
    name = "postgresql://"
    if parts["user"] is not None:
        name += quote(unquote(parts["user"]), safe=" +") + (":***" if parts["password"] is not None else "") + "@"
    name += f"[{parts['ipv6']}]" if parts["ipv6"] else parts["name"] or ""
    name += f":{parts['port']}" if parts["port"] else ""
    return name + ("" if parts["database"] is None else "/" + quote(unquote(parts["database"]), safe=" +/"))


def _options(parts: dict[str, str | None]) -> dict[str, Any]:
    given = {
        "host": parts["ipv6"] or parts["name"],
        "port": parts["port"],
        "user": unquote(parts["user"] or ""),
        "password": unquote(parts["password"] or ""),
        "dbname": unquote(parts["database"] or ""),
    }
    asked: dict[str, str] = {}
    for name, value in parse_qsl(parts["query"] or ""):
        # Several servers, of which any will do: `?host=one:5432&host=two:5433`.
        asked[name] = f"{asked[name]},{value}" if name in asked else value
    hosts = [
        host.partition(":") if host.count(":") == 1 else (host, "", "") for host in asked.get("host", "").split(",")
    ]
    if any(port for _, _, port in hosts):
        asked |= {"host": ",".join(host for host, _, _ in hosts), "port": ",".join(port for _, _, port in hosts)}
    return {name: value for name, value in (given | asked).items() if value}


def password_of(url: str) -> tuple[str, ...]:
    """The password in a store's URL, as it is written and as it is meant; () where there is none."""
    found = _URL.fullmatch(url)
    password = found["password"] if found is not None else None
    return tuple({password, unquote(password)}) if password else ()
