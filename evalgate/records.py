"""The values that flow from stage to stage. All frozen: change one with `dataclasses.replace`.

    Case → Request → Output → Score → Result → Run → Baseline → Finding → Verdict

Rates and scores are in [0, 1], `_s` is seconds, `_usd` dollars, unknown is None and never 0.
This module imports nothing of evalgate and knows no file, network, clock or store.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Literal, TypeAlias

Json: TypeAlias = Any
"""Whatever JSON can hold: None, bool, int, float, str, list, dict."""

EVERY_CASE = "*"
"""The category that stands for every case, in output."""

VERDICT_SCHEMA = "evalgate.verdict/1"
CommentWhen: TypeAlias = Literal["always", "on_change", "on_failure", "never"]
"""When a pull request gets a comment. One that is there already is kept up to date whatever this says."""


def fingerprint(value: Json) -> str:
    """A short name for a content: the first 16 hex digits of the SHA-256 of its canonical JSON, tagged `s1:`.

    Equal values give equal names whatever the order of keys. 64 bits: collisions are not to be feared among
    the millions of cases of one history, but it is no protection against somebody who looks for one.
    """
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return "s1:" + hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def fingerprint_of(texts: Iterable[str]) -> str:
    """`fingerprint` of a list of these texts, without writing it down in one piece."""
    digest = hashlib.sha256(b"[")
    for number, text in enumerate(texts):
        part = json.dumps(text, ensure_ascii=False)
        digest.update((("," if number else "") + part).encode("utf-8", "surrogatepass"))
    digest.update(b"]")
    return "s1:" + digest.hexdigest()[:16]


# ---- what is asked ----------------------------------------------------------------------------------------


CONFIG = "config"
"""Key of a run's metadata: the configuration's file, from the repository's top."""

NAMED = "names:"
"""Begins a fingerprint of scorers of which only the names are known."""


def may_agree(before: str | None, after: str | None) -> bool:
    """Whether two fingerprints can be of the same thing: equal, unknown on a side, or told in different ways."""
    if before is None or after is None or before.startswith(NAMED) != after.startswith(NAMED):
        return True
    return before == after


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where a user wrote something, for messages and annotations."""

    file: str
    line: int
    """From 1."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ScorerSpec:
    """A scorer as it was asked for: a kind's name, or `file.py:function`, with checked options."""

    name: str
    options: Mapping[str, Json] = field(default_factory=dict)
    weight: float = 1.0
    base_dir: str = "."
    """Folder that a `file.py:function` is relative to."""

    @property
    def key(self) -> str:
        """Equal for equal specs: cases that ask for the same scorer share one."""
        return json.dumps([self.name, self.options, self.weight, self.base_dir], sort_keys=True, default=str)


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One row of an eval set, checked and complete."""

    id: str
    categories: tuple[str, ...]
    """One or more, in the order written, without duplicates."""
    input: Json = None
    messages: tuple[Mapping[str, Json], ...] = ()
    """A conversation to continue, in the shape of chat completions; empty where `input` is used."""
    expected: Json = None
    """The reference answer. A scalar is the text the user wrote; lists and mappings keep their structure."""
    tags: tuple[str, ...] = ()
    context: Json = None
    """What the user hands over beside the input, for templates and scorers."""
    cluster: str | None = None
    critical: bool = False
    metadata: Mapping[str, Json] = field(default_factory=dict)
    """Every other column: template variables, and material for own scorers."""
    scorers: tuple[str, ...] = ()
    """Keys of the `ScorerSpec`s that judge this case, in the eval set's table."""
    template: str | None = None
    """Key of the template that makes the request, in the eval set's table; None: input or messages are the request."""
    source: Source = Source(file="", line=0)

    def content(self) -> str:
        """Fingerprint of what is asked and expected. Not part of it: the prompt's template (it is under test), the
        scorers (they have versions of their own), categories and tags (they only sort), other columns."""
        return fingerprint([self.id, self.input, self.messages, self.expected, self.context])


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One case, rendered: what an endpoint is given. Users' callables see `.prompt`, `.messages`, `.case`."""

    case: Case
    epoch: int
    """From 1."""
    prompt: str
    """The rendered text; for a case with messages the last user message's text."""
    messages: tuple[Mapping[str, Json], ...]
    """The same as a conversation; never empty."""
    params: Mapping[str, Json] = field(default_factory=dict)
    """`endpoint.params` of the configuration."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvalSet:
    """Every case of a suite, from all its files."""

    name: str
    cases: Sequence[Case]
    """At least one; ids are unique. On disk where they are many (`spool`): go through them, do not gather them."""
    scorers: Mapping[str, ScorerSpec]
    """By `ScorerSpec.key`."""
    templates: Mapping[str, Json] = field(default_factory=dict)
    """Template source by key: a text, or a list of messages with templates as contents."""

    def content(self) -> str:
        """Fingerprint of the cases' contents, whatever their order."""
        return fingerprint_of(sorted(case.content() for case in self.cases))


# ---- what comes back --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolCall:
    """One call of a tool that the model asked for."""

    name: str
    arguments: Json = None
    """Parsed JSON where it was JSON, else the text as it came."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """What one call gave. Unknown is None."""

    text: str | None = None
    data: Json = None
    """The answer as structure, where the endpoint gave one that is no text."""
    tool_calls: tuple[ToolCall, ...] = ()
    contexts: tuple[Json, ...] | None = None
    """Retrieved passages: texts, or mappings with `id` and `text`. None: the endpoint does not say; (): none found."""
    latency_s: float | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost_usd: float | None = None
    model: str | None = None
    """The model that the endpoint says has answered."""
    system_fingerprint: str | None = None
    response_id: str | None = None
    finish_reason: str | None = None
    cached: bool = False
    """Answered from a store of earlier answers: no repeat, no latency, no cost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """What one scorer says of one output."""

    scorer: str
    value: float
    """In [0, 1]."""
    reason: str
    version: str
    """Changes when the same output could be judged differently."""
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """One case and epoch that was answered and judged."""

    case_id: str
    epoch: int
    score: float
    """Weighted mean of `scores`, in [0, 1]."""
    scores: tuple[Score, ...] = ()
    output: Output = Output()
    attempts: int = 1


class Stage(StrEnum):
    """Where a result failed."""

    RENDER = "render"
    ENDPOINT = "endpoint"
    SCORER = "scorer"
    RECORDED = "recorded"
    """The recorded row says so itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """One case and epoch without a score. Never a zero: nothing was learnt about quality."""

    case_id: str
    epoch: int
    stage: Stage
    cause: str
    output: Output | None = None
    """What the endpoint gave, where the failure came after it."""
    attempts: int = 1


Result: TypeAlias = Scored | Failed


# ---- a run ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseRef:
    """What a run remembers of a case that it was to run."""

    id: str
    categories: tuple[str, ...]
    content: str | None = None
    """Fingerprint of the case's content; None where a recorded row does not tell."""
    scorers: str | None = None
    """Fingerprint of its scorers' and judges' versions, or their names alone (`NAMED`); None where unknown."""
    critical: bool = False
    cluster: str | None = None
    tags: tuple[str, ...] = ()
    input: Json = None
    expected: Json = None
    metadata: Mapping[str, Json] = field(default_factory=dict)
    """The case's other columns."""
    source: Source | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """Fingerprint of what was tested: endpoint, model, parameters, prompts, tools, index. The commit is no part."""

    id: str | None
    parts: Mapping[str, Json] = field(default_factory=dict)

    @staticmethod
    def of(parts: Mapping[str, Json]) -> Version:
        """The version of these parts; unknown (None) where there are none."""
        return Version(id=fingerprint(parts) if parts else None, parts=dict(parts))


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What a run cost."""

    calls: int = 0
    calls_saved: int = 0
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost_usd: float | None = None
    """None where the price of any call is unknown: a sum of some would look like a price."""
    wall_s: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step of an escalated run: who was repeated how far."""

    epochs: int
    """Repeats that each case of these categories has after this step, earlier ones included."""
    categories: tuple[str, ...]
    """Sorted; `("*",)`: every case."""
    is_last: bool = False
    """Whether the limits on repeats allowed no further step: then this look spends what is left of the error budget."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirmation:
    """Fresh calls of both sides at the same time, on what would have blocked: only they decide whether it does."""

    categories: tuple[str, ...]
    """What was doubted, sorted; `"*"` is the suite."""
    epochs: int
    """Fresh repeats of each case and side."""
    after: tuple[Result, ...]
    """The candidate's, sorted by case and epoch; epochs from 1."""
    before: tuple[Result, ...] = ()
    """The baseline's own requests, asked again in between; (): they could not be."""
    how: str = ""
    """How the baseline was asked again, or why it was not, in a sentence without a full stop."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """Everything about one execution. Immutable once written."""

    id: str
    suite: str
    created: datetime
    """With time zone, UTC."""
    cases: Sequence[CaseRef]
    """Every case that was to run, sorted by id; each planned case, whether it has a result or not."""
    results: Sequence[Result]
    """Sorted by case and epoch; (case, epoch) is unique. Like the cases on disk where they are many (`spool`): go
    through them, do not gather them."""
    epochs: int = 1
    """Planned repetitions of each case."""
    commit: str | None = None
    branch: str | None = None
    version: Version = Version(id=None)
    evalset: str | None = None
    """Fingerprint of the whole eval set; None where nothing says which cases it has (recorded rows alone)."""
    selection: str | None = None
    """Which part of the eval set was asked for; None: all of it. A partial run never becomes a baseline."""
    stopped: str | None = None
    """Why the run ended before its plan did; None: it did not."""
    origin: Literal["run", "import"] = "run"
    usage: Usage = Usage()
    steps: tuple[Step, ...] = ()
    """How the repeats were decided while it ran; (): all cases had the same number, fixed beforehand."""
    against: tuple[str, ...] = ()
    """Ids of the baseline's runs with which the steps were decided, sorted."""
    confirmation: Confirmation | None = None
    """What was called anew before a block; None: nothing was."""
    metadata: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRow:
    """One run without its cases and results."""

    id: str
    suite: str
    created: datetime
    """UTC."""
    commit: str | None
    branch: str | None
    version: str | None
    """`Version.id`."""
    selection: str | None
    stopped: str | None
    origin: str
    n_cases: int
    n_results: int
    n_unscored: int
    score: float | None
    """Mean over the cases with a score, in [0, 1]; per case first. None: no case has one."""
    cost_usd: float | None
    verdict: str | None
    """Name of the last verdict; None: never decided."""
    exit_code: int | None
    """Exit code of the last verdict."""
    blessed: bool
    """Somebody has blessed it; whether that still holds: `is_blessed`."""
    plan: str
    """Names the run's list of cases: runs with the same plan planned exactly the same cases."""
    calls_saved: int = 0
    """How many of its answers came from the cache of calls."""
    blessed_until: date | None = None
    """The last day, UTC, on which its newest blessing holds; None: for good, where there is one."""

    def is_blessed(self, today: date) -> bool:
        """Whether a blessing of it holds on this day (UTC)."""
        return self.blessed and (self.blessed_until is None or today <= self.blessed_until)


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryRow:
    """One metric of one category of one run."""

    run_id: str
    created: datetime
    """UTC."""
    commit: str | None
    branch: str | None
    category: str
    """`"*"`: every case."""
    metric: str
    """`score`, `error_rate`, `latency_p50_s`, `latency_p95_s`, `cost_per_call_usd` or `tokens_per_call`."""
    value: float
    n: int
    """How many values it is made of: cases for `score`, results for `error_rate`, calls for the others."""


# ---- the decision -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Pinned:
    """The runs that somebody named."""

    runs: tuple[Run, ...]
    why: str
    detectable: Mapping[str, float] = field(default_factory=dict)
    """Drop by category that would be seen four times out of five, worked out when the first of them was recorded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Nearest:
    """The runs that the history offers: the nearest comparable one first, then earlier ones of its version."""

    runs: tuple[Run, ...]
    why: str
    behind: int | None
    """How many commits the first of them lies behind; None where there is no repository to ask."""
    detectable: Mapping[str, float] = field(default_factory=dict)
    """Drop by category that would be seen four times out of five, worked out when the first of them was recorded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """There is nothing to compare with, and this is why."""

    reason: str


Baseline: TypeAlias = Pinned | Nearest | Missing


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiver:
    """A drop that somebody accepted on purpose, up to a level that it cannot move."""

    category: str
    """`"*"`: the suite as a whole."""
    before: float
    """The score from which it falls, as written under `from`; with `drop` it fixes the level that is accepted."""
    drop: float
    """How far it may fall from there, in score units."""
    owner: str
    reason: str
    expires: date
    """The last day on which it holds, UTC."""
    source: Source | None = None

    @property
    def least(self) -> float:
        """The lowest score that it covers."""
        return self.before - self.drop


@dataclass(frozen=True, kw_only=True, slots=True)
class Quarantined:
    """A case that is run and shown but not judged, because somebody found it too unsteady."""

    case_id: str
    owner: str
    reason: str
    expires: date
    """The last day on which it holds, UTC."""
    missing_run: str | None = None
    """A run of `judged_on` that the history does not have; None: it has them all, or was not asked."""
    judged_on: tuple[str, ...]
    """Ids of the runs in which it was found unsteady. They must not be the baseline's: choosing cases by the very
    runs that they are compared with makes nearly every unchanged pull request fail."""
    source: Source | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Exceptions:
    """What a reviewed file takes out of the gate's reach for a while."""

    waivers: tuple[Waiver, ...] = ()
    quarantine: tuple[Quarantined, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftEvent:
    """The baseline's own requests fared worse when they were asked again: what surrounds the system has moved."""

    run_id: str
    """The run during whose confirmation it was seen."""
    created: datetime
    """UTC."""
    category: str
    before: float
    """Mean score in the history, over the cases that were asked again."""
    after: float
    """Mean score of the same requests now."""
    p: float
    sentence: str


class Status(StrEnum):
    """What became of one rule."""

    PASS = "pass"
    BREACH = "breach"
    INCONCLUSIVE = "inconclusive"
    MISSING = "missing"
    DRIFT = "drift"
    INFO = "info"


class VerdictName(StrEnum):
    """The gate's answers, the first that applies winning."""

    ERROR = "error"
    NOT_COMPARABLE = "not_comparable"
    NOT_EVALUATED = "not_evaluated"
    FAIL = "fail"
    NO_BASELINE = "no_baseline"
    INCONCLUSIVE = "inconclusive"
    PASS = "pass"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One rule's outcome with its numbers and one sentence."""

    rule: str
    """`min`, `max_drop`, or a name under `limits`."""
    metric: str
    category: str
    status: Status
    sentence: str
    gating: bool = True
    n: int = 0
    """Cases that the rule is about, scored or not."""
    n_pairs: int | None = None
    """Cases with a score on both sides; None for rules that compare nothing."""
    before: float | None = None
    after: float | None = None
    delta: float | None = None
    """After minus before over the cases that both sides have."""
    ci: tuple[float, float] | None = None
    """95 % interval of `delta`, for reading; the decision does not use it."""
    p: float | None = None
    p_adjusted: float | None = None
    """A breach requires `p_adjusted <= alpha`."""
    detectable: float | None = None
    """The drop that this gate would see four times out of five; None: not worked out, or none would be."""
    limit: float | None = None
    against: Literal["baseline", "anchor"] = "baseline"
    """What a drop is measured from: the baseline, or the anchor that does not move with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CategorySummary:
    """One category's counts. `n` counts results (cases x epochs), scored or not."""

    n: int
    passed: int
    unscored: int
    score: float | None
    before: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseLists:
    """Ids of the cases worth a look, each list sorted."""

    regressed: tuple[str, ...] = ()
    improved: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unscored: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    """On both sides, but with other content or other scorers: not compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BaselineSummary:
    """Which runs were compared with, and why those."""

    kind: Literal["pinned", "nearest", "missing"]
    why: str
    ids: tuple[str, ...] = ()
    commit: str | None = None
    behind: int | None = None
    age_s: float | None = None
    is_stale: bool = False
    """Its age alone is why nothing is proven by it: `gate.when.stale` then decides. Not part of the JSON."""


class Effect(StrEnum):
    """What a change of the rules does to the gate's reach."""

    WEAKENS = "weakens"
    """Something passes that would have been caught before, or is compared no longer."""
    STRENGTHENS = "strengthens"
    NEITHER = "neither"


ChangeKind: TypeAlias = Literal[
    "min", "max_drop", "proof", "critical", "limit", "alpha", "baseline_runs", "max_baseline_age_days", "max_epochs",
    "max_extra_calls", "confirm", "pass_mark", "anchor", "removed_categories", "when", "rules_from", "waiver",
    "quarantine", "cases_removed", "cases_added", "expected", "content", "categories", "tags", "cluster",
    "critical_case", "scorers", "scorer_options", "scorer_weights", "own_scorer", "judge", "baseline_endpoint",
    "key_host", "key_name", "endpoint", "suite", "history", "epochs", "comment",
]  # fmt: skip
"""What of the rules was altered (docs/gate.md says what each is)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleChange:
    """One thing that a change alters about how it is judged: a rule, an exception, a case, a scorer, an endpoint."""

    kind: ChangeKind
    where: str
    """`gate.categories.safety.min`, or the file and the category or name in it."""
    effect: Effect
    sentence: str
    """What was altered, in a few words without the values and without a full stop."""
    before: Json = None
    """A number, a text, true or false; None: it was not there."""
    after: Json = None
    cases: tuple[str, ...] = ()
    """Ids of the cases that it is about, sorted."""

    @property
    def weakens(self) -> bool:
        return self.effect is Effect.WEAKENS


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The gate's answer, whole. `to_dict` is the contract `evalgate.verdict/1`."""

    verdict: VerdictName
    exit_code: int
    reason: str
    """The first line: what decided, in one sentence."""
    findings: tuple[Finding, ...]
    categories: Mapping[str, CategorySummary]
    cases: CaseLists
    usage: Usage
    baseline: BaselineSummary
    suite: str | None = None
    run_id: str | None = None
    run_version: str | None = None
    run_commit: str | None = None
    run_created: datetime | None = None
    selection: str | None = None
    alpha: float = 0.05
    notes: tuple[str, ...] = ()
    """What a reader has to know beside the reason, one sentence each."""
    drift: tuple[DriftEvent, ...] = ()
    """Where the baseline's own requests were found to fare worse."""
    changes: tuple[RuleChange, ...] = ()
    """What this change alters about how it is judged, since the base commit; what weakens stands first."""
    rules_commit: str | None = None
    """The commit whose rules decided; None: those of the tree under test did."""

    def to_dict(self) -> dict[str, Json]:
        """The verdict as JSON: fixed key order, sorted lists, numbers rounded to 6 digits."""
        return {
            "schema": VERDICT_SCHEMA,
            "suite": self.suite,
            "verdict": self.verdict.value,
            "exit_code": self.exit_code,
            "reason": self.reason,
            "run": {
                "id": self.run_id,
                "version": self.run_version,
                "commit": self.run_commit,
                "created": None if self.run_created is None else utc(self.run_created),
            },
            "baseline": {
                "kind": self.baseline.kind,
                "ids": list(self.baseline.ids),
                "commit": self.baseline.commit,
                "behind": self.baseline.behind,
                "age_s": _rounded(self.baseline.age_s),
                "why": self.baseline.why,
            },
            "findings": [_finding(finding) for finding in self.findings],
            "categories": {
                name: {
                    "n": row.n,
                    "passed": row.passed,
                    "unscored": row.unscored,
                    "score": _rounded(row.score),
                    "before": _rounded(row.before),
                }
                for name, row in sorted(self.categories.items())
            },
            "cases": {
                name: sorted(getattr(self.cases, name))
                for name in (
                    "regressed",
                    "improved",
                    "added",
                    "removed",
                    "missing",
                    "unscored",
                    "flaky",
                    "changed",
                )
            },
            "usage": {
                "calls": self.usage.calls,
                "calls_saved": self.usage.calls_saved,
                "tokens_in": self.usage.tokens_in,
                "tokens_out": self.usage.tokens_out,
                "cost_usd": _rounded(self.usage.cost_usd),
                "wall_s": _rounded(self.usage.wall_s),
            },
            "notes": list(self.notes),
            "selection": self.selection,
            "changes": [_change(change) for change in self.changes],
            "rules_commit": self.rules_commit,
        }


# ---- the course of things ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """One metric of one category over the runs of a suite, oldest first."""

    category: str
    metric: str
    values: tuple[float, ...]
    """One a run that tells it; at least one."""
    early: float
    """Mean of the first third of the values."""
    late: float
    """Mean of the last third."""
    p_worse: float | None
    """Chance of a course this steadily worse if order meant nothing; None for fewer than four values."""
    is_moving: bool
    """Steadily worse by more than chance explains, over all courses of the suite together."""

    @property
    def change(self) -> float:
        return self.late - self.early


class Look(StrEnum):
    """Why somebody should look at a suite, the gravest first."""

    FAILED = "failed"
    """The gate failed the newest run."""
    UNPROVEN = "unproven"
    """The newest run was judged, and nothing is known by it: an error, no baseline, not comparable, …"""
    MOVING = "moving"
    """Something is steadily getting worse."""
    STALE = "stale"
    """The newest baseline is older than baselines should be, or there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteTrend:
    """Where a suite is moving."""

    suite: str
    runs: int
    """Complete runs in the window."""
    first: datetime
    last: datetime
    versions: int
    """Different versions among them."""
    last_verdict: str | None
    """What the gate said of the last of them; None: it was not asked."""
    courses: tuple[Course, ...]
    """`"*"` first, then by category; score before latency and cost."""
    baseline_id: str | None
    """The newest run that can serve as a baseline; None: there is none."""
    baseline_age_s: float | None
    oldest_pooled_age_s: float | None
    """Age of the oldest run that is pooled with it."""
    looks: tuple[Look, ...] = ()
    """Why somebody should look at it; empty: nobody has to."""


def _finding(finding: Finding) -> dict[str, Json]:
    return {
        "rule": finding.rule,
        "metric": finding.metric,
        "category": finding.category,
        "status": finding.status.value,
        "gating": finding.gating,
        "n": finding.n,
        "n_pairs": finding.n_pairs,
        "before": _rounded(finding.before),
        "after": _rounded(finding.after),
        "delta": _rounded(finding.delta),
        "ci": None if finding.ci is None else [_rounded(end) for end in finding.ci],
        "p": _rounded(finding.p),
        "p_adjusted": _rounded(finding.p_adjusted),
        "detectable": _rounded(finding.detectable),
        "limit": _rounded(finding.limit),
        "sentence": finding.sentence,
        **({"against": finding.against} if finding.against != "baseline" else {}),
    }


def _change(change: RuleChange) -> dict[str, Json]:
    return {
        "kind": change.kind,
        "where": change.where,
        "effect": change.effect.value,
        "before": change.before,
        "after": change.after,
        "cases": list(change.cases),
        "sentence": change.sentence,
    }


def _rounded(number: float | None) -> float | None:
    # + 0.0 turns -0.0 into 0.0: the same input must give the same bytes whatever the order of its rows.
    return None if number is None else round(number, 6) + 0.0


def utc(moment: datetime) -> str:
    """A moment in UTC as programs read it: `2026-11-01T12:00:00Z`."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def short(commit: str) -> str:
    """A commit's first ten digits, as people are told it; other names as they are."""
    is_hash = len(commit) >= 40 and all(digit in "0123456789abcdef" for digit in commit)
    return commit[:10] if is_hash else commit


def weighted_mean(scores: Sequence[Score]) -> float:
    """Weighted mean of a case's scores, in [0, 1]. Weights are positive; there is at least one score."""
    return sum(score.value * score.weight for score in scores) / sum(score.weight for score in scores)


# ---- what a provider says of its limits ----


@dataclass(frozen=True, kw_only=True, slots=True)
class Remaining:
    """What is left of one of a provider's limits, by what it says with an answer."""

    unit: Literal["requests", "tokens"]
    left: float
    """In units, from 0."""
    reset_s: float
    """Seconds until the limit is whole again."""
    limit: float | None = None
    """The whole of it; None: not told."""
    refills: bool = False
    """It comes back bit by bit; else all at once."""
