"""The kinds of endpoints: request in, output out. One file a kind; importing this loads no HTTP client.

`KINDS` maps the name under `endpoint.kind` to the settings, whose fields are the other keys there.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from evalgate.endpoints.chat_completions import OpenAI
from evalgate.endpoints.http_template import Http
from evalgate.endpoints.interface import Endpoint, Opening, Settings
from evalgate.endpoints.python_callable import PythonCallable
from evalgate.endpoints.recorded import Replay
from evalgate.endpoints.shell_command import Command

KINDS: Mapping[str, type[Settings]] = MappingProxyType(
    {settings.kind: settings for settings in (OpenAI, Http, PythonCallable, Command, Replay)}
)

__all__ = ["KINDS", "Command", "Endpoint", "Http", "OpenAI", "Opening", "PythonCallable", "Replay", "Settings"]
