"""YAML 1.2 (core schema) read safely, with the position of everything.

Duplicate keys, tags, a second document, tabs, wrong encodings, deep nesting and alias bombs are refused, each with its
place. Where a shape says `TEXT`, scalars keep the text that the user wrote. Knows nothing of what a document means.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias

import yaml
from yamlcore import CCoreLoader

from evalgate.config.places import Faults, Place, quoted, shown
from evalgate.records import Json

MOST_BYTES = 10_000_000
MOST_DEPTH = 100
MOST_ALIASED = 200_000
"""Nodes that aliases may add to those that are written: a few lines of aliases can stand for billions."""


class _Text:
    """The mark of a shape: scalars here keep the text as written, also inside lists."""


TEXT: Final = _Text()

Shape: TypeAlias = Any
"""TEXT, a mapping of keys to shapes, a list of one shape for every item, or None: typed by the core schema."""

Path_: TypeAlias = Sequence[str | int]

_INDICATORS: dict[str, list[tuple[str, re.Pattern[str]]]] = CCoreLoader.yaml_implicit_resolvers
_NOT_PRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CORE = "tag:yaml.org,2002:"


@dataclass(slots=True)
class _Node:
    line: int
    column: int
    visited: bool = False


@dataclass(slots=True)
class _Scalar(_Node):
    text: str = ""
    is_plain: bool = True


@dataclass(slots=True)
class _List(_Node):
    items: tuple[_Node, ...] = ()


@dataclass(slots=True)
class _Map(_Node):
    pairs: tuple[tuple[_Scalar, _Node], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Document:
    """A file's content as plain data, and where each part of it stands."""

    file: str
    """As messages show it."""
    data: Json
    root: _Node | None

    def at(self, path: Path_) -> Place:
        """Where `path` is written: the key of a mapping, the start of a list's item.

        A path that leads nowhere gives the deepest place that exists.
        """
        node, line, column = self.root, 1, 1
        for step in path:
            if isinstance(node, _Map):
                key, node = next(((k, value) for k, value in node.pairs if k.text == step), (None, None))
                if key is None:
                    break
                line, column = key.line, key.column
            elif isinstance(node, _List) and isinstance(step, int) and step < len(node.items):
                node = node.items[step]
                line, column = node.line, node.column
            else:
                break
        return Place(self.file, line, column)


def read_text(path: Path, faults: Faults, *, most_bytes: int = MOST_BYTES, too_large: str = "") -> str | None:
    """A file's text, UTF-8 with or without a byte order mark; None and a fault where it cannot be had."""
    name = shown(path)
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        faults.add(Place(name), cannot_read(error))
        return None
    if len(content) > most_bytes:
        faults.add(Place(name), f"is larger than {most_bytes // 1_000_000} MB", too_large)
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The decoder counts without the byte order mark; an editor counts with it.
        offset = error.start + (3 if content.startswith(b"\xef\xbb\xbf") else 0)
        faults.add(Place(name, content.count(b"\n", 0, offset) + 1), *not_utf8(content[:4], offset, content[offset]))
        return None


def is_file(path: Path) -> bool:
    """Whether there is a file; a name that the system cannot even look for is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def cannot_read(error: OSError) -> str:
    """What to tell of a file that the system does not give."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, IsADirectoryError):
        return "this is a folder, not a file"
    return f"cannot be read: {error.strerror or type(error).__name__}"


def not_utf8(start: bytes, offset: int, byte: int) -> tuple[str, str]:
    """What to tell, and what to do, of a file that is not UTF-8 at this offset (from 0)."""
    guess = "it looks like UTF-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else f"byte 0x{byte:02x}"
    return f"not UTF-8 at byte {offset} ({guess})", "Save the file as UTF-8."


def read_yaml(path: Path, faults: Faults, *, shape: Shape = None, too_large: str = "") -> Document | None:
    """The document in this file; None, and a fault, where it cannot be read at all.

    Faults that leave the rest readable (a duplicate key, a tag) are added and the document is given nevertheless.
    """
    text = read_text(path, faults, too_large=too_large)
    return None if text is None else parse_yaml(text, shown(path), faults, shape=shape)


def parse_yaml(text: str, file: str, faults: Faults, *, shape: Shape = None) -> Document | None:
    """As `read_yaml`, of a text that is called `file` in messages."""
    if bad := _NOT_PRINTABLE.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        column = bad.start() - text.rfind("\n", 0, bad.start())
        what = f"holds the control character U+{ord(bad[0]):04X}"
        faults.add(
            Place(file, line, column), what, 'Inside double quotes it can be written as an escape, like "\\x07".'
        )
        return None
    composer = _Composer(text, file, faults)
    try:
        root = composer.document()
        reader = _Reader(file, faults)
        return Document(file=file, data=None if root is None else reader.value(root, shape, 0), root=root)
    except _StopReading:
        return None
    except yaml.MarkedYAMLError as error:
        faults.add(*_syntax(error, text, file))
    except yaml.YAMLError as error:
        faults.add(Place(file), f"is not YAML: {error}")
    return None


class _StopReading(Exception):
    """What follows cannot be read; the fault is noted."""


def _syntax(error: yaml.MarkedYAMLError, text: str, file: str) -> tuple[Place, str, str]:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    problem = error.problem or "not YAML"
    lines = text.splitlines()
    rest = lines[line][column:] if line < len(lines) else ""
    hint = ""
    if rest.startswith("\t"):
        problem, hint = "a tab cannot indent", "Use spaces."
    elif "mapping values are not allowed" in problem:
        problem, hint = "a second ': ' in one line", "Put a text that holds ': ' into quotes."
    elif "cannot start any token" in problem and rest:
        problem, hint = f"a text cannot start with {rest[0]} here", "Put it into quotes."
    elif error.context:
        problem = f"{problem}, {error.context}"
    return Place(file, line + 1, column + 1), f"not YAML: {problem}", hint


class _Composer:
    """Events of libyaml's parser → nodes.

    PyYAML's own C composer recurses without a bound: forty thousand brackets end the process.
    """

    def __init__(self, text: str, file: str, faults: Faults) -> None:
        self._parser = CCoreLoader(text)
        self._file = file
        self._faults = faults
        self._anchors: dict[str, _Node] = {}

    def document(self) -> _Node | None:
        """The root of the only document; None where the file is empty."""
        self._parser.get_event()
        event = self._parser.get_event()
        if isinstance(event, yaml.StreamEndEvent):
            return None
        root = self._node(self._parser.get_event(), 0)
        self._parser.get_event()
        event = self._parser.get_event()
        if not isinstance(event, yaml.StreamEndEvent):
            self._stop(event, "a second document begins here", "One file holds one document.")
        return root

    def _place(self, event: Any) -> Place:
        return Place(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _stop(self, event: Any, what: str, hint: str = "") -> NoReturn:
        self._faults.add(self._place(event), what, hint)
        raise _StopReading

    def _node(self, event: Any, depth: int) -> _Node:
        if depth > MOST_DEPTH:
            self._stop(event, f"nested deeper than {MOST_DEPTH} levels")
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            named = self._anchors.get(str(event.anchor))
            if named is None:
                self._stop(event, f"the alias *{event.anchor} stands before or inside what it names")
            return named
        self._check_tag(event)
        node: _Node
        if isinstance(event, yaml.ScalarEvent):
            # A tagged scalar is as explicit as a quoted one: !!str 1 is text.
            node = _Scalar(mark.line + 1, mark.column + 1, text=event.value, is_plain=event.implicit[0])
        elif isinstance(event, yaml.SequenceStartEvent):
            node = _List(mark.line + 1, mark.column + 1, items=self._items(depth))
        else:
            node = _Map(mark.line + 1, mark.column + 1, pairs=self._pairs(depth))
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _check_tag(self, event: Any) -> None:
        tag = event.tag
        if tag is None or tag == "!" or tag in (_CORE + "str", _CORE + "map", _CORE + "seq"):
            return
        name = "!!" + tag[len(_CORE) :] if tag.startswith(_CORE) else tag
        self._faults.add(self._place(event), f"the tag {quoted(name)} is not read", "Leave it out.")

    def _items(self, depth: int) -> tuple[_Node, ...]:
        items = []
        while not isinstance(event := self._parser.get_event(), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return tuple(items)

    def _pairs(self, depth: int) -> tuple[tuple[_Scalar, _Node], ...]:
        pairs: dict[str, tuple[_Scalar, _Node]] = {}
        while not isinstance(event := self._parser.get_event(), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            place = self._place(event)
            value = self._node(self._parser.get_event(), depth + 1)
            if not isinstance(key, _Scalar):
                self._faults.add(
                    place,
                    "a key is a text, not a list or a mapping",
                    "A text that starts with { or holds {{ }} needs quotes.",
                )
            elif key.text in pairs:
                first = pairs[key.text][0]
                self._faults.add(place, f"the key {quoted(key.text)} stands twice (first in line {first.line})")
            else:
                pairs[key.text] = (key, value)
        return tuple(pairs.values())


class _Reader:
    """Nodes → plain data, each scalar by the core schema or as written."""

    def __init__(self, file: str, faults: Faults) -> None:
        self._file = file
        self._faults = faults
        self._aliased = 0

    def value(self, node: _Node, shape: Shape, depth: int) -> Json:
        if node.visited:
            self._aliased += 1
        node.visited = True
        if depth > MOST_DEPTH or self._aliased > MOST_ALIASED:
            what = (
                "aliases nest too deep" if depth > MOST_DEPTH else f"aliases stand for more than {MOST_ALIASED} nodes"
            )
            self._faults.add(Place(self._file, node.line, node.column), what, "Write less with aliases.")
            raise _StopReading
        if isinstance(node, _Scalar):
            return self._scalar(node, shape)
        if isinstance(node, _List):
            inner = shape[0] if isinstance(shape, list) else TEXT if shape is TEXT else None
            return [self.value(item, inner, depth + 1) for item in node.items]
        assert isinstance(node, _Map)
        shapes: Mapping[str, Shape] = shape if isinstance(shape, Mapping) else {}
        return {key.text: self.value(value, shapes.get(key.text), depth + 1) for key, value in node.pairs}

    def _scalar(self, node: _Scalar, shape: Shape) -> Json:
        text = node.text
        if not node.is_plain:
            return text
        candidates = _INDICATORS.get(text[:1])
        tag = next((tag for tag, pattern in candidates if pattern.match(text)), None) if candidates else None
        if tag is None:
            return text
        if tag == _CORE + "null":
            return None
        if shape is TEXT:
            return text
        try:
            return _typed(text, tag)
        except ValueError:
            what = f"{quoted(text)} is not a finite number that can be kept exactly"
            self._faults.add(Place(self._file, node.line, node.column), what, "Put it into quotes if it is a text.")
            return None


def _typed(text: str, tag: str) -> bool | int | float:
    if tag == _CORE + "bool":
        return text.lower() == "true"
    if tag == _CORE + "int":
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        return int(text[2:] if base != 10 else text, base)
    number = float(text)  # .nan and .inf are no Python floats: they raise
    if not math.isfinite(number):
        raise ValueError(text)
    return number
