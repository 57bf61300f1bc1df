"""The kinds of endpoints: request in, output out. One file a kind; a kind is loaded when it is first asked for.

`KINDS` maps the name under `endpoint.kind` to the settings, whose fields are the other keys there.
"""

from __future__ import annotations

from collections.abc import Mapping

from evalgate.endpoints.interface import Endpoint, Opening, Settings
from evalgate.kinds import Kinds

KINDS: Mapping[str, type[Settings]] = Kinds(
    "evalgate.endpoints",
    {
        "openai": "chat_completions:OpenAI",
        "http": "http_template:Http",
        "python": "python_callable:PythonCallable",
        "command": "shell_command:Command",
        "replay": "recorded:Replay",
    },
)

__all__ = ["KINDS", "Endpoint", "Opening", "Settings"]
