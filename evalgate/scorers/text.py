"""Scorers that compare texts: exact, contains, regex, fuzzy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

from evalgate.errors import ScorerError
from evalgate.records import Case, Output
from evalgate.scorers.interface import Lacks, Mark, Options, lacking
from evalgate.scorers.wording import Wording, as_texts, expected_texts, quoted, text_of

NO_TEXT = Mark(value=0.0, reason="the output has no text")
REGEX_REACH = 100_000
"""Characters of an output that a regular expression is tried on: Python's engine has no time limit."""


def _one_of(texts: tuple[str, ...]) -> str:
    shown = quoted(texts[0])
    return shown if len(texts) == 1 else f"{shown} or {len(texts) - 1} other"


@dataclass(frozen=True, kw_only=True)
class Exact(Wording):
    """1 where the output is the expected text, or one of several; white space around either never counts."""

    VERSION: ClassVar[str] = "exact/1"

    value: str | tuple[str, ...] | None = None
    """What to expect instead of the case's `expected`; several: any of them."""

    def faults(self) -> list[str]:
        return ["`value` is an empty list: no output could be right"] if self.value in ((), []) else []

    def problem(self, case: Case) -> str | None:
        return lacking(self._wanted, case)

    def mark(self, case: Case, output: Output) -> Mark:
        wanted, text = self._wanted(case), text_of(output)
        if text is None:
            return NO_TEXT
        given = self.normal(text).strip()
        if any(given == self.normal(one).strip() for one in wanted):
            return Mark(value=1.0, reason="as expected")
        return Mark(value=0.0, reason=f"expected {_one_of(wanted)}, got {quoted(text.strip())}")

    def _wanted(self, case: Case) -> tuple[str, ...]:
        return expected_texts(case, "give the scorer a `value`") if self.value is None else as_texts(self.value)


@dataclass(frozen=True, kw_only=True)
class Contains(Wording):
    """1 where the wanted texts are in the output, and the unwanted ones are not."""

    VERSION: ClassVar[str] = "contains/1"

    value: str | tuple[str, ...] | None = None
    """What has to be there instead of the case's `expected`; `[]`: nothing, only `absent` is checked."""
    mode: Literal["all", "any"] = "all"
    """Whether every one of several texts has to be there, or one is enough."""
    absent: str | tuple[str, ...] = ()
    """Texts that must not be there. An empty output never passes for saying nothing."""
    words: bool = False
    """A text counts as found only where no letter or digit touches it: `30` is not in `130`."""
    partial: bool = False
    """The share of the texts that was found, instead of all or nothing (`mode: all`)."""

    def faults(self) -> list[str]:
        found = [
            f"{quoted(one)} under `{key}` is empty, or becomes so by what is ignored: every text contains it"
            for key, texts in (("value", as_texts(self.value or ())), ("absent", as_texts(self.absent)))
            for one in texts
            if not self.normal(one)
        ]
        if self.value == "":
            found.append("`value` is empty: every text contains it")
        if self.value is not None and not as_texts(self.value) and not as_texts(self.absent):
            found.append("`value` and `absent` are both empty: nothing would be checked")
        if self.partial and self.mode == "any":
            found.append("`partial` counts found texts, `mode: any` needs one: leave out one of the two")
        return found

    def problem(self, case: Case) -> str | None:
        return lacking(self._wanted, case)

    def mark(self, case: Case, output: Output) -> Mark:
        wanted, text = self._wanted(case), text_of(output)
        if text is None:
            return NO_TEXT
        if not text.strip():
            return Mark(value=0.0, reason="the output is empty")
        given = self.normal(text)
        unwanted = next((one for one in as_texts(self.absent) if self._finds(one, given)), None)
        if unwanted is not None:
            return Mark(value=0.0, reason=f"contains {quoted(unwanted)}, which must not be there")
        missing = [one for one in wanted if not self._finds(one, given)]
        found = len(wanted) - len(missing)
        if not missing or (self.mode == "any" and found):
            return Mark(value=1.0, reason="contains what was expected" if wanted else "contains nothing unwanted")
        reason = f"{quoted(missing[0])} is not in {quoted(text.strip())}"
        if len(wanted) > 1:
            reason = f"{found} of {len(wanted)} texts found: {reason}"
        return Mark(value=found / len(wanted) if self.partial else 0.0, reason=reason)

    def _wanted(self, case: Case) -> tuple[str, ...]:
        if self.value is not None:
            return as_texts(self.value)
        instead = "give the scorer a `value`" + (" (`value: []` to check `absent` alone)" if self.absent else "")
        texts = expected_texts(case, instead)
        if not all(self.normal(text).strip() for text in texts):
            raise Lacks(f"a text of `expected` is empty, every output contains it: write one, or {instead}")
        return texts

    def _finds(self, needle: str, given: str) -> bool:
        needle = self.normal(needle)
        if not self.words:
            return needle in given
        return re.search(rf"(?<!\w){re.escape(needle)}(?!\w)", given) is not None


@dataclass(frozen=True, kw_only=True)
class Regex(Options):
    """1 where a regular expression (Python's syntax) matches somewhere in the output, or with `full` all of it."""

    VERSION: ClassVar[str] = "regex/1"

    pattern: str | None = None
    """The expression, instead of the case's `expected`."""
    full: bool = False
    """The whole output has to match; white space around it does not count."""
    ignore_case: bool = False
    """Capital and small letters are the same."""
    multiline: bool = False
    """`^` and `$` match at each line."""
    dotall: bool = False
    """`.` matches line breaks too."""

    def faults(self) -> list[str]:
        if self.pattern is None:
            return []
        try:
            self._compiled(self.pattern)
        except Lacks as lack:
            return [str(lack)]
        return []

    def problem(self, case: Case) -> str | None:
        return lacking(self._wanted, case)

    def mark(self, case: Case, output: Output) -> Mark:
        pattern, text = self._wanted(case), text_of(output)
        if text is None:
            return NO_TEXT
        if self.full:
            text = text.strip()
        reach = text[:REGEX_REACH]
        too_long = len(text) > REGEX_REACH
        found = pattern.fullmatch(reach) if self.full else pattern.search(reach)
        if found and not (self.full and too_long):
            return Mark(value=1.0, reason=f"{quoted(pattern.pattern)} matches")
        if too_long:
            raise ScorerError(
                f"the output has {len(text):,} characters; a regular expression is tried on the first {REGEX_REACH:,}"
            )
        return Mark(value=0.0, reason=f"{quoted(pattern.pattern)} does not match {quoted(text.strip())}")

    @cached_property
    def _flags(self) -> int:
        return int(re.IGNORECASE * self.ignore_case | re.MULTILINE * self.multiline | re.DOTALL * self.dotall)

    def _wanted(self, case: Case) -> re.Pattern[str]:
        if self.pattern is not None:
            return self._compiled(self.pattern)
        texts = expected_texts(case, "give the scorer a `pattern`")
        if len(texts) > 1:
            raise Lacks("`expected` is a list, a pattern is one text: join the alternatives with `|`")
        return self._compiled(texts[0])

    def _compiled(self, pattern: str) -> re.Pattern[str]:
        if not pattern:
            raise Lacks("the pattern is empty: it matches every text")
        try:
            return re.compile(pattern, self._flags)
        except re.error as error:
            where = "" if error.pos is None else f" at character {error.pos + 1}"
            raise Lacks(f"{quoted(pattern)} is no regular expression: {error.msg}{where}") from error
        except (OverflowError, RecursionError) as error:
            raise Lacks(f"{quoted(pattern)} is no usable regular expression: {error}") from error


@dataclass(frozen=True, kw_only=True)
class Fuzzy(Wording):
    """How similar the output is to the expected text: the similarity itself, or with `min` whether it reaches that."""

    VERSION: ClassVar[str] = "fuzzy/1"

    value: str | tuple[str, ...] | None = None
    """What to compare with instead of the case's `expected`; several: the most similar counts."""
    method: Literal["ratio", "partial_ratio", "token_set", "token_sort", "wratio"] = "ratio"
    """How similarity is measured: whole texts, the best part, or the words regardless of order."""
    min: float | None = None
    """The similarity, above 0 up to 1, from which the output is right; absent: the similarity is the score."""

    def faults(self) -> list[str]:
        found = []
        if self.min is not None and not 0 < self.min <= 1:
            found.append(f"`min` is {self.min:g}: write a similarity above 0, up to 1")
        if self.value is not None and not all(self.normal(one).strip() for one in as_texts(self.value) or ("",)):
            found.append("`value` is empty: there is nothing to be similar to")
        return found

    def problem(self, case: Case) -> str | None:
        return lacking(self._wanted, case)

    def mark(self, case: Case, output: Output) -> Mark:
        wanted, text = self._wanted(case), text_of(output)
        if text is None:
            return NO_TEXT
        if not text.strip():
            return Mark(value=0.0, reason="the output is empty")
        given = self.normal(text).strip()
        likeness, nearest = max(((self._likeness(one, given), one) for one in wanted), key=lambda pair: pair[0])
        reason = f"similarity {likeness:.2f} to {quoted(nearest)}"
        if self.min is None:
            return Mark(value=likeness, reason=reason)
        passed = likeness >= self.min
        return Mark(value=float(passed), reason=f"{reason}, {'at least' if passed else 'below'} {self.min:g}")

    def _likeness(self, wanted: str, given: str) -> float:
        from rapidfuzz import fuzz  # 40 ms that only its users pay

        measure = {
            "ratio": fuzz.ratio,
            "partial_ratio": fuzz.partial_ratio,
            "token_set": fuzz.token_set_ratio,
            "token_sort": fuzz.token_sort_ratio,
            "wratio": fuzz.WRatio,
        }[self.method]
        return round(measure(self.normal(wanted).strip(), given) / 100, 6)

    def _wanted(self, case: Case) -> tuple[str, ...]:
        if self.value is not None:
            return as_texts(self.value)
        texts = expected_texts(case, "give the scorer a `value`")
        if not all(self.normal(text).strip() for text in texts):
            raise Lacks("a text of `expected` is empty: there is nothing to be similar to")
        return texts
