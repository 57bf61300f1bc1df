"""Where in the project's course a run stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from evalgate.github import event
from evalgate.github.event import Situation
from evalgate.history.ancestry import Deepened
from evalgate.history.baseline import Lost
from evalgate.history.git import Files, Repository
from evalgate.pipeline.start import start
from evalgate.records import CONFIG, Json, Run
from evalgate.report import model

_FILE = "sqlite:///"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where in the project's course a run stands: its repository, and what GitHub says of the job."""

    repository: Repository | None
    situation: Situation | None
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @staticmethod
    def of(folder: Path, environ: Mapping[str, str]) -> Place:
        """The place of a configuration's folder. Raises InputError for a garbled GitHub event."""
        repository = Repository(folder)
        is_one = repository.head() is not None
        # A container that is told of GitHub Actions but of no event is somewhere else.
        situation = event.of_job(environ)
        return Place(repository=repository if is_one else None, situation=situation, environ=environ)

    def check_store(self, store: str) -> None:
        """Raises InputError where a job's history is a file of the very commit that is to be judged by it."""
        if self.situation is not None and self.repository is not None and store.startswith(_FILE):
            self.repository.check_not_brought(Path(store.removeprefix(_FILE)))

    @property
    def commit(self) -> str | None:
        return self.repository.head() if self.repository else None

    @property
    def is_modified(self) -> bool:
        return self.repository is not None and self.repository.is_dirty()

    @property
    def branch(self) -> str | None:
        if self.situation is not None and self.situation.branch:
            return self.situation.branch
        return self.repository.branch() if self.repository else None

    @property
    def job(self) -> model.Job | None:
        """The job that reports on a pull request; None elsewhere, where nobody asks for the way back to it."""
        situation = self.situation
        if situation is None or situation.pull is None:
            return None
        return model.Job(url=situation.run_url, head=situation.head_sha)

    def told(self, config: Path) -> dict[str, Json]:
        """What a run says of where its configuration is: two of a monorepo may have named their suites alike."""
        return {} if self.repository is None else {CONFIG: f"{self.repository.prefix}{config.name}"}

    @cached_property
    def git(self) -> Repository | None:
        """The repository; in CI with the commits that a shallow clone lacks, fetched as they are asked for."""
        if self.repository is None or self.situation is None:
            return self.repository
        return self._deepened

    @cached_property
    def start(self) -> str | Lost | None:
        """The commit at which the search for a baseline begins in CI; None: at the run's own."""
        return None if self.repository is None or self.situation is None else start(self._deepened, self.situation)

    @cached_property
    def _deepened(self) -> Deepened:
        from evalgate.history.remote import Remote

        repository = self.repository or Repository(Path())
        return Deepened(repository, lambda: Remote.of(repository.path, self.environ))

    def files(self, commit: str) -> Files:
        """Whoever has the commit: the clone, or in CI, where clones are shallow, its remote. Of a place that has a
        repository."""
        repository = self.repository
        assert repository is not None
        if self.situation is None or repository.exists(commit):
            return repository
        from evalgate.history.remote import Remote

        return Remote.of(repository.path, self.environ)

    def start_of(self, run: Run) -> str | Lost | None:
        """As `start`; None for a run of another commit than this job's: its search begins at its own."""
        repository, situation = self.repository, self.situation
        if repository is None or situation is None or run.commit is None:
            return None
        is_of_job = run.commit in (self.commit, situation.evaluated_sha, situation.head_sha)
        return self.start if is_of_job or not repository.exists(run.commit) else None
