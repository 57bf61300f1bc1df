"""The bundled eval sets: what they hold, how the assistant does, and what the worse setting does to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from demo_suite import REPOSITORY, Marks, load_suite

from evalgate import endpoints, gate
from evalgate.config import load_config
from evalgate.demo import damage, evalsets_dir
from evalgate.demo.damage import HURT, WORSE, Damage
from evalgate.demo.pages import passages
from evalgate.demo.settings import Settings
from evalgate.records import EvalSet


@pytest.fixture(scope="module")
def suite() -> EvalSet:
    return load_suite()


@pytest.fixture(scope="module")
def measured(suite: EvalSet) -> Mapping[str, Damage]:
    return damage.measure(suite.cases, Marks(suite))


def test_ten_categories_with_enough_cases_each(suite: EvalSet) -> None:
    """Enough cases that a loss of nine is proof, in each category."""
    counts = Counter(category for case in suite.cases for category in case.categories)
    assert len(counts) == 10
    assert min(counts.values()) >= 24


def test_expected_contexts_exist(suite: EvalSet) -> None:
    """Nobody can find a passage that the handbook does not have."""
    known = {passage.id for passage in passages()}
    wanted = {id for case in suite.cases for id in case.metadata.get("expected_contexts", ())}
    assert wanted
    assert wanted <= known


def test_questions_are_all_different(suite: EvalSet) -> None:
    """The same question twice would count one success twice."""
    asked = Counter(" ".join(str(case.input).lower().split()) for case in suite.cases)
    assert [question for question, count in asked.items() if count > 1] == []


def test_scores_are_honest_and_imperfect(measured: Mapping[str, Damage]) -> None:
    """Each category has room to fall and to rise: a score from 70 to 97 %."""
    scores = {category: round(found.before, 3) for category, found in measured.items()}
    assert {category: score for category, score in scores.items() if not 0.70 <= score <= 0.97} == {}


def test_worse_setting_hurts_the_named_categories_and_no_other(measured: Mapping[str, Damage]) -> None:
    """What the gate has to find is fixed by the cases: three categories fall far, the rest stay where they are."""
    hurt = {category: found for category, found in measured.items() if category in HURT}
    assert set(hurt) == HURT
    assert all(found.net_loss >= 11 and len(found.mended) <= 1 for found in hurt.values())
    others = {category: found.net_loss for category, found in measured.items() if category not in HURT}
    assert {category: loss for category, loss in others.items() if abs(loss) > 2} == {}


def test_documented_table_is_what_is_measured(measured: Mapping[str, Damage]) -> None:
    """The table in the module's docstring is computed anew, line by line."""
    rows = [
        f"| {name:<17} | {found.n:>5} | {found.before:>6.3f} | {found.after:>5.3f} | {len(found.broken):>12} "
        f"| {len(found.mended):>12} | {'yes' if name in HURT else 'no':<4} |"
        for name, found in measured.items()
    ]
    written = (damage.__doc__ or "").splitlines()
    assert [row for row in rows if row not in written] == []


def test_same_setting_does_no_damage(suite: EvalSet) -> None:
    """The measure measures the setting alone: without a change nothing changes."""
    same = damage.measure(suite.cases[:40], Marks(suite), setting={"retrieval": {"passages": 5}})
    assert [(found.broken, found.mended) for found in same.values()] == [((), ())] * len(same)


def test_own_configuration_asks_for_the_defaults(suite: EvalSet) -> None:
    """The repository's own suite loads, and runs the assistant as it is documented: the worse setting is a change."""
    config = load_config(
        REPOSITORY / "evalgate.yaml", environ={}, endpoint_kinds=endpoints.KINDS, check_rules=gate.parse_rules
    )
    assert config.suite == "handbook"
    assert config.endpoint.callable == "evalgate.demo:answer"
    assert Settings.of(config.endpoint.params) == Settings() != Settings.of(WORSE)
    assert set(config.rule_categories) <= {category for case in suite.cases for category in case.categories}


def test_evalsets_are_found_in_a_checkout() -> None:
    """The folder of the repository, or the one packed into the package."""
    assert len(list(evalsets_dir().glob("handbook-*.yaml"))) == 10
