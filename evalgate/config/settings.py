"""What `evalgate.yaml` can hold, as values; reading it is the business of `load`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from evalgate.records import CommentWhen, Exceptions, Json

KEYS = (
    "version", "suite", "evalsets", "endpoint", "baseline_endpoint", "judge", "run", "gate", "exceptions", "history",
    "comment",
)  # fmt: skip

Positive = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How a run is made: the keys under `run`."""

    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 64
    """How many calls are under way at the same time, at most."""
    epochs: Annotated[int, Field(ge=1, le=1000)] = 1
    """How often each case is put to the endpoint."""
    timeout_s: Positive = 60.0
    """How long one attempt of one call may take."""
    deadline_s: Positive | None = 1800.0
    """How long the whole run may take; null: no bound."""
    max_retries: Annotated[int, Field(ge=0, le=100)] = 5
    """Further attempts after one that another attempt may mend."""
    budget_usd: Positive | None = None
    """What all calls may cost together; null: no bound."""
    max_calls: Annotated[int, Field(ge=1)] | None = None
    """How many requests may be sent, retries, repeats, fresh calls and judges' included; null: no bound."""
    requests_per_minute: Annotated[float, Field(ge=1)] | None = None
    """How many requests may begin at one provider within any 60 s; null: as many as it bears."""
    tokens_per_minute: Annotated[float, Field(ge=1)] | None = None
    """How many tokens, read and written, calls may use at one provider within 60 s; null: as many as it bears."""
    cache: bool | None = None
    """Whether an answer is reused where the whole request is the same; absent: in pull requests only. A kind other than
    `openai` needs `endpoint.version` for it."""


@dataclass(frozen=True, kw_only=True)
class HistorySettings:
    """Where runs are kept: the keys under `history`."""

    store: str | None = None
    """URL of the store; a relative SQLite path is relative to this file. Default: .evalgate/history.db beside it."""
    branch: str | None = None
    """Branch of the repository that keeps the runs. Default: evalgate-history."""
    outputs: Literal["hashes", "full"] = "hashes"
    """What of the texts goes to the branch: only hashes, or everything. A public repository publishes its branches."""


@dataclass(frozen=True, kw_only=True)
class CommentSettings:
    """The comment on a pull request: the keys under `comment`. A bare word is its `when`."""

    when: CommentWhen = "always"
    """When it is made: always, on_change, on_failure or never. One that is there is kept up to date."""
    outputs: bool = False
    """Whether texts of the model stand in it."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """A checked configuration."""

    path: Path
    base_dir: Path
    """Folder of the file; every path in it is relative to this."""
    suite: str
    evalsets: tuple[str, ...]
    """Globs, relative to `base_dir`."""
    endpoint: Any = field(repr=False)
    """Instance of the kind's settings, `${VAR}` filled in; None where it was not asked for."""
    endpoint_kind: str
    baseline_endpoint: Any | None = field(repr=False)
    """Settings of what is called as the baseline when a block is confirmed; None where there is none."""
    baseline_endpoint_kind: str | None
    run: RunSettings
    rules: Any
    """What `check_rules` made of the gate."""
    gate: Mapping[str, Json]
    """The gate as written."""
    rule_categories: Mapping[str, str]
    """Category with a rule of its own → where it is written; without those that may vanish."""
    exceptions: Exceptions
    """Waivers and quarantine of the reviewed file; none where there is no file."""
    pattern_places: Mapping[str, str]
    """Glob → where it is written."""
    history_store: str = field(repr=False)
    history_branch: str | None
    history_outputs: Literal["hashes", "full"]
    judge: Any | None = field(repr=False)
    """Settings of the endpoint that judges; None where there is none."""
    judge_kind: str | None
    comment_when: CommentWhen
    comment_outputs: bool
    raw: Mapping[str, Json]
    """The document as written: `${VAR}` not filled in, so no secret is in it."""
