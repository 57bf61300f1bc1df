"""Rows of data files (JSONL, CSV, Parquet), streamed, with the line of each.

`id`, `category`, `input`, `expected`, `tags` and `cluster` keep the text that the file holds. Faults of one row are
added and the row is left out; knows nothing of what a row means.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from evalgate.config.documents import MOST_DEPTH, cannot_read, not_utf8
from evalgate.config.places import Faults, Place, quoted, shown
from evalgate.errors import install_extra
from evalgate.records import Json

AS_WRITTEN = ("id", "category", "input", "expected", "tags", "cluster")
"""Fields whose scalars stay the text that the user wrote: `010` is no number, `1e3` no 1000."""

FORMATS = {".jsonl": "JSONL", ".ndjson": "JSONL", ".csv": "CSV", ".parquet": "Parquet"}

MOST_LINE_BYTES = 16_000_000


def read_rows(path: Path, faults: Faults) -> Iterator[tuple[int, dict[str, Json]]]:
    """Each row with its line (Parquet: its number), from 1. What is wrong goes to `faults`, never into a row."""
    reader = {"JSONL": _jsonl, "CSV": _csv, "Parquet": _parquet}.get(FORMATS.get(path.suffix.lower(), ""))
    if reader is None:
        faults.add(Place(shown(path)), "this kind of data file is not read", f"Known: {', '.join(FORMATS)}.")
        return
    yield from reader(path, faults)


def _lines(path: Path, faults: Faults) -> Iterator[str]:
    """The file's lines with their ends; stops with a fault where they are not UTF-8."""
    name = shown(path)
    try:
        with path.open("rb") as file:
            offset = 0
            for number, raw in enumerate(iter(partial(file.readline, MOST_LINE_BYTES + 1), b""), start=1):
                if len(raw) > MOST_LINE_BYTES:
                    faults.add(Place(name, number), f"the line is longer than {MOST_LINE_BYTES // 1_000_000} MB")
                    return
                try:
                    yield raw.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    start = error.start + (3 if number == 1 and raw.startswith(b"\xef\xbb\xbf") else 0)
                    faults.add(Place(name, number), *not_utf8(raw[:4], offset + start, raw[start]))
                    return
                offset += len(raw)
    except OSError as error:
        faults.add(Place(name), cannot_read(error))


# ---- JSONL ------------------------------------------------------------------------------------------------


class _Literal(str):
    """A number as it is written."""


class _BadJson(ValueError):
    """What JSON allows, or Python reads, and an eval set must not hold."""


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _BadJson(f"the key {quoted(twice)} stands twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _BadJson(f"{quoted(text)} is not a finite number")
    return number


def _deeper(value: Json, levels: int) -> bool:
    layer = [value]
    while layer and levels >= 0:
        layer = [
            item
            for part in layer
            if isinstance(part, (dict, list))
            for item in (part.values() if isinstance(part, dict) else part)
        ]
        levels -= 1
    return bool(layer)


_TYPED = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_finite)
_WRITTEN = json.JSONDecoder(parse_float=_Literal, parse_int=_Literal)


def _jsonl(path: Path, faults: Faults) -> Iterator[tuple[int, dict[str, Json]]]:
    name = shown(path)
    decode = _TYPED.decode
    for number, line in enumerate(_lines(path, faults), start=1):
        line = line.rstrip()
        if not line:
            continue
        try:
            row = decode(line)
            if type(row) is not dict:
                hint = "JSONL holds one object a line, no list around them." if number == 1 and line[0] == "[" else ""
                faults.add(Place(name, number), "a row is an object in braces", hint)
                continue
            for field in AS_WRITTEN:
                value = row.get(field)
                if value is not None and type(value) is not str and type(value) is not dict:
                    row[field] = _as_written(value, _WRITTEN.decode(line)[field])
            if "\\u" in line:
                json.dumps(row, ensure_ascii=False).encode()
            if line.count("[") + line.count("{") > MOST_DEPTH and _deeper(row, MOST_DEPTH):
                raise RecursionError
        except _BadJson as error:
            faults.add(Place(name, number), str(error))
        except json.JSONDecodeError as error:
            hint = "JSONL holds one object a line." if number == 1 and line in ("[", "{") else ""
            faults.add(Place(name, number, error.colno), f"not JSON: {error.msg}", hint)
        except UnicodeEncodeError:
            faults.add(Place(name, number), "an escape \\ud800 to \\udfff stands without its other half")
        except RecursionError:
            faults.add(Place(name, number), f"nested deeper than {MOST_DEPTH} levels")
        except ValueError:
            faults.add(Place(name, number), "holds a number of too many digits", "Put it into quotes.")
        else:
            yield number, row


def _as_written(typed: Json, written: Json) -> Json:
    """The scalars of `typed`, also inside lists, as the text of the file; mappings as they are."""
    if isinstance(typed, bool):
        return "true" if typed else "false"
    if isinstance(typed, list):
        return [_as_written(item, text) for item, text in zip(typed, written, strict=True)]
    return str(written) if isinstance(written, _Literal) else typed


# ---- CSV --------------------------------------------------------------------------------------------------


def _csv(path: Path, faults: Faults) -> Iterator[tuple[int, dict[str, Json]]]:
    """Rows of a CSV file with a header; every cell is text, an empty cell is absent."""
    name = shown(path)
    # The module's own limit, 131,072 characters a cell, is a switch of the whole process: put back in the end.
    before = csv.field_size_limit(MOST_LINE_BYTES)
    reader = csv.reader(_lines(path, faults), strict=True)
    try:
        header = _header(next(reader, None), Place(name, 1), faults)
        if header is None:
            return
        end = reader.line_num
        for cells in reader:
            line, end = end + 1, reader.line_num
            if not cells:
                continue
            if len(cells) != len(header):
                what = f"the row has {len(cells)} fields, the header {len(header)}"
                faults.add(Place(name, line), what, "A field that holds a comma or a quote needs quotes around it.")
                continue
            yield line, {key: cell for key, cell in zip(header, cells, strict=True) if cell != ""}
    except csv.Error as error:
        faults.add(Place(name, reader.line_num), f"not CSV: {error}")
    finally:
        csv.field_size_limit(before)


def _header(cells: list[str] | None, place: Place, faults: Faults) -> list[str] | None:
    """The columns' names; None, with a fault, where they cannot be used."""
    if cells is None:
        return None  # an empty file: whoever asked for rows says that there are none
    names = [cell.strip() for cell in cells]
    before = len(faults)
    if len(names) == 1 and any(sign in names[0] for sign in ";\t"):
        faults.add(place, "the header is one column", "Separate the columns by commas.")
    for name in dict.fromkeys(names):
        if not name:
            faults.add(place, "a column has no name")
        elif names.count(name) > 1:
            faults.add(place, f"the column {quoted(name)} stands twice")
    return names if len(faults) == before else None


# ---- Parquet ----------------------------------------------------------------------------------------------


def _parquet(path: Path, faults: Faults) -> Iterator[tuple[int, dict[str, Json]]]:
    name = shown(path)
    try:
        import duckdb
    except ImportError:
        faults.add(Place(name), "reading Parquet needs a package", install_extra("parquet"))
        return
    if not path.is_file():
        faults.add(Place(name), "there is no such file")
        return
    with duckdb.connect(":memory:") as connection:
        try:
            cursor = connection.execute("SELECT * FROM read_parquet(?)", [str(path)])
            columns = [column[0] for column in cursor.description]
            batches: Iterable[list[tuple[Any, ...]]] = iter(lambda: cursor.fetchmany(1000), [])
            for number, values in enumerate((row for batch in batches for row in batch), start=1):
                try:
                    yield number, {key: _plain(value, key in AS_WRITTEN) for key, value in zip(columns, values)}  # noqa: B905
                except _BadJson as error:
                    faults.add(Place(name, number), str(error))
        except duckdb.Error as error:
            faults.add(Place(name), f"not Parquet: {str(error).splitlines()[0]}")


def _plain(value: Any, as_written: bool) -> Json:
    """A database's value as JSON can hold it: decimals, dates and times as their text."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise _BadJson("holds bytes, which are no text")
    if isinstance(value, float) and not math.isfinite(value):
        raise _BadJson(f"{value} is not a finite number")
    if isinstance(value, dict):
        return {str(key): _plain(item, False) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, as_written) for item in value]
    if isinstance(value, (bool, int, float)):
        return json.dumps(value) if as_written else value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
