"""The Python door: `evalgate.decide`, `evalgate.run`, `evalgate.open_history`.

Everything heavy is imported by the function that needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from evalgate.errors import Fault, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from evalgate.history.store import History
    from evalgate.records import Run, Verdict

_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)


def decide(candidate: Any, baseline: Sequence[Any], rules: Mapping[str, Any] | None = None) -> Verdict:
    """The verdict on recorded results against earlier ones. Pure: the same input, in any order, gives the same bytes.

    candidate: recorded-result mappings (see `evalgate.rows`), or a pandas DataFrame with those columns.
    baseline: a list of such, one a run; `[]` is no baseline.
    rules: what stands under `gate:` in a configuration; `{}` is the defaults.
    Returns a `Verdict`; its `to_dict()` is the JSON `evalgate.verdict/1` with the run's fields null.
    Raises evalgate.InputError for bad rows or rules, naming all of them. Not raised and no verdict on quality:
    missing results, too many errors, nothing to compare with; those are verdicts of their own.
    """
    from dataclasses import replace

    from evalgate import gate
    from evalgate.records import Missing, Pinned

    checked = gate.parse_rules(rules)
    if checked.anchor is not None:
        hint = "Leave it out, or gate a stored run: `evalgate gate RUN --config FILE`."
        raise InputError(Fault(where="anchor", what="names a run of a history, and there is none here", hint=hint))
    run = _run(candidate, "candidate")
    runs = [_run(rows, f"baseline run {number}") for number, rows in enumerate(_each(baseline), start=1)]
    # Pooling is symmetric; sorting makes the bytes so too.
    runs.sort(key=_order)
    why = f"given by the caller: {len(runs)} run{'' if len(runs) == 1 else 's'}"
    pinned = Pinned(runs=tuple(runs), why=why) if runs else Missing(reason="none was given")
    verdict = gate.decide(run, pinned, checked)
    nameless = replace(verdict.baseline, ids=())
    return replace(verdict, suite=None, run_id=None, run_version=None, run_created=None, baseline=nameless)


def _each(baseline: Any) -> list[Any]:
    """The runs of a baseline, each still as it was given."""
    hint = "For one run write [rows], for none []."
    if _is_frame(baseline) or isinstance(baseline, (str, bytes, Mapping)) or not isinstance(baseline, Iterable):
        raise InputError(Fault(where="baseline", what="is a list of runs, each a list of rows", hint=hint))
    runs = list(baseline)
    if any(isinstance(item, Mapping) for item in runs):
        what = "is a list of runs, each a list of rows; these are rows"
        raise InputError(Fault(where="baseline", what=what, hint=hint))
    return runs


def _run(given: Any, name: str) -> Run:
    """The run of a DataFrame's rows, or of any iterable of mappings."""
    from evalgate.rows import run_from_rows

    if _is_frame(given):
        # An empty cell of a table is nothing, whatever mark its column uses for it.
        given = given.astype(object).where(given.notna(), None).to_dict("records")
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise InputError(Fault(where=name, what="is an iterable of rows (mappings) or a DataFrame"))
    rows = ((f"{name}, row {number}", row) for number, row in enumerate(given, start=1))
    return run_from_rows(rows, id="", suite="", created=_NO_TIME, name=name)


def _is_frame(given: Any) -> bool:
    return hasattr(given, "to_dict") and hasattr(given, "columns")


def _order(run: Run) -> list[tuple[str, int, float, str]]:
    """What of a run its place among others may depend on."""
    categories = {ref.id: "\0".join(ref.categories) for ref in run.cases}
    return [
        (result.case_id, result.epoch, getattr(result, "score", -1.0), categories[result.case_id])
        for result in run.results
    ]


def run(config: str | Path, **options: Any) -> Verdict:
    """Run the suite of a configuration file, record it, gate it: what `evalgate run` does, without printing.

    options: as of `evalgate.pipeline.suite.RunOptions`. Raises InputError, StoreError.
    """
    from pathlib import Path

    from evalgate.pipeline.suite import RunOptions, run_suite

    return run_suite(RunOptions(config=Path(config), **options)).verdict


def open_history(url: str) -> History:
    """The history store at this URL (`sqlite:///path` or `postgresql://…`), to read or to close after use."""
    from evalgate.history.store import History

    return History.open(url)
