"""The scorer `number`: finds the numbers of a text and compares by value."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import cache
from typing import ClassVar, Literal

from evalgate.records import Case, Json, Output
from evalgate.scorers.interface import Lacks, Mark, Options, lacking
from evalgate.scorers.wording import quoted, text_of

_EXACTLY = Context(prec=60, traps=[])
"""Arithmetic of its own: the process's decimal context is somebody else's setting."""


@cache
def _grammar(decimal: Literal[".", ","]) -> re.Pattern[str]:
    group, point = (r"[,'’_\u00a0\u202f\u2009]", r"\.") if decimal == "." else (r"[.'’_\u00a0\u202f\u2009]", ",")
    return re.compile(
        rf"""
        (?=[-+−$€£¥₹.,\d])
        (?P<sign>(?<![\w.,)\]])[-+−])?          # a sign, not the dash of "10-20" or "GPT-4"
        (?P<currency>[$€£¥₹]\s?)?
        (?<![\w.])                               # not inside "B12" or "1.2.3"
        (?P<whole>\d{{1,3}}(?P<group>{group})\d{{3}}(?:(?P=group)\d{{3}})*(?!\d)|\d+)?
        (?:{point}(?P<part>\d+))?
        (?:(?:[eE](?P<e>[-+−]?\d{{1,4}})(?!\w))
          |\s{{0,2}}(?:[×·*x]|\\times|\\cdot)\s{{0,2}}10\s?\^\s?\{{?(?P<power>[-+−]?\d{{1,4}})\}}?)?
        """,
        re.VERBOSE,
    )


def numbers_in(text: str, decimal: Literal[".", ","] = ".") -> Iterator[Decimal]:
    """Each number of the text, in order, exactly as written.

    Read are signs, decimals, thousands separators (`1,234`, `1'234`, and with decimal="," `1.234`), a currency sign in
    front, `1e3` and `3 × 10^8`. A percent sign is a unit: `12 %` reads 12. Digits inside a word (`B12`) are no number.
    """
    for found in _grammar(decimal).finditer(text):
        whole, part = found["whole"], found["part"]
        if whole is None and part is None:
            continue
        digits = whole or "0"
        if found["group"]:
            digits = digits.replace(found["group"], "")
        power = (found["e"] or found["power"] or "0").replace("−", "-")
        sign = "-" if found["sign"] in ("-", "−") else ""
        yield Decimal(f"{sign}{digits}{'.' + part if part else ''}e{power}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """The values that are right: from `low` to `high`, both included; None: open."""

    low: Decimal | None
    high: Decimal | None

    def __str__(self) -> str:
        if self.low is None:
            return f"at most {self.high}"
        if self.high is None:
            return f"at least {self.low}"
        return f"{self.low}" if self.low == self.high else f"{self.low} to {self.high}"


@dataclass(frozen=True, kw_only=True)
class Number(Options):
    """1 where the number of the output is the expected one, or within the tolerance or range."""

    VERSION: ClassVar[str] = "number/1"

    tolerance: float = 0.0
    """How far from the expected number is still right, in its own unit, or with `relative` as a share of it."""
    relative: bool = False
    """`tolerance` is a share of the expected number: 0.01 is one per cent."""
    which: Literal["last", "first", "any", "only"] = "last"
    """Which number of the output counts; `only`: it has to be the sole one."""
    decimal: Literal[".", ","] = "."
    """The decimal sign in outputs and in `expected`."""

    def faults(self) -> list[str]:
        if not math.isfinite(self.tolerance) or self.tolerance < 0:
            return [f"`tolerance` is {self.tolerance:g}: write 0 or more"]
        return []

    def problem(self, case: Case) -> str | None:
        return lacking(self._wanted, case)

    def mark(self, case: Case, output: Output) -> Mark:
        span, text = self._wanted(case), text_of(output)
        if text is None:
            return Mark(value=0.0, reason="the output has no text")
        found = list(numbers_in(text, self.decimal))
        if not found:
            return Mark(value=0.0, reason=f"expected {span}, found no number in {quoted(text.strip())}")
        if self.which == "only" and len(set(found)) > 1:
            return Mark(value=0.0, reason=f"expected {span} alone, found {len(set(found))} different numbers")
        considered = found if self.which == "any" else [found[0 if self.which == "first" else -1]]
        if any(self._is_within(number, span) for number in considered):
            return Mark(value=1.0, reason="as expected" if self.tolerance == 0 else f"within tolerance of {span}")
        got = str(considered[0]) if len(considered) == 1 else f"{len(considered)} others"
        return Mark(value=0.0, reason=f"expected {_brief(str(span))}, got {_brief(got)}")

    def _is_within(self, number: Decimal, span: Span) -> bool:
        return (span.low is None or number >= self._moved(span.low, -1)) and (
            span.high is None or number <= self._moved(span.high, 1)
        )

    def _moved(self, end: Decimal, direction: int) -> Decimal:
        if self.tolerance == 0:
            return end
        # By way of its text, 0.1 is a tenth, not the nearest binary fraction.
        reach = Decimal(repr(self.tolerance)) * direction
        if self.relative:
            reach = _EXACTLY.multiply(reach, abs(end))
        return _EXACTLY.add(end, reach)

    def _wanted(self, case: Case) -> Span:
        expected = case.expected
        if expected is None:
            raise Lacks("no `expected`: write a number, or `{min: …, max: …}`")
        if not isinstance(expected, dict):
            exact = self._number(expected, "`expected`")
            return Span(low=exact, high=exact)
        if not expected or not set(expected) <= {"min", "max"}:
            raise Lacks("`expected` is a mapping: for the scorer `number` write `{min: …, max: …}`, or one of the two")
        ends = {key: self._number(value, f"`expected.{key}`") for key, value in expected.items()}
        span = Span(low=ends.get("min"), high=ends.get("max"))
        if span.low is not None and span.high is not None and span.low > span.high:
            raise Lacks(f"`expected.min` {span.low} is above `expected.max` {span.high}")
        return span

    def _number(self, value: Json, where: str) -> Decimal:
        if isinstance(value, str):
            found = list(numbers_in(value, self.decimal))
            if len(found) == 1:
                return found[0]
            what = "no number" if not found else f"{len(found)} numbers"
            raise Lacks(f"{where} {quoted(value)} holds {what}: write exactly one")
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise Lacks(f"{where} is no number: write one")
        return Decimal(repr(value))


def _brief(number: str) -> str:
    return number if len(number) <= 40 else number[:39] + "…"
