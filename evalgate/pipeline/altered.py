"""What a change alters about how it is judged: rules, exceptions, cases, scorers, and where its keys and runs go."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from evalgate import gate
from evalgate.config import Config
from evalgate.pipeline.altered_cases import Sets, case_changes
from evalgate.pipeline.committed import Committed
from evalgate.records import ChangeKind, CommentWhen, Effect, EvalSet, Json, RuleChange, fingerprint
from evalgate.scorers.own import imported

_LOUDNESS = get_args(CommentWhen)
_ORDER = (Effect.WEAKENS, Effect.STRENGTHENS, Effect.NEITHER)


def altered(
    before: Committed,
    after: Config,
    evalset: Callable[[], EvalSet] | None,
    *,
    read: Callable[[str], bytes | None] | None = None,
) -> tuple[RuleChange, ...]:
    """Everything that differs, what weakens first.

    evalset: gives that of the change; None: it is not known, and neither it nor its scorers are compared. read: gives
    the content of a file of the change, named from its configuration's folder; None: it lies on disk.
    """
    found = [
        *gate.rule_changes(before.config.rules, after.rules),
        *gate.exception_changes(before.config.exceptions, after.exceptions),
        *_settings(before.config, after),
    ]
    if evalset is not None and before.unread is None:
        read = read or (lambda name: _bytes(after.base_dir / name))
        found += _sets(before, Sets(evalset=evalset(), base_dir=after.base_dir), read)
    return tuple(sorted(found, key=lambda change: _ORDER.index(change.effect)))


def _sets(before: Committed, after: Sets, read: Callable[[str], bytes | None]) -> Iterator[RuleChange]:
    then = None
    if before.evalset is not None:
        then = Sets(evalset=before.evalset, base_dir=before.config.base_dir)
        yield from case_changes(then, after)
    files = after.own_files() if then is None else after.own_files() & then.own_files()
    scorers = {name for name in files if before.holds(name)}
    helpers = {beside for name in scorers for side in (before.read, read) for beside in imported(name, side)} - scorers
    for name in sorted(scorers | helpers):
        old, new = _digest(before.read(name)), _digest(read(name))
        if old != new:
            what = f"what scorers import, {name}," if name in helpers else f"the scorer {name}"
            yield RuleChange(
                kind="own_scorer",
                where=name,
                effect=Effect.WEAKENS,
                sentence=f"{what} is another: what it judges is not compared",
                before=None if old is None else old[:12],
                after=None if new is None else new[:12],
            )


def _digest(content: bytes | None) -> str | None:
    return None if content is None else hashlib.sha256(content).hexdigest()


def _bytes(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


# ---- beside the rules -------------------------------------------------------------------------------------


def _settings(before: Config, after: Config) -> Iterator[RuleChange]:
    yield from _told("suite", "suite", "suite renamed: its history is another", before.suite, after.suite)
    then, now = (_mapping(side.raw, "endpoint").get("kind") for side in (before, after))
    # Recorded answers do not change, whatever the change does.
    yield from _told("endpoint", "endpoint.kind", "kind of endpoint that is tested", then, now, weakens=now == "replay")
    for key in ("endpoint", "judge", "baseline_endpoint"):
        yield from _keys_way(key, _mapping(before.raw, key), _mapping(after.raw, key))
    yield from _another("judge", "the model that judges", before, after)
    yield from _another("baseline_endpoint", "what is called again as the baseline", before, after)
    for key in ("store", "branch"):
        old, new = (_mapping(side.raw, "history").get(key) for side in (before, after))
        if old != new:
            what = "where earlier runs are looked for"
            yield _change("history", f"history.{key}", what, _without_password(old), _without_password(new))
    loudness, new_loudness = before.comment_when, after.comment_when
    is_quieter = _LOUDNESS.index(new_loudness) > _LOUDNESS.index(loudness)
    what = "when a pull request is commented on"
    yield from _told("comment", "comment.when", what, loudness, new_loudness, weakens=is_quieter)
    epochs, new_epochs = before.run.epochs, after.run.epochs
    is_less = 1 < new_epochs < epochs
    yield from _told("epochs", "run.epochs", "how often each case is called", epochs, new_epochs, weakens=is_less)


def _told(
    kind: ChangeKind, where: str, sentence: str, before: Json, after: Json, *, weakens: bool = True
) -> Iterator[RuleChange]:
    """What differs; nothing where nothing does."""
    if before != after:
        yield _change(kind, where, sentence, before, after, weakens=weakens)


def _change(
    kind: ChangeKind, where: str, sentence: str, before: Json, after: Json, *, weakens: bool = True
) -> RuleChange:
    effect = Effect.WEAKENS if weakens else Effect.NEITHER
    return RuleChange(kind=kind, where=where, effect=effect, sentence=sentence, before=before, after=after)


def _keys_way(key: str, before: Mapping[str, Json], after: Mapping[str, Json]) -> Iterator[RuleChange]:
    """Where a key is sent, and which one."""
    host, new_host = _host(before), _host(after)
    if host != new_host and _has_key(after):
        yield _change("key_host", f"{key}.base_url", f"host that the key of `{key}` is sent to", host, new_host)
    name, new_name = before.get("api_key_env"), after.get("api_key_env")
    if name != new_name and new_name is not None:
        yield _change("key_name", f"{key}.api_key_env", f"key that `{key}` sends", name, new_name)


def _another(
    key: Literal["judge", "baseline_endpoint"], sentence: str, before: Config, after: Config
) -> Iterator[RuleChange]:
    then, now = _mapping(before.raw, key), _mapping(after.raw, key)
    if fingerprint(then) != fingerprint(now):
        yield _change(key, key, sentence, _named(then), _named(now))


def _named(endpoint: Mapping[str, Json]) -> str | None:
    """An endpoint in a word or two; values that may hold a secret are left out."""
    if not endpoint:
        return None
    told = [endpoint.get("model"), endpoint.get("version"), _host(endpoint), endpoint.get("callable")]
    text = " at ".join(str(part) for part in told if part)
    return f"{text or endpoint.get('kind')} ({fingerprint(endpoint)[-6:]})"


def _host(endpoint: Mapping[str, Json]) -> str | None:
    """The host of an endpoint as written, where it may be a variable's name."""
    url = endpoint.get("base_url") or endpoint.get("url")
    if not isinstance(url, str):
        return None
    try:
        place = urlsplit(url).netloc or url.partition("/")[0]
    except ValueError:
        place = url
    return place.rpartition("@")[2]


def _has_key(endpoint: Mapping[str, Json]) -> bool:
    return endpoint.get("api_key_env") is not None or "${" in str(endpoint.get("headers"))


def _without_password(url: Json) -> Json:
    return re.sub(r"//[^/@]*@", "//…@", url) if isinstance(url, str) else url


def _mapping(raw: Mapping[str, Json], key: str) -> Mapping[str, Json]:
    value = raw.get(key)
    return value if isinstance(value, Mapping) else {}
