"""A run of any size is judged from columns, never from all of its cases and results at once."""

from evalgate.gate import Rules, decide
from evalgate.records import CaseRef, Nearest, Output, Run, VerdictName
from tests.builders import NOON, Made, make_scored, peak_bytes

CASES = 3000
MOST_BYTES = 600
"""A case, everything that the gate works out included: 200 of large runs. By id, in dictionaries, it took 2,000."""


def large(id: str) -> Run:
    """A run whose cases and results are made while somebody goes through them; of twenty cases eighteen pass."""
    return Run(
        id=id,
        suite="s",
        created=NOON,
        evalset="all",
        cases=Made(
            CASES, lambda n: CaseRef(id=f"case-{n:06}", categories=(f"facts-{n % 5}",), content=str(n), input="?" * 200)
        ),
        results=Made(
            CASES,
            lambda n: make_scored(
                f"case-{n:06}", float(n % 20 < 18), output=Output(text="text " * 50, response_id=f"{id}-{n}")
            ),
        ),
    )


def test_a_large_run_is_judged_without_being_held() -> None:
    """What is kept of a case are a few numbers, on both sides, whatever was asked and answered."""
    with peak_bytes() as peak:
        verdict = decide(large("now"), Nearest(runs=(large("then"),), why="the nearest", behind=1), Rules())
    assert verdict.verdict is VerdictName.PASS
    assert verdict.categories["*"].n == CASES
    assert peak[0] < CASES * MOST_BYTES
