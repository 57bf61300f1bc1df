"""`evalgate demo tour`: record the bundled assistant, run it unchanged, break it, and see what the gate says."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from evalgate import demo
from evalgate.demo.damage import WORSE
from evalgate.pipeline.suite import Done, run_here
from evalgate.records import Run, VerdictName
from evalgate.report.model import Report

CONFIG = """\
version: 1
suite: handbook
evalsets: ["{evalsets}/handbook-*.yaml"]
endpoint:
  kind: python
  callable: "evalgate.demo:answer"
  params: {params}
run: {{concurrency: 8}}
history: {{store: "sqlite:///history.db"}}
"""


def take_tour(folder: Path | None, *, tell: Callable[[str], None], show: Callable[[Report, Run], None]) -> int:
    """Three runs in a folder of their own. Returns 0 where the gate passed what did not change and blocked what did."""
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="evalgate-tour-") as name:
            return _steps(Path(name), tell, show, is_kept=False)
    folder.mkdir(parents=True, exist_ok=True)
    return _steps(folder, tell, show, is_kept=True)


def _steps(folder: Path, tell: Callable[[str], None], show: Callable[[Report, Run], None], *, is_kept: bool) -> int:
    worse = json.dumps(WORSE)  # JSON is YAML
    tell("1 of 3: the assistant as it is. There is nothing to compare with yet, so the run is recorded.")
    _run(folder, "evalgate.yaml", "{}")
    tell("2 of 3: the same again, unchanged. The gate has to let it through.")
    unchanged = _run(folder, "evalgate.yaml", "{}")
    tell(f"         {unchanged.verdict.verdict.value}: {unchanged.verdict.reason}")
    tell(f"3 of 3: somebody changes one retrieval setting ({worse}). This is what the pull request would be told:")
    broken = _run(folder, "worse.yaml", worse)
    show(broken.judged.report(store=broken.store), broken.judged.run)
    if is_kept:
        tell(f"The files are in {folder}; there: `evalgate history`, `evalgate show latest`, `evalgate gate latest`.")
    was_right = unchanged.verdict.verdict is VerdictName.PASS and broken.verdict.verdict is VerdictName.FAIL
    return 0 if was_right else 1


def _run(folder: Path, name: str, params: str) -> Done:
    """One run in the folder: outside any repository, so that the newest good run there is the baseline."""
    return run_here(folder / name, CONFIG.format(evalsets=demo.evalsets_dir().as_posix(), params=params))
