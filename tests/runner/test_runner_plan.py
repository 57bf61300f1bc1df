"""Which cases run in which order."""

from collections import Counter

from builders import make_case
from hypothesis import given
from hypothesis import strategies as st

from evalgate.runner.plan import Plan


def test_each_case_comes_once_an_epoch_and_epochs_do_not_overlap() -> None:
    """A run that ends early has not repeated some cases while others were never asked."""
    cases = tuple(make_case(f"c{number}") for number in range(5))
    plan = Plan(cases=cases, epochs=3)
    pairs = [(case.id, epoch) for case, epoch in plan]
    assert [epoch for _, epoch in pairs] == [1] * 5 + [2] * 5 + [3] * 5
    assert plan.total == len(set(pairs)) == 15


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=60))
def test_every_beginning_of_the_plan_is_a_fair_sample_of_the_categories(names: list[str]) -> None:
    """After k of n cases each category has had k/n of its own, give or take two: rounding at both ends."""
    cases = tuple(make_case(f"c{number}", categories=(name,)) for number, name in enumerate(names))
    sizes = Counter(names)
    ordered = [case.categories[0] for case, _ in Plan(cases=cases)]
    for k in range(1, len(names) + 1):
        seen = Counter(ordered[:k])
        assert all(abs(seen[name] - k * size / len(names)) <= 2 for name, size in sizes.items())


def test_the_order_is_the_same_each_time() -> None:
    """A resumed run goes on where it was."""
    plan = Plan(cases=tuple(make_case(f"c{n}", categories=(f"k{n % 3}",)) for n in range(20)), epochs=2)
    assert list(plan) == list(plan)
