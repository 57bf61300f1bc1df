"""How far one JSON value is held by another: counted over the expected leaves. Knows no scorer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from evalgate.errors import ScorerError
from evalgate.records import Json
from evalgate.scorers.wording import quoted, scalar_text

MOST_PAIRS = 100_000
"""Pairs of list items that are compared to find the best order; more would stall a run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """What came of one comparison."""

    right: int
    """Expected leaves that are there."""
    total: int
    """Expected leaves; at least 1: an empty mapping or list is a leaf too."""
    difference: str = ""
    """The first difference, `$.items[1].price: expected 3, got 4`; empty where there is none."""

    @property
    def is_full(self) -> bool:
        return not self.difference

    @property
    def share(self) -> float:
        """In [0, 1]; below 1 wherever there is a difference."""
        return self.right / self.total


@dataclass(frozen=True, kw_only=True, slots=True)
class Likeness:
    """Which differences between two JSON values do not count. Further keys of mappings never do."""

    tolerance: float = 0.0
    ignore_order: bool = False
    ignore_extra_items: bool = False
    loose: bool = False
    all_keys: bool = False
    """Further keys do count."""

    def compare(self, wanted: Json, given: Json, path: str = "$") -> Agreement:
        """How much of `wanted` is in `given`. Raises ScorerError for lists too long to match without their order."""
        if isinstance(wanted, Mapping):
            return self._mapping(wanted, given, path)
        if isinstance(wanted, list | tuple):
            return self._list(wanted, given, path)
        if self._is_same(wanted, given):
            return Agreement(right=1, total=1)
        return _nothing(wanted, f"{path}: expected {_shown(wanted)}, got {_shown(given)}")

    def _mapping(self, wanted: Mapping[str, Json], given: Json, path: str) -> Agreement:
        if not isinstance(given, Mapping):
            return _nothing(wanted, f"{path}: expected a mapping, got {_shown(given)}")
        parts = [
            self.compare(value, given[key], f"{path}.{key}")
            if key in given
            else _nothing(value, f"{path}.{key} is missing")
            for key, value in wanted.items()
        ]
        extra = [str(key) for key in given if key not in wanted] if self.all_keys else []
        return _joined(parts, f"{path}.{extra[0]} is not expected" if extra else "", extra=len(extra))

    def _list(self, wanted: Sequence[Json], given: Json, path: str) -> Agreement:
        if not isinstance(given, list | tuple):
            return _nothing(wanted, f"{path}: expected a list, got {_shown(given)}")
        extra = 0 if self.ignore_extra_items else max(0, len(given) - len(wanted))
        length = f"{path}: expected {len(wanted)} items, got {len(given)}" if extra else ""
        if self.ignore_order:
            parts = self._any_order(wanted, given, path)
        elif self.ignore_extra_items:
            parts = self._in_sequence(wanted, given, path)
        else:
            parts = [
                self.compare(item, given[at], f"{path}[{at}]")
                if at < len(given)
                else _nothing(item, f"{path}[{at}] is missing")
                for at, item in enumerate(wanted)
            ]
        return _joined(parts, length, extra=extra)

    def _in_sequence(self, wanted: Sequence[Json], given: Sequence[Json], path: str) -> list[Agreement]:
        """Each wanted item is looked for behind the one before: the earliest find leaves the most room."""
        parts, start = [], 0
        for at, item in enumerate(wanted):
            for place in range(start, len(given)):
                found = self.compare(item, given[place], f"{path}[{place}]")
                if found.is_full:
                    start = place + 1
                    break
            else:
                found = _nothing(item, f"{path}: expected item {at + 1}, {_shown(item)}, is missing or out of order")
            parts.append(found)
        return parts

    def _any_order(self, wanted: Sequence[Json], given: Sequence[Json], path: str) -> list[Agreement]:
        """A partner for as many wanted items as possible, then for the rest the most similar ones left."""
        if len(wanted) * len(given) > MOST_PAIRS:
            raise ScorerError(
                f"{path}: {len(wanted)} expected and {len(given)} given items are too many to match in any order"
            )
        table = [[self.compare(item, other, f"{path}[{at}]") for at, other in enumerate(given)] for item in wanted]
        partners = matched([[at for at, cell in enumerate(row) if cell.is_full] for row in table], len(given))
        free = set(range(len(given))) - set(partners.values())
        ranked = sorted(
            (-table[row][at].right, row, at) for row in range(len(wanted)) if row not in partners for at in free
        )
        for negative_right, row, at in ranked:
            if negative_right < 0 and row not in partners and at in free:
                partners[row] = at
                free.discard(at)
        return [
            table[row][partners[row]] if row in partners else _nothing(item, f"{path}: {_shown(item)} is missing")
            for row, item in enumerate(wanted)
        ]

    def _is_same(self, wanted: Json, given: Json) -> bool:
        if isinstance(given, Mapping | list | tuple):
            return False
        if _is_number(wanted) and _is_number(given):
            return self._is_near(wanted, given)
        if type(wanted) is type(given) and wanted == given:
            return True
        if not self.loose or wanted is None or given is None:
            return False
        one, other = scalar_text(wanted).strip(), scalar_text(given).strip()
        if one.casefold() == other.casefold() and (isinstance(wanted, bool) or isinstance(given, bool)):
            return True
        if one == other:
            return True
        try:
            return self._is_near(Decimal(one), Decimal(other))
        except InvalidOperation:
            return False

    def _is_near(self, wanted: float | Decimal, given: float | Decimal) -> bool:
        if wanted == given:
            return True
        if not self.tolerance:
            return False
        # By way of their texts: 0.3 and 0.2 are a tenth apart, whatever binary fractions say.
        one, other = Decimal(str(wanted)), Decimal(str(given))
        if not (one.is_finite() and other.is_finite()):
            return False
        return abs(one - other) <= Decimal(repr(self.tolerance))


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _leaves(value: Json) -> int:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return sum(_leaves(item) for item in value) or 1
    return 1


def _nothing(wanted: Json, difference: str) -> Agreement:
    return Agreement(right=0, total=_leaves(wanted), difference=difference)


def _joined(parts: Sequence[Agreement], own_difference: str, *, extra: int) -> Agreement:
    """Sum of the parts; each unexpected item counts as one wrong value, so that more is never free."""
    first = next((part.difference for part in parts if part.difference), "") or own_difference
    if not parts and not extra:
        return Agreement(right=1, total=1)
    return Agreement(
        right=sum(part.right for part in parts), total=sum(part.total for part in parts) + extra, difference=first
    )


def matched(edges: Sequence[Sequence[int]], n_right: int) -> dict[int, int]:
    """A largest matching of a bipartite graph, left node → right node, by augmenting paths (Kuhn)."""
    owner: list[int | None] = [None] * n_right

    def found_for(left: int, tried: set[int]) -> bool:
        for right in edges[left]:
            if right in tried:
                continue
            tried.add(right)
            holder = owner[right]
            if holder is None or found_for(holder, tried):
                owner[right] = left
                return True
        return False

    for left in range(len(edges)):
        found_for(left, set())
    return {left: right for right, left in enumerate(owner) if left is not None}


def _shown(value: Json) -> str:
    """Texts in quotation marks, the rest as JSON, briefly."""
    return quoted(value) if isinstance(value, str) else quoted(value)[1:-1].replace('\\"', '"')
