"""`evalgate doctor`: is this repository, token, endpoint, history and configuration going to work, and what to do.

Looks, and changes nothing: no run is made, nothing is posted or pushed. Without `--call` it costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from evalgate.masking import mask
from evalgate.pipeline.doctor import branch, github, history, machine, repository, suite, workflows
from evalgate.pipeline.doctor.asked import Asked, Loaded
from evalgate.pipeline.doctor.check import Check, Examination, Section, State
from evalgate.pipeline.load import secret_variables

__all__ = ["Asked", "Check", "Examination", "Section", "State", "examine"]


def examine(asked: Asked, tell: Callable[[str], None] = lambda _: None) -> Examination:
    """Every check, in the order in which things depend on each other.

    tell: hears what is looked at next, since a look over the network may take a while. Raises nothing that a user can
    mend: that is a failed check.
    """
    sections: list[Section] = []

    def add(subject: str, *looks: Callable[[], list[Check]]) -> None:
        tell(subject)
        sections.append(Section(subject=subject, checks=tuple(check for look in looks for check in look())))

    add("This machine", lambda: machine.look(asked))
    found, loaded = suite.look(asked)
    add("Configuration", lambda: found)
    add("Endpoint", lambda: suite.look_at_endpoints(asked, loaded))
    add("Repository", lambda: repository.look(asked), lambda: repository.look_at_remote(asked))
    add("History", lambda: history.look(asked), lambda: branch.look(asked))
    add("GitHub", lambda: github.look(asked))
    add("Workflows", lambda: workflows.look(asked))
    return _masked(Examination(sections=tuple(sections)), _secrets(asked, loaded))


def _secrets(asked: Asked, loaded: Loaded) -> list[str]:
    """Whatever must not be shown, should a library's message hold it after all."""
    found = [asked.environ.get(name, "").strip() for name in github.TOKENS]
    config = loaded.config
    if config is not None:
        found += secret_variables(config, asked.environ)
        for settings in (config.endpoint, config.baseline_endpoint, config.judge):
            found += [] if settings is None else settings.secrets(asked.environ)
    return [value for value in found if value]


def _masked(found: Examination, secrets: list[str]) -> Examination:
    def clean(check: Check) -> Check:
        return replace(check, found=mask(check.found, secrets), advice=mask(check.advice, secrets))

    return Examination(sections=tuple(replace(part, checks=tuple(map(clean, part.checks))) for part in found.sections))
