"""Eval sets: the files under `evalsets:` and the data files that they name → one checked `EvalSet`.

Knows no scorer by itself (kinds and checks are passed in), no endpoint, network or store.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from evalgate.config.cases import YAML_FIELDS, At, Cases, Defaults, Row, messages_problem
from evalgate.config.documents import TEXT, Document, is_file, read_yaml
from evalgate.config.places import Faults, Place, did_you_mean, quoted, shown
from evalgate.config.prompting import BadTemplate
from evalgate.config.scorers import ScorerReader
from evalgate.config.tables import AS_WRITTEN, FORMATS, read_rows
from evalgate.config.templates import Template
from evalgate.records import Case, EvalSet, Json, ScorerSpec, fingerprint

KEYS = ("name", "category", "tags", "prompt", "messages", "scorers", "cases", "cases_from")

SHAPE = {"name": TEXT, "category": TEXT, "tags": TEXT, "cases": [dict.fromkeys(AS_WRITTEN, TEXT)]}

TOO_LARGE = "Put the cases into a JSONL file and name it with `cases_from`."


def load_evalsets(
    patterns: Sequence[str],
    *,
    base_dir: Path,
    scorer_kinds: Mapping[str, type],
    shorthand: Mapping[str, str],
    check_scorer: Callable[[ScorerSpec], list[str]],
    problem: Callable[[ScorerSpec, Case], str | None],
    rule_categories: Mapping[str, str],
    pattern_places: Mapping[str, str] | None = None,
) -> EvalSet:
    """Every case of the files that match, in the order of the files' names and of the cases in them.

    patterns: globs relative to base_dir. check_scorer: what is wrong with a scorer's options. problem: why this scorer
    could never judge this case (it has no `expected`), or None. rule_categories: category → where its rule stands.
    pattern_places: pattern → where it stands. Raises InputError with every fault of every file.
    """
    faults = Faults()
    cases = Cases(faults=faults, problem=problem)
    files = _matching(patterns, base_dir, pattern_places or {}, faults)
    loader = _Loader(cases=cases, kinds=scorer_kinds, shorthand=shorthand, check=check_scorer)
    for file in files:
        loader.load(file)
    cases.tell_unmet(loader.template_places)
    # Where files could not be read, which categories they have is not known.
    if not len(faults):
        _check_rules(rule_categories, cases.categories, faults)
    faults.raise_if_any()
    return EvalSet(
        name="+".join(dict.fromkeys(loader.names)),
        cases=cases.found.kept(),
        scorers=cases.scorers,
        templates=cases.sources,
    )


def load_items(path: Path) -> EvalSet:
    """The cases of recorded results: an eval set's file, or a data file of items (`id`, `category`, `input`, …).

    Scorers and prompts do not matter and are left out. Raises InputError with every fault found.
    """
    faults = Faults()
    cases = Cases(faults=faults, problem=lambda spec, case: None, only_items=True)
    if path.suffix.lower() in FORMATS:
        name = path.stem
        _add_data(path, cases, Defaults(file=shown(path)))
        if not cases.found and not len(faults):
            faults.add(Place(shown(path)), "holds no case")
    else:
        loader = _Loader(cases=cases, kinds=None)
        loader.load(path)
        name = "+".join(loader.names)
    faults.raise_if_any()
    return EvalSet(name=name, cases=cases.found.kept(), scorers={})


def _matching(patterns: Sequence[str], base_dir: Path, places: Mapping[str, str], faults: Faults) -> list[Path]:
    files: dict[Path, None] = {}
    for pattern in patterns:
        # Path.glob refuses absolute patterns.
        names = sorted(glob.glob(pattern, root_dir=base_dir, recursive=True))  # noqa: PTH207
        found = [base_dir / name for name in names]
        found = [path for path in found if is_file(path)]
        if not found:
            place = Place(places.get(pattern, "evalsets"))
            faults.add(place, f"no file matches {quoted(pattern)}", _what_is_there(base_dir / pattern))
        files.update(dict.fromkeys(found))
    return list(files)


def _what_is_there(path: Path) -> str:
    """The files of the nearest folder that exists, for somebody who named another."""
    try:
        folder = next(folder for folder in path.parents if folder.is_dir())
        names = sorted(file.name + "/" * file.is_dir() for file in folder.iterdir() if not file.name.startswith("."))
    except (OSError, ValueError, StopIteration):
        return ""
    listed = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    place = "Here" if shown(folder) == "." else f"In {shown(folder)}"
    return f"{place}: {listed or 'nothing'}."


def _check_rules(rules: Mapping[str, str], known: Collection[str], faults: Faults) -> None:
    for category, where in rules.items():
        if category not in known:
            what = f"a rule for the category {quoted(category)}, which no case has"
            faults.add(Place(where), what, did_you_mean(category, known, called="Categories of the cases"))


def _add_data(path: Path, cases: Cases, defaults: Defaults) -> None:
    separates = path.suffix.lower() == ".csv"
    for line, values in read_rows(path, cases.faults):

        def at(*path: str | int, line: int = line) -> Place:
            return Place(defaults.file, line)

        cases.add(Row(values, line, at, True, separates), defaults, defaults.template)


@dataclass(kw_only=True)
class _Loader:
    """Reads eval set files one after the other into `cases`."""

    cases: Cases
    kinds: Mapping[str, type] | None
    """None: only the items matter, not how they are asked and judged."""
    shorthand: Mapping[str, str] = field(default_factory=dict)
    check: Callable[[ScorerSpec], list[str]] = lambda spec: []
    names: list[str] = field(default_factory=list)
    template_places: dict[str, Place] = field(default_factory=dict)

    def load(self, path: Path) -> None:
        """Add the cases of this file and of the data files that it names."""
        faults, before = self.cases.faults, len(self.cases.faults)
        document = read_yaml(path, faults, shape=SHAPE, too_large=TOO_LARGE)
        if document is None:
            return
        data = document.data
        if not isinstance(data, dict):
            hint = "It begins with `name:`, `scorers:` and `cases:`."
            faults.add(document.at(()), "an eval set is a mapping" if data is not None else "the file is empty", hint)
            return
        for key in data:
            if key not in KEYS:
                faults.add(document.at([key]), f"unknown key {quoted(key)}", did_you_mean(key, KEYS))
        self.names.append(self._name(data, document, path))
        defaults = self._defaults(data, document, path)
        count = len(self.cases.found)
        self._add_cases(data, document, defaults)
        self._add_files(data, document, defaults, path)
        if len(self.cases.found) == count and len(faults) == before:
            hint = "Write them under `cases`, or name a data file in `cases_from`."
            faults.add(document.at(()), "the eval set has no case", hint)

    def _name(self, data: Mapping[str, Json], document: Document, path: Path) -> str:
        name = data.get("name")
        if name is not None and (not isinstance(name, str) or not name.strip()):
            self.cases.faults.add(document.at(["name"]), "`name` is a text")
        return name if isinstance(name, str) else path.stem

    def _defaults(self, data: Mapping[str, Json], document: Document, path: Path) -> Defaults:
        def at(*path: str | int) -> Place:
            return document.at(path)

        category, tags, scorers = data.get("category"), data.get("tags"), data.get("scorers")
        reader = self._reader(path)
        template, is_bad = self._template(data, at)
        return Defaults(
            file=document.file,
            categories=() if category is None else self.cases.names(category, "category", at),
            tags=(() if tags is None else self.cases.names(tags, "tags", at)) or (),
            scorers=() if scorers is None or reader is None else reader(scorers, at),
            template=template,
            template_is_bad=is_bad,
            read_scorers=reader,
        )

    def _reader(self, path: Path) -> ScorerReader | None:
        if self.kinds is None:
            return None
        return ScorerReader(
            kinds=self.kinds,
            shorthand=self.shorthand,
            check=self.check,
            base_dir=str(path.parent),
            table=self.cases.scorers,
            faults=self.cases.faults,
        )

    def _template(self, data: Mapping[str, Json], at: At) -> tuple[str | None, bool]:
        """The key of the prompt of a file or a case, and whether it is there but cannot be read."""
        prompt, messages = data.get("prompt"), data.get("messages")
        if self.kinds is None or (prompt is None and messages is None):
            return None, False
        faults, key = self.cases.faults, "messages" if prompt is None else "prompt"
        if prompt is not None and messages is not None:
            faults.add(at("messages"), "both `prompt` and `messages`", "Keep one of them.")
            return None, True
        if prompt is None and (what := messages_problem(messages)):
            faults.add(at(key), what, "A message is {role: user, content: …}.")
            return None, True
        if prompt is not None and not isinstance(prompt, str):
            faults.add(at(key), "`prompt` is a text", "A prompt that starts with {{ needs quotes.")
            return None, True
        source = messages if prompt is None else prompt
        name = fingerprint(source)
        if name not in self.cases.templates:
            try:
                self.cases.templates[name] = Template(source)
            except BadTemplate as error:
                faults.add(at(key), f"the prompt is no template: {error}")
                return None, True
            self.cases.sources[name] = source
            self.template_places[name] = at(key)
        return name, False

    def _add_cases(self, data: Mapping[str, Json], document: Document, defaults: Defaults) -> None:
        faults, cases = self.cases.faults, data.get("cases")
        if cases is None:
            return
        if not isinstance(cases, list):
            faults.add(document.at(["cases"]), "`cases` is a list of cases")
            return
        for number, values in enumerate(cases):

            def at(*path: str | int, number: int = number) -> Place:
                return document.at(("cases", number, *path))

            if not isinstance(values, dict):
                faults.add(at(), "a case is a mapping", "For example {id: late-01, input: …, expected: …}.")
                continue
            for key in values:
                if key not in YAML_FIELDS:
                    hint = did_you_mean(key, YAML_FIELDS)
                    hint = hint if hint.startswith("Did") else "Template variables of a case stand under `metadata`."
                    faults.add(at(key), f"unknown key {quoted(key)}", hint)
            template, own = defaults.template, values.get("prompt") is not None
            if own:
                template, is_bad = self._template({"prompt": values["prompt"]}, at)
                if is_bad:
                    continue
            row = Row(values, at().line, at)
            self.cases.add(row, defaults, template, own_template=own)

    def _add_files(self, data: Mapping[str, Json], document: Document, defaults: Defaults, path: Path) -> None:
        named = data.get("cases_from")
        if named is None:
            return
        names = named if isinstance(named, list) else [named]
        if not names or not all(isinstance(name, str) and name for name in names):
            self.cases.faults.add(document.at(["cases_from"]), "`cases_from` is a file's name or a list of names")
            return
        for name in names:
            self._add_file(path.parent / name, document.at(["cases_from"]), defaults)

    def _add_file(self, file: Path, place: Place, defaults: Defaults) -> None:
        faults, found, before = self.cases.faults, len(self.cases.found), len(self.cases.faults)
        if not is_file(file):
            faults.add(place, f"there is no file {shown(file)}", _what_is_there(file))
            return
        _add_data(file, self.cases, replace(defaults, file=shown(file)))
        if len(self.cases.found) == found and len(faults) == before:
            faults.add(Place(shown(file)), "holds no case")
