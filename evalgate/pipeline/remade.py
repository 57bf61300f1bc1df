"""The suite that an earlier run was made with, read from the run's commit: run files hold no requests.

It counts only where it makes the very version that the run had, of the very cases. Nothing of it is executed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from evalgate.config import Config
from evalgate.errors import Fault, InputError
from evalgate.pipeline.committed import suite_at
from evalgate.pipeline.load import Suite, secret_variables
from evalgate.records import CONFIG, Json, Run, fingerprint

if TYPE_CHECKING:
    from evalgate.pipeline.place import Place

_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def why_not(run: Run, place: Place) -> str | None:
    """Why `suite_of` cannot give a run's suite, as far as that is known without reading anything; None: it may."""
    if place.repository is None:
        return "there is no repository here"
    if run.commit is None or not _ID.fullmatch(run.commit):
        return "its commit is not known"
    if run.metadata.get("modified"):
        return "it was made on a modified tree"
    return None


def suite_of(run: Run, config: Config, place: Place) -> Suite:
    """The suite that a run was made with, all of its cases, as it stands at the run's commit.

    config: of the change; where its file lies the run's lay, unless the run tells. Raises InputError where `why_not`
    has an answer, or the commit cannot be read or makes something else than the run had, and RemoteError where the
    remote does not give it.
    """
    lacking = why_not(run, place)
    if lacking is not None:
        raise InputError(lacking)
    commit, path = str(run.commit), str(run.metadata.get(CONFIG) or place.told(config.path)[CONFIG])
    where = f"{commit[:10]}:{path}"
    try:
        then = suite_at(place.files(commit), commit, path, environ=place.environ)
    except OSError as error:
        raise InputError(Fault(where=where, what=f"cannot be copied: {error.strerror or error}")) from error
    if then.evalset is None:
        raise then.unread or AssertionError("eval sets are read where none are given to be the same")
    suite = Suite(
        config=then.config,
        evalset=then.evalset,
        selected=then.evalset.cases,
        selection=None,
        secrets=secret_variables(then.config, place.environ),
    )
    version = suite.version()
    if version.id != run.version.id:
        parts = ", ".join(_differing(version.parts, run.version.parts)) or "the version"
        what = f"makes another version here than it had ({parts}), as where a variable has another value"
        raise InputError(Fault(where=where, what=what))
    other = _other_case(run, suite)
    if other is not None:
        raise InputError(Fault(where=where, what=f"the case {other[:80]!r} is not the one that the run had"))
    return suite


def _differing(here: Mapping[str, Json], there: Mapping[str, Json]) -> list[str]:
    """The names of the parts that differ; prompts may stand there as fingerprints."""
    return sorted(
        name
        for name in {*here, *there}
        if here.get(name) != there.get(name) and fingerprint(here.get(name)) != there.get(name)
    )


def _other_case(run: Run, suite: Suite) -> str | None:
    """The first of a run's cases that the suite has not, or with another content; None: it has them all."""
    cases = ((suite.selected[place].id, suite.contents[place]) for place in suite.order)
    found = next(cases, None)
    for case in run.cases:  # sorted by id, as those are
        while found is not None and found[0] < case.id:
            found = next(cases, None)
        if found != (case.id, case.content):
            return case.id
    return None
