"""`evalgate comment`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evalgate.cli import console
from evalgate.errors import Fault, InputError

if TYPE_CHECKING:
    from evalgate.github.briefs import Ended


def comment(
    verdict: Annotated[Path, typer.Argument(metavar="FILE", help="A verdict, as `--write json=FILE` wrote it.")],
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its report, as `--write markdown=FILE` wrote it.")
    ] = None,
    job_result: Annotated[
        str | None,
        typer.Option(
            metavar="RESULT",
            help="How the job that evaluates ended (`needs.JOB.result`). FILE may be absent then: the comment says so.",
        ),
    ] = None,
    exit_code: Annotated[
        int | None, typer.Option(metavar="N", help="The exit code of its run, where there is one.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Make a check run, too. The job needs `checks: write`.")
    ] = False,
    annotations: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What it shows at the lines of cases; from the Action's step.")
    ] = None,
) -> int:
    """Post a verdict on the pull request of this GitHub Actions job: one comment per suite, kept up to date."""
    import os

    from evalgate.github.publish import comment_from_files

    posted = comment_from_files(
        verdict,
        markdown,
        environ=os.environ,
        ended=_ended(job_result, exit_code),
        check=check,
        annotations=annotations,
    )
    console.say(f"comment {posted.action.value}" + (f": {posted.why}" if posted.why else ""))
    return 0


def _ended(job_result: str | None, exit_code: int | None) -> Ended | None:
    """How the evaluating job ended. Raises InputError for a word that GitHub does not use."""
    from evalgate.github.briefs import Ended, JobResult

    if job_result is None:
        return None
    if job_result not in list(JobResult):
        hint = f"Write `--job-result=${{{{ needs.evaluate.result }}}}`: it is one of {', '.join(JobResult)}."
        raise InputError(Fault(where="--job-result", what=f"{job_result[:40]!r} is unknown", hint=hint))
    return Ended(result=JobResult(job_result), exit_code=exit_code)
