"""`evalgate.yaml` → `Config`, with every fault of the file together. Kinds of endpoints and the check of rules are
passed in; knows no network and no store.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalgate.config.documents import TEXT, Document, is_file, read_text, read_yaml
from evalgate.config.exceptions import DEFAULT_FILE, read_exceptions
from evalgate.config.fields import Problem, read_fields
from evalgate.config.key_hosts import VARIABLE, misdirected, misdirected_store
from evalgate.config.places import Faults, did_you_mean, quoted, shown
from evalgate.config.settings import KEYS, CommentSettings, Config, HistorySettings, RunSettings
from evalgate.errors import Fault, InputError
from evalgate.records import Exceptions, Json

SHAPE = {"suite": TEXT, "exceptions": TEXT, "gate": {"removed_categories": TEXT}}

Keys = tuple[str | int, ...]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_KEY = re.compile(
    r"(x[-_])?(api[-_]?)?key|(proxy[-_])?authorization|passw(or)?d|((client|api|access|auth|bearer)[-_]?)?(secret|token)"
    r"|(access|secret|private)[-_]?key",
    re.IGNORECASE,
)
_SQLITE = re.compile(r"(sqlite(?:\+\w+)?:///)([^?]*)(.*)", re.DOTALL)


def load_config(
    path: Path,
    *,
    environ: Mapping[str, str],
    endpoint_kinds: Mapping[str, type],
    check_rules: Callable[[Mapping[str, Any]], Any],
    needs_endpoint: bool = True,
    needs_store: bool = True,
) -> Config:
    """The configuration in this file.

    environ: where `${VAR}` is looked up. endpoint_kinds: kind → a dataclass whose fields are the other keys of
    `endpoint`, with `problems()`. check_rules: what is under `gate` → rules, raising InputError with dotted paths.
    needs_endpoint: False leaves `endpoint`, `baseline_endpoint` and `judge` unread, for commands that call nothing
    (their variables may be undefined then). needs_store: False leaves `history.store` as it is written.
    Raises InputError with every fault of the file and of its file of exceptions.
    """
    if not path.exists():
        hint = "`evalgate init` writes one; `--config FILE` names another."
        raise InputError(Fault(where=shown(path), what="there is no such file", hint=hint))
    faults = Faults()
    document = read_yaml(path, faults, shape=SHAPE)
    if document is None:
        faults.raise_if_any()
        raise AssertionError("a document that cannot be read has a fault")
    reader = _Reader(document=document, base_dir=path.parent, environ=environ, kinds=endpoint_kinds, faults=faults)
    config = reader.config(path, check_rules, needs_endpoint, needs_store)
    faults.raise_if_any()
    assert config is not None
    return config


def read_endpoint(
    values: Mapping[str, Json], *, base_dir: Path, environ: Mapping[str, str], endpoint_kinds: Mapping[str, type]
) -> Any:
    """The settings of an endpoint that is written outside a configuration, such as a judge's own.

    Raises InputError with every fault; they name the keys, not a line.
    """
    faults = Faults()
    document = Document(file="endpoint of the judge", data={"judge": dict(values)}, root=None)
    reader = _Reader(document=document, base_dir=base_dir, environ=environ, kinds=endpoint_kinds, faults=faults)
    _, settings = reader._endpoint({"judge": dict(values)}, "judge")
    faults.raise_if_any()
    return settings


def load_endpoint(path: Path, *, environ: Mapping[str, str], endpoint_kinds: Mapping[str, type]) -> Any:
    """The settings under `endpoint` of a configuration's file, whatever else it holds.

    environ, endpoint_kinds: as for `load_config`. Raises InputError with every fault of them.
    """
    faults = Faults()
    document = read_yaml(path, faults, shape=SHAPE)
    faults.raise_if_any()
    assert document is not None
    reader = _Reader(document=document, base_dir=path.parent, environ=environ, kinds=endpoint_kinds, faults=faults)
    _, settings = reader._endpoint(document.data if isinstance(document.data, dict) else {}, "endpoint")
    faults.raise_if_any()
    return settings


@dataclass(kw_only=True)
class _Reader:
    document: Document
    base_dir: Path
    environ: Mapping[str, str]
    kinds: Mapping[str, type]
    faults: Faults

    def fault(self, path: Keys, what: str, hint: str = "") -> None:
        self.faults.add(self.document.at(path), what, hint)

    def config(
        self, path: Path, check_rules: Callable[[Mapping[str, Any]], Any], needs_endpoint: bool, needs_store: bool
    ) -> Config | None:
        """The configuration; None where a part of it could not be made (the faults say why)."""
        data = self.document.data
        if not isinstance(data, dict):
            what = "the file is empty" if data is None else "a configuration is a mapping"
            self.fault((), what, "It begins with `version: 1`, `suite:`, `evalsets:` and `endpoint:`.")
            return None
        for key in data:
            if key not in KEYS:
                self.fault((key,), f"unknown key {quoted(key)}", did_you_mean(key, KEYS))
        self._version(data)
        run = self._section(RunSettings, data, "run")
        history = self._section(HistorySettings, data, "history")
        comment = self._section(CommentSettings, data, "comment", bare="when")
        suite, patterns = self._suite(data), self._patterns(data)
        kind, endpoint = self._endpoint(data, "endpoint") if needs_endpoint else (None, None)
        baseline_kind, baseline = self._other_endpoint(data, "baseline_endpoint", needs_endpoint)
        judge_kind, judge = self._other_endpoint(data, "judge", needs_endpoint)
        rules = self._rules(data, check_rules)
        written = history.store if history else None
        store = self._store(written) if needs_store else written or ""
        exceptions = self._exceptions(data)
        if len(self.faults) or run is None or history is None or comment is None:
            return None
        gate = data.get("gate") or {}
        return Config(
            path=path,
            base_dir=self.base_dir,
            suite=suite,
            evalsets=tuple(patterns),
            endpoint=endpoint,
            endpoint_kind=kind or "",
            baseline_endpoint=baseline,
            baseline_endpoint_kind=baseline_kind,
            run=run,
            rules=rules,
            gate=gate,
            rule_categories={
                name: str(self.document.at(("gate", "categories", name)))
                for name in gate.get("categories") or {}
                if name not in (gate.get("removed_categories") or ())
            },
            exceptions=exceptions,
            pattern_places=patterns,
            history_store=store,
            history_branch=history.branch,
            history_outputs=history.outputs,
            judge=judge,
            judge_kind=judge_kind,
            comment_when=comment.when,
            comment_outputs=comment.outputs,
            raw=data,
        )

    def _version(self, data: Mapping[str, Json]) -> None:
        version = data.get("version", 1)
        if isinstance(version, bool) or version != 1:
            self.fault(("version",), "this evalgate reads configurations of version 1", "Write `version: 1`.")

    def _suite(self, data: Mapping[str, Json]) -> str:
        suite = data.get("suite")
        if suite is None:
            self.fault(("suite",), "`suite` is missing", "Name the suite: `suite: support-bot`.")
        elif not isinstance(suite, str) or not suite.strip() or not suite.isprintable() or len(suite) > 100:
            self.fault(("suite",), "`suite` is a text of one line and at most 100 characters")
        return suite if isinstance(suite, str) else ""

    def _patterns(self, data: Mapping[str, Json]) -> dict[str, str]:
        patterns = data.get("evalsets")
        hint = "Write `evalsets: [evalsets/*.yaml]`."
        if patterns is None:
            self.fault(("evalsets",), "`evalsets` is missing", hint)
        elif not isinstance(patterns, list) or not patterns:
            self.fault(("evalsets",), "`evalsets` is a list of files or patterns, at least one", hint)
        else:
            for number, pattern in enumerate(patterns):
                if not isinstance(pattern, str) or not pattern or not pattern.isprintable():
                    self.fault(("evalsets", number), "a pattern is a text", hint)
            return {
                pattern: str(self.document.at(("evalsets", number)))
                for number, pattern in enumerate(patterns)
                if isinstance(pattern, str)
            }
        return {}

    def _section(self, kind: type, data: Mapping[str, Json], key: str, *, bare: str | None = None) -> Any | None:
        """The settings under this key, defaults where it is absent; None, with faults, where it is wrong.

        bare: the setting that a text instead of a mapping stands for.
        """
        values = data.get(key)
        if values is None:
            return kind()
        if bare is not None and isinstance(values, str):
            values = {bare: values}
        if not isinstance(values, dict):
            self.fault((key,), f"`{key}` is a mapping" + (f", or what its `{bare}` is" if bare else ""))
            return None
        made, problems = read_fields(kind, values)
        self._tell(problems, key)
        return made

    def _tell(self, problems: list[Problem], key: str) -> None:
        for problem in problems:
            self.fault((key, *problem.path), problem.what, problem.hint)

    # ---- endpoints ----------------------------------------------------------------------------------------

    def _other_endpoint(self, data: Mapping[str, Json], key: str, is_needed: bool) -> tuple[str | None, Any | None]:
        """Kind and settings of an endpoint that may be absent."""
        return self._endpoint(data, key) if is_needed and data.get(key) is not None else (None, None)

    def _endpoint(self, data: Mapping[str, Json], key: str) -> tuple[str | None, Any | None]:
        """Kind and settings under `endpoint`, `baseline_endpoint` or `judge`."""
        values = data.get(key)
        if not isinstance(values, dict):
            what = f"`{key}` is missing" if values is None else f"`{key}` is a mapping"
            self.fault((key,), what, f"It says what is called: `{key}: {{kind: openai, …}}`.")
            return None, None
        before = len(self.faults)
        kind = values.get("kind")
        if not isinstance(kind, str) or kind not in self.kinds:
            what = "`kind` is missing" if kind is None else f"unknown kind {quoted(str(kind))}"
            self.fault((key, "kind"), what, did_you_mean(str(kind), self.kinds))
        self._refuse_secrets(values, (key,))
        filled = self._filled({name: value for name, value in values.items() if name != "kind"}, (key,))
        if isinstance(filled.get("system"), dict):
            filled["system"] = self._system(filled["system"], key)
        if not isinstance(kind, str) or kind not in self.kinds:
            return None, None
        made, problems = read_fields(self.kinds[kind], filled)
        # That a key is unknown need not be told of one that has been told to hold a secret.
        told = {(name,) for name, value in values.items() if _SECRET_KEY.fullmatch(name) and isinstance(value, str)}
        self._tell([problem for problem in problems if problem.path not in told], key)
        if made is None or len(self.faults) != before:
            return kind, None
        for name, what, hint in made.problems():
            self.fault((key, *self._dotted(values, name)), what, hint)
        for name, what, hint in misdirected(values, filled, self.environ):
            self.fault((key, name), what, hint)
        return kind, made

    def _refuse_secrets(self, values: Json, path: Keys) -> None:
        """Fault the keys and headers whose value looks like a secret that stands in the file itself."""
        if isinstance(values, list):
            for number, value in enumerate(values):
                self._refuse_secrets(value, (*path, number))
        if not isinstance(values, dict):
            return
        for name, value in values.items():
            here = (*path, name)
            if name.endswith("_env") and isinstance(value, str) and not _NAME.fullmatch(value):
                what = f"`{name}` is the name of a variable, never the key"
                self.fault(here, what, f"For example `{name}: OPENAI_API_KEY`, without $ and braces.")
            elif _SECRET_KEY.fullmatch(name) and isinstance(value, str) and "${" not in value:
                what = f"{quoted(name)} holds a secret, which does not belong into a file"
                self.fault(here, what, "Write the name of a variable: `api_key_env: NAME`, or `${NAME}` in a header.")
            else:
                self._refuse_secrets(value, here)

    def _system(self, value: Mapping[str, Json], key: str) -> str:
        name = value.get("file")
        if set(value) != {"file"} or not isinstance(name, str):
            self.fault((key, "system"), "`system` is a text or {file: path}")
            return ""
        path = self.base_dir / name
        if not is_file(path):
            self.fault((key, "system", "file"), f"there is no file {shown(path)}")
            return ""
        return read_text(path, self.faults) or ""

    def _filled(self, value: Json, path: Keys) -> Any:
        """A copy with `${VAR}` filled in."""
        if isinstance(value, dict):
            return {key: self._filled(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item, (*path, number)) for number, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value or str(path[-1]).endswith("_env"):
            return value  # what ends in _env is itself the name of a variable
        return VARIABLE.sub(lambda found: self._variable(found, path), value)

    def _variable(self, found: re.Match[str], path: Keys) -> str:
        if found[0] == "$${":
            return "${"
        name = found[1]
        if not found[0].endswith("}") or not _NAME.fullmatch(name):
            self.fault(
                path, "`${` is not followed by a variable's name and `}`", "Write `$${` for the characters themselves."
            )
            return ""
        value = self.environ.get(name)
        if not value:
            what = f"the variable {name} is {'not defined' if value is None else 'empty'}"
            self.fault(path, what, f"Define it before the call: `export {name}=…`.")
            return ""
        if any("\ud800" <= char <= "\udfff" for char in value):
            self.fault(path, f"the variable {name} is not UTF-8")
            return ""
        return value

    # ---- gate, exceptions and history ---------------------------------------------------------------------

    def _rules(self, data: Mapping[str, Json], check_rules: Callable[[Mapping[str, Any]], Any]) -> Any:
        gate = data.get("gate")
        if gate is not None and not isinstance(gate, dict):
            self.fault(("gate",), "`gate` is a mapping")
            return None
        try:
            return check_rules(dict(gate or {}))
        except InputError as error:
            for fault in error.faults:
                place = self.document.at(("gate", *self._dotted(gate, fault.where)))
                self.faults.add(place, fault.what, fault.hint)
        return None

    def _exceptions(self, data: Mapping[str, Json]) -> Exceptions:
        """What the named file holds, or the default file where none is named and it is there."""
        name = data.get("exceptions")
        if name is None:
            path = self.base_dir / DEFAULT_FILE
            return read_exceptions(path, self.faults) if path.exists() else Exceptions()
        if not isinstance(name, str) or not name or not name.isprintable():
            self.fault(
                ("exceptions",), "`exceptions` is the path of a file", f"For example `exceptions: {DEFAULT_FILE}`."
            )
        elif not is_file(self.base_dir / name):
            self.fault(
                ("exceptions",),
                f"there is no file {shown(self.base_dir / name)}",
                "Leave the key out where there is none.",
            )
        else:
            return read_exceptions(self.base_dir / name, self.faults)
        return Exceptions()

    def _dotted(self, data: Json, dotted: str) -> Keys:
        """The keys that a dotted path names; names of categories may hold dots themselves."""
        if isinstance(data, list):
            step, _, rest = dotted.partition(".")
            is_there = step.isdecimal() and int(step) < len(data)
            return (int(step), *self._dotted(data[int(step)], rest)) if is_there else ()
        if isinstance(data, dict):
            names = [name for name in data if dotted == name or dotted.startswith(name + ".")]
            if names:
                name = max(names, key=len)
                return (name, *self._dotted(data[name], dotted[len(name) + 1 :]))
        return ()

    def _store(self, written: str | None) -> str:
        """The store's URL; a relative SQLite path becomes absolute, from the configuration's folder."""
        path: Keys = ("history", "store")
        if written is None:
            return "sqlite:///" + (self.base_dir.resolve() / ".evalgate" / "history.db").as_posix()
        url: str = self._filled(written, path)
        if "://" not in url:
            if "${" not in written:
                self.fault(path, "`store` is a URL", "For example sqlite:///.evalgate/history.db or ${DATABASE_URL}.")
            elif url:
                self.fault(path, "`store` is a URL, and the variable holds none")
            return ""
        found = _SQLITE.fullmatch(url)
        for what, hint in misdirected_store(written, url, self.environ) if found is None else ():
            self.fault(path, what, hint)
        if found is None or found[2] in ("", ":memory:") or found[2].startswith("file:"):
            return url
        return found[1] + (self.base_dir.resolve() / found[2]).as_posix() + found[3]
