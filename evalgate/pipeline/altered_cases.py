"""What differs between two eval sets: cases taken out, edited, moved, added, and judged by other scorers. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from evalgate.gate.sentences import count
from evalgate.pipeline.committed import own_file
from evalgate.records import Case, ChangeKind, Effect, EvalSet, Json, RuleChange, ScorerSpec, fingerprint

LONGEST = 500
"""Characters of scorers and their options that are told."""

Spec: TypeAlias = tuple[str, str, float]
"""A scorer's name (an own one's from the configuration's folder), its options as JSON, its weight."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    """What decides about a case, small: there may be many."""

    categories: tuple[str, ...]
    expected: str
    rest: str
    """Fingerprint of whatever else is asked or handed to a scorer."""
    scorers: tuple[Spec, ...]
    tags: frozenset[str]
    critical: bool
    cluster: str | None


@dataclass(frozen=True, kw_only=True)
class Sets:
    """An eval set with the folder that its scorers' files are named from."""

    evalset: EvalSet
    base_dir: Path

    def known(self) -> dict[str, _Known]:
        specs = {key: _spec(spec, self.base_dir) for key, spec in self.evalset.scorers.items()}
        shared: dict[tuple[str, ...], tuple[Spec, ...]] = {}
        found = {}
        for case in self.evalset.cases:
            if case.scorers not in shared:
                shared[case.scorers] = tuple(sorted(specs[key] for key in case.scorers))
            found[case.id] = _known(case, shared[case.scorers])
        return found

    def own_files(self) -> set[str]:
        """The files of own scorers, from the configuration's folder."""
        named = (own_file(spec, self.base_dir) for spec in self.evalset.scorers.values())
        return {name for name in named if name is not None}


def _spec(spec: ScorerSpec, base_dir: Path) -> Spec:
    file = own_file(spec, base_dir)
    name = spec.name if file is None else f"{file}:{spec.name.rpartition(':')[2]}"
    return name, json.dumps(spec.options, sort_keys=True, default=str), spec.weight


def _known(case: Case, scorers: tuple[Spec, ...]) -> _Known:
    return _Known(
        categories=tuple(sorted(case.categories)),
        expected=fingerprint(case.expected),
        rest=fingerprint([case.input, case.messages, case.context, case.metadata]),
        scorers=scorers,
        tags=frozenset(case.tags),
        critical=case.critical,
        cluster=case.cluster,
    )


def case_changes(before: Sets, after: Sets) -> list[RuleChange]:
    """What was altered about the cases and their scorers, alike ones of a category together. The prompt's template is
    left out: it is under test."""
    then, now = before.known(), after.known()
    both = sorted(then.keys() & now.keys())
    return [
        *_one_sided(then, now),
        *_edited(then, now, both),
        *_moved(then, now, both),
        *_tagged(then, now, both),
        *_critical(then, now, both),
        *_judged_otherwise(then, now, both),
    ]


def _one_sided(then: Mapping[str, _Known], now: Mapping[str, _Known]) -> Iterator[RuleChange]:
    sizes = [Counter(name for known in side.values() for name in known.categories) for side in (then, now)]
    ways: tuple[tuple[ChangeKind, Effect, str, Set[str], Mapping[str, _Known]], ...] = (
        ("cases_removed", Effect.WEAKENS, "taken out", then.keys() - now.keys(), then),
        ("cases_added", Effect.NEITHER, "added", now.keys() - then.keys(), now),
    )
    for kind, effect, verb, ids, side in ways:
        for category, members in _by_category(sorted(ids), side).items():
            yield RuleChange(
                kind=kind,
                where=f"cases: {category}",
                effect=effect,
                sentence=f"{count(len(members), 'case')} of {category} {verb}",
                before=sizes[0][category],
                after=sizes[1][category],
                cases=tuple(members),
            )


def _by_category(ids: Sequence[str], side: Mapping[str, _Known]) -> dict[str, list[str]]:
    """The cases under each category that they are of."""
    found: dict[str, list[str]] = {}
    for case_id in ids:
        for category in side[case_id].categories:
            found.setdefault(category, []).append(case_id)
    return dict(sorted(found.items()))


def _edited(then: Mapping[str, _Known], now: Mapping[str, _Known], both: Sequence[str]) -> Iterator[RuleChange]:
    """An edited case is not compared with the baseline any longer."""

    def facts(kind: ChangeKind, what: str, is_edited: Callable[[_Known, _Known], bool]) -> Iterator[RuleChange]:
        ids = [case_id for case_id in both if is_edited(then[case_id], now[case_id])]
        for category, members in _by_category(ids, now).items():
            yield RuleChange(
                kind=kind,
                where=f"cases: {category}",
                effect=Effect.WEAKENS,
                sentence=f"{what} of {count(len(members), 'case')} of {category} edited, so not compared",
                cases=tuple(members),
            )

    yield from facts("expected", "expected answer", lambda old, new: old.expected != new.expected)
    yield from facts("content", "content", lambda old, new: old.expected == new.expected and old.rest != new.rest)


def _moved(then: Mapping[str, _Known], now: Mapping[str, _Known], both: Sequence[str]) -> Iterator[RuleChange]:
    ways: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    clusters = []
    for case_id in both:
        old, new = then[case_id], now[case_id]
        if old.categories != new.categories:
            ways.setdefault((old.categories, new.categories), []).append(case_id)
        if old.cluster != new.cluster:
            clusters.append(case_id)
    for (old_names, new_names), members in sorted(ways.items()):
        left = sorted(set(old_names) - set(new_names))
        yield RuleChange(
            kind="categories",
            where=f"cases: {', '.join(left or new_names)}",
            effect=Effect.WEAKENS if left else Effect.NEITHER,
            sentence=f"{count(len(members), 'case')} of {'other' if left else 'more'} categories",
            before=", ".join(old_names),
            after=", ".join(new_names),
            cases=tuple(members),
        )
    if clusters:
        what = f"{count(len(clusters), 'case')} in another cluster"
        yield RuleChange(kind="cluster", where="cases", effect=Effect.NEITHER, sentence=what, cases=tuple(clusters))


def _tagged(then: Mapping[str, _Known], now: Mapping[str, _Known], both: Sequence[str]) -> Iterator[RuleChange]:
    """Cases that a run of one tag (`--tag`) has no longer, or has now."""
    lost: dict[str, list[str]] = {}
    won: dict[str, list[str]] = {}
    for case_id in both:
        old, new = then[case_id].tags, now[case_id].tags
        for tag in old - new:
            lost.setdefault(tag, []).append(case_id)
        for tag in new - old:
            won.setdefault(tag, []).append(case_id)
    for effect, verb, found in ((Effect.WEAKENS, "without", lost), (Effect.NEITHER, "with", won)):
        for tag, members in sorted(found.items()):
            yield RuleChange(
                kind="tags",
                where="cases: tags",
                effect=effect,
                sentence=f"{count(len(members), 'case')} {verb} the tag {tag}",
                cases=tuple(members),
            )


def _critical(then: Mapping[str, _Known], now: Mapping[str, _Known], both: Sequence[str]) -> Iterator[RuleChange]:
    for was, effect, verb in ((True, Effect.WEAKENS, "no longer"), (False, Effect.STRENGTHENS, "now")):
        ids = tuple(i for i in both if then[i].critical is was and now[i].critical is not was)
        if ids:
            yield RuleChange(
                kind="critical_case",
                where="cases",
                effect=effect,
                sentence=f"{count(len(ids), 'case')} {verb} critical",
                before=was,
                after=not was,
                cases=ids,
            )


def _judged_otherwise(
    then: Mapping[str, _Known], now: Mapping[str, _Known], both: Sequence[str]
) -> Iterator[RuleChange]:
    """Cases whose scorers differ: they are not compared with the baseline any longer."""
    ways: dict[tuple[tuple[Spec, ...], tuple[Spec, ...]], list[str]] = {}
    for case_id in both:
        if then[case_id].scorers != now[case_id].scorers:
            ways.setdefault((then[case_id].scorers, now[case_id].scorers), []).append(case_id)
    for (old, new), members in sorted(ways.items()):
        kind, what = _of_scorers(old, new)
        yield RuleChange(
            kind=kind,
            where="cases: scorers",
            effect=Effect.WEAKENS,
            sentence=f"{what} of {count(len(members), 'case')}, so not compared",
            before=_shown(old),
            after=_shown(new),
            cases=tuple(members),
        )


def _of_scorers(old: Sequence[Spec], new: Sequence[Spec]) -> tuple[ChangeKind, str]:
    """Kind and name of the difference between two lists of scorers."""
    if [spec[0] for spec in old] != [spec[0] for spec in new]:
        return "scorers", "other scorers"
    if [spec[1] for spec in old] != [spec[1] for spec in new]:
        return "scorer_options", "other options of the scorers"
    return "scorer_weights", "other weights of the scorers"


def _shown(specs: Sequence[Spec]) -> Json:
    text = ", ".join(
        name + (f" {options}" if options != "{}" else "") + (f" × {weight:g}" if weight != 1 else "")
        for name, options, weight in specs
    )
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
