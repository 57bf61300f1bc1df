"""Which part of an eval set is asked for: by category, by tag, a stratified sample, the first few."""

from __future__ import annotations

import difflib
import hashlib
import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evalgate.errors import Fault, InputError
from evalgate.records import Case, EvalSet
from evalgate.spool import gathered


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which part of an eval set is asked for; each narrows what the ones before it have left."""

    categories: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    changed_only: bool = False
    """Only cases that the baseline's results cannot stand for; `pipeline.changed` knows which."""
    sample: int | None = None
    """How many cases are drawn; None: all."""
    seed: int = 0
    """Which draw of that size."""
    limit: int | None = None

    def words(self) -> list[str]:
        """The options that ask for it."""
        words = [word for name in self.categories for word in ("--category", name)]
        words += [word for name in self.tags for word in ("--tag", name)]
        words += ["--changed-only"] if self.changed_only else []
        if self.sample is not None:
            words += ["--sample", str(self.sample), "--seed", str(self.seed)]
        return words + (["--limit", str(self.limit)] if self.limit is not None else [])

    def __str__(self) -> str:
        return " ".join(self.words())


def selected(
    *,
    categories: Sequence[str],
    tags: Sequence[str],
    changed_only: bool,
    sample: int | None,
    seed: int | None,
    limit: int | None,
) -> Selection:
    """The selection that options ask for. Raises InputError for a seed without anything to draw."""
    if seed is not None and sample is None:
        raise InputError(Fault(where="--seed", what="says nothing without --sample", hint="Write --sample N too."))
    return Selection(
        categories=tuple(categories),
        tags=tuple(tags),
        changed_only=changed_only,
        sample=sample,
        seed=seed or 0,
        limit=limit,
    )


def select(evalset: EvalSet, selection: Selection) -> Sequence[Case]:
    """The cases asked for, in the eval set's order; with `changed_only`, those among which the changed ones are to be
    found. Raises InputError for a name that no case has and where nothing is left."""
    faults = [
        *_unknown("--category", selection.categories, (case.categories for case in evalset.cases)),
        *_unknown("--tag", selection.tags, (case.tags for case in evalset.cases)),
        *(
            Fault(where=flag, what=f"{count} leaves no case")
            for flag, count in (("--sample", selection.sample), ("--limit", selection.limit))
            if count is not None and count < 1
        ),
    ]
    if faults:
        raise InputError(faults)
    chosen = evalset.cases
    if selection.categories or selection.tags:
        chosen = gathered(
            case
            for case in evalset.cases
            if (not selection.categories or set(selection.categories) & set(case.categories))
            and (not selection.tags or set(selection.tags) & set(case.tags))
        )
    if not selection.changed_only:
        chosen = narrowed(chosen, selection)
    if not chosen:
        raise InputError(Fault(where=str(selection), what="matches no case"))
    return chosen


def narrowed(cases: Sequence[Case], selection: Selection) -> Sequence[Case]:
    """What sample and limit leave of the cases."""
    chosen = cases if selection.sample is None else sample(cases, selection.sample, selection.seed)
    return chosen if selection.limit is None else chosen[: selection.limit]


def _unknown(flag: str, wanted: Sequence[str], groups: Iterable[Iterable[str]]) -> list[Fault]:
    faults: list[Fault] = []
    there = _names(groups) if wanted else []  # nobody asks: the cases need not be gone through
    for name in wanted:
        if name not in there:
            near = difflib.get_close_matches(name, there, n=1)
            known = f"There are: {', '.join(there)}." if there else "No case has any."
            hint = f"Did you mean {near[0]!r}?" if near else known
            faults.append(Fault(where=flag, what=f"no case has {name!r}", hint=hint))
    return faults


def _names(groups: Iterable[Iterable[str]]) -> list[str]:
    return sorted({name for group in groups for name in group})


# ---- a sample ---------------------------------------------------------------------------------------------


def sample(cases: Sequence[Case], count: int, seed: int) -> Sequence[Case]:
    """`count` of the cases, or all where there are no more, each category in proportion; in their own order.

    Cases with the same categories are a stratum; the strata share `count` by largest remainder. While `count` allows,
    every category keeps a case, the largest ones first. Within a stratum the cases come in the order of a hash of seed
    and id: neither their order nor their files matter, and a case more changes the sample by a few cases at most.
    A critical case is drawn like any other: always drawn, they would crowd out the rest of a small sample.
    """
    if count >= len(cases):
        return cases
    strata: dict[tuple[str, ...], list[tuple[bytes, str]]] = defaultdict(list)
    for case in cases:
        place = hashlib.sha256(f"{seed}:{case.id}".encode("utf-8", "surrogatepass")).digest()
        strata[tuple(sorted(case.categories))].append((place, case.id))
    for members in strata.values():
        members.sort()
    shares = _shares({names: len(members) for names, members in strata.items()}, count, _kept(strata, count))
    drawn = {case_id for names, members in strata.items() for _, case_id in members[: shares[names]]}
    return gathered(case for case in cases if case.id in drawn)


def _kept(strata: dict[tuple[str, ...], list[tuple[bytes, str]]], count: int) -> set[tuple[str, ...]]:
    """The strata that give a case beforehand, so that no category goes without: at most `count`, and for each
    category the one that holds its first case."""
    sizes = Counter({name: 0 for names in strata for name in names})
    for names, members in strata.items():
        sizes.update(dict.fromkeys(names, len(members)))
    kept: set[tuple[str, ...]] = set()
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        if len(kept) < count and not any(name in names for names in kept):
            kept.add(min((names for names in strata if name in names), key=lambda names: strata[names][0]))
    return kept


def _shares(sizes: dict[tuple[str, ...], int], count: int, kept: set[tuple[str, ...]]) -> dict[tuple[str, ...], int]:
    """How many cases each stratum gives: one where it is kept, and the rest one by one to whoever lacks most of its
    share. That is the method of the largest remainder, with the kept ones as lower bounds."""
    total = sum(sizes.values())
    shares = {names: int(names in kept) for names in sizes}
    lacking = [(shares[names] - count * size / total, names) for names, size in sizes.items()]
    heapq.heapify(lacking)
    for _ in range(count - len(kept)):
        lack, names = heapq.heappop(lacking)
        shares[names] += 1
        heapq.heappush(lacking, (lack + 1, names))
    return shares
