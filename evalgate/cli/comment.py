"""`evalgate comment`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evalgate.cli import console
from evalgate.cli.options import StoreOption
from evalgate.errors import Fault, InputError

if TYPE_CHECKING:
    from evalgate.github.briefs import Ended


def comment(
    verdict: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="A verdict, as `--write json=FILE` wrote it. In a job of workflow_run: none, or a result file.",
        ),
    ] = None,
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
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", metavar="FILE", help="Of the default branch, from its top, in a job of workflow_run."
        ),
    ] = None,
    store: StoreOption = None,
    artifact: Annotated[
        str | None, typer.Option(metavar="NAME", help="What the run of a fork has left. Default: evalgate-result.")
    ] = None,
) -> int:
    """Post a verdict on the pull request of this GitHub Actions job: one comment per suite, kept up to date.

    In a job that the end of a fork's run has started (workflow_run) the verdict is made here, of what that run has
    left: by the default branch's rules, eval sets and history, without a checkout.
    """
    import os

    from evalgate.github import trigger
    from evalgate.github.publish import comment_from_files

    is_second = trigger.is_one(os.environ)
    mine = {"--config": config, "--store": store, "--artifact": artifact}
    others = {"--markdown": markdown, "--job-result": job_result, "--exit-code": exit_code, "--check": check or None}
    _refuse(others if is_second else mine, "in a job of workflow_run" if is_second else "outside a job of workflow_run")
    if is_second:
        _second_stage(verdict, config, store, artifact)
        return 0
    if verdict is None:
        hint = "Name a verdict file, or call it in a job of workflow_run."
        raise InputError(Fault(where="evalgate comment", what="there is no FILE", hint=hint))
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


def _refuse(options: Mapping[str, object], where: str) -> None:
    """Raises InputError for the first of these options that was given: it would be passed over."""
    for name, value in options.items():
        if value is not None:
            raise InputError(Fault(where=name, what=f"says nothing {where}", hint="Leave it out."))


def _second_stage(file: Path | None, config: Path | None, store: str | None, artifact: str | None) -> None:
    from evalgate.pipeline.second_stage import StageOptions, comment_on_fork

    options = StageOptions(file=file, store=store)
    options = options if config is None else replace(options, config=config)
    options = options if artifact is None else replace(options, artifact=artifact)
    comment_on_fork(options, console.say)


def _ended(job_result: str | None, exit_code: int | None) -> Ended | None:
    """How the evaluating job ended. Raises InputError for a word that GitHub does not use."""
    from evalgate.github.briefs import Ended, JobResult

    if job_result is None:
        return None
    if job_result not in list(JobResult):
        hint = f"Write `--job-result=${{{{ needs.evaluate.result }}}}`: it is one of {', '.join(JobResult)}."
        raise InputError(Fault(where="--job-result", what=f"{job_result[:40]!r} is unknown", hint=hint))
    return Ended(result=JobResult(job_result), exit_code=exit_code)
