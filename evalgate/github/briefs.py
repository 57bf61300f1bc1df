"""What GitHub is told in a few lines: a verdict whose report does not fit, and a run that has no verdict.

Holds no word that a user wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from evalgate.github.event import Situation
from evalgate.github.verdict_file import VerdictFile
from evalgate.records import short


class JobResult(StrEnum):
    """How the job that evaluates ended, in GitHub's words (`needs.JOB.result`)."""

    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How the evaluating job ended: what there is to say where it has left no verdict."""

    result: JobResult
    exit_code: int | None = None
    """Of its run; None where none was started, or nobody knows."""


def short_report(verdict: VerdictFile, situation: Situation | None) -> str:
    """The verdict in two lines of Markdown for where the report does not fit."""
    rest = f"[in the job's log and files]({situation.run_url})" if situation else "in the job's log and files"
    first = f"**evalgate: {verdict.verdict}** (exit code {verdict.exit_code})"
    return f"{first}\n\nThe whole report does not fit here; it is {rest}.\n"


_EXITS = {
    1: "the gate failed, but left no verdict",
    2: "the configuration or the input is wrong",
    3: "it could not be evaluated",
    70: "evalgate itself failed",
    130: "it was interrupted",
}
_RESULTS = {
    JobResult.SUCCESS: "the job left no verdict",
    JobResult.FAILURE: "the job failed before there was a verdict",
    JobResult.CANCELLED: "the job was cancelled before there was a verdict",
    JobResult.SKIPPED: "the job was skipped",
}


def unevaluated_report(ended: Ended, situation: Situation) -> str:
    """What the comment says where a run has no verdict."""
    why = _RESULTS[ended.result]
    if ended.exit_code and ended.result is not JobResult.CANCELLED:
        what = _EXITS.get(ended.exit_code)
        why = f"the run ended with exit code {ended.exit_code}" + (f" ({what})" if what else "")
    return without_verdict(why, situation)


def without_verdict(why: str, situation: Situation) -> str:
    """What the comment says where there is no verdict. why: our own words, without a full stop."""
    return (
        f"> [!WARNING]\n"
        f"> **NOT EVALUATED**: there is no verdict on {short(situation.head_sha)}: {why}.\n"
        f">\n"
        f"> **Next:** See [the job's log]({situation.run_url}), mend it, and run the job again or push.\n\n"
        f"Nothing is known of this commit's quality; what was said here of an earlier one does not hold for it.\n"
    )
