"""The scorer `retrieval`: did the endpoint find the passages that it should have found?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from evalgate.errors import ScorerError
from evalgate.records import Case, Json, Output
from evalgate.scorers.interface import Lacks, Mark, Options, lacking
from evalgate.scorers.structure import NoJson, parse_json
from evalgate.scorers.wording import quoted, scalar_text

_ID_KEYS = ("id", "doc_id", "document_id")
_TEXT_KEYS = ("text", "content", "page_content")


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """One passage, expected or returned: known by its id, by its text, or by both."""

    id: str | None
    text: str | None
    """In small letters, each run of white space one space."""

    @staticmethod
    def of(item: Json) -> Passage:
        """A mapping's id and text; anything else is a text. Raises ValueError where there is neither."""
        if not isinstance(item, Mapping):
            return Passage(id=None, text=_plain(scalar_text(item)))
        id = next((str(item[key]) for key in _ID_KEYS if item.get(key) is not None), None)
        text = next((str(item[key]) for key in _TEXT_KEYS if item.get(key) is not None), None)
        if id is None and text is None:
            raise ValueError("neither `id` nor `text`")
        return Passage(id=id, text=None if text is None else _plain(text))


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """One expected passage: a bare text may be an id or words of the passage, a mapping says which."""

    name: str
    id: str | None
    text: str | None

    def is_in(self, passage: Passage) -> bool:
        """By id where both have one, else by text: the expected words are part of the passage."""
        if self.id is not None and passage.id is not None:
            return self.id == passage.id
        return bool(self.text and passage.text and self.text in passage.text)


@dataclass(frozen=True, kw_only=True)
class Retrieval(Options):
    """How well the returned contexts cover the expected ones, by the usual measures of retrieval."""

    VERSION: ClassVar[str] = "retrieval/1"

    metric: Literal["recall", "precision", "f1", "mrr", "hit"] = "recall"
    """Share of the expected that was returned; share of the returned that was expected; their harmonic mean;
    1 / rank of the first expected one; 1 if there is any."""
    k: int | None = None
    """Only the first k returned contexts count; absent: all."""
    key: str = "expected_contexts"
    """Where in `metadata` (in data files: which column) the expected ids or texts stand. Without it the case's
    `context` counts, then a list in `expected`."""

    def faults(self) -> list[str]:
        found = []
        if self.k is not None and self.k < 1:
            found.append(f"`k` is {self.k}: write 1 or more")
        if not self.key:
            found.append("`key` is empty: write the name of a column")
        return found

    def problem(self, case: Case) -> str | None:
        return lacking(self._wanted, case)

    def mark(self, case: Case, output: Output) -> Mark:
        wanted = self._wanted(case)
        if output.contexts is None:
            raise ScorerError("the endpoint does not say which contexts it used: return `contexts`")
        try:
            returned = [Passage.of(item) for item in output.contexts[: self.k]]
        except ValueError as error:
            raise ScorerError(f"a returned context has {error}") from error
        if not returned:
            return Mark(value=0.0, reason="nothing was retrieved")
        missing = [one for one in wanted if not any(one.is_in(passage) for passage in returned)]
        relevant = [any(one.is_in(passage) for one in wanted) for passage in returned]
        return Mark(value=self._value(wanted, missing, returned, relevant), reason=_reason(wanted, missing, relevant))

    def _value(
        self, wanted: Sequence[Wanted], missing: Sequence[Wanted], returned: Sequence[Passage], relevant: Sequence[bool]
    ) -> float:
        recall = (len(wanted) - len(missing)) / len(wanted)
        if self.metric == "recall":
            return recall
        if self.metric == "hit":
            return float(any(relevant))
        if self.metric == "mrr":
            return 1 / (relevant.index(True) + 1) if any(relevant) else 0.0
        # The same passage returned twice is one find: repeating it must not raise the precision.
        distinct = dict(zip(returned, relevant, strict=True))
        precision = sum(distinct.values()) / len(distinct)
        if self.metric == "precision":
            return precision
        return 2 * precision * recall / (precision + recall) if precision and recall else 0.0

    def _wanted(self, case: Case) -> tuple[Wanted, ...]:
        listed = case.metadata.get(self.key)
        where = f"`{self.key}`"
        if listed is None and case.context is not None:
            listed, where = case.context, "`context`"
        if listed is None and isinstance(case.expected, list | tuple):
            listed, where = case.expected, "`expected`"
        if listed is None:
            raise Lacks(f"no expected contexts: write `metadata: {{{self.key}: […]}}`, in a data file a column of it")
        if isinstance(listed, str) and listed.lstrip().startswith("["):
            # A CSV has no other way to write a list.
            try:
                listed = parse_json(listed)
            except NoJson as error:
                raise Lacks(f"{where} is no JSON ({error}): write a list of ids or texts") from error
        items = list(listed) if isinstance(listed, list | tuple) else [listed]
        if not items:
            raise Lacks(f"{where} is empty, nothing could be found: list a context, or take this scorer off the case")
        try:
            return tuple(dict.fromkeys(_wanted_of(item) for item in items))
        except ValueError as error:
            raise Lacks(f"an item of {where} has {error}: write an id or a text") from error


def _wanted_of(item: Json) -> Wanted:
    passage = Passage.of(item)
    if not isinstance(item, Mapping):
        name = scalar_text(item)
        if not name.strip():
            raise ValueError("no words")
        return Wanted(name=name, id=name, text=passage.text)
    return Wanted(name=passage.id or passage.text or "", id=passage.id, text=passage.text)


def _reason(wanted: Sequence[Wanted], missing: Sequence[Wanted], relevant: Sequence[bool]) -> str:
    found = f"{len(wanted) - len(missing)} of {len(wanted)} expected found in {len(relevant)} returned"
    if missing:
        found += f", {quoted(missing[0].name)} is missing"
    if any(relevant):
        return f"{found}, first at rank {relevant.index(True) + 1}"
    return found


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
