"""The workflows that users are given, event by event: what the story in `test_story` does not tell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_github import FakeGitHub
from workflow_jobs import Ran, World, git

from evalgate.github.workflows import user_workflows

CONFIG = """
version: 1
suite: support-bot
evalsets: [evalsets/*.yaml]
endpoint: {kind: python, callable: "bot:answer"}
"""
GOOD = "def answer(request):\n    return '30 days'\n"
BAD = "def answer(request):\n    return 'no idea' if 'refund' in request.prompt else '30 days'\n"
BROKEN = "def answer(request:\n"
HISTORY = "evalgate-history"


def suite(bot: str) -> dict[str, str]:
    """The files of a user's repository."""
    files = {"evalgate.yaml": CONFIG, "bot.py": bot, **user_workflows(f"acme/evalgate@{'a' * 40}")}
    for category in ("refunds", "delivery"):
        cases = "".join(
            f'  - {{id: {category}-{number}, input: "{category} {number}?", expected: 30 days}}\n'
            for number in range(20)
        )
        files[f"evalsets/{category}.yaml"] = (
            f"name: {category}\ncategory: {category}\nscorers: [contains]\ncases:\n{cases}"
        )
    return files


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Without a commit yet."""
    with FakeGitHub() as github:
        yield World(tmp_path, github)


def results(ran: Ran) -> dict[str, str]:
    return {name: job.result for name, job in ran.jobs.items()}


def recorded(world: World) -> int:
    """How many runs the history's branch holds."""
    return git(world.bare, "ls-tree", "-r", "--name-only", HISTORY).count(".evalrun")


def test_from_the_first_push_to_the_weekly_issue(world: World) -> None:
    """A push begins the history; a bad pull request fails and is told so, a broken one is told that it was not
    evaluated; the merge queue decides and says nothing; only the push is in the history, of which the weekly issue is
    made."""
    first = world.push(suite(GOOD), "begin")
    assert results(first) == {"evaluate": "success", "comment": "skipped", "record": "success"}, first.log
    assert "There is no " in first.log and "NO BASELINE" in first.log and recorded(world) == 1

    bad = world.propose(7, {"bot.py": BAD}, "try this")
    assert results(bad) == {"evaluate": "failure", "comment": "success", "record": "skipped"}, bad.log
    assert bad.jobs["evaluate"].outputs["exit-code"] == "1"
    (body,) = world.github.bodies(7)
    assert f"head={world.github.heads[7]}" in body and "refunds" in body and "FAIL" in body

    broken = world.propose(7, {"bot.py": BROKEN}, "and this")
    assert results(broken) == {"evaluate": "failure", "comment": "success", "record": "skipped"}, broken.log
    (body,) = world.github.bodies(7)
    assert f"head={world.github.heads[7]}" in body and "NOT EVALUATED" in body

    queued = world.queue(7)
    assert results(queued) == {"evaluate": "failure", "comment": "skipped", "record": "skipped"}, queued.log
    assert world.github.bodies(7) == [body] and recorded(world) == 1

    monday = world.monday()
    assert results(monday) == {"trend": "success", "compact": "success"}, monday.log
    assert "refunds" in monday.jobs["trend"].summary
    assert len(world.github.issues) == 1 and recorded(world) == 1


def test_a_history_that_cannot_be_read_is_no_first_run(world: World) -> None:
    """A branch of that name that holds something else: the job says so and ends without a verdict."""
    world.commit(suite(GOOD), "begin")
    git(world.clone, "push", "--quiet", "origin", f"HEAD:refs/heads/{HISTORY}", "HEAD:refs/heads/main")
    ran = world.push({}, "go on")
    assert results(ran) == {"evaluate": "failure", "comment": "skipped", "record": "skipped"}
    assert ran.jobs["evaluate"].outputs["exit-code"] == "2" and "could not be fetched" in ran.log
    assert "NO BASELINE" not in ran.log
