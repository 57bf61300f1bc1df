"""What an examination was asked for, and what its parts find out for each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

from evalgate.config import Config
from evalgate.errors import InputError
from evalgate.github import event
from evalgate.github.event import Situation
from evalgate.history.git import Repository
from evalgate.pipeline.load import DEFAULT_CONFIG, Suite, load_config
from evalgate.pipeline.suite import store_of


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What `evalgate doctor` can be told."""

    config: Path = DEFAULT_CONFIG
    store: str | None = None
    now: datetime
    """UTC."""
    version: str = ""
    """evalgate's own."""
    calls: bool = False
    """Makes one real call of the first case."""
    is_offline: bool = False
    """Looks at nothing for which the network is needed."""
    timeout_s: float = 10.0
    """How long one look over the network may take."""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def folder(self) -> Path:
        """Where the configuration lies, or would."""
        return self.config.absolute().parent

    @cached_property
    def readable(self) -> Config | None:
        """The configuration without its endpoints, whose variables may not be set; None where it cannot be read."""
        try:
            return load_config(self.config, self.environ, needs_endpoint=False)
        except InputError:
            return None

    @cached_property
    def repository(self) -> Repository | None:
        """The repository with the configuration; None outside one."""
        found = Repository(self.folder)
        return found if found.top() is not None else None

    @cached_property
    def situation(self) -> Situation | None:
        """What GitHub Actions says of this job; None elsewhere. Raises InputError for a garbled event."""
        return event.of_job(self.environ)

    @property
    def history_store(self) -> str:
        return self.store or store_of(self.readable)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What could be loaded of the suite."""

    config: Config | None
    """With its endpoints; None where it has faults."""
    suite: Suite | None
