"""Long lists of frozen values, on disk while nobody looks at them. Knows what no value means.

A list of 100,000 cases with what became of them is 250 MB of Python objects, and 20 MB of bytes in a file without a
name. A `Spool` is filled once and read often: whoever goes through it holds one value at a time. `tuple(spool)` or
`sorted(spool)` bring the objects back, so go through it.
"""

from __future__ import annotations

import dataclasses
import heapq
import marshal
import os
import tempfile
import types
import typing
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from itertools import pairwise
from operator import attrgetter
from typing import Any, TypeVar, overload

from evalgate.errors import StoreError

T = TypeVar("T")

LONG = 20_000
"""Up to so many values stay in memory as they are, some 50 MB of a run: one takes 8 microseconds to read back, and a
run goes through them a dozen times."""

_AT_ONCE = 2000
_BLOCK_BYTES = 1 << 18
_MARSHAL = 2
"""Version of the format without references between equal values, which nobody shares here."""


class Spool(Sequence[T]):
    """Frozen values of this process, in the order in which they were appended; up to `LONG` in memory.

    Values are slotted dataclasses of `records`, whose fields hold what JSON can hold, tuples and other such values;
    what is none of these comes back as its text, as it does from the journal and the history.
    """

    def __init__(self, values: Iterable[T] = (), *, expected: int = 0, long: int = LONG) -> None:
        """expected: how many values will come, where that is known: of many, none has to wait in memory for the others.
        long: up to so many stay there."""
        self._long = long
        self._recent: list[T] = []
        self._file: _File | None = _File() if expected > long else None
        for value in values:
            self.append(value)

    def append(self, value: T) -> None:
        """Adds a value at the end. Raises StoreError where there is no room for it on the disk."""
        if self._file is not None:
            self._file.write(_encoded(value))
            return
        self._recent.append(value)
        if len(self._recent) > self._long:
            self._file = _File()
            for item in self._recent:
                self._file.write(_encoded(item))
            self._recent = []

    def kept(self) -> Sequence[T]:
        """What is to be passed on: itself, or a tuple where it is short."""
        return tuple(self._recent) if self._file is None else self

    def in_order(self, order: Sequence[int]) -> Sequence[T]:
        """Its values at these places, in this order."""
        if self._file is None:
            return tuple([self._recent[place] for place in order])
        other: Spool[T] = Spool()
        other._file = _File()
        for place in order:
            other._file.write(self._file.read(place))
        return other

    def __len__(self) -> int:
        return len(self._recent) if self._file is None else len(self._file)

    def __iter__(self) -> Iterator[T]:
        return iter(self._recent) if self._file is None else map(_decoded, self._file)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[T]: ...
    def __getitem__(self, place: int | slice) -> T | Sequence[T]:
        if isinstance(place, slice):
            return self.in_order(range(*place.indices(len(self))))
        if self._file is None:
            return self._recent[place]
        return typing.cast(T, _decoded(self._file.read(range(len(self))[place])))


def gathered(values: Iterable[T], *, expected: int = 0) -> Sequence[T]:
    """The values as a tuple, or as a spool where they are many. expected: how many there are, where that is known."""
    return Spool(values, expected=expected).kept()


class Names(Sequence[str]):
    """Short texts in one piece of memory: some 20 bytes a text instead of 70."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._ends = array("I", [0])
        self._bytes = bytearray()
        for text in texts:
            self.append(text)

    def append(self, text: str) -> None:
        """Adds a text at the end."""
        self._bytes += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._bytes))

    def order(self) -> Sequence[int]:
        """The places of the texts in the order of the alphabet, equal ones in the order in which they came."""
        if all(first <= second for first, second in pairwise(self)):
            return range(len(self))
        # In parts that are merged: all texts at once are what this class is there to avoid.
        parts = (range(at, min(at + _AT_ONCE, len(self))) for at in range(0, len(self), _AT_ONCE))
        ordered = [array("I", sorted(part, key=self.__getitem__)) for part in parts]
        return array("I", heapq.merge(*ordered, key=self.__getitem__))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        place = range(len(self))[place]
        return self._bytes[self._ends[place] : self._ends[place + 1]].decode("utf-8", "surrogatepass")


class _File:
    """Pieces of bytes one after the other in a file without a name, which goes with the object."""

    def __init__(self) -> None:
        try:
            with tempfile.TemporaryFile(prefix="evalgate-") as file:
                self._descriptor = os.dup(file.fileno())
        except OSError as error:
            raise _no_room(error) from error
        weakref.finalize(self, os.close, self._descriptor)
        self._ends = array("Q", [0])
        self._tail = bytearray()
        """What is not in the file yet."""

    def __len__(self) -> int:
        return len(self._ends) - 1

    def write(self, piece: bytes) -> None:
        self._tail += piece
        self._ends.append(self._ends[-1] + len(piece))
        if len(self._tail) > _BLOCK_BYTES:
            self._flush()

    def read(self, place: int) -> bytes:
        self._flush()
        return self._bytes(self._ends[place], self._ends[place + 1])

    def __iter__(self) -> Iterator[bytes]:
        self._flush()
        block, begin, end = b"", 0, 0
        for place in range(len(self)):
            first, last = self._ends[place], self._ends[place + 1]
            if last > end:
                begin, end = first, max(last, min(first + _BLOCK_BYTES, self._ends[-1]))
                block = self._bytes(begin, end)
            yield block[first - begin : last - begin]

    def _bytes(self, begin: int, end: int) -> bytes:
        os.lseek(self._descriptor, begin, os.SEEK_SET)
        found = os.read(self._descriptor, end - begin)
        while len(found) < end - begin:  # a system may give less than was asked for
            found += os.read(self._descriptor, end - begin - len(found))
        return found

    def _flush(self) -> None:
        if not self._tail:
            return
        rest = memoryview(self._tail)
        try:
            os.lseek(self._descriptor, self._ends[-1] - len(rest), os.SEEK_SET)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            raise _no_room(error) from error
        self._tail = bytearray()


def _no_room(error: OSError) -> StoreError:
    return StoreError(
        f"{tempfile.gettempdir()}: what a large run does not keep in memory cannot be written: {error.strerror}. "
        "Make room there, or name another folder in the variable TMPDIR"
    )


# ---- values as bytes --------------------------------------------------------------------------------------


class _Shape:
    """How the fields of one class become what `marshal` takes, and back."""

    def __init__(self, kind: type) -> None:
        self._new: Callable[[type], Any] = object.__new__
        self._kind = kind
        hints = typing.get_type_hints(kind)
        names = [field.name for field in dataclasses.fields(kind)]
        self._get: Callable[[Any], tuple[Any, ...]] = attrgetter(*names)
        # As a frozen dataclass sets its own fields, but without asking for each by name.
        self._set = [getattr(kind, name).__set__ for name in names]
        ways = [(place, _way(hints[name])) for place, name in enumerate(names)]
        self._ways = [(place, *way) for place, way in ways if way is not None]
        self.number = len(_NUMBERED)
        """Names the class within this process."""
        _NUMBERED.append(self)

    def apart(self, value: Any) -> list[Any]:
        fields = list(self._get(value))
        for place, encode, _ in self._ways:
            fields[place] = encode(fields[place])
        return fields

    def whole(self, fields: list[Any]) -> Any:
        for place, _, decode in self._ways:
            fields[place] = decode(fields[place])
        value = self._new(self._kind)
        for put, field in zip(self._set, fields, strict=True):
            put(value, field)
        return value


_Way = tuple[Callable[[Any], Any], Callable[[Any], Any]]


def _way(hint: Any) -> _Way | None:
    """What to do with a field of this type, and back; None: it stays as it is."""
    parts = typing.get_args(hint)
    if isinstance(hint, types.UnionType) and len(parts) == 2 and parts[1] is type(None):
        inner = _way(parts[0])
        return None if inner is None else (_unless_none(inner[0]), _unless_none(inner[1]))
    if typing.get_origin(hint) is tuple and isinstance(parts[0], type) and dataclasses.is_dataclass(parts[0]):
        one = _shape(parts[0])
        return lambda values: [one.apart(v) for v in values], lambda rows: tuple([one.whole(row) for row in rows])
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _shape(hint).apart, _shape(hint).whole
    if isinstance(hint, type) and issubclass(hint, Enum):
        return attrgetter("value"), hint
    return None


def _unless_none(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else change(value)


_SHAPES: dict[type, _Shape] = {}
_NUMBERED: list[_Shape] = []


def _shape(kind: type) -> _Shape:
    if kind not in _SHAPES:
        _SHAPES[kind] = _Shape(kind)
    return _SHAPES[kind]


def _encoded(value: Any) -> bytes:
    shape = _shape(type(value))
    fields = shape.apart(value)
    fields.append(shape.number)
    try:
        return marshal.dumps(fields, _MARSHAL)
    except ValueError:
        return marshal.dumps(_plain(fields), _MARSHAL)


def _decoded(piece: bytes) -> Any:
    fields = marshal.loads(piece)
    return _NUMBERED[fields.pop()].whole(fields)


def _plain(value: Any) -> Any:
    """The value with text for what is no JSON, as the history keeps it."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple([_plain(item) for item in value])
    if isinstance(value, list):
        return [_plain(item) for item in value]
    kinds = (kind for kind in (int, float) if isinstance(value, kind))  # a number of numpy's, say
    return next(kinds, str)(value)
