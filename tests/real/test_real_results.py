"""Published results of real systems, gated: what their sources say is what the gate says.

The data are not part of this repository; where they are absent these tests are skipped.
"""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from evalgate import decide
from evalgate.cli import call

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the published results are not beside this repository")

Rows = list[dict[str, Any]]


def load(name: str, system: str) -> Rows:
    """Recorded rows of one run; the texts are left out, as the gate does not read them."""
    wanted = ("id", "category", "score", "error", "epoch")
    with (DATA / name / f"results-{system}.jsonl").open(encoding="utf-8") as lines:
        return [{key: value for key, value in json.loads(line).items() if key in wanted} for line in lines]


def breaches(verdict: Any) -> set[str]:
    return {finding.category for finding in verdict.findings if finding.status == "breach"}


def test_code_broke_between_march_and_june_though_the_pooled_score_rose() -> None:
    """LLMDrift: prime and happy numbers rose, executable code fell from 22 to 2 %; the one category in breach."""
    march, june = (load("llmdrift", f"gpt-3.5-turbo-{version}") for version in ("0301", "0613"))
    verdict = decide(june, [march], {})
    assert (verdict.verdict.value, breaches(verdict)) == ("fail", {"code"})
    whole = next(f for f in verdict.findings if (f.category, f.rule) == ("*", "max_drop"))
    assert whole.delta is not None and whole.delta > 0.1
    assert verdict.categories["code"].before == pytest.approx(0.22)
    assert verdict.categories["code"].score == pytest.approx(0.02)


def test_code_that_now_comes_in_a_fence_is_shown_among_the_flips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Why it broke stands in the report: the same code, wrapped in a fence."""
    monkeypatch.chdir(tmp_path)
    files = [str(DATA / "llmdrift" / f"results-gpt-3.5-turbo-{version}.jsonl") for version in ("0301", "0613")]
    assert call(["import", *files, "--suite", "drift"]) == 0
    march, june = capsys.readouterr().out.split()
    assert call(["gate", june, "--baseline", march]) == 1
    report = capsys.readouterr().out
    flips = report[report.index("cases flipped") :]
    assert "✗ code" in flips
    assert "now       ```" in flips


def test_a_judge_without_its_rules_is_judged_per_category() -> None:
    """LLMBar: GPT-4 without the rules loses GPTInst and Neighbor; the other three are not proven to have fallen."""
    verdict = decide(load("llmbar", "GPT-4@Vanilla_NoRules"), [load("llmbar", "GPT-4@Vanilla")], {})
    assert breaches(verdict) - {"*"} == {"GPTInst", "Neighbor"}
    assert {"GPTOut", "Manual", "Natural"} <= set(verdict.categories)


def test_a_judge_with_swapped_instructions_loses_one_category_while_the_whole_rises() -> None:
    """LLaMA 2 with swapped prompts: one point better in all, and 12 worse on GPTOut."""
    verdict = decide(load("llmbar", "LLaMA2@Swap"), [load("llmbar", "LLaMA2@Vanilla")], {})
    whole = next(f for f in verdict.findings if (f.category, f.rule) == ("*", "max_drop"))
    assert whole.delta is not None and whole.delta > 0
    assert (verdict.verdict.value, breaches(verdict)) == ("fail", {"GPTOut"})


BASE = [f"gpt-3.5-base-trial{n}" for n in range(5)]
TUNED = [f"gpt-3.5-finetuned-trial{n}" for n in range(4)]


@pytest.mark.parametrize("candidate", range(5))
def test_identical_runs_pass_against_one_another(candidate: int) -> None:
    """llm-stability: five runs at temperature 0, each against every other alone and against all together."""
    runs = [load("llm_stability", system) for system in BASE]
    others = runs[:candidate] + runs[candidate + 1 :]
    for baseline in ([other] for other in others):
        assert decide(runs[candidate], baseline, {}).verdict.value in ("pass", "inconclusive")
    assert decide(runs[candidate], others, {}).verdict.value == "pass"


def test_every_ordered_pair_of_identical_trials_passes() -> None:
    """Twenty pairs of the base model, twelve of the fine-tuned one."""
    for systems in (BASE, TUNED):
        runs = [load("llm_stability", system) for system in systems]
        for candidate, base in itertools.permutations(runs, 2):
            assert decide(candidate, [base], {}).exit_code == 0


@pytest.mark.parametrize("pooled", range(1, 6))
def test_fine_tuning_broke_both_tasks(pooled: int) -> None:
    """224 and 240 of 250 became 111 and 163: both categories named, with any number of base runs pooled."""
    base = [load("llm_stability", system) for system in BASE[:pooled]]
    for tuned in (load("llm_stability", system) for system in TUNED):
        verdict = decide(tuned, base, {})
        assert verdict.verdict.value == "fail"
        assert breaches(verdict) - {"*"} == set(verdict.categories) - {"*"}


def test_an_agents_identical_trials_never_block() -> None:
    """tau-bench airline, four trials of 50 tasks that differ by a third of their outcomes: all twelve ordered pairs."""
    trials = [load("tau_airline", f"gpt-4o-trial{n}") for n in range(4)]
    for candidate, base in itertools.permutations(trials, 2):
        assert decide(candidate, [base], {}).exit_code == 0
    for number, candidate in enumerate(trials):
        assert decide(candidate, trials[:number] + trials[number + 1 :], {}).exit_code == 0


def test_a_weaker_model_blocks() -> None:
    """GSM8K: Llama 3.1 8B solves 84.0 %, Llama 3 8B 78.5 %. The other way round nothing blocks."""
    newer, older = (load("gsm8k", f"zeroeval-Meta-Llama-{version}-8B-Instruct") for version in ("3.1", "3"))
    assert decide(older, [newer], {}).verdict.value == "fail"
    assert decide(newer, [older], {}).exit_code == 0


def test_a_model_against_itself_passes() -> None:
    """GPT-4o, the very same results."""
    same = load("gsm8k", "zeroeval-gpt-4o-2024-05-13")
    verdict = decide(same, [same], {})
    assert verdict.verdict.value == "pass"
    assert breaches(verdict) == set()


def test_a_run_that_was_cut_short_is_an_error_as_candidate_and_never_a_pass_as_baseline() -> None:
    """Gemini's run has 681 of 1,319 items."""
    whole, part = load("gsm8k", "zeroeval-gpt-4o-mini-2024-07-18"), load("gsm8k", "zeroeval-gemini-1.5-flash-exp-0827")
    as_candidate = decide(part, [whole], {})
    assert (as_candidate.verdict.value, as_candidate.exit_code) == ("error", 3)
    assert as_candidate.reason.startswith("results are missing for 638 cases: gsm8k/")
    assert len(as_candidate.cases.missing) == 638
    as_baseline = decide(whole, [part], {})
    assert as_baseline.verdict.value != "pass"
