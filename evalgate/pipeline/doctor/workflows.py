"""The workflow files: would GitHub run them, and would they be safe? Reads them as text and asks nobody."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from evalgate.github.workflows import PLACEHOLDER
from evalgate.pipeline.doctor.asked import Asked
from evalgate.pipeline.doctor.check import Check, fail, ok, skipped, warn
from evalgate.report.numbers import count

FOLDER = Path(".github") / "workflows"
MOST_BYTES = 1 << 20
"""A larger file is no workflow."""
QUIET_DAYS = 45
"""After 60 days without activity GitHub switches the schedules of a public repository off."""

NEEDED = (
    (r"/actions/comment@", "pull-requests: write"),
    (r"/actions/fork-comment@", "pull-requests: write"),
    (r"/actions/fork-comment@", "actions: read"),
    (r"/actions/(record|compact)@", "contents: write"),
    (r"(?s)/actions/trend@.*\bissue: true\b", "issues: write"),
)
"""What stands in a workflow, and the right that a job of it needs for that."""

_USES = re.compile(r"^\s*(?:-\s+)?uses:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)
_OURS = re.compile(r"\bevalgate\b")
_PINNED = re.compile(r"@[0-9a-f]{40}$")
_COMMENT = re.compile(r"(^|\s)#.*$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """One file, without its comments."""

    name: str
    text: str

    @property
    def uses(self) -> list[str]:
        return _USES.findall(self.text)

    def has_trigger(self, name: str) -> bool:
        return re.search(rf"^\s*(on:.*\b{name}\b|{name}:|-\s+{name}\s*$)", self.text, re.MULTILINE) is not None


def look(asked: Asked) -> list[Check]:
    """Every workflow that speaks of evalgate."""
    top = None if asked.repository is None else asked.repository.top()
    if top is None:
        return [skipped("workflows", "this is no repository")]
    files = [found for file in sorted((top / FOLDER).glob("*.y*ml")) if (found := _read(file)) is not None]
    ours = [file for file in files if _OURS.search(file.text)]
    if not ours:
        advice = (
            "`evalgate init --github --action owner/repository@commit` writes them, if this repository is on GitHub."
        )
        return [warn("workflows", f"none in {FOLDER} speaks of evalgate", advice)]
    checks = [ok("workflows", ", ".join(file.name for file in ours))]
    for file in ours:
        checks += [*_actions(file), *_rights(file), *_granted(file), *_triggers(file, asked)]
    return [*checks, *_key(ours, asked), *_fork_comment(ours, asked), *_schedule(ours, asked)]


def _read(file: Path) -> Workflow | None:
    try:
        if file.stat().st_size > MOST_BYTES:
            return None
        return Workflow(name=file.name, text=_COMMENT.sub("", file.read_text("utf-8", "replace")))
    except OSError:
        return None


def _actions(file: Workflow) -> list[Check]:
    name = f"{file.name}: actions"
    if any(PLACEHOLDER in used for used in file.uses):
        advice = "`evalgate init --github --action owner/repository@<40 hex digits of a commit>` fills it in."
        return [fail(name, f"the placeholder {PLACEHOLDER}@000… still stands there: GitHub refuses the file", advice)]
    loose = [used for used in file.uses if not used.startswith(("./", "docker://")) and not _PINNED.search(used)]
    if loose:
        advice = (
            "Write the 40 hex digits of a commit: a tag or branch can be moved by others, to code that reads your key."
        )
        return [warn(name, f"not pinned to a commit: {', '.join(sorted(set(loose))[:5])}", advice)]
    return [ok(name, f"{count(len(file.uses), 'action')}, pinned to a commit")]


def _rights(file: Workflow) -> list[Check]:
    name = f"{file.name}: permissions"
    if not re.search(r"^permissions:", file.text, re.MULTILINE):
        advice = "Write `permissions: {}` at the top, in each job what it needs: else all get the repository's default."
        return [warn(name, "none stand at the top", advice)]
    if re.search(r"^\s*permissions:\s*write-all", file.text, re.MULTILINE):
        return [warn(name, "write-all", "Give each job only what it needs; docs/github.md says what that is.")]
    return [ok(name, "they are named")]


def _granted(file: Workflow) -> list[Check]:
    """Whether the jobs that use evalgate's actions may do what these do; told apart by file, not by job."""
    lacking = [
        right
        for pattern, right in NEEDED
        if re.search(pattern, file.text) and not re.search(rf"\b{right}\b", file.text)
    ]
    if not lacking:
        return []
    advice = f"Write under `permissions:` of that job: {', '.join(lacking)}."
    return [fail(f"{file.name}: permissions", f"a job lacks {', '.join(lacking)}", advice)]


def _triggers(file: Workflow, asked: Asked) -> list[Check]:
    name = f"{file.name}: triggers"
    if file.has_trigger("pull_request_target") and re.search(r"actions/checkout", file.text):
        advice = "Use pull_request, and workflow_run for the comment: this hands your secrets to strangers' code."
        return [fail(name, "pull_request_target together with a checkout", advice)]
    if not file.has_trigger("pull_request"):
        return []
    checks = []
    if not file.has_trigger("merge_group"):
        advice = (
            "Add `merge_group:` where this repository has, or may get, a merge queue: its required check never comes."
        )
        checks.append(warn(name, "pull requests, but not the merge queue", advice))
    if not file.has_trigger("push"):
        checks.append(warn(name, "no pushes", "Add `push:` for the default branch: its runs are the baseline."))
    return [*checks, *_branch(file, asked)] or [ok(name, "pull requests, pushes and the merge queue")]


def _branch(file: Workflow, asked: Asked) -> list[Check]:
    """Whether pushes to the default branch are among those that it runs on."""
    default = None if asked.repository is None else asked.repository.default_branch()
    listed = re.search(r"^\s*push:\s*\n\s+branches:\s*\[([^\]]*)\]", file.text, re.MULTILINE)
    if default is None or listed is None:
        return []
    names = [name.strip().strip("\"'") for name in listed[1].split(",")]
    if default in names or any("*" in name for name in names):
        return []
    advice = f"Write `branches: [{default}]`: until then no push records a baseline."
    return [
        fail(
            f"{file.name}: branches",
            f"it runs on pushes to {', '.join(names)}; the default branch is {default}",
            advice,
        )
    ]


def _key(ours: list[Workflow], asked: Asked) -> list[Check]:
    """Whether the endpoint's key is passed to any job."""
    config = asked.readable
    endpoint = None if config is None else config.raw.get("endpoint")
    variable = endpoint.get("api_key_env") if isinstance(endpoint, dict) else None
    if not isinstance(variable, str) or any(re.search(rf"\b{re.escape(variable)}\b", file.text) for file in ours):
        return []
    advice = f"Give it to the step of the gate: env: {{{variable}: ${{{{ secrets.{variable} }}}}}}."
    return [fail("key", f"no workflow passes {variable} (endpoint.api_key_env) on", advice)]


def _fork_comment(ours: list[Workflow], asked: Asked) -> list[Check]:
    """GitHub runs a `workflow_run` workflow only from the default branch."""
    second = [file for file in ours if file.has_trigger("workflow_run")]
    if not second:
        advice = "`evalgate init --github` writes what is not there. Without it, forks see the verdict in the job only."
        return [warn("comments for forks", "no workflow runs after another (workflow_run)", advice)]
    default = None if asked.repository is None else asked.repository.default_branch()
    if asked.repository is None or default is None:
        return []
    path = f"{FOLDER.as_posix()}/{second[0].name}"
    if any(asked.repository.holds(branch, path) for branch in (f"origin/{default}", default)):
        return [ok("comments for forks", f"{second[0].name} is on {default}")]
    advice = f"Merge it into {default}: GitHub runs a workflow_run workflow from nowhere else."
    return [warn("comments for forks", f"{second[0].name} is not on {default} yet", advice)]


def _schedule(ours: list[Workflow], asked: Asked) -> list[Check]:
    if not any(file.has_trigger("schedule") for file in ours):
        return [warn("weekly report", "no workflow runs on a schedule", "`evalgate init --github` writes one.")]
    latest = None if asked.repository is None else asked.repository.latest()
    quiet = None if latest is None else (asked.now - latest).days
    if quiet is not None and quiet > QUIET_DAYS:
        advice = (
            "In public repositories GitHub switches schedules off after 60 days without activity, and tells nobody who "
            "does not look: switch it on again under Actions."
        )
        return [warn("weekly report", f"the newest commit here is {quiet} days old", advice)]
    return [ok("weekly report", "on a schedule; each report says when the last one was")]
