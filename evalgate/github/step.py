"""What the Action's one real step does: inputs → history → `evalgate run` → summary, outputs, annotations → exit code.

    python -P -m evalgate.github.step

Inputs come as EVALGATE_INPUT_* variables, never as text in a script. The token is handed to the process that fetches
the history; the run's own has neither it nor the files through which a step speaks to the runner. That keeps honest
code honest; code that means harm shares the user account with this step, so a token that can write belongs into
another job (see `docs/github.md`).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from evalgate.errors import EvalgateError, Fault, InputError
from evalgate.github import event
from evalgate.github.actions import Annotation, annotation_commands, tell_faults, write_outputs, write_summary
from evalgate.github.annotate import annotate
from evalgate.github.briefs import Ended, JobResult, short_report
from evalgate.github.checks import write_annotations
from evalgate.github.misspelt import misspelt
from evalgate.github.publish import comment_from_files
from evalgate.github.verdict_file import VerdictFile, read_text, read_verdict
from evalgate.harmless import log_safe

PREFIX = "EVALGATE_INPUT_"
TEXTS = ("config", "baseline", "store")
PLACES = ("config", "store")
LISTS = ("category", "tag")
NUMBERS = {"sample": 1, "seed": 0, "limit": 1, "epochs": 1}
"""Each with the least that it may be."""
FLAGS = ("changed-only",)
SWITCHES = ("summary", "comment")
CHOICES = {"history": ("branch", "none")}
OTHERS = ("write-dir", "comment-login", "github-token")
REPORTED = {"json": "json", "markdown": "markdown", "junit": "junit", "result": "result", "history": "run-file"}
"""Output of the step by format, of the files that are one."""
_NOT_FOR_THE_RUN = re.compile(r"EVALGATE_INPUT_.*|GITHUB_(TOKEN|OUTPUT|ENV|PATH|STATE|STEP_SUMMARY)|GH_TOKEN")
_RECORDED = ("push", "schedule", "workflow_dispatch")
"""Events whose runs belong into the history, where they are the default branch's."""
_UNEVALUATED = 3
RECENT = "120d"
"""How much of the history a job fetches at first: more than the age at which a baseline is stale by default."""
_OWN_FILE_BYTES = 100_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """The Action's inputs, checked."""

    options: tuple[str, ...]
    """For `evalgate run`."""
    places: tuple[str, ...]
    """Options that say where the configuration and the history are, for other commands."""
    config: Path
    folder: Path
    """Where the report files go."""
    summary: bool
    comment: bool
    history: bool
    """Whether to fetch the history's branch first."""
    login: str | None
    token: str = field(repr=False)

    @property
    def annotations(self) -> Path:
        return self.folder / "annotations.json"

    @property
    def files(self) -> dict[str, Path]:
        """File by format, of what a run can leave."""
        names = {"json": "verdict.json", "markdown": "report.md", "summary": "summary.md", "junit": "junit.xml"}
        names |= {"result": "result.json", "history": "run.evalrun"}
        return {format: self.folder / name for format, name in names.items()}


def read_inputs(environ: Mapping[str, str]) -> Inputs:
    """The inputs among these variables. Raises InputError with every fault of theirs."""
    given = {
        name.removeprefix(PREFIX).lower().replace("_", "-"): value.strip()
        for name, value in environ.items()
        if name.startswith(PREFIX)
    }
    faults = [
        Fault(where=f"input {name}", what="is unknown", hint=f"There are: {', '.join(sorted(_ALL))}.")
        for name in sorted(given.keys() - _ALL)
    ]
    faults += misspelt(environ, {*_ALL, "working-directory"})
    options: list[str] = []
    for name in TEXTS:
        if given.get(name):
            options += [f"--{name}", given[name]]
    for name in LISTS:
        for value in re.split(r"[\n,]", given.get(name, "")):
            if value.strip():
                options += [f"--{name}", value.strip()]
    for name, least in NUMBERS.items():
        value = given.get(name, "")
        if value and (not re.fullmatch(r"0|[1-9][0-9]{0,8}", value) or int(value) < least):
            faults.append(Fault(where=f"input {name}", what=f"{value[:80]!r} is not a whole number from {least}"))
        elif value:
            options += [f"--{name}", value]
    options += [f"--{name}" for name in FLAGS if given.get(name) == "true"]
    for name in (*FLAGS, *SWITCHES):
        if given.get(name, "") not in ("true", "false"):
            faults.append(Fault(where=f"input {name}", what=f"{given.get(name, '')[:80]!r} is neither true nor false"))
    for name, choices in CHOICES.items():
        if given.get(name, "") not in choices:
            what = f"{given.get(name, '')[:80]!r} is none of {', '.join(choices)}"
            faults.append(Fault(where=f"input {name}", what=what))
    if not given.get("write-dir"):
        faults.append(Fault(where="input write-dir", what="is empty", hint="Name a folder for the report files."))
    if faults:
        raise InputError(faults)
    return Inputs(
        options=tuple(options),
        places=tuple(part for name in PLACES if given.get(name) for part in (f"--{name}", given[name])),
        config=Path(given.get("config") or "."),
        folder=Path(given["write-dir"]).absolute(),
        summary=given["summary"] == "true",
        comment=given["comment"] == "true",
        history=given["history"] == "branch",
        login=given.get("comment-login") or None,
        token=given.get("github-token", ""),
    )


_ALL = frozenset({*TEXTS, *LISTS, *NUMBERS, *FLAGS, *SWITCHES, *CHOICES, *OTHERS})


def run_step(environ: Mapping[str, str], log: TextIO, *, program: str = "evalgate") -> int:
    """Fetches the history, runs and reports; the exit code is the run's own.

    program: what evaluates, found on the PATH of `environ`. A history that cannot be fetched ends the step: not knowing
    it is not the same as there being none. Where GitHub does not take the comment, that is a warning: it says nothing
    about quality. Raises InputError for bad inputs, before anything ran.
    """
    inputs = read_inputs(environ)
    situation = event.read(environ)
    _clear(inputs)
    for_run = {name: value for name, value in environ.items() if not _NOT_FOR_THE_RUN.fullmatch(name)}
    verdict, notes = None, []
    exit_code = _pull(inputs, for_run, log, program) if inputs.history else 0
    if exit_code:
        notes.append(Annotation(level="error", title="evalgate history", message=_NO_HISTORY))
    else:
        wanted = inputs.files.keys() - (() if _is_recorded(situation) else ("history",))
        writes = [f"--write={format}={file}" for format, file in inputs.files.items() if format in wanted]
        ended = _run([program, "run", *inputs.options, *writes], for_run, log)
        verdict, exit_code = _verdict(inputs.files["json"], ended, log)
    if verdict is None:
        # Left behind, it would be uploaded, and posted by another job.
        inputs.files["json"].unlink(missing_ok=True)
    write_outputs(Path(environ["GITHUB_OUTPUT"]), _outputs(inputs, verdict, exit_code))
    roots = [Path(environ.get("GITHUB_WORKSPACE") or "."), Path.cwd(), inputs.config.parent]
    notes += annotate(verdict, exit_code, junit=inputs.files["junit"], roots=roots)
    write_annotations(inputs.annotations, notes)
    if verdict is not None:
        short = short_report(verdict, situation)
        if inputs.summary:
            write_summary(Path(environ["GITHUB_STEP_SUMMARY"]), _report(inputs.files["summary"], short), short=short)
    if inputs.comment:
        notes.insert(0, _comment(inputs, situation, environ, exit_code))
    for line in annotation_commands(notes):
        print(line, file=log, flush=True)
    return exit_code


def _clear(inputs: Inputs) -> None:
    """Removes the files of an earlier run: a stale verdict must never speak for a run that wrote none."""
    inputs.folder.mkdir(parents=True, exist_ok=True)
    for file in (*inputs.files.values(), inputs.annotations):
        file.unlink(missing_ok=True)


_NO_HISTORY = (
    "The history could not be fetched (see the log), so nothing was run: every change would look like a first one."
)


def _pull(inputs: Inputs, environ: Mapping[str, str], log: TextIO, program: str) -> int:
    """Fetches the history's branch into the store; 0, or the step's exit code. There being no branch yet is fine.

    Then has the baseline looked for once, with the token: it fetches the commits that a shallow checkout lacks, so
    that the run finds them there. What it finds stands in the log; what it does not find is the run's to tell. The
    last months are fetched first, and all of them only where no baseline is among those.
    """
    with_token = {**environ, **({"GITHUB_TOKEN": inputs.token} if inputs.token else {})}
    with _group("History", log):
        for months in (["--since", RECENT], []):
            ended = _run([program, "sync", "pull", *months, *inputs.places], with_token, log)
            if ended != 0 or _finds_baseline(inputs, with_token, log, program):
                break
    return ended if ended in (0, 2, 70, 130) else _UNEVALUATED


def _finds_baseline(inputs: Inputs, environ: Mapping[str, str], log: TextIO, program: str) -> bool:
    with TemporaryDirectory() as folder:
        found = Path(folder) / "baseline.json"
        _run([program, "baseline", "list", *inputs.places, "--write", f"json={found}"], environ, log)
        try:
            return bool(json.loads(found.read_bytes())["baseline"]["ids"])
        except (OSError, ValueError, KeyError, TypeError):
            return False


@contextmanager
def _group(title: str, log: TextIO) -> Iterator[None]:
    """What is printed within is folded in the log."""
    print(f"::group::{title}", file=log, flush=True)
    yield
    print("::endgroup::", file=log, flush=True)


def _is_recorded(situation: event.Situation | None) -> bool:
    """The run belongs into the history. Pull requests and merge groups do not: their commits may never land."""
    if situation is None or situation.event not in _RECORDED or situation.branch is None:
        return False
    # A schedule's payload does not name the default branch; it runs on no other.
    return situation.branch == situation.default_branch or situation.event == "schedule"


def _run(command: Sequence[str], environ: Mapping[str, str], log: TextIO) -> int:
    """The exit code of the command, its output printed harmless line by line."""
    try:
        process = subprocess.Popen(
            command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as fault:
        raise InputError(
            f"{command[0]} cannot be started ({fault.strerror}). Was the installing step left out?"
        ) from fault
    with process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                print(log_safe(line.decode("utf-8", "replace").rstrip("\r\n")), file=log, flush=True)
            return process.wait()
        except KeyboardInterrupt:
            # A cancelled job interrupts the whole process group: the run is already writing down where it stopped.
            process.wait()
            return 130


def _verdict(file: Path, ended: int, log: TextIO) -> tuple[VerdictFile | None, int]:
    """The verdict and this step's exit code. A run that says 0 without a matching verdict has shown nothing."""
    if ended < 0:
        print(f"The run was ended by signal {-ended}.", file=log)
        return None, _UNEVALUATED
    if ended not in (0, 1, 3):
        return None, ended
    try:
        verdict = read_verdict(file, max_bytes=_OWN_FILE_BYTES)
    except InputError as fault:
        print(log_safe(str(fault)), file=log)
        return None, _UNEVALUATED
    if verdict.exit_code != ended:
        print(f"The run exited {ended}, but its verdict file says {verdict.exit_code}.", file=log)
        return None, _UNEVALUATED
    return verdict, ended


def _report(file: Path, short: str) -> str:
    try:
        return read_text(file)
    except InputError:
        # Missing, or larger than the place it is meant for.
        return short


def _outputs(inputs: Inputs, verdict: VerdictFile | None, exit_code: int) -> dict[str, str]:
    files = {output: inputs.files[format] for format, output in REPORTED.items()}
    return {
        "verdict": verdict.verdict if verdict else "",
        "exit-code": str(exit_code),
        "run-id": (verdict.run_id or "") if verdict else "",
        **{output: str(file) if file.exists() else "" for output, file in files.items()},
    }


def _comment(
    inputs: Inputs, situation: event.Situation | None, environ: Mapping[str, str], exit_code: int
) -> Annotation:
    title = "evalgate comment"
    if situation is None or situation.pull is None:
        return Annotation(level="notice", title=title, message="Not a pull request, so there is no comment to write.")
    markdown = inputs.files["markdown"]
    try:
        posted = comment_from_files(
            inputs.files["json"],
            markdown if markdown.exists() else None,
            environ=environ,
            ended=Ended(result=JobResult.FAILURE, exit_code=exit_code),
            token=inputs.token,
            login=inputs.login,
        )
    except EvalgateError as fault:
        return Annotation(level="warning", title=title, message=str(fault))
    return Annotation(
        level="notice", title=title, message=f"{posted.action}: {posted.why}" if posted.why else posted.action
    )


if __name__ == "__main__":
    sys.exit(tell_faults("evalgate", lambda: run_step(os.environ, sys.stdout), sys.stdout))
