"""How numbers are shown."""

from __future__ import annotations

from typing import Any

import pytest

from evalgate.report import numbers


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (numbers.count(0, "case"), "0 cases"),
        (numbers.count(1, "case"), "1 case"),
        (numbers.count(1234, "case"), "1,234 cases"),
        (numbers.count(2, "category", "categories"), "2 categories"),
        (numbers.percent(0.829), "82.9 %"),
        (numbers.percent(1.0), "100.0 %"),
        (numbers.percent(0.0), "0.0 %"),
        (numbers.percent(None), "–"),
        (numbers.points(-0.081), "−8.1"),
        (numbers.points(0.004), "+0.4"),
        (numbers.points(-0.0), "0.0"),
        (numbers.points(-0.0004), "0.0"),
        (numbers.points(None), "–"),
        (numbers.interval((-0.13, -0.034)), "−13.0 to −3.4"),
        (numbers.interval((-0.01, 0.02)), "−1.0 to +2.0"),
        (numbers.interval(None), "–"),
        (numbers.money(None), "unknown"),
        (numbers.money(0.0), "0.00 USD"),
        (numbers.money(1234.5), "1,234.50 USD"),
        (numbers.money(0.42), "0.42 USD"),
        (numbers.money(0.052), "0.052 USD"),
        (numbers.money(0.00021), "0.00021 USD"),
        (numbers.money(1e-15), "0.00000000000 USD"),
        (numbers.seconds(None), "–"),
        (numbers.seconds(0.0), "0 ms"),
        (numbers.seconds(0.42), "420 ms"),
        (numbers.seconds(0.9996), "1.0 s"),
        (numbers.seconds(59.97), "1 min 0 s"),
        (numbers.seconds(252), "4 min 12 s"),
        (numbers.seconds(3599.7), "1 h 0 min"),
        (numbers.seconds(7500), "2 h 5 min"),
        (numbers.age(None), "of unknown age"),
        (numbers.age(-5), "less than a minute"),
        (numbers.age(59), "less than a minute"),
        (numbers.age(60), "1 minute"),
        (numbers.age(7_300), "2 hours"),
        (numbers.age(172_800), "2 days"),
        (numbers.measure("latency_p95_s", 2.4), "2.4 s"),
        (numbers.measure("cost_per_call_usd", 0.002), "0.0020 USD"),
        (numbers.measure("tokens_per_call", 1234.4), "1,234"),
        (numbers.measure("tokens_per_call", 34.25), "34.2"),
        (numbers.measure("error_rate", 0.02), "2.0 %"),
        (numbers.measure("cost_per_call_usd", None), "–"),
        (numbers.metric_name("latency_p95_s"), "latency p95"),
        (numbers.metric_name("cost_per_call_usd"), "cost per call"),
        (numbers.metric_name("error_rate"), "error rate"),
    ],
)
def test_a_number_is_shown_in_its_unit(shown: str, expected: str) -> None:
    """Every kind of number has one way to be shown."""
    assert expected == shown


@pytest.mark.parametrize("rate", [0.9996, 0.99999, 1 - 1e-12])
def test_nearly_all_is_not_shown_as_all(rate: float) -> None:
    """One failure among ten thousand is not rounded away."""
    assert numbers.percent(rate) == ">99.9 %"


@pytest.mark.parametrize("rate", [0.0004, 1e-9])
def test_nearly_nothing_is_not_shown_as_nothing(rate: Any) -> None:
    """One pass among ten thousand is not rounded away."""
    assert numbers.percent(rate) == "<0.1 %"
