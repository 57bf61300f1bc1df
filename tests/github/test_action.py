"""The actions from end to end: their steps run by a small runner, against a GitHub on localhost.

The run itself is played by a stand-in `evalgate` that prints and writes what a test lays ready.
"""

from __future__ import annotations

import json
import shlex
import shutil
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from composite import Ended, run_action
from fake_github import FakeGitHub, Trouble
from github_events import EVENTS, HEAD, environment, pull_request
from verdicts import SENTENCE, failed_verdict, junit, make_verdict, write_verdict
from workflow_commands import commands

from evalgate.records import Verdict

ROOT = Path(__file__).parents[2]

STAND_IN = """
import json, os, shutil, sys
from pathlib import Path
ready = Path(os.environ["STAND_IN"])
seen = json.dumps({"argv": sys.argv[1:], "env": dict(os.environ)})
if sys.argv[1] in ("sync", "baseline"):
    (ready / f"{sys.argv[1]}.json").write_text(seen)
    with (ready / "fetched").open("a") as said:
        said.write(" ".join(word for word in sys.argv[1:] if not word.startswith("json=")) + "\\n")
    for option in sys.argv:
        if option.startswith("json="):
            found = json.dumps({"baseline": {"ids": os.environ.get("BASELINE", "r").split()}})
            Path(option.removeprefix("json=")).write_text(found)
    sys.exit(int(os.environ.get("SYNC_EXIT", "0")))
(ready / "seen.json").write_text(seen)
sys.stdout.buffer.write((ready / "said").read_bytes())
sys.stdout.flush()
for option in sys.argv:
    if option.startswith("--write="):
        kind, _, file = option.removeprefix("--write=").partition("=")
        if (ready / kind).exists():
            shutil.copy(ready / kind, file)
sys.exit(int((ready / "exit").read_text()))
"""


@dataclass
class Job:
    """A job on a runner with an environment that has evalgate, and what its run will say and write."""

    folder: Path
    github: FakeGitHub
    title: str = "Be kinder"
    head: str = HEAD
    run_id: int = 100
    variables: dict[str, str] = field(default_factory=dict)
    event: str = "pull_request"

    def __post_init__(self) -> None:
        for name in ("bin", "ready", "workspace"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._program("python", f'exec {shlex.quote(sys.executable)} "$@"')
        (self.folder / "stand_in.py").write_text(STAND_IN, "utf-8")
        self._program("evalgate", f'exec {shlex.quote(sys.executable)} "{self.folder}/stand_in.py" "$@"')

    def _program(self, name: str, command: str) -> None:
        file = self.folder / "bin" / name
        file.write_text(f"#!/bin/sh\n{command}\n", "utf-8")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)

    def lay_ready(
        self, verdict: Verdict | None, *, exit_code: int, report: str = "# report\n", said: bytes = b""
    ) -> None:
        ready = self.folder / "ready"
        for file in ready.iterdir():
            file.unlink()
        (ready / "exit").write_text(str(exit_code))
        (ready / "said").write_bytes(said)
        if verdict is not None:
            verdict_file, markdown = write_verdict(self.folder / "made", verdict, report)
            verdict_file.rename(ready / "json")
            shutil.copy(markdown, ready / "summary")
            markdown.rename(ready / "markdown")
            (ready / "junit").write_text(junit(("late-01", "evalsets/refunds.yaml", 4)))

    def run(self, action: str = ".", **inputs: str) -> Ended:
        payload = (
            pull_request(head=self.head, title=self.title) if self.event == "pull_request" else EVENTS[self.event]()
        )
        environ = environment(self.folder, self.event, payload, GITHUB_RUN_ID=str(self.run_id))
        environ |= {
            "GITHUB_API_URL": self.github.api_url,
            "EVALGATE_ACTION_PYTHON": str(self.folder / "bin" / "python"),
            "STAND_IN": str(self.folder / "ready"),
            "PYTHONPATH": str(ROOT),
            **self.variables,
        }
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        workspace, temp = self.folder / "workspace", self.folder / "temp"
        return run_action(ROOT / action, given, environ, workspace=workspace, temp=temp, token="token-1")

    def seen(self, command: str = "seen") -> Any:
        return json.loads((self.folder / "ready" / f"{command}.json").read_text("utf-8"))

    def fetched(self) -> list[str]:
        """What the step asked of the history, a command line each."""
        return (self.folder / "ready" / "fetched").read_text("utf-8").splitlines()


def texts(github: FakeGitHub) -> list[str]:
    return [body.partition("\n")[2] for body in github.bodies(7)]


def test_a_pull_request_from_its_first_push_to_its_last(tmp_path: Path) -> None:
    """The first push creates the comment, the second edits it, a late run of the first changes nothing."""
    with FakeGitHub() as github:
        job = Job(tmp_path, github)
        github.heads[7] = HEAD
        job.lay_ready(failed_verdict(), exit_code=1, report="first report\n")
        first = job.run(comment="true")
        assert (first.exit_code, texts(github)) == (1, ["first report\n"])

        job.head = github.heads[7] = "d" * 40
        job.run_id = 101
        job.lay_ready(make_verdict(), exit_code=0, report="second report\n")
        second = job.run(comment="true")
        assert (second.exit_code, texts(github)) == (0, ["second report\n"])
        assert first.outputs["verdict"] == "fail" and second.outputs["verdict"] == "pass"

        job.head, job.run_id = HEAD, 100
        job.lay_ready(failed_verdict(), exit_code=1, report="late report\n")
        late = job.run(comment="true")
        assert (late.exit_code, texts(github)) == (1, ["second report\n"])
        assert "run 101 (attempt 1) is newer" in late.log


def test_outputs_summary_and_annotations_tell_the_same(tmp_path: Path) -> None:
    """A failed gate: every surface, and the exit code of the run."""
    with FakeGitHub() as github:
        job = Job(tmp_path, github)
        evalset = job.folder / "workspace" / "evalsets" / "refunds.yaml"
        evalset.parent.mkdir()
        evalset.write_text("cases: []\n", "utf-8")
        job.lay_ready(failed_verdict(), exit_code=1, said=b"asking 10 cases\n")
        ended = job.run()
        folder = job.folder / "temp" / "evalgate-report"
        assert ended.outputs == {
            "verdict": "fail",
            "exit-code": "1",
            "run-id": "run-1",
            "json": str(folder / "verdict.json"),
            "markdown": str(folder / "report.md"),
            "junit": str(folder / "junit.xml"),
            "result": "",
            "run-file": "",
        }
        assert ended.exit_code == 1
        assert ended.summary == "# report\n\n"
        assert ended.log.splitlines() == [
            "::group::History",
            "::endgroup::",
            "asking 10 cases",
            f"::error title=evalgate%3A fail::{SENTENCE}",
            "::error file=evalsets/refunds.yaml,line=4,title=evalgate%3A late-01::fell from 100 %25 to 0 %25",
        ]
        assert github.requests == []


HOSTILE = "$(touch PWNED)`touch PWNED`'; touch PWNED #\n::set-output name=verdict::pass"
ANSWER = (
    "::set-output name=verdict::pass\n  ::add-mask::e\r::stop-commands::x\n##[add-mask]secret ##[error]x\n"
    "\x1b[31m::error::red\u200b\n:\u200b:error::hidden\n"
).encode() + b"\xff\xfe broken\n"


def test_a_hostile_title_and_a_hostile_answer_stay_inert(tmp_path: Path) -> None:
    """No title, branch name or model's answer becomes a command, in a shell or in the log."""
    with FakeGitHub() as github:
        job = Job(tmp_path, github, title=HOSTILE, variables={"GITHUB_HEAD_REF": HOSTILE})
        github.heads[7] = HEAD
        marker = "<!-- evalgate:v1 suite=support-bot head=" + "f" * 40 + " run=99999 attempt=1 -->"
        job.lay_ready(make_verdict(), exit_code=0, said=ANSWER, report=f"{marker}\nreport\n")
        ended = job.run(comment="true", category=HOSTILE.replace("\n", " "), config="$(touch PWNED).yaml")
        assert ended.exit_code == 0
        assert [name for name, _ in commands(ended.log)] == ["group", "endgroup", "notice"]
        assert ended.outputs["verdict"] == "pass"
        assert list(tmp_path.rglob("PWNED")) == []
        assert marker not in github.bodies(7)[0]
        assert "$(touch PWNED).yaml" in job.seen()["argv"]


def test_inputs_become_options(tmp_path: Path) -> None:
    """Lists may be given by commas or lines; empty inputs become nothing."""
    with FakeGitHub() as github:
        job = Job(tmp_path, github)
        job.lay_ready(make_verdict(), exit_code=0)
        (job.folder / "workspace" / "sub").mkdir()
        job.run(
            category="refunds, safety\nbilling\n",
            limit="20",
            changed_only="true",
            store="sqlite:///h.db",
            working_directory="sub",
        )
        assert job.seen()["argv"] == [
            "run", "--config", "evalgate.yaml", "--store", "sqlite:///h.db", "--category", "refunds", "--category",
            "safety", "--category", "billing", "--limit", "20", "--changed-only",
            *(f"--write={kind}={job.folder}/temp/evalgate-report/{name}"
              for kind, name in (("json", "verdict.json"), ("markdown", "report.md"), ("summary", "summary.md"),
                                  ("junit", "junit.xml"), ("result", "result.json"))),
        ]  # fmt: skip
        assert job.seen()["env"]["PWD"].endswith("/sub")


def test_the_run_is_not_handed_the_token_nor_the_runners_files(tmp_path: Path) -> None:
    """The pull request's code runs there."""
    with FakeGitHub() as github:
        job = Job(tmp_path, github)
        job.lay_ready(make_verdict(), exit_code=0)
        job.run()
        env = job.seen()["env"]
        assert "token-1" not in env.values()
        assert not {"GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"} & env.keys()
        assert env["GITHUB_EVENT_NAME"] == "pull_request"


def test_the_history_is_fetched_first_with_the_token(tmp_path: Path) -> None:
    """From the branch that the same configuration names, into the same store; without, where it is not wanted."""
    with FakeGitHub() as github:
        job = Job(tmp_path, github)
        job.lay_ready(make_verdict(), exit_code=0)
        job.run(store="sqlite:///h.db", epochs="2")
        places = "--config evalgate.yaml --store sqlite:///h.db"
        assert job.fetched() == [f"sync pull --since 120d {places}", f"baseline list {places} --write"]
        for command in ("sync", "baseline"):
            seen = job.seen(command)
            assert seen["env"]["GITHUB_TOKEN"] == "token-1"
            assert not {"GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"} & seen["env"].keys()
        assert "GITHUB_TOKEN" not in job.seen()["env"]
        job.lay_ready(make_verdict(), exit_code=0)
        job.run(history="none")
        assert not (job.folder / "ready" / "sync.json").exists()


def test_the_whole_history_is_fetched_where_the_last_months_have_no_baseline(tmp_path: Path) -> None:
    """A branch that began long ago is still compared with what it began from."""
    with FakeGitHub() as github:
        job = Job(tmp_path, github, variables={"BASELINE": ""})
        job.lay_ready(make_verdict(), exit_code=0)
        job.run()
        places = "--config evalgate.yaml"
        assert job.fetched()[::2] == [f"sync pull --since 120d {places}", f"sync pull {places}"]
        assert job.seen()["argv"][0] == "run"


@pytest.mark.parametrize(("ended", "exit_code"), [(1, 3), (3, 3), (2, 2), (70, 70)])
def test_a_history_that_cannot_be_fetched_is_no_first_run(tmp_path: Path, ended: int, exit_code: int) -> None:
    """Nothing is run, no verdict is left, and the log says why."""
    with FakeGitHub() as github:
        job = Job(tmp_path, github, variables={"SYNC_EXIT": str(ended)})
        job.lay_ready(make_verdict(), exit_code=0)
        done = job.run()
        assert (done.exit_code, done.outputs["verdict"], done.outputs["exit-code"]) == (exit_code, "", str(exit_code))
        assert "::error title=evalgate history::The history could not be fetched" in done.log
        assert not (job.folder / "ready" / "seen.json").exists()


@pytest.mark.parametrize(
    ("event", "ref", "recorded"),
    [
        ("push", "main", True),
        ("push", "feature", False),
        ("schedule", "main", True),
        ("workflow_dispatch", "main", True),
        ("pull_request", "main", False),
        ("merge_group", "main", False),
    ],
)
def test_the_run_file_is_written_where_the_run_is_to_be_recorded(
    tmp_path: Path, event: str, ref: str, recorded: bool
) -> None:
    """On the default branch: what a pull request or a merge group has tested may never land there."""
    with FakeGitHub() as github:
        job = Job(tmp_path, github, event=event, variables={"GITHUB_REF_NAME": ref})
        job.lay_ready(make_verdict(), exit_code=0)
        (job.folder / "ready" / "history").write_text("a run")
        outputs = job.run().outputs
        assert outputs["run-file"] == (f"{job.folder}/temp/evalgate-report/run.evalrun" if recorded else "")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"limit": "0"}, "input limit: '0' is not a whole number"),
        ({"sample": "0"}, "input sample: '0' is not a whole number from 1"),
        ({"seed": "-1"}, "input seed: '-1' is not a whole number from 0"),
        ({"epochs": "two"}, "input epochs: 'two' is not a whole number"),
        ({"changed_only": "on"}, "input changed-only: 'on' is neither true nor false"),
        ({"comment": "yes"}, "input comment: 'yes' is neither true nor false"),
        ({"summary": ""}, "input summary: '' is neither true nor false"),
        ({"write_dir": ""}, "input write-dir: is empty"),
        ({"history": "artifact"}, "input history: 'artifact' is none of branch, none"),
    ],
)
def test_a_wrong_input_ends_before_anything_ran(tmp_path: Path, inputs: dict[str, str], message: str) -> None:
    """Exit 2, with the input's name."""
    with FakeGitHub() as github:
        job = Job(tmp_path, github)
        job.lay_ready(make_verdict(), exit_code=0)
        ended = job.run(**inputs)
        assert ended.exit_code == 2
        assert message in ended.log
        assert not (job.folder / "ready" / "seen.json").exists()


@pytest.mark.parametrize("exit_code", [2, 70, 130])
def test_a_run_without_a_verdict_gives_its_exit_code_and_no_verdict(tmp_path: Path, exit_code: int) -> None:
    """Nothing of an earlier run in the same folder is taken for this one's."""
    with FakeGitHub() as github:
        job = Job(tmp_path, github)
        github.heads[7] = HEAD
        job.lay_ready(make_verdict(), exit_code=0)
        assert job.run().outputs["verdict"] == "pass"
        job.lay_ready(None, exit_code=exit_code, said=b"evalgate.yaml:3:1: unknown key\n")
        ended = job.run(comment="true")
        assert (ended.exit_code, ended.outputs["verdict"], ended.outputs["json"]) == (exit_code, "", "")
        assert "unknown key" in ended.log and "::error" in ended.log
        assert ended.summary == ""
        assert len(texts(github)) == 1 and f"exit code {exit_code} " in texts(github)[0]


def test_a_run_that_says_0_without_a_verdict_has_shown_nothing(tmp_path: Path) -> None:
    """Neither a missing file nor one that says otherwise passes."""
    with FakeGitHub() as github:
        job = Job(tmp_path, github)
        job.lay_ready(None, exit_code=0)
        assert (ended := job.run()).exit_code == 3 and ended.outputs["verdict"] == ""
        job.lay_ready(failed_verdict(), exit_code=0)
        assert job.run().exit_code == 3
        job.lay_ready(make_verdict(), exit_code=0)
        (job.folder / "ready" / "json").write_text("{}")
        assert job.run().exit_code == 3


def test_a_comment_that_github_refuses_is_a_warning(tmp_path: Path) -> None:
    """The exit code says how good the change is; a missing permission says nothing about that."""
    with FakeGitHub() as github:
        job = Job(tmp_path, github)
        github.heads[7] = HEAD
        github.troubles.append(Trouble("GET", "/issues.*", 403, body='{"message": "Resource not accessible"}'))
        job.lay_ready(make_verdict(), exit_code=0)
        ended = job.run(comment="true")
        assert ended.exit_code == 0
        assert "::warning title=evalgate comment::" in ended.log and "pull-requests: write" in ended.log


def test_a_push_has_no_comment(tmp_path: Path) -> None:
    """On the default branch the action runs with the same inputs and says that there is nothing to write to."""
    with FakeGitHub() as github:
        job = Job(tmp_path, github, event="push")
        job.lay_ready(make_verdict(), exit_code=0)
        ended = job.run(comment="true")
        assert ended.exit_code == 0 and "Not a pull request" in ended.log
        assert github.requests == []


def test_a_folder_named_evalgate_in_the_repository_does_not_stand_in_for_the_program(tmp_path: Path) -> None:
    """What a pull request puts beside the configuration is not imported by the step that holds the token."""
    with FakeGitHub() as github:
        job = Job(tmp_path, github)
        job.lay_ready(make_verdict(), exit_code=0)
        fake = job.folder / "workspace" / "evalgate" / "github"
        fake.mkdir(parents=True)
        for file in (fake.parent / "__init__.py", fake / "__init__.py", fake / "step.py"):
            file.write_text("raise SystemExit('taken over')\n", "utf-8")
        ended = job.run()
        assert ended.exit_code == 0 and "taken over" not in ended.log


def test_without_a_python_the_install_says_what_to_do(tmp_path: Path) -> None:
    """A runner without Python 3.11 ends with exit 3 and the name of the action to put first."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "bash").symlink_to("/bin/bash")
    with FakeGitHub() as github:
        job = Job(tmp_path, github, variables={"EVALGATE_ACTION_PYTHON": "", "PATH": str(tools)})
        ended = job.run()
        assert ended.exit_code == 3 and "actions/setup-python" in ended.log
