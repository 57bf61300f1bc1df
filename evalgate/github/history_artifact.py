"""Which workflow run holds the history to start from: the newest artifact that the default branch has left.

    python -P -m evalgate.github.history_artifact

The history travels as an artifact until it has a branch of its own. Only artifacts of this repository's default branch
count: a pull request, from a fork or not, can upload one of the same name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from evalgate.errors import InputError
from evalgate.github import event
from evalgate.github.actions import Annotation, annotation_commands, tell_faults, write_outputs
from evalgate.github.client import Artifact, GitHub, connect


def newest_history(github: GitHub, *, name: str, branch: str) -> Artifact | None:
    """The newest unexpired artifact of this name from a run of `branch` in this repository; None: there is none yet."""
    return next((found for found in github.list_artifacts(name) if found.is_own and found.branch == branch), None)


def find_history(environ: Mapping[str, str], log: TextIO) -> int:
    """Writes the output `run-id`: the run that holds the history, empty where there is none, which the log tells.

    Returns the step's exit code. Raises GitHubError where GitHub cannot be asked: not knowing whether there is a
    history is not the same as having none.
    """
    situation = event.read(environ)
    if situation is None or situation.default_branch is None:
        raise InputError("the history artifact can only be looked for in a GitHub Actions job of a repository")
    name = environ["EVALGATE_INPUT_NAME"]
    github = connect(situation.api_url, situation.repository, environ.get("EVALGATE_INPUT_GITHUB_TOKEN", ""))
    found = newest_history(github, name=name, branch=situation.default_branch)
    write_outputs(Path(environ["GITHUB_OUTPUT"]), {"run-id": str(found.run_id) if found else ""})
    if found is None:
        message = (
            f"No artifact {name} from {situation.default_branch} yet: without a baseline only floors can be judged."
        )
        note = Annotation(level="warning", title="evalgate history", message=message)
        print(annotation_commands([note])[0], file=log, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(tell_faults("evalgate history", lambda: find_history(os.environ, sys.stdout), sys.stdout))
