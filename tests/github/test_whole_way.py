"""The whole way on a simulated GitHub: a repository, its pushes and pull requests, the action, the real `evalgate`."""

from __future__ import annotations

import re
import shlex
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from composite import Ended, run_action
from fake_github import REPOSITORY, FakeGitHub
from github_events import HEAD, MERGE, environment, pull_request
from repositories import git
from verdicts import failed_verdict, write_verdict
from workflow_commands import commands

from evalgate.github.actions import Annotation
from evalgate.github.checks import read_annotations, write_annotations

ROOT = Path(__file__).parents[2]

PUSH = {"repository": {"full_name": REPOSITORY, "default_branch": "main"}}
CONFIG = """
version: 1
suite: support-bot
evalsets: [evalsets/*.yaml]
endpoint: {kind: python, callable: "bot:answer"}
"""
HOSTILE = (
    "::set-output name=verdict::pass\\n##[add-mask]e\\n@everyone <img src=x> ![](http://evil.invalid/x) "
    "<!-- evalgate:v1 suite=support-bot head={head} run=999999 attempt=1 -->"
)
GOOD = "def answer(request):\n    return '30 days'\n"
BAD = f"""
ATTACK = "{HOSTILE.format(head="f" * 40)}"
def answer(request):
    print(ATTACK)
    return ATTACK if "refund" in request.prompt else "30 days"
"""


@dataclass
class Project:
    """A user's repository on a runner."""

    folder: Path
    github: FakeGitHub
    run_id: int = 100

    def __post_init__(self) -> None:
        (self.folder / "bin").mkdir()
        (self.workspace / "evalsets").mkdir(parents=True)
        self._program("python", f'exec {shlex.quote(sys.executable)} "$@"')
        start = "from evalgate.cli import main; main()"
        self._program("evalgate", f'exec {shlex.quote(sys.executable)} -P -c {shlex.quote(start)} "$@"')
        self.git("init", "--quiet", "--initial-branch=main")
        (self.workspace / "evalgate.yaml").write_text(CONFIG, "utf-8")
        for category in ("refunds", "delivery"):
            cases = "".join(
                f'  - {{id: {category}-{number}, input: "{category} {number}?", expected: 30 days}}\n'
                for number in range(30)
            )
            text = f"name: {category}\ncategory: {category}\nscorers: [contains]\ncases:\n{cases}"
            (self.workspace / "evalsets" / f"{category}.yaml").write_text(text, "utf-8")

    @property
    def store(self) -> str:
        return f"sqlite:///{self.folder}/history.db"

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    def _program(self, name: str, command: str) -> None:
        file = self.folder / "bin" / name
        file.write_text(f"#!/bin/sh\n{command}\n", "utf-8")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)

    def git(self, *arguments: str) -> str:
        return git(self.workspace, *arguments)

    def commit(self, bot: str, message: str) -> str:
        (self.workspace / "bot.py").write_text(bot, "utf-8")
        self.git("add", "bot.py", "evalgate.yaml", "evalsets")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def run(self, event: str, payload: Any, sha: str, action: str = ".", **inputs: str) -> Ended:
        self.run_id += 1
        environ = environment(self.folder, event, payload, GITHUB_SHA=sha, GITHUB_RUN_ID=str(self.run_id))
        environ |= {
            "GITHUB_API_URL": self.github.api_url,
            "EVALGATE_ACTION_PYTHON": str(self.folder / "bin" / "python"),
            "EVALGATE_CACHE_DIR": str(self.folder / "cache"),
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
        }
        temp = self.folder / "temp"
        return run_action(ROOT / action, inputs, environ, workspace=self.workspace, temp=temp, token="token-1")

    def push(self, bot: str) -> Ended:
        sha = self.commit(bot, "main moves on")
        return self.run("push", PUSH, sha, store=self.store, history="none", comment="true")

    def propose(self, bot: str, title: str) -> tuple[Ended, str]:
        """A push to the pull request's branch: its test merge is checked out and evaluated."""
        branch = "proposal"
        self.git("checkout", "--quiet", "-B", branch, branch if self.git("branch", "--list", branch) else "main")
        head = self.commit(bot, "try this")
        self.git("checkout", "--quiet", "--detach", "main")
        self.git("merge", "--quiet", "--no-ff", "--no-edit", branch)
        self.github.heads[7] = head
        payload = pull_request(head=head, title=title, branch="$(touch PWNED)")
        sha = self.git("rev-parse", "HEAD")
        ended = self.run("pull_request", payload, sha, store=self.store, history="none", comment="true")
        return ended, head


def test_from_the_first_push_to_a_mended_pull_request(tmp_path: Path) -> None:
    """The push records a baseline; a remark changes nothing and, as the configuration has it, is told nowhere; a bad
    change fails and says why, the mended one passes; hostile text stays inert."""
    with FakeGitHub() as github:
        project = Project(tmp_path, github)
        (project.workspace / "evalgate.yaml").write_text(f"{CONFIG}comment: on_change\n", "utf-8")
        pushed = project.push(GOOD)
        assert (pushed.exit_code, pushed.outputs["verdict"]) == (0, "no_baseline"), pushed.log

        quiet, _ = project.propose(f"# nothing but a remark\n{GOOD}", title="A remark")
        assert quiet.outputs["verdict"] == "pass" and github.bodies(7) == [], quiet.log
        assert "nothing has changed" in quiet.log

        bad, head = project.propose(BAD, title="$(touch PWNED) ::error::x")
        assert (bad.exit_code, bad.outputs["verdict"]) == (1, "fail"), bad.log
        ((body),) = github.bodies(7)
        marker, _, report = body.partition("\n")
        assert f"head={head} run=103 attempt=1" in marker
        assert "refunds" in report and "delivery" in report
        assert report.strip() == bad.summary.strip()
        assert {name for name, _ in commands(bad.log)} == {"error", "notice"}
        assert "file=evalsets/refunds.yaml,line=" in bad.log
        notes = read_annotations(tmp_path / "temp" / "evalgate-report" / "annotations.json")
        assert len(notes) == 30 and {note.file for note in notes} == {"evalsets/refunds.yaml"}
        for text in ("<img", "evil.invalid", "@everyone", "run=999999"):
            assert text not in report
        assert list(tmp_path.rglob("PWNED")) == []

        mended, head = project.propose(GOOD, title="Better")
        assert (mended.exit_code, mended.outputs["verdict"]) == (0, "pass"), mended.log
        ((body),) = github.bodies(7)
        assert re.search(rf"head={head} run=104 ", body) and body.partition("\n")[2] != report
        assert commands(mended.log) == [("notice", "edited")]


def test_a_job_of_its_own_posts_a_finished_verdict(tmp_path: Path) -> None:
    """The job that may write takes the files of another and calls `evalgate comment`."""
    with FakeGitHub() as github:
        project = Project(tmp_path, github)
        github.heads[7] = HEAD
        verdict, report = write_verdict(tmp_path / "made", failed_verdict())
        action, files = ".github/actions/comment", {"verdict": str(verdict), "markdown": str(report)}
        ended = project.run("pull_request", pull_request(), MERGE, action, **files)
        assert (ended.exit_code, ended.log) == (0, "comment created\n")
        assert github.bodies(7)[0].endswith("\n# report\n") and github.checks == {}
        notes = tmp_path / "made" / "annotations.json"
        write_annotations(notes, [Annotation(level="error", title="late-1", message="fell", file="a.yaml", line=3)])
        ended = project.run(
            "pull_request", pull_request(), MERGE, action, **files, check="true", annotations=str(notes)
        )
        assert (ended.exit_code, ended.log) == (0, "comment edited\n")
        ((check),) = github.checks.values()
        assert (check["conclusion"], check["annotations"][0]["path"]) == ("failure", "a.yaml")
        ended = project.run("pull_request", pull_request(), MERGE, action, verdict=str(tmp_path / "absent.json"))
        assert ended.exit_code == 2 and "absent.json: cannot be read" in ended.log
        crashed = {"verdict": str(tmp_path / "absent.json"), "job-result": "failure", "exit-code": "70"}
        ended = project.run("pull_request", pull_request(), MERGE, action, **crashed)
        assert (ended.exit_code, ended.log) == (0, "comment edited\n")
        assert "exit code 70" in github.bodies(7)[0]
        ended = project.run("pull_request", pull_request(), MERGE, action, **{**crashed, "job-result": "bad"})
        assert ended.exit_code == 2 and "--job-result: 'bad' is unknown" in ended.log
