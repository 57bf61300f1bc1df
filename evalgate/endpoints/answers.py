"""From what an endpoint said to an `Output`: strict JSON, typed fields, one wording for what does not fit.

Everything that is wrong with an answer is a CallError: a figure that is no figure must not become an unknown one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from evalgate.errors import CallError, CallFault
from evalgate.masking import excerpt
from evalgate.records import Json, Output, ToolCall

SHOWN = 200
"""Characters of a wrong answer that a message shows."""

FIELDS = ("text", "contexts", "tool_calls", "tokens_in", "tokens_out", "cost_usd", "model", "data")
"""Keys of the mapping that a callable or a command may answer with."""


class NotJson(ValueError):
    """The bytes are no JSON; the message says why in a few words."""


def parse_json(body: bytes | str) -> Json:
    """The JSON value in `body`. Raises NotJson: not UTF-8, not JSON, NaN or Infinity, nested too deeply."""
    try:
        text = body.removeprefix(_BYTE_ORDER_MARK).decode() if isinstance(body, bytes) else body
        value = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise NotJson(f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise NotJson("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise NotJson(f"not JSON ({error.msg} at line {error.lineno}, column {error.colno})") from None
    except ValueError as error:
        raise NotJson(f"not JSON ({error})") from None
    # Half a surrogate pair is legal JSON and illegal UTF-8: it would fail much later, when the run is stored.
    return _without_surrogates(value) if "\\ud" in text or "\\uD" in text else value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def bad_answer(what: str, secrets: Sequence[str] = (), said: str | None = None, check: str = "") -> CallError:
    """The error for an answer that cannot be used, with the beginning of what was said and what to check."""
    shown = f": {excerpt(said, SHOWN, secrets) or '(nothing)'}" if said is not None else ""
    return CallError(CallFault.BAD_ANSWER, f"{what}{shown}" + (f". {check}" if check else ""))


def count_of(value: Json, name: str) -> int | None:
    """A number of tokens, or None where it is not told. Raises CallError for anything but a whole number >= 0."""
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        _wrong(name, "a whole number from 0", value)
    return int(value)


def amount_of(value: Json, name: str) -> float | None:
    """A number of dollars or seconds, or None where it is not told. Raises CallError unless finite and >= 0."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        _wrong(name, "a number from 0", value)
    return float(value)


def text_of(value: Json, name: str) -> str | None:
    """A text or None. Raises CallError for anything else."""
    if value is not None and not isinstance(value, str):
        _wrong(name, "a text", value)
    return None if value is None else _without_surrogates(value)


def contexts_of(value: Json, name: str = "contexts") -> tuple[Json, ...] | None:
    """Retrieved passages as texts or mappings with `id` and `text`; None where the answer has none to tell.

    Of a mapping these are kept: `id` (or `chunk_id`, `document_id`, `url`, `title`), and `text` (or `content`,
    `page_content`, `snippet`).
    """
    if value is None:
        return None
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        _wrong(name, "a list of texts or of mappings with `id` and `text`", value)
    return tuple(_context_of(item, name) for item in value)


def _context_of(item: Json, name: str) -> Json:
    if isinstance(item, str):
        return _without_surrogates(item)
    if not isinstance(item, Mapping):
        _wrong(name, "a list of texts or of mappings with `id` and `text`", item)
    identifier = _first(item, "id", "chunk_id", "document_id", "url", "title")
    text = _first(item, "text", "content", "page_content", "snippet")
    if identifier is None and text is None:
        _wrong(name, "a list whose mappings have `id` or `text`", item)
    return {"id": None if identifier is None else str(identifier), "text": text_of(text, f"{name}[].text")}


def tool_calls_of(value: Json, name: str = "tool_calls") -> tuple[ToolCall, ...]:
    """Tool calls from mappings: `{name, arguments}`, or `{function: {name, arguments}}` as in chat completions."""
    if value is None:
        return ()
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        _wrong(name, "a list of mappings with `name` and `arguments`", value)
    calls = []
    for item in value:
        if isinstance(item, ToolCall):
            calls.append(item)
            continue
        call = item.get("function", item) if isinstance(item, Mapping) else None
        if not isinstance(call, Mapping) or not isinstance(call.get("name"), str):
            _wrong(name, "a list of mappings with `name` and `arguments`", item)
        calls.append(ToolCall(name=call["name"], arguments=_arguments(call.get("arguments"))))
    return tuple(calls)


def output_from(answer: Any, latency_s: float | None, who: str) -> Output:
    """The output for what a callable or a command answered: a text, or a mapping of `FIELDS`.

    Raises CallError(CODE) for another type and for unknown keys, naming them; for a mapping that has none of `text`,
    `data` and `tool_calls`; for a field of the wrong type.
    """
    if isinstance(answer, str):
        return Output(text=_without_surrogates(answer), latency_s=latency_s)
    if not isinstance(answer, Mapping):
        raise CallError(
            CallFault.CODE,
            f"{who} gave {_type_name(answer)}; give a text, or a mapping with some of {', '.join(FIELDS)}",
        )
    if unknown := sorted(str(key) for key in answer if key not in FIELDS):
        keys = excerpt(", ".join(unknown), SHOWN)
        raise CallError(CallFault.CODE, f"{who} gave unknown keys: {keys}; known are {', '.join(FIELDS)}")
    try:
        text, data = text_of(answer.get("text"), "text"), answer.get("data")
        calls = tool_calls_of(answer.get("tool_calls"))
        if text is None and data is None and not calls:
            _wrong("text", "there (or `data`, or `tool_calls`)", None)
        return Output(
            text=as_text(data) if text is None and data is not None else text,
            data=data,
            tool_calls=calls,
            contexts=contexts_of(answer.get("contexts")),
            latency_s=latency_s,
            tokens_in=count_of(answer.get("tokens_in"), "tokens_in"),
            tokens_out=count_of(answer.get("tokens_out"), "tokens_out"),
            cost_usd=amount_of(answer.get("cost_usd"), "cost_usd"),
            model=text_of(answer.get("model"), "model"),
        )
    except CallError as error:
        raise CallError(CallFault.CODE, f"{who}: {error}") from None


def as_text(data: Json) -> str:
    """A structure as the text that scorers of texts see: its JSON. Raises CallError for what JSON cannot hold."""
    try:
        return json.dumps(data, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise CallError(CallFault.BAD_ANSWER, f"the answer's structure is no JSON: {error}") from None


def _arguments(value: Json) -> Json:
    if not isinstance(value, str):
        return value
    try:
        return parse_json(value)
    except NotJson:
        return value


def _first(item: Mapping[str, Json], *names: str) -> Json:
    return next((item[name] for name in names if item.get(name) is not None), None)


def _without_surrogates(value: Json) -> Json:
    if isinstance(value, str):
        try:
            value.encode()
            return value
        except UnicodeEncodeError:
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def _wrong(name: str, expected: str, value: Json) -> NoReturn:
    said = excerpt(repr(value), 60)
    raise CallError(CallFault.BAD_ANSWER, f"`{name}` of the answer has to be {expected}, but is {said}")


def _type_name(value: Any) -> str:
    return "nothing (None)" if value is None else f"a value of type {type(value).__name__}"
