"""The workflow files that `evalgate init --github` writes into a user's repository."""

from __future__ import annotations

import re
from importlib import resources

from evalgate.errors import Fault, InputError

PLACEHOLDER = "OWNER/evalgate"
"""Stands in the templates for where evalgate's repository is; GitHub refuses to load a workflow that still has it."""
_UNPINNED = "0" * 40
_ACTION = re.compile(r"(?P<repository>[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+)@(?P<sha>[0-9a-f]{40})")


def user_workflows(action: str | None = None) -> dict[str, str]:
    """Text by path relative to the repository's root.

    action: `owner/repository@<40 hex digits>`, the commit of evalgate that the workflows use. None leaves the
    placeholder `OWNER/evalgate@000…`, which has to be filled in before GitHub runs them. Raises InputError for any
    other form.
    """
    texts = {
        f".github/workflows/{name}": (resources.files("evalgate") / "templates" / "workflows" / name).read_text("utf-8")
        for name in ("evalgate.yml", "evalgate-weekly.yml")
    }
    if action is None:
        return texts
    found = _ACTION.fullmatch(action)
    if found is None:
        hint = "Write owner/repository@ and the 40 hex digits of a commit: a branch or tag can be moved by others."
        raise InputError(Fault(where="--action", what=f"{action[:100]!r} does not name one commit", hint=hint))
    return {
        path: text.replace(PLACEHOLDER, found["repository"]).replace(_UNPINNED, found["sha"])
        for path, text in texts.items()
    }
