"""Text that others wrote, made harmless for whoever reads it next: a person, or the runner of a CI job.

What a model, a contributor or a fork wrote is shown, but neither hides nor does anything. `visible` is for people;
`log_safe` for the log of a GitHub Actions job, which is a command channel: the runner executes what looks like a
workflow command in any line that a step prints. `guard` puts it before everything that this process prints there.
"""

from __future__ import annotations

import io
import re
import sys
import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import Any, TextIO

ANSI = re.compile(
    r"""
      \x1b[\]PX^_] [^\x07\x1b]* (?:\x07|\x1b\\)   # whole strings: titles, hyperlinks, device controls
    | \x1b\[ [0-?]* [ -/]* [@-~]?                  # colours, cursor
    | \x1b [ -/]* [0-~]?                           # every other escape, and the start of an open string
    """,
    re.VERBOSE,
)

INVISIBLE = re.compile(
    "["
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f"  # control characters, without tab and the line ends
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "]"
)
"""Control characters and Unicode's default ignorables: bidirectional controls, zero-width characters, fillers, tags,
variation selectors. They reorder or hide text, or carry text that only a model reads."""

UNENCODABLE = re.compile("[\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_UNSEEN = "\N{REPLACEMENT CHARACTER}"


def visible(text: str) -> str:
    """The text without what cannot be seen: terminal escapes, controls, bidirectional and zero-width characters.

    Lines end in `\\n`, tabs stay, lone surrogates and noncharacters become U+FFFD: the result can be encoded.
    """
    if text.isascii() and text.isprintable():
        return text
    text = ANSI.sub("", text)
    return UNENCODABLE.sub(_UNSEEN, INVISIBLE.sub("", _LINE_END.sub("\n", text)))


# ---- the log of a job --------------------------------------------------------------------------------------

_RUNNER_LINE_END = re.compile(r"\r\n|[\r\n]")
# One variation selector is used by writers, and meant to be seen: it makes a sign an emoji.
_HIDDEN = re.compile(rf"(?!\ufe0f)(?:{INVISIBLE.pattern}|{UNENCODABLE.pattern}|[\x85\u2028\u2029])")
_ORDINARY = re.compile(r"[\t -~]*")
_ASCII_COMMAND = re.compile(r"^([\t ]*:)(?=:)|(##)(?=\[)")


def in_actions(environ: Mapping[str, str]) -> bool:
    """Whether what this process prints is read by the runner of GitHub Actions."""
    return environ.get("GITHUB_ACTIONS") == "true"


def log_safe(text: str) -> str:
    """The text as it may be printed in a job's log: same lines, but nothing in it is a workflow command.

    Line ends become `\\n`, colours go, control and invisible characters become U+FFFD. `::` at the start of a line
    becomes `: :`, `##[` becomes `## [`. Applying it twice changes nothing more.
    Source: the runner's `ActionCommand`: `::` is recognised after leading white space, `##[` anywhere in a line.
    """
    if text.isascii() and text.isprintable() and "::" not in text and "##[" not in text:
        return text
    return "\n".join(_log_safe_line(line) for line in _RUNNER_LINE_END.split(ANSI.sub("", text)))


def _log_safe_line(line: str) -> str:
    if _ORDINARY.fullmatch(line):
        return _ASCII_COMMAND.sub(r"\g<0> ", line)
    first = line.lstrip()[:1]
    begins_otherwise = first.isascii() and first != ":"
    if begins_otherwise and ("[" not in line or line.count("#") < 2) and not _HIDDEN.search(line):
        return line  # a long document is hardly ever anything else
    # The runner compares texts by culture, and such comparisons overlook what cannot be seen. So a zero-width space
    # between the colons would not help, and one before or between them does not make them harmless.
    safe: list[str] = []
    seen = ""  # of the characters that no comparison overlooks, the first two and the last two
    for char in line:
        char = char if _is_shown(char) else _UNSEEN
        if _is_overlooked(char) or (char.isspace() and not seen):
            safe.append(char)
            continue
        if (char == ":" and seen == ":") or (char == "[" and seen.endswith("##")):
            safe.append(" ")
        safe.append(char)
        seen = (seen + char)[-3:]
    return "".join(safe)


@cache
def _is_shown(char: str) -> bool:
    return _HIDDEN.match(char) is None


@cache
def _is_overlooked(char: str) -> bool:
    return char == _UNSEEN or unicodedata.category(char) in ("Cf", "Cn", "Co", "Mn", "Me", "Mc")


class LogStream(io.TextIOBase):
    """A stream before another one: whole lines, each `log_safe`. A line without its end waits for it."""

    def __init__(self, stream: TextIO) -> None:
        import threading

        self._stream = stream
        self._begun = ""
        self._lock = threading.RLock()  # a user's endpoint prints from many threads
        self._bytes = _Bytes(self)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return getattr(self._stream, "errors", None)

    @property
    def buffer(self) -> io.RawIOBase:
        """For whoever writes bytes: they take the same way."""
        return self._bytes

    def __getattr__(self, name: str) -> Any:
        # What users' code may ask of a stream beyond this, `reconfigure` for one, is the other stream's business.
        return getattr(self._stream, name)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, text: str) -> int:
        with self._lock:
            whole, end, self._begun = (self._begun + _RUNNER_LINE_END.sub("\n", text)).rpartition("\n")
            if end:
                self._stream.write(log_safe(whole) + "\n")
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def end(self) -> None:
        """Writes what has been begun; there is more to come only after a line end."""
        if self._begun:
            self.write("\n")
        self.flush()


class _Bytes(io.RawIOBase):
    def __init__(self, text: LogStream) -> None:
        self._text = text

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self._text.write(piece.decode("utf-8", "replace"))
        return len(piece)


def guard(environ: Mapping[str, str]) -> list[LogStream]:
    """Puts a LogStream before stdout and stderr, where the runner of GitHub Actions reads them; else does nothing.

    Whatever this process prints goes through it: reports, messages, tracebacks, and what users' own code prints. What
    programs print that such code starts does not. The streams are to be ended when the process ends.
    """
    if not in_actions(environ):
        return []
    streams = [LogStream(sys.stdout), LogStream(sys.stderr)]
    sys.stdout, sys.stderr = streams
    return streams
