"""`evalgate sync`: stores on several machines and one branch of the repository between them."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import make_output
from kit import Project, Said, build
from remote_kit import Hosted, state
from repositories import NOBODY, git, git_bytes

from evalgate.history import run_file

BRANCH = "evalgate-history"


@pytest.fixture
def repository(
    hosted: Hosted, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Project]:
    """A clone of depth 1 with a suite that is committed and pushed, as the current directory."""
    for name in [name for name in os.environ if name.startswith(("GIT_", "GITHUB_"))]:
        monkeypatch.delenv(name)
    for name, value in NOBODY.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(hosted.clone)
    project = Project(folder=hosted.clone, capture=capsys)
    build(project, categories={"facts": 2})
    project.write(".gitignore", ".evalgate/\n*.evalrun\n")
    git(hosted.clone, "add", ".")
    git(hosted.clone, "commit", "--quiet", "-m", "the suite")
    git(hosted.clone, "push", "--quiet", "origin", "HEAD:main")
    yield project
    sys.modules.pop("app", None)


OTHER = "sqlite:///.evalgate/other.db"
"""The store of another machine."""


def ran(project: Project, *arguments: str) -> str:
    """The id of a run that passed."""
    said = project.evalgate("run", "--format", "json", *arguments)
    assert said.code == 0, said.err
    return str(said.json["run"]["id"])


def there(hosted: Hosted) -> list[str]:
    return git(hosted.bare, "ls-tree", "-r", "--name-only", BRANCH).splitlines()


def done(said: Said) -> Said:
    assert said.code == 0, said.err
    return said


def by_hand(hosted: Hosted, path: str, content: bytes) -> None:
    """Somebody commits a file to the branch."""
    blob = git(hosted.bare, "hash-object", "-w", "--stdin", content=content)
    git(hosted.bare, "read-tree", BRANCH)
    git(hosted.bare, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
    commit = git(hosted.bare, "commit-tree", git(hosted.bare, "write-tree"), "-p", BRANCH, "-m", "by hand")
    git(hosted.bare, "update-ref", f"refs/heads/{BRANCH}", commit)


def test_a_scratch_repository_that_came_with_a_commit_is_not_used(repository: Project, hosted: Hosted) -> None:
    """Its settings would start programs and lead elsewhere, its objects would be the history."""
    scratch = hosted.clone / ".evalgate" / "remote.git"
    scratch.mkdir(parents=True)
    git(scratch, "init", "--quiet", "--bare", ".")
    trap = hosted.clone / "started"
    git(scratch, "config", "remote.origin.uploadpack", f"touch {trap}; git-upload-pack")
    git(hosted.clone, "add", "--force", ".evalgate")
    for command in (("sync", "pull"), ("sync", "push"), ("sync", "compact")):
        said = repository.evalgate(*command)
        assert (said.code, said.out) == (2, ""), said.out
        assert "remote.git: is part of the commit" in said.err
    assert not trap.exists()


def test_a_run_made_here_is_the_baseline_there(repository: Project, hosted: Hosted) -> None:
    """Pushed from one store, pulled into another with its verdict and its blessing; the clone is as it was."""
    run = ran(repository)
    repository.evalgate("baseline", "bless", run, "--reason", "released", "--name", "v1")
    before = state(hosted.clone)
    pushed = done(repository.evalgate("sync", "push", "--format", "json")).json
    assert (pushed["runs"], pushed["events"], pushed["left"]) == ([run], 1, {})
    pulled = done(repository.evalgate("sync", "pull", "--store", OTHER, "--format", "json")).json
    assert (pulled["runs"], pulled["events"], pulled["skipped"]) == ([run], 1, [])
    assert state(hosted.clone) == before
    rows = repository.evalgate("history", "--store", OTHER, "--format", "json").json["runs"]
    assert [(row["id"], row["verdict"], row["blessed"]) for row in rows] == [(run, "no_baseline", True)]
    chosen = repository.evalgate("baseline", "list", "--store", OTHER, "--format", "json").json
    assert (chosen["baseline"]["ids"], chosen["blessed"][0]["name"]) == ([run], "v1")
    assert done(repository.evalgate("run", "--store", OTHER, "--format", "json")).json["baseline"]["ids"] == [run]


def test_pushed_and_pulled_again_nothing_changes(repository: Project, hosted: Hosted) -> None:
    """No second file, no second row, no commit."""
    ran(repository)
    for _ in range(2):
        done(repository.evalgate("sync", "push"))
        done(repository.evalgate("sync", "pull", "--store", OTHER))
    assert git(hosted.bare, "rev-list", "--count", BRANCH) == "1"
    again = repository.evalgate("sync", "pull", "--store", OTHER, "--format", "json").json
    assert (again["runs"], again["known"], again["events"]) == ([], 1, 0)


def test_texts_go_along_only_where_the_configuration_says_so(repository: Project, hosted: Hosted) -> None:
    """A public repository publishes its branches."""
    ran(repository)
    done(repository.evalgate("sync", "push"))
    config = repository.folder / "evalgate.yaml"
    config.write_text(config.read_text() + "history: {outputs: full, branch: full}\n")
    done(repository.evalgate("sync", "push", "latest"))
    for branch, text in ((BRANCH, None), ("full", "facts-0")):
        paths = git(hosted.bare, "ls-tree", "-r", "--name-only", branch).splitlines()
        (path,) = [path for path in paths if "/runs/" in path]
        read = run_file.parse(path, git_bytes(hosted.bare, "cat-file", "blob", f"{branch}:{path}"))
        assert (read.run.results[0].output or make_output()).text == text


def test_only_what_belongs_there_is_pushed_without_being_named(repository: Project, hosted: Hosted) -> None:
    """Not a run on a modified tree, nor one at a commit that nobody else has; by name, both."""
    good = ran(repository)
    repository.write("a.txt", "changed")
    modified = ran(repository)
    git(hosted.clone, "commit", "--quiet", "-am", "not on main")
    git(hosted.clone, "branch", "--force", "side")
    side = ran(repository)
    pushed = done(repository.evalgate("sync", "push", "--format", "json")).json
    assert pushed["runs"] == [good]
    assert pushed["left"] == {
        "at a commit that is not on the default branch": [side],
        "made on a modified tree": [modified],
    }
    assert "name it" in repository.evalgate("sync", "push").out
    assert done(repository.evalgate("sync", "push", modified, side[:6], "--format", "json")).json["left"] == {}
    assert len([path for path in there(hosted) if "/runs/" in path]) == 3


def test_a_file_is_pushed_by_a_job_that_has_no_store(repository: Project, hosted: Hosted) -> None:
    """The job that holds the right to write has neither a key nor a history: only the file."""
    run = ran(repository, "--write", "run=r.evalrun")
    (repository.folder / ".evalgate" / "history.db").unlink()
    pushed = done(repository.evalgate("sync", "push", "*.evalrun", "--format", "json")).json
    assert pushed["runs"] == [run]
    done(repository.evalgate("sync", "pull"))
    assert repository.evalgate("history", "--format", "json").json["runs"][0]["verdict"] == "no_baseline"


def test_a_refused_push_keeps_the_file_for_the_next_one(repository: Project, hosted: Hosted) -> None:
    """Exit 3, one line that says what to do; later, by itself."""
    run = ran(repository, "--write", "run=r.evalrun")
    hosted.hook("pre-receive", "echo 'error: GH013: Repository rule violations found for refs/heads/x' >&2; exit 1")
    said = repository.evalgate("sync", "push", "r.evalrun")
    assert (said.code, said.out, len(said.err.splitlines())) == (3, "", 1)
    assert "GH013" in said.err and "ruleset" in said.err and ".evalgate/pending" in said.err
    (repository.folder / "r.evalrun").unlink()
    (repository.folder / ".evalgate" / "history.db").unlink()
    (hosted.bare / "hooks" / "pre-receive").unlink()
    assert done(repository.evalgate("sync", "push", "--format", "json")).json["runs"] == [run]
    assert not list((repository.folder / ".evalgate" / "pending").iterdir())
    assert len(there(hosted)) == 2


def test_the_sound_is_taken_and_the_damaged_is_told(repository: Project, hosted: Hosted) -> None:
    """Corrupt, of a newer schema, another run's under this name: each by name, none of it in the store, exit 0."""
    run = ran(repository)
    done(repository.evalgate("sync", "push"))
    (path,) = [path for path in there(hosted) if "/runs/" in path]
    content = git_bytes(hosted.bare, "cat-file", "blob", f"{BRANCH}:{path}")
    by_hand(hosted, path.replace(run, "moved"), content)
    by_hand(hosted, path.replace(run, "damaged"), content[:-20])
    by_hand(hosted, path.replace(run, "nothing"), b"")
    by_hand(hosted, "v1/events/2026/11/blessing-x-0123456789abcdef.json", b"{}")
    by_hand(hosted, "v3/runs/x", b"{}")
    said = done(repository.evalgate("sync", "pull", "--store", OTHER, "--format", "json"))
    assert said.json["runs"] == [run]
    skipped = {row["file"].rpartition("-local-1-")[2]: row["why"] for row in said.json["skipped"]}
    assert len(skipped) == 5
    assert f"it holds run {run}" in skipped["moved.evalrun"]
    assert said.err.count("warning: skipped") == 5
    assert said.err.count("push the run again from a store that has it") == 1
    assert [row["id"] for row in repository.evalgate("history", "--store", OTHER, "--format", "json").json["runs"]] == [
        run
    ]


def test_no_branch_yet_is_said_and_a_lost_one_is_an_error(repository: Project, hosted: Hosted) -> None:
    """A first run must not look like a deleted history, nor the other way round."""
    said = done(repository.evalgate("sync", "pull"))
    assert "There is no branch evalgate-history" in said.out
    ran(repository)
    done(repository.evalgate("sync", "push"))
    done(repository.evalgate("sync", "pull"))
    git(hosted.bare, "update-ref", "-d", f"refs/heads/{BRANCH}")
    lost = repository.evalgate("sync", "pull")
    assert (lost.code, lost.out) == (3, "")
    assert "is gone" in lost.err and "sync push" in lost.err
    again = done(repository.evalgate("sync", "push", "--format", "json"))
    assert len(again.json["runs"]) == 1
    assert "is gone" in again.err
    assert done(repository.evalgate("sync", "pull")).err == ""


def test_a_remote_that_cannot_be_reached_is_exit_3(repository: Project, hosted: Hosted) -> None:
    """And the store is as it was."""
    ran(repository)
    hosted.bare.rename(hosted.bare.with_name("away"))
    for command in ("push", "pull", "compact"):
        said = repository.evalgate("sync", command)
        assert (said.code, said.out, len(said.err.splitlines())) == (3, "", 1)
    assert len(repository.evalgate("history", "--format", "json").json["runs"]) == 1


def job(monkeypatch: pytest.MonkeyPatch, folder: Path, event: str, ref: str, payload: dict[str, object]) -> None:
    """As GitHub Actions starts a job."""
    file = folder / "event.json"
    file.write_text(json.dumps({"repository": {"default_branch": "main"}, **payload}))
    for name, value in {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": event,
        "GITHUB_EVENT_PATH": str(file),
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_SHA": "1" * 40,
        "GITHUB_REF": f"refs/heads/{ref}",
        "GITHUB_REF_TYPE": "branch",
        "GITHUB_REF_NAME": ref,
        "GITHUB_RUN_ID": "77",
        "GITHUB_RUN_ATTEMPT": "2",
    }.items():
        monkeypatch.setenv(name, value)


def test_only_the_default_branch_writes_the_history_in_a_job(
    repository: Project, hosted: Hosted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows whether the commit of a pull request, a queue or a side branch will land. The file's name says which
    job it was."""
    ran(repository)
    pull = {"pull_request": {"number": 1, "head": {"sha": "1" * 40, "ref": "x"}, "base": {"sha": "2" * 40}}}
    for event, ref, payload in (
        ("pull_request", "main", pull),
        ("merge_group", "main", {"merge_group": {"base_sha": "2" * 40}}),
        ("push", "side", {}),
        ("workflow_run", "main", {}),
    ):
        job(monkeypatch, tmp_path, event, ref, payload)
        said = repository.evalgate("sync", "push")
        assert (said.code, said.out) == (2, "")
        assert event in said.err and "default branch" in said.err
    job(monkeypatch, tmp_path, "push", "main", {})
    done(repository.evalgate("sync", "push"))
    assert "-77-2-" in there(hosted)[-1]


def test_what_cannot_be_pushed_is_exit_2(repository: Project, hosted: Hosted) -> None:
    """A part of a run, a file that is none, an unknown run, no repository."""
    ran(repository)
    repository.evalgate("run", "--shard", "1/2")
    repository.write("bad.evalrun", "x")
    for named, message in (
        ("shard-1-of-2.evalrun", "evalgate merge"),
        ("bad.evalrun", "no run file"),
        ("nothere", "has no run"),
        ("no/such/file.evalrun", "no such file"),
    ):
        said = repository.evalgate("sync", "push", named)
        assert (said.code, said.out) == (2, "")
        assert message in said.err
    git(hosted.clone, "remote", "remove", "origin")
    assert "has no remote" in repository.evalgate("sync", "pull").err


def test_old_runs_are_packed_and_pulled_all_the_same(repository: Project, hosted: Hosted) -> None:
    """Months that are over become a pack each; who asks for the last months only gets those, and what is blessed."""
    repository.rows("rows.jsonl", [{"id": "facts-0", "category": "facts", "score": 1}])
    imported = ("import", "rows.jsonl", "--suite", "tables", "--format", "json", "--created")
    ids = [repository.evalgate(*imported, f"2025-01-0{day}T00:00:00Z").json["runs"][0]["id"] for day in (1, 2, 3)]
    done(repository.evalgate("gate", ids[0]))
    done(repository.evalgate("baseline", "bless", ids[0], "--reason", "anchor", "--expires", "2099-01-01"))
    new = ran(repository)
    done(repository.evalgate("sync", "push", new, *ids))
    assert "Packed 3 run files" in done(repository.evalgate("sync", "compact")).out
    assert "Nothing to pack" in done(repository.evalgate("sync", "compact")).out
    assert len(there(hosted)) == 5
    pulled = done(repository.evalgate("sync", "pull", "--since", "30d", "--store", OTHER, "--format", "json")).json
    assert (sorted(pulled["runs"]), pulled["older"], pulled["events"]) == (sorted([new, ids[0]]), 2, 1)
    assert done(repository.evalgate("sync", "pull", "--store", OTHER, "--format", "json")).json["known"] == 2
