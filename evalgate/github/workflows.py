"""The workflow files that `evalgate init --github` writes into a user's repository."""

from __future__ import annotations

import json
import re
import shlex
from importlib import resources

from evalgate.errors import Fault, InputError

PLACEHOLDER = "OWNER/evalgate"
"""Stands in the templates for where evalgate's repository is; GitHub refuses to load a workflow that still has it."""
NAMES = ("evalgate.yml", "evalgate-fork-comment.yml", "evalgate-weekly.yml")
_UNPINNED = "0" * 40
_ACTION = re.compile(r"(?P<repository>[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+)@(?P<sha>[0-9a-f]{40})")
_TO_DO = re.compile(r"^# Before the first push:.*\n#   evalgate init .*\n#\n", re.MULTILINE)
"""What the file says as long as the placeholder stands in it."""
_NAMED = re.compile(r"^(|    )name: (evalgate|evalgate [a-z ]+|evaluate|trend)$", re.MULTILINE)
"""The names of workflows, and of the jobs that are checks."""
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./ -]*")
_WORDS = {"y", "yes", "n", "no", "on", "off", "true", "false", "null"}
"""What YAML may read as something else than a text."""


def user_workflows(action: str | None = None, *, branch: str = "main", folder: str = ".") -> dict[str, str]:
    """Text by path relative to the repository's root.

    action: `owner/repository@<40 hex digits>`, the commit of evalgate that the workflows use. None leaves the
    placeholder `OWNER/evalgate@000…`, which has to be filled in before GitHub runs them. branch: the default branch.
    folder: where the configuration is, relative to the root; that of a sub-folder gets files, checks and caches of its
    own. Raises InputError for another form of `action`.
    """
    parts = NAMES if folder == "." else tuple(_of_folder(name, folder) for name in NAMES)
    templates = resources.files("evalgate") / "templates" / "workflows"
    texts = {
        f".github/workflows/{part}": _placed((templates / name).read_text("utf-8"), branch, folder)
        for name, part in zip(NAMES, parts, strict=True)
    }
    return texts if action is None else {path: filled_in(text, action) for path, text in texts.items()}


def filled_in(text: str, action: str) -> str:
    """The workflow with this commit of evalgate in place of the placeholder. Raises InputError for another form."""
    found = _ACTION.fullmatch(action)
    if found is None:
        hint = "Write owner/repository@ and the 40 hex digits of a commit: a branch or tag can be moved by others."
        raise InputError(Fault(where="--action", what=f"{action[:100]!r} does not name one commit", hint=hint))
    return _TO_DO.sub("", text).replace(PLACEHOLDER, found["repository"]).replace(_UNPINNED, found["sha"])


def _placed(text: str, branch: str, folder: str) -> str:
    """The template for this default branch and folder."""
    text = text.replace("    branches: [main]\n", f"    branches: [{_scalar(_pattern(branch))}]\n")
    if folder == ".":
        return text
    text = text.replace("#   evalgate init --github", f"#   evalgate init {shlex.quote(folder)} --github")
    text = re.sub(_NAMED, lambda found: f"{found[1]}name: {_named(found[2], folder)}", text)
    text = text.replace("    workflows: [evalgate]\n", f"    workflows: [{_named('evalgate', folder)}]\n")
    text = text.replace("evalgate-calls-", f"evalgate-calls.{_slug(folder)}-")
    for name in NAMES:
        text = text.replace(f" {name} ", f" {_of_folder(name, folder)} ")
    if "working-directory: .\n" not in text:  # nothing is checked out: the path is one in the repository
        return text.replace("config: evalgate.yaml\n", f"config: {_scalar(folder + '/evalgate.yaml')}\n")
    return text.replace("working-directory: .\n", f"working-directory: {_scalar(folder)}\n")


def _of_folder(name: str, folder: str) -> str:
    return name.replace("evalgate", f"evalgate-{_slug(folder)}", 1)


def _slug(folder: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", folder).strip("-").lower() or "folder"


def _named(name: str, folder: str) -> str:
    return _scalar(f"{name} {folder}")


def _pattern(branch: str) -> str:
    """The branch's name as a pattern that matches it alone."""
    return re.sub(r"[*?+\[\]!\\]", lambda found: "\\" + found[0], branch)


def _scalar(text: str) -> str:
    """The text as YAML has it on one line."""
    is_plain = _PLAIN.fullmatch(text) and not text.endswith(" ") and text.lower() not in _WORDS
    return text if is_plain else json.dumps(text, ensure_ascii=False)
