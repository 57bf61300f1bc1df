"""A fork's run is judged again, by this repository's rules and history, and its pull request gets the comment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_github import REPOSITORY, FakeGitHub, Trouble
from fork_world import CONFIG, Repository, World, evalset, made, zipped
from github_events import BASE, FORK, HEAD, MERGE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from repositories import git

from evalgate.cli import call
from evalgate.errors import GitHubError, InputError, RemoteError
from evalgate.github.answers import Comment
from evalgate.github.comment import Marker
from evalgate.github.marked import BOT
from evalgate.history import result_file
from evalgate.history.store import History
from evalgate.records import CaseRef, fingerprint

BANNER = "> [!IMPORTANT]\n> **The scores come from [a run]("
NOT_EVALUATED = "> [!WARNING]\n> **NOT EVALUATED**: there is no verdict on aaaaaaaaaa: "


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return made(tmp_path_factory.mktemp("repository"))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the jobs work: what one has fetched need not be fetched by the next."""
    return tmp_path_factory.mktemp("workplace")


@pytest.fixture
def world(repository: Repository, workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.chdir(workplace)
    with FakeGitHub() as github:
        yield World(repository=repository, github=github, folder=tmp_path)


def safety_fell(case: str) -> bool:
    return case.startswith("safety")


# ---- what is posted -----------------------------------------------------------------------------------------


def test_a_good_change_is_told_as_one_that_the_fork_vouches_for(world: World) -> None:
    """The banner stands first and names whose rules decided; the run is the fork's, compared with main's history."""
    world.leave(world.run())
    (body,) = world.comment()
    assert body.startswith(BANNER)
    assert f"history of `main` at `{world.repository.main[-1][:10]}`" in body
    assert "<b>PASS</b> · support-bot: " in body and "against 3 baseline runs" in body
    assert world.said == ["#7: pass; comment created"]
    marker = Marker.of(world.github.bodies(7)[0])
    assert marker is not None
    assert (marker.suite, marker.head_sha, marker.run_id, marker.run_attempt) == ("support-bot", HEAD, 100, 1)


def test_a_bad_change_fails_and_its_mending_is_told_in_the_same_comment(world: World) -> None:
    """The category that fell is named; the next push edits the comment."""
    world.leave(world.run(safety_fell))
    (body,) = world.comment()
    assert body.startswith(BANNER) and "**FAIL** · support-bot: safety" in body
    world.event = {"id": 101}
    world.github.artifacts.clear()
    world.github.add_artifact("evalgate-result-1", zipped(left(world)), 101)
    (body,) = world.comment()
    assert "<b>PASS</b>" in body and world.said[-1] == "#7: pass; comment edited"


def left(world: World, **changes: Any) -> bytes:
    file = world.folder / "again.json"
    result_file.write(file, "support-bot", world.run(**changes))
    return file.read_bytes()


def test_the_same_run_told_again_changes_nothing(world: World) -> None:
    """The job can be run again."""
    world.leave(world.run())
    assert world.comment() == world.comment()


def test_no_word_of_the_run_is_in_the_comment(world: World) -> None:
    """Its id, branch, causes, notes and models were chosen by a stranger; names of cases and categories remain."""
    run = world.run(safety_fell, branch="visit evil.example", selection="evil", metadata={"notes": ["evil"]})
    world.leave(replace(run, id="evil", stopped=None))
    (body,) = world.comment()
    assert "evil" not in body


def test_a_run_of_the_head_alone_is_held_against_its_merge_base(world: World) -> None:
    """A workflow may check out the head instead of its test merge."""
    world.github.merge_bases["main", HEAD] = world.repository.main[1]
    world.leave(world.run(commit=HEAD))
    (body,) = world.comment()
    assert f"baseline {world.repository.main[1][:6]}" in body and "against 2 baseline runs" in body


def test_dependabot_counts_as_a_fork(world: World) -> None:
    """Its branch lies in this repository, but its runs have neither secrets nor a token that can write."""
    world.event = {"head_repository": REPOSITORY, "actor": {"login": "dependabot[bot]"}}
    world.github.add_pull(7, HEAD, repository=REPOSITORY, branch="kinder")
    world.leave(world.run())
    (body,) = world.comment()
    assert "(it is from Dependabot)" in body


def test_every_pull_request_of_the_commit_is_told(world: World) -> None:
    """Each against the branch that it is to go into."""
    world.github.add_pull(8, HEAD, repository=FORK, branch="kinder", base="release")
    world.github.merge_bases["release", HEAD] = world.repository.main[0]
    world.leave(world.run(commit=HEAD))
    world.comment()
    assert "against 3 baseline runs" in world.bodies(7)[0] and "against 1 baseline run" in world.bodies(8)[0]


def test_a_pull_request_without_a_key_is_told_as_not_evaluated(world: World) -> None:
    """The commonest case: nothing was called, and what to do is said."""
    world.leave(None, unrun="no_credentials")
    (body,) = world.comment()
    assert "**NOT EVALUATED" in body and "had no key" in body and "merge queue" in body
    assert "The scores" not in body


@pytest.mark.parametrize(("unrun", "told"), [("error", "**ERROR**"), ("nothing_changed", "**INCONCLUSIVE")])
def test_a_run_that_never_began_is_told(world: World, unrun: Any, told: str) -> None:
    """Never as a pass."""
    world.leave(None, unrun=unrun)
    (body,) = world.comment()
    assert told in body and "PASS" not in body


def test_what_the_configuration_says_of_comments_holds(world: World, tmp_path: Path) -> None:
    """`comment: never` makes none, whatever there is to tell."""
    world = elsewhere(world, tmp_path / "quiet", config=CONFIG + "comment: never\n")
    assert world.comment() == [] and "never" in world.said[1]
    world.leave(world.run(safety_fell))
    assert world.comment() == [] and "never" in world.said[2]


# ---- whose rules decide -------------------------------------------------------------------------------------


def elsewhere(world: World, root: Path, **changes: Any) -> World:
    """The same in a repository whose main is other than usual."""
    root.mkdir()
    os.chdir(root)
    world.github.commits.clear()
    return World(repository=made(root, **changes), github=world.github, folder=world.folder)


def test_cases_are_what_the_default_branch_says_they_are(world: World) -> None:
    """Moving the failing cases into another category, or calling none critical, hides nothing."""
    cases = tuple(replace(case, categories=("facts",)) for case in world.repository.cases)
    world.leave(world.run(safety_fell, cases=cases))
    (body,) = world.comment()
    assert "**FAIL** · support-bot: safety" in body


def test_cases_with_another_question_are_named_and_not_compared(world: World) -> None:
    """An easier question gets the case out of the comparison, not past it."""
    cases = tuple(
        replace(case, content=fingerprint("easier")) if case.id == "facts-3" else case
        for case in world.repository.cases
    )
    world.leave(world.run(cases=cases))
    (body,) = world.comment()
    assert "**1 case changed**" in body and "<code>facts-3" in body.replace("`", "<code>")


def test_cases_that_were_taken_out_are_listed_and_a_category_that_is_gone_fails(world: World) -> None:
    """Fewer cases are no better result."""
    kept = tuple(case for case in world.repository.cases if case.id != "facts-0")
    world.leave(world.run(cases=kept))
    assert "**1 case removed**" in world.comment()[0]
    world.github.artifacts.clear()
    world.leave(world.run(cases=tuple(case for case in kept if "safety" not in case.id)))
    assert "**FAIL** · support-bot: " in world.comment()[0]


def test_cases_of_its_own_are_named_as_added(world: World) -> None:
    """With every name inert."""
    own = CaseRef(id="@everyone <img src=x> #1", categories=("[x](http://evil.example)",), content=fingerprint("a"))
    world.leave(world.run(cases=tuple(sorted((*world.repository.cases, own), key=lambda case: case.id))))
    (body,) = world.comment()
    assert "**1 case added**" in body
    assert "@everyone" not in body and "<img" not in body and "](http" not in body and "#1" not in body


NASTY = st.lists(
    st.sampled_from([*"@#<>[]()!`|*_~:/\\&;-. \n\r\t\u202e\u200ba1", "evalgate:v1", "<!--", "-->", "](http://x)"]),
    min_size=1,
    max_size=20,
).map("".join)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NASTY, NASTY)
def test_names_are_inert_whatever_they_are(world: World, case_id: str, category: str) -> None:
    """A comment begins with our own marker and has no other, no mention, no link and no element of theirs."""
    world.github.artifacts.clear()
    world.github.comments.clear()
    own = CaseRef(id=case_id, categories=(category,), content=fingerprint("a"))
    cases = tuple(sorted((*world.repository.cases, own), key=lambda case: case.id))
    try:
        world.leave(world.run(cases=cases))
        world.comment()
    except InputError:  # the name "*" for a category
        return
    (body,) = world.github.bodies(7)
    assert body.count("<!-- evalgate:v1") == 1
    assert not any(found in body for found in ("@a", "@1", "](http", "\u202e", "\u200b"))


def proposing(world: World, files: dict[str, str]) -> list[str]:
    """The comments on a pull request whose head has these files as well."""
    clone = world.repository.clone
    git(clone, "checkout", "--quiet", "--detach", world.repository.main[-1])
    for name, text in files.items():
        (clone / name).write_text(text)
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "-m", "from a fork")
    head = git(clone, "rev-parse", "HEAD")
    git(clone, "push", "--quiet", "--force", "origin", "HEAD:refs/pull/7/head")
    world.github.add_pull(7, head, repository=FORK, branch="kinder")
    world.github.merge_bases["main", head] = world.repository.main[-1]
    world.event = {"head_sha": head}
    world.leave(world.run(commit=head))
    return world.comment()


def test_what_it_would_weaken_is_told_although_it_does_not_count_yet(world: World) -> None:
    """Floors, cases and expected answers of the pull request's own files, compared and not executed."""
    weaker = CONFIG.replace("each_category: {max_drop: 0.05}", "each_category: {max_drop: 0.9}")
    cases = evalset().replace("id: facts-1, category: facts", "id: facts-1, category: safety")
    scorer = "def judge(case, output):\n    raise SystemExit('executed')\n"
    (body,) = proposing(world, {"evalgate.yaml": weaker, "evalsets/bot.yaml": cases, "scorer.py": scorer})
    assert "<b>PASS</b>" in body or "**PASS**" in body
    assert "once merged, this change weakens the rules in" in body
    assert "This change also alters how it is judged" in body and "facts-1" in body and "0.9" in body


@pytest.mark.parametrize(
    "text",
    ["a: &a [*a, *a]\n", "version: 1\nsuite: '@everyone evil'\n", "[" * 5_000, "\0", "gate: {overall: evil}\n"],
)
def test_files_of_a_stranger_that_cannot_be_read_are_told_without_a_word_of_them(world: World, text: str) -> None:
    """And the verdict stands: those files decide nothing."""
    (body,) = proposing(world, {"evalgate.yaml": text})
    assert "PASS" in body and "evil" not in body
    assert "is not known: its files, or those of its base, cannot be read" in body.replace("<!-- -->", "")


# ---- what is refused ----------------------------------------------------------------------------------------


def refused(world: World) -> str:
    """What the comment says of a refusal, which is raised as well."""
    with pytest.raises(InputError):
        world.comment()
    (body,) = world.bodies()
    assert body.startswith(f"{NOT_EVALUATED}the results of its run were refused (")
    assert "PASS" not in body
    return body


@pytest.mark.parametrize("commit", [BASE, None, "f" * 40])
def test_results_of_another_commit_are_refused(world: World, commit: str | None) -> None:
    """An old green run, somebody else's, or one of a commit that GitHub does not know."""
    world.github.commits[BASE] = [world.repository.main[0]]
    world.leave(world.run(commit=commit))
    assert "is about another commit than aaaaaa" in refused(world)


def test_a_merge_of_the_forks_own_brings_no_base_of_its_own(world: World) -> None:
    """Anybody can make a merge of the head with whatever: it counts only where it lies on the base branch."""
    own = "9" * 40
    world.github.commits[own] = ["8" * 40, HEAD]
    world.leave(world.run(commit=own))
    assert "against 3 baseline runs" in world.comment()[0]


def test_a_merge_that_has_the_head_on_the_other_side_is_another_commit(world: World) -> None:
    """The head merged into something is not the something merged into the head."""
    own = "9" * 40
    world.github.commits[own] = [HEAD, world.repository.main[-1]]
    world.leave(world.run(commit=own))
    refused(world)


def test_results_of_another_suite_are_refused(world: World) -> None:
    """The suite is the one of the default branch's configuration."""
    world.leave(world.run(), suite="easy-bot")
    assert "another suite" in refused(world) and "easy-bot" not in world.bodies()[0]


def test_a_bad_artifact_is_refused_and_an_earlier_verdict_does_not_stand(world: World) -> None:
    """The comment of the push before would speak for a commit that it is not about."""
    world.leave(world.run())
    world.comment()
    world.event = {"id": 101}
    world.github.add_artifact("evalgate-result-1", zipped(b"# Approved by the maintainers", "../report.md"), 101)
    body = refused(world)
    assert "Approved" not in body and "report.md" not in body
    assert len(world.bodies()) == 1


@pytest.mark.parametrize(
    ("content", "known"),
    [
        (zipped(b'{"schema": "evalgate.result/1", "suite": NaN}'), {}),
        (zipped(bytes(2**26)), {}),
        (zipped(b"{}"), {"size_in_bytes": 2**40}),
    ],
)
def test_whatever_is_left_ends_in_one_sentence(world: World, content: bytes, known: dict[str, Any]) -> None:
    """No result, a bomb, a size that is refused before anything is fetched; more are tried on the reader itself."""
    world.leave_bytes(content, **known)
    refused(world)
    assert len(world.github.fetched) == (0 if known else 1)


def test_a_download_that_is_not_what_was_uploaded_is_gits_trouble(world: World) -> None:
    """GitHub knows the checksum: another content is an error on the way, exit 3, and no verdict."""
    world.leave_bytes(zipped(left(world)), digest="sha256:" + "0" * 64)
    with pytest.raises(GitHubError, match="not what was uploaded"):
        world.comment()
    assert world.bodies() == []


# ---- nothing to judge ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("conclusion", ["failure", "success"])
def test_a_run_that_left_nothing_is_told(world: World, conclusion: str) -> None:
    """It failed before there was a result: that is no fault of this job, and no pass."""
    world.event = {"conclusion": conclusion}
    (body,) = world.comment()
    assert body.startswith(f"{NOT_EVALUATED}its run has left no results.")
    assert "actions/runs/100" in body


@pytest.mark.parametrize("conclusion", ["cancelled", "action_required"])
def test_a_run_that_was_not_to_leave_anything_is_not_told(world: World, conclusion: str) -> None:
    """A newer push has taken its place, or a maintainer has yet to let it run."""
    world.event = {"conclusion": conclusion}
    assert world.comment() == [] and "has left none" in world.said[0]


@pytest.mark.parametrize(("conclusion", "told"), [("success", "PASS"), ("failure", "has left no results")])
def test_an_older_attempts_results_count_only_after_a_success(world: World, conclusion: str, told: str) -> None:
    """A re-run of other jobs leaves them; a re-run that failed before its results does not speak through them."""
    world.leave(world.run())
    world.event = {"run_attempt": 2, "conclusion": conclusion}
    assert told in world.comment()[0]


def test_the_newest_attempts_results_count(world: World) -> None:
    """Both are still there."""
    world.leave(world.run(safety_fell))
    world.leave(world.run(), attempt=2)
    world.event = {"run_attempt": 2}
    assert "PASS" in world.comment()[0]


@pytest.mark.parametrize("is_listed", [True, False])
def test_an_expired_artifact_is_nothing_left(world: World, is_listed: bool) -> None:
    """Whether the list says so or the download does."""
    number = world.leave_bytes(zipped(left(world)), expired=is_listed)
    del world.github.stored[number]
    assert "its run has left no results" in world.comment()[0]


@pytest.mark.parametrize(
    "event", [{"event": "push"}, {"event": "merge_group"}, {"head_repository": REPOSITORY}, {"head_sha": BASE}]
)
def test_where_there_is_nothing_to_do_nothing_is_done(world: World, event: dict[str, Any]) -> None:
    """Not a pull request, our own branch (which is commented by its own run), or none that has this head."""
    world.event = event
    world.leave(world.run())
    assert world.comment() == []
    assert world.said[0].startswith("nothing to do: ")
    assert world.github.fetched == []


def test_a_pull_request_that_has_moved_on_is_left_alone(world: World) -> None:
    """The newer push has its own run; between the question and the comment, too."""
    world.leave(world.run())

    def moves() -> None:
        world.github.heads[7] = BASE

    world.github.after["GET"] = moves
    assert world.comment() == [] and "has moved on" in world.said[0]


def test_another_repositorys_run_is_refused(world: World) -> None:
    """Whatever started this job: what is not of this repository is not looked at."""
    world.event = {"repository": {"full_name": FORK}}
    with pytest.raises(InputError, match="another repository"):
        world.comment()
    assert world.github.requests == []


# ---- the history and GitHub ---------------------------------------------------------------------------------


def test_the_history_is_the_branchs(world: World) -> None:
    """Fetched without a checkout, into a store that goes with the job; a file on it that is none of ours is told."""
    (world.repository.clone / "v1").mkdir()
    git(world.repository.clone, "fetch", "--quiet", "origin", "evalgate-history")
    git(world.repository.clone, "checkout", "--quiet", "FETCH_HEAD")
    (world.repository.clone / "v1" / "stranger.txt").write_text("hello")
    git(world.repository.clone, "add", ".")
    git(world.repository.clone, "commit", "--quiet", "-m", "by hand")
    git(world.repository.clone, "push", "--quiet", "origin", "HEAD:evalgate-history")
    world.leave(world.run(safety_fell))
    (body,) = world.comment(store=None)
    assert "**FAIL** · support-bot: safety" in body and "3 runs pooled" in body
    assert any("stranger.txt" in line for line in world.said)


def test_without_a_history_only_floors_are_judged(world: World) -> None:
    """No baseline is no pass; readers are told of the branch and of no file that nobody can see."""
    os.chdir(world.folder)
    git(world.repository.bare, "branch", "-m", "evalgate-history", "away")
    try:
        world.leave(world.run())
        (body,) = world.comment(store=None)
    finally:
        git(world.repository.bare, "branch", "-m", "away", "evalgate-history")
    assert "**NO BASELINE" in body and "branch evalgate-history" in body.replace("<!-- -->", "")
    assert "history.db" not in body


def test_a_remote_that_cannot_be_reached_is_no_verdict(world: World, tmp_path: Path) -> None:
    """Exit 3; the comment says that the results could not be judged, and repeats no error."""
    world.leave(world.run())
    gone = replace(world.repository, root=tmp_path / "gone")
    os.chdir(tmp_path)
    with pytest.raises(RemoteError):
        World(repository=gone, github=world.github, folder=tmp_path).comment(store=None)
    (body,) = world.bodies()
    assert body.startswith(f"{NOT_EVALUATED}its results could not be judged.") and "fatal" not in body


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble("GET", "/pulls", 502, body="<html>Unicorn!</html>"),
        Trouble("GET", ".*artifacts", 200, body="<html>Unicorn!</html>"),
        Trouble("STORAGE", "", 500),
        Trouble("GET", "/git/commits.*", 500),
        Trouble("GET", ".*comments", 403, body='{"message": "Resource not accessible by integration"}'),
    ],
)
def test_github_that_cannot_be_asked_is_told_and_nothing_is_posted(world: World, trouble: Trouble) -> None:
    """Exit 3: not knowing is no verdict."""
    world.leave(world.run())
    world.github.troubles.append(trouble)
    with pytest.raises(GitHubError):
        world.comment()
    assert world.bodies() == []


def test_a_configuration_that_cannot_be_read_is_no_verdict(world: World, tmp_path: Path) -> None:
    """The default branch has none of that name: exit 2, and the comment of an earlier push does not stand."""
    world.leave(world.run())
    with pytest.raises(InputError, match="no such file"):
        world.comment(config=Path("other.yaml"))
    assert "its results could not be judged" in world.bodies()[0]


def test_eval_sets_that_cannot_be_read_are_no_verdict(world: World, tmp_path: Path) -> None:
    """Without them nobody knows what the cases are."""
    world = elsewhere(world, tmp_path / "broken", sizes={"facts": 40})
    (world.repository.clone / "evalsets" / "bot.yaml").write_text("name: bot\ncases: 3\n")
    git(world.repository.clone, "commit", "--quiet", "-am", "broken")
    git(world.repository.clone, "push", "--quiet", "origin", "HEAD:main")
    main = (*world.repository.main, git(world.repository.clone, "rev-parse", "HEAD"))
    broken = World(repository=replace(world.repository, main=main), github=world.github, folder=world.folder)
    broken.leave(broken.run())
    with pytest.raises(InputError, match=f"{main[-1][:10]}:evalsets/bot.yaml"):
        broken.comment()
    assert "its results could not be judged" in broken.bodies()[0]


def test_a_suite_below_the_top_is_named_by_its_path(world: World, tmp_path: Path) -> None:
    """As `--config` names it."""
    world = elsewhere(world, tmp_path / "mono", folder="bots/support")
    world.leave(world.run())
    assert "PASS" in world.comment(config=Path("bots/support/evalgate.yaml"))[0]


def test_another_suite_of_the_same_name_is_no_baseline(world: World, tmp_path: Path) -> None:
    """Copied within a monorepo; that its configuration is there is asked of the default branch."""
    world = elsewhere(world, tmp_path / "twins")
    clone = world.repository.clone
    (clone / "twin").mkdir()
    (clone / "twin" / "evalgate.yaml").write_text(CONFIG)
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "-m", "a copy")
    git(clone, "push", "--quiet", "origin", "HEAD:main")
    main = (*world.repository.main, git(clone, "rev-parse", "HEAD"))
    twins = World(repository=replace(world.repository, main=main), github=world.github, folder=world.folder)
    with History.open(twins.repository.store) as history:
        run = twins.repository.run("20261101-130000-bbbb", main[-1], lambda case: True)
        history.write_run(replace(run, metadata={"config": "twin/evalgate.yaml"}))
    twins.leave(twins.run())
    assert "against 3 baseline runs" in twins.comment()[0]


# ---- the command --------------------------------------------------------------------------------------------


def command(world: World, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of `evalgate comment` in this job."""
    for name in ("GITHUB_ACTIONS", *world.environ):
        monkeypatch.setenv(name, world.environ.get(name, ""))
    return call(["comment", "--store", world.repository.store, *arguments])


def test_the_command_needs_no_file_in_such_a_job(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 0 whatever the verdict: the job has done what it is for."""
    world.leave(world.run(safety_fell))
    assert command(world, monkeypatch) == 0
    assert "#7: fail; comment created" in capsys.readouterr().err
    assert "**FAIL**" in world.bodies()[0]


def test_a_result_file_at_hand_is_taken_instead_of_the_artifact(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetched by other means; checked alike."""
    file = world.folder / "result.json"
    file.write_bytes(left(world))
    assert command(world, monkeypatch, str(file)) == 0
    assert world.github.fetched == [] and "PASS" in world.bodies()[0]
    for content in (b"{}", json.dumps({"schema": "evalgate.verdict/1"}).encode()):
        file.write_bytes(content)
        assert command(world, monkeypatch, str(file)) == 2
    assert command(world, monkeypatch, "none.json") == 2


def test_the_exit_code_says_who_is_to_act(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """2: what was left is refused; 3: GitHub cannot be asked; never 1, and never with the token."""
    world.leave_bytes(b"<html>")
    assert command(world, monkeypatch) == 2
    world.github.troubles.append(Trouble("GET", "/pulls", 403))
    assert command(world, monkeypatch) == 3
    assert "token-1" not in capsys.readouterr().err


def test_what_would_be_passed_over_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Options of the other stage."""
    for option in (["--job-result", "success"], ["--markdown", "x.md"], ["--check"]):
        assert command(world, monkeypatch, *option) == 2
        assert "says nothing in a job of workflow_run" in capsys.readouterr().err
    monkeypatch.setenv("GITHUB_EVENT_NAME", "pull_request")
    assert call(["comment", "v.json", "--config", "evalgate.yaml"]) == 2
    assert "says nothing outside" in capsys.readouterr().err


def test_other_jobs_need_a_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """And are told where none is needed."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    assert call(["comment"]) == 2
    assert "workflow_run" in capsys.readouterr().err


def test_comments_of_others_are_left_alone(world: World) -> None:
    """A copied marker makes no comment ours."""
    world.leave(world.run())
    world.comment()
    (body,) = world.github.bodies(7)
    world.github.comments.clear()
    world.github.add_comment(7, body, login="stranger")
    world.comment()
    authors = [
        Comment(id=row["id"], author=row["user"]["login"], body="").author for row in world.github.comments.values()
    ]
    assert authors == ["stranger", BOT]
    assert MERGE not in body and evalset().splitlines()[0] not in body
