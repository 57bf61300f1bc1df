"""The story of a repository with evalgate, acted out: `python benchmarks/github/story.py [--pictures docs/images]`.

A bare repository and a GitHub that keeps state, both on this machine; the workflows as `evalgate init --github` writes
them, evalgate's own actions and the real `evalgate` in their jobs. Each scene says what is expected and what happened;
anything that is otherwise makes the exit code 1. Nothing leaves the machine.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import re
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TESTS = HERE.parents[1] / "tests"
sys.path[:0] = [str(TESTS / "github"), str(TESTS), str(HERE)]

from fake_github import FakeGitHub  # noqa: E402
from github_events import FORK  # noqa: E402
from workflow_jobs import Ran, World, git  # noqa: E402

from evalgate.github.workflows import user_workflows  # noqa: E402

ACTION = f"acme/evalgate@{'a' * 40}"
SERVER = "https://github.com"
CONFIG = """\
version: 1
suite: support-bot
evalsets: [evalsets/*.yaml]
endpoint: {kind: python, callable: "bot:answer"}
gate:
  rules_from: base
  overall: {max_drop: 0.05}
  each_category: {max_drop: 0.05}
"""
LENIENT = CONFIG.replace("max_drop: 0.05", "max_drop: 1")
CATEGORIES = ("delivery", "greetings", "refunds")

BOT = '''\
import zlib

WEAK = {weak}
"""Category → how many in a hundred questions it gets wrong."""


def answer(request):
    category = request.case.id.partition("-")[0]
    luck = zlib.crc32(request.case.id.encode()) % 100
    return "I do not know" if luck < WEAK.get(category, 0) else "30 days"
'''
GOOD = BOT.format(weak={"delivery": 5, "greetings": 5, "refunds": 5})
BETTER = BOT.format(weak={"delivery": 2, "greetings": 5, "refunds": 5})
BROKEN = BOT.format(weak={"delivery": 5, "greetings": 5, "refunds": 45})


def headline(text: str) -> str:
    """The line of a comment that says the verdict."""
    return next((line for line in text.splitlines() if re.search(r"\b(PASS|FAIL|NO BASELINE)\b", line)), "")


def evalset(category: str, size: int) -> str:
    cases = "".join(
        f'  - {{id: {category}-{number}, input: "A question on {category}, number {number}?", expected: 30 days}}\n'
        for number in range(size)
    )
    return f"name: {category}\ncategory: {category}\nscorers: [contains]\ncases:\n{cases}"


@dataclass
class Story:
    """What happened so far."""

    world: World
    tell: Callable[[str], None] = print
    wrong: int = 0
    of_fork: Ran | None = None
    texts: dict[str, str] = field(default_factory=dict)
    """What GitHub shows, by scene."""

    def scene(self, title: str) -> None:
        self.tell(f"\n{title}")

    def expect(self, what: str, happened: object, expected: object = True) -> None:
        if happened == expected:
            self.tell(f"  ok     {what}: {happened}")
        else:
            self.wrong += 1
            self.tell(f"  WRONG  {what}: expected {expected}, but it was {happened}")

    def results(self, ran: Ran, expected: Mapping[str, str]) -> None:
        """How each job has ended; tells its log where it is otherwise."""
        happened = {name: job.result for name, job in ran.jobs.items()}
        self.expect("jobs", happened, dict(expected))
        if happened != expected:
            self.tell(ran.log)

    def comment(self, pull: int) -> str:
        """The one comment of a pull request, without its marker; empty where there is none."""
        bodies = self.world.github.bodies(pull)
        assert len(bodies) <= 1, bodies
        return bodies[0].partition("\n")[2] if bodies else ""

    def writes(self) -> int:
        return sum(request.method != "GET" for request in self.world.github.requests)


def act(story: Story, *, runs: int = 5) -> None:
    """All scenes. runs: how many pushes make the history."""
    main_records(story, runs)
    good_change(story)
    bad_change(story)
    fork(story)
    forged(story)
    merge_queue(story)
    weekly(story)


def main_records(story: Story, runs: int) -> None:
    story.scene(f"Main records {runs} runs, on a branch of the repository")
    files = {"evalgate.yaml": CONFIG, "bot.py": GOOD, ".gitignore": "__pycache__/\n", **user_workflows(ACTION)}
    files |= {f"evalsets/{name}.yaml": evalset(name, 60) for name in CATEGORIES}
    for number in range(1, runs + 1):
        ran = story.world.push({**files, "README.md": f"version {number}\n"}, f"version {number}")
        story.results(ran, {"evaluate": "success", "comment": "skipped", "record": "success"})
    listed = git(story.world.bare, "ls-tree", "-r", "--name-only", "evalgate-history").splitlines()
    story.expect("run files on the branch", sum(name.endswith(".evalrun") for name in listed), runs)
    authors = git(story.world.bare, "log", "--format=%an", "main").splitlines()
    story.expect("commits of evalgate on main", authors.count("evalgate"), 0)


def good_change(story: Story) -> None:
    story.scene("A good pull request passes")
    ran = story.world.propose(7, {"bot.py": BETTER}, "Know more of deliveries")
    story.results(ran, {"evaluate": "success", "comment": "success", "record": "skipped"})
    story.texts["good"] = story.comment(7)
    story.expect("the comment says PASS", "PASS" in headline(story.texts["good"]))


def bad_change(story: Story) -> None:
    story.scene("A bad one is blocked, and mended by a second push")
    ran = story.world.propose(8, {"bot.py": BROKEN}, "Shorter prompts")
    story.results(ran, {"evaluate": "failure", "comment": "success", "record": "skipped"})
    story.texts["bad"] = story.comment(8)
    first = headline(story.texts["bad"])
    story.expect("FAIL, and refunds, stand in the first line", ("FAIL" in first, "refunds" in first), (True, True))
    story.expect("delivery and greetings do not", ("delivery" in first, "greetings" in first), (False, False))
    ids = [number for number, row in story.world.github.comments.items() if row["pull"] == 8]
    ran = story.world.propose(8, {"bot.py": GOOD}, "Shorter prompts, but not for refunds")
    story.results(ran, {"evaluate": "success", "comment": "success", "record": "skipped"})
    story.texts["mended"] = story.comment(8)
    again = [number for number, row in story.world.github.comments.items() if row["pull"] == 8]
    story.expect("the same comment was edited", again, ids)
    story.expect("it now says PASS", "PASS" in headline(story.texts["mended"]))


def fork(story: Story) -> None:
    story.scene("A fork lowers the rules and breaks refunds; main's rules decide, there and in the second stage")
    ran = story.world.propose(9, {"bot.py": BROKEN, "evalgate.yaml": LENIENT}, "Trust me", repository=FORK)
    story.results(ran, {"evaluate": "failure", "comment": "skipped", "record": "skipped"})
    story.expect("comments before the second stage", len(story.world.github.bodies(9)), 0)
    story.results(story.world.after(ran, 9), {"comment": "success"})
    story.texts["fork"] = story.comment(9)
    story.expect("the comment says FAIL", "**FAIL**" in story.texts["fork"])
    story.expect("it says whose scores these are", "that this pull request controls" in story.texts["fork"])
    story.of_fork = ran


FORGERIES = {
    "two files": [("result.json", b"{}"), ("../../evalgate.yaml", b"gate: null")],
    "no JSON": [("result.json", b"PASS")],
    "a verdict of its own": [("result.json", b'{"schema": "evalgate.result/1", "verdict": "pass"}')],
    "a bomb": [("result.json", b"0" * 200_000_000)],
}


def forged(story: Story, names: Sequence[str] = tuple(FORGERIES)) -> None:
    """What the fork's run has left is exchanged, and the second stage runs again."""
    story.scene("A forged artifact is refused")
    ran = story.of_fork
    assert ran is not None
    rows = [row for row in story.world.github.artifacts if row["workflow_run"]["id"] == ran.id]
    row = next(row for row in rows if "result" in row["name"])
    for name in names:
        _replace(story, row, FORGERIES[name])
        done = story.world.after(ran, 9)
        story.expect(f"{name}: a pass is told", "PASS" in story.comment(9), False)
        said = [line for line in done.jobs["comment"].log.splitlines() if line.startswith("evalgate: ")]
        story.expect(f"{name}: a reason is told", bool(said))
        story.tell("".join(f"         {line}\n" for line in said).rstrip())


def _replace(story: Story, row: dict[str, Any], members: Sequence[tuple[str, bytes]]) -> None:
    """Somebody who controls the run has uploaded something else."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in members:
            archive.writestr(path, content)
    content = buffer.getvalue()
    story.world.github.stored[row["id"]] = content
    row |= {"size_in_bytes": len(content), "digest": f"sha256:{hashlib.sha256(content).hexdigest()}"}


def merge_queue(story: Story) -> None:
    story.scene("The merge queue decides without a comment")
    before = story.writes()
    ran = story.world.queue(7)
    story.results(ran, {"evaluate": "success", "comment": "skipped", "record": "skipped"})
    story.scene("A fork's change is evaluated there on the very tree to be merged, and brings no verdict of its own")
    ran = story.world.queue(9)
    story.results(ran, {"evaluate": "failure", "comment": "skipped", "record": "skipped"})
    story.expect("requests that write", story.writes() - before, 0)


def weekly(story: Story) -> None:
    story.scene("The weekly job keeps one issue")
    for week in (1, 2):
        ran = story.world.monday()
        story.results(ran, dict.fromkeys(ran.jobs, "success"))
        story.expect(f"issues after week {week}", len(story.world.github.issues), 1)
    bodies = [issue["body"] for issue in story.world.github.issues.values()]
    story.texts["weekly"] = "".join(bodies).partition("\n")[2]
    story.expect("the second week edited the first one's issue", "the report before it was of" in story.texts["weekly"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, help="draw what GitHub would show into this folder (needs chromium)")
    parser.add_argument("--runs", type=int, default=5, help="how many runs main records")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, FakeGitHub() as github:
        story = Story(world=World(Path(folder), github))
        act(story, runs=given.runs)
        texts = {name: text.replace(f"file://{story.world.server}", SERVER) for name, text in story.texts.items()}
        requests = len(github.requests)
    print(f"\n{requests} requests to GitHub's API; {story.wrong} of what was expected did not happen")
    if given.pictures is not None:
        draw(texts, given.pictures)
    return 1 if story.wrong else 0


def draw(texts: Mapping[str, str], folder: Path) -> None:
    """A picture of each text, as GitHub shows it."""
    import pictures

    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        pictures.draw(pictures.page(text), (folder / f"story-{name}.png").absolute(), width=860, most=1_400)
        print(f"drew {folder / f'story-{name}.png'}")


if __name__ == "__main__":
    sys.exit(main())
