"""One thing that was looked at, what was found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from evalgate.errors import EvalgateError, InputError

MEND = 2
"""Exit code: something has to be mended by whoever owns the set-up."""
UNREACHED = 3
"""Exit code: something could not be reached or asked; the set-up itself may be right."""


class State(StrEnum):
    """What a look has shown."""

    OK = "ok"
    WARN = "warn"
    """It works, but not as well as it could, or not for long."""
    FAIL = "fail"
    SKIPPED = "skipped"
    """It was not looked at, and why."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the examination."""

    name: str
    """What was looked at, in a word or two."""
    state: State
    found: str
    """One sentence without a full stop."""
    advice: str = ""
    """What to do, in whole sentences; empty where nothing is."""
    exit_code: int = 0
    """What a failure makes of the exit code; 0 for every other state."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """The checks of one subject."""

    subject: str
    checks: tuple[Check, ...]


@dataclass(frozen=True, kw_only=True)
class Examination:
    """Everything that was looked at."""

    sections: tuple[Section, ...]

    @property
    def exit_code(self) -> int:
        """0 where nothing failed; 2 where something has to be mended, else 3 where something was out of reach."""
        codes = {check.exit_code for check in self.checks}
        return MEND if MEND in codes else max(codes, default=0)

    @property
    def checks(self) -> tuple[Check, ...]:
        return tuple(check for section in self.sections for check in section.checks)

    def count(self, state: State) -> int:
        return sum(check.state is state for check in self.checks)


def ok(name: str, found: str) -> Check:
    return Check(name=name, state=State.OK, found=found)


def warn(name: str, found: str, advice: str) -> Check:
    return Check(name=name, state=State.WARN, found=found, advice=advice)


def fail(name: str, found: str, advice: str, *, exit_code: int = MEND) -> Check:
    return Check(name=name, state=State.FAIL, found=found, advice=advice, exit_code=exit_code)


def skipped(name: str, found: str) -> Check:
    return Check(name=name, state=State.SKIPPED, found=found)


MOST_FAULTS = 10
"""How many faults of one kind are shown: the rest is seen when these are mended."""


def failures(name: str, error: EvalgateError) -> list[Check]:
    """The lines of an error: one for each fault that the user can mend, one for anything else."""
    code = MEND if error.exit_code == MEND else UNREACHED
    if not isinstance(error, InputError):
        return [fail(name, *split(str(error)), exit_code=code)]
    found = [
        fail(name, f"{fault.where}: {fault.what}" if fault.where else fault.what, fault.hint)
        for fault in error.faults[:MOST_FAULTS]
    ]
    more = len(error.faults) - len(found)
    return [*found, *([fail(name, f"and {more:,} faults more", "Mend these first.")] if more else [])]


def split(message: str) -> tuple[str, str]:
    """What is wrong and what to do, of a message that says both: its first sentence and the others."""
    what, _, advice = message.partition(". ")
    return what.rstrip("."), advice
