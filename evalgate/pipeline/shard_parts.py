"""Which part of a run is this machine's: told by `--shard`, or by the variables of whatever started it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from evalgate.errors import Fault, InputError
from evalgate.records import Case
from evalgate.spool import gathered

MOST_SHARDS = 100_000

AUTO = "auto"


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """The I-th of N parts."""

    index: int
    """From 1."""
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def holds(self, case_id: str) -> bool:
        """Whether a case is of this part. Depends on nothing but its id and N: a case more moves no other."""
        place = hashlib.sha256(case_id.encode("utf-8", "surrogatepass")).digest()[:8]
        return int.from_bytes(place, "big") % self.count == self.index - 1

    def of(self, cases: Iterable[Case]) -> Sequence[Case]:
        """Its cases, in their order; there may be none where the cases are few."""
        return gathered(case for case in cases if self.holds(case.id))


@dataclass(frozen=True, kw_only=True, slots=True)
class Scheduler:
    """How something that starts N jobs tells each which one it is."""

    name: str
    index: str
    """The variable with the job's number."""
    count: str
    """The variable with N."""
    first: int
    """What the first job's number is."""
    first_from: str | None = None
    """A variable that says so instead."""
    step_from: str | None = None
    """A variable with the distance between two numbers."""


SCHEDULERS = (
    Scheduler(name="GitLab, Semaphore", index="CI_NODE_INDEX", count="CI_NODE_TOTAL", first=1),
    Scheduler(name="CircleCI", index="CIRCLE_NODE_INDEX", count="CIRCLE_NODE_TOTAL", first=0),
    Scheduler(name="Buildkite", index="BUILDKITE_PARALLEL_JOB", count="BUILDKITE_PARALLEL_JOB_COUNT", first=0),
    Scheduler(
        name="Slurm array",
        index="SLURM_ARRAY_TASK_ID",
        count="SLURM_ARRAY_TASK_COUNT",
        first=0,
        first_from="SLURM_ARRAY_TASK_MIN",
        step_from="SLURM_ARRAY_TASK_STEP",
    ),
    Scheduler(name="Slurm tasks", index="SLURM_PROCID", count="SLURM_NTASKS", first=0),
    Scheduler(name="Kubernetes indexed job", index="JOB_COMPLETION_INDEX", count="JOB_COMPLETIONS", first=0),
)
"""The first whose index is set is asked."""

OWN = "EVALGATE_SHARD"
"""Asked before all of them: `2/4`, as a workflow sets it from its matrix."""


def parse_part(text: str, environ: Mapping[str, str]) -> Part:
    """The part that `--shard` asks for: `I/N`, `auto`, or `auto/N` where the scheduler does not tell N.

    Raises InputError where it is no such thing, and where no variable tells.
    """
    index, _, count = text.strip().partition("/")
    if index == AUTO:
        return _from_environ(environ, None if not count and "/" not in text else _number(text, count))
    return _part("--shard", _number(text, index), _number(text, count))


def _number(text: str, digits: str) -> int:
    if re.fullmatch(r"[0-9]{1,9}", digits) is None:
        hint = "Write 2/4 for the second of four, `auto`, or `auto/4`."
        raise InputError(Fault(where="--shard", what=f"{text!r} names no part", hint=hint))
    return int(digits)


def _part(where: str, index: int, count: int) -> Part:
    if not 1 <= index <= count <= MOST_SHARDS:
        hint = f"Parts count from 1 to N, and N is at most {MOST_SHARDS:,}."
        raise InputError(Fault(where=where, what=f"there is no part {index} of {count}", hint=hint))
    return Part(index=index, count=count)


def _from_environ(environ: Mapping[str, str], count: int | None) -> Part:
    own = environ.get(OWN, "").strip()
    if own:
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", own)
        if found is None:
            raise InputError(Fault(where=OWN, what=f"{own!r} is no I/N", hint="Set it to 2/4 for the second of four."))
        return _agreed(OWN, _part(OWN, int(found[1]), int(found[2])), count)
    for scheduler in SCHEDULERS:
        if environ.get(scheduler.index, "").strip():
            return _told_by(scheduler, environ, count)
    names = ", ".join([OWN, *(scheduler.index for scheduler in SCHEDULERS)])
    hint = f"Write --shard I/N, or set one of: {names}."
    raise InputError(Fault(where="--shard auto", what="no variable says which part this is", hint=hint))


def _told_by(scheduler: Scheduler, environ: Mapping[str, str], count: int | None) -> Part:
    def value(name: str | None, absent: int | None) -> int:
        text = environ.get(name, "").strip() if name else ""
        if not text and absent is not None:
            return absent
        if re.fullmatch(r"[0-9]{1,9}", text) is None:
            what = f"is {text!r}, which is no number" if text else "is not set"
            hint = f"{scheduler.name} sets it; otherwise write --shard I/N, or `auto/N`."
            raise InputError(Fault(where=str(name), what=what, hint=hint))
        return int(text)

    first, step = value(scheduler.first_from, scheduler.first), value(scheduler.step_from, 1)
    offset, rest = divmod(value(scheduler.index, None) - first, max(1, step))
    if rest:
        what = f"{environ[scheduler.index]} is none of {first}, {first + step}, …"
        raise InputError(Fault(where=scheduler.index, what=what, hint="Number the jobs evenly."))
    return _agreed(scheduler.count, _part(scheduler.index, offset + 1, value(scheduler.count, count)), count)


def _agreed(where: str, part: Part, count: int | None) -> Part:
    if count is not None and part.count != count:
        what = f"says that there are {part.count} parts, --shard says {count}"
        raise InputError(Fault(where=where, what=what, hint="Leave one of them out."))
    return part
