"""Results are handed over in order, however they came."""

from builders import make_scored
from hypothesis import given
from hypothesis import strategies as st

from evalgate.runner.collected import Collected

keys = st.lists(st.tuples(st.text(max_size=3), st.integers(1, 4)), unique=True, max_size=30)


@given(keys)
def test_results_come_out_sorted_by_case_and_epoch(found: list[tuple[str, int]]) -> None:
    """Whatever order the workers finish in, the run is the same."""
    collected = Collected(0)
    for case_id, epoch in found:
        collected.add(make_scored(case_id, epoch=epoch))
    assert collected.keys() == frozenset(found)
    assert len(collected) == len(found)
    assert [(result.case_id, result.epoch) for result in collected.in_order()] == sorted(found)
