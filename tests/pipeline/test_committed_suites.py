"""A suite is read as it stands at a commit: by the same readers, from git alone, and nothing of it is executed."""

from __future__ import annotations

import os
from glob import glob
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from repositories import CONFIG, EVALSET, SUITE, committed, git, repository, written

from evalgate.endpoints.chat_completions import OpenAI
from evalgate.errors import InputError, RemoteError
from evalgate.history.git import Repository
from evalgate.history.remote import Remote
from evalgate.pipeline.committed import NoSuchFile, Sizes, _matches, own_file, suite_at
from evalgate.pipeline.load import load_config


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return repository(tmp_path / "repository")


def told(folder: Path, commit: str, most: Sizes | None = None) -> str:
    """What is said of a suite that cannot be read."""
    with pytest.raises(InputError) as raised:
        found = suite_at(Repository(folder), commit, "evalgate.yaml", most=most)
        raise found.unread or AssertionError("nothing is wrong")
    return str(raised.value)


def test_the_rules_of_a_commit_are_read_whatever_the_folder_holds_now(folder: Path) -> None:
    """Variables of the endpoint and the store may be undefined: neither is used."""
    commit = committed(folder, {**SUITE, "evalgate-exceptions.yaml": WAIVER})
    written(folder, {"evalgate.yaml": "broken: [", "evalgate-exceptions.yaml": None})
    config = suite_at(Repository(folder), commit, "evalgate.yaml").config
    assert config.rules.of("safety").min == 0.98
    assert config.rules.each_category.max_drop == 0.05
    assert config.raw["endpoint"]["base_url"] == "${NOT_SET_ANYWHERE}"
    assert [waiver.category for waiver in config.exceptions.waivers] == ["safety"]
    assert config.rule_categories == {"safety": f"{commit[:10]}:evalgate.yaml:9:5"}
    assert (config.path, config.base_dir) == (Path("evalgate.yaml"), Path())


WAIVER = """\
waivers:
  - {category: safety, from: 0.9, drop: 0.1, owner: a, reason: b, expires: 2026-12-31}
"""


def test_a_suite_in_a_sub_folder_reaches_its_neighbours(folder: Path) -> None:
    """Paths are relative to the configuration's folder, and may leave it as long as they stay in the repository."""
    config = CONFIG.replace("evalsets/*.yaml", "../shared/**/*.yaml")
    more = {"teams/bot/evalgate.yaml": config, "teams/shared/deep/er/bot.yaml": EVALSET + "cases_from: ../more.jsonl\n"}
    rows = {"teams/shared/deep/more.jsonl": '{"id": "s-3", "input": "three", "expected": "3"}\n'}
    commit = committed(folder, {**more, **rows})
    found = suite_at(Repository(folder / "teams" / "bot"), commit, "teams/bot/evalgate.yaml")
    assert found.evalset is not None
    assert sorted(case.id for case in found.evalset.cases) == ["s-1", "s-2", "s-3"]


def test_own_scorers_are_compared_as_bytes_and_never_run(folder: Path, tmp_path: Path) -> None:
    """The file of another commit would do anything that its author wanted."""
    trap = tmp_path / "ran"
    code = f"open({str(trap)!r}, 'w')\ndef judge(case, output):\n    return 1.0\n"
    evalset = EVALSET.replace("[exact]", '["../judges/own.py:judge"]')
    commit = committed(folder, {**SUITE, "evalsets/bot.yaml": evalset, "judges/own.py": code})
    found = suite_at(Repository(folder), commit, "evalgate.yaml")
    assert found.evalset is not None
    (spec,) = found.evalset.scorers.values()
    assert (own_file(spec, found.config.base_dir), spec.base_dir) == ("judges/own.py", "evalsets")
    assert found.read("judges/own.py") == code.encode()
    assert found.read("judges/other.py") is None
    assert found.read("../outside.py") is None
    assert not trap.exists()


def test_eval_sets_that_are_the_same_on_disk_are_not_read_again(folder: Path) -> None:
    """To the byte, and named by both: a pattern that was taken away leaves its files where they are."""
    commit = committed(folder, {**SUITE, "evalsets/more.yaml": EVALSET.replace("s-", "m-")})
    files = Repository(folder)

    def is_read() -> bool:
        here = load_config(folder / "evalgate.yaml", {}, needs_endpoint=False, needs_store=False)
        return suite_at(files, commit, "evalgate.yaml", here=here).evalset is not None

    assert not is_read()
    written(folder, {"evalgate.yaml": CONFIG.replace("*.yaml]", "b*.yaml]")})
    assert is_read()
    written(folder, {"evalgate.yaml": CONFIG, "evalsets/bot.yaml": EVALSET.replace('"2"', '"3"')})
    assert is_read()
    written(folder, {"evalsets/bot.yaml": None})
    assert is_read()


def test_a_configuration_that_is_not_there_is_told_apart_from_a_commit_that_is_not(folder: Path) -> None:
    """The first is a suite that is being introduced; the second says nothing, and must not look like the first."""
    commit = committed(folder, {"README.md": "x"})
    with pytest.raises(NoSuchFile) as absent:
        suite_at(Repository(folder), commit, "evalgate.yaml")
    assert str(absent.value) == f"{commit[:10]}:evalgate.yaml: the commit has no such file"
    with pytest.raises(InputError) as unknown:
        suite_at(Repository(folder), "f" * 40, "evalgate.yaml")
    assert not isinstance(unknown.value, NoSuchFile)
    assert str(unknown.value).startswith("ffffffffff: the files of this commit cannot be read. A shallow clone")


def test_faults_name_the_commit_and_the_line(folder: Path) -> None:
    """Nobody could open the folder in which they were found."""
    commit = committed(folder, {**SUITE, "evalgate.yaml": CONFIG.replace("0.05", "5")})
    assert told(folder, commit).startswith(f"{commit[:10]}:evalgate.yaml:7:19: `max_drop` is a number in [0, 1]")
    commit = committed(folder, {**SUITE, "evalsets/bot.yaml": EVALSET.replace("s-2", "s-1")})
    assert f"{commit[:10]}:evalsets/bot.yaml:6" in told(folder, commit)
    assert "/tmp" not in told(folder, commit) and "evalgate-" not in told(folder, commit)


def test_links_are_not_followed(folder: Path) -> None:
    """Where they lead is not part of the commit."""
    (folder / "evalsets").mkdir()
    written(folder, SUITE)
    (folder / "evalsets" / "link.yaml").symlink_to("/etc/passwd")
    commit = committed(folder, {})
    assert told(folder, commit) == f"{commit[:10]}:evalsets/link.yaml: is a link or a submodule: it is not followed"
    (folder / "evalsets" / "link.yaml").unlink()
    (folder / "evalgate.yaml").rename(folder / "real.yaml")
    (folder / "evalgate.yaml").symlink_to("real.yaml")
    commit = committed(folder, {})
    assert told(folder, commit) == f"{commit[:10]}:evalgate.yaml: is a link, or cannot be read"


@pytest.mark.parametrize("pattern", ["../*.yaml", "/etc/*.yaml", "evalsets/../../x.yaml"])
def test_patterns_that_lead_out_of_the_repository_are_refused(folder: Path, pattern: str) -> None:
    """What is outside has no content at this commit."""
    commit = committed(folder, {**SUITE, "evalgate.yaml": CONFIG.replace("evalsets/*.yaml", pattern)})
    assert "leads out of the repository" in told(folder, commit)


@pytest.mark.parametrize("line", ["exceptions: ../../x.yaml", "exceptions: /etc/passwd"])
def test_exceptions_that_lead_out_of_the_repository_are_refused(folder: Path, line: str) -> None:
    """They would decide, and nothing says what they were."""
    commit = committed(folder, {**SUITE, "evalgate.yaml": CONFIG + line + "\n"})
    assert "leads out of the repository" in told(folder, commit)
    commit = committed(folder, {"evalgate.yaml": CONFIG + "exceptions: nowhere.yaml\n"})
    assert "there is no file" in told(folder, commit)


@pytest.mark.parametrize(
    ("most", "what"),
    [
        (Sizes(file_bytes=len(CONFIG) - 1), "evalgate.yaml: is larger than"),
        (Sizes(bytes=len(CONFIG) + len(EVALSET)), "evalgate.yaml: the suite's files are larger than"),
        (Sizes(files=3), "evalgate.yaml: the suite has more than 3 files"),
        (Sizes(files=4, file_bytes=len(CONFIG), bytes=len(CONFIG + 2 * EVALSET)), None),
    ],
)
def test_sizes_are_bounded(folder: Path, most: Sizes, what: str | None) -> None:
    """A file, all of them together, and their number."""
    files = {"evalsets/more.yaml": EVALSET.replace("s-", "m-"), "evalgate-exceptions.yaml": ""}
    commit = committed(folder, {**SUITE, **files})
    if what is None:
        assert suite_at(Repository(folder), commit, "evalgate.yaml", most=most).unread is None
    else:
        assert f"{commit[:10]}:{what}" in told(folder, commit, most)


def test_a_shallow_clone_reads_the_commits_it_has(folder: Path, tmp_path: Path) -> None:
    """The others are the remote's to give."""
    old, new = committed(folder, SUITE), committed(folder, {"x": "x"})
    git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
    git(tmp_path, "clone", "--quiet", "--depth=1", folder.as_uri(), "clone")
    assert suite_at(Repository(tmp_path / "clone"), new, "evalgate.yaml").config.suite == "support-bot"
    with pytest.raises(InputError, match="cannot be read"):
        suite_at(Repository(tmp_path / "clone"), old, "evalgate.yaml")
    remote = Remote.of(tmp_path / "clone", os.environ)
    found = suite_at(remote, old, "evalgate.yaml")
    assert (found.config.suite, found.unread, found.evalset is None) == ("support-bot", None, False)
    with pytest.raises(NoSuchFile):
        suite_at(remote, old, "nowhere.yaml")
    with pytest.raises(RemoteError):
        suite_at(remote, "f" * 40, "evalgate.yaml")


NAMES = st.sampled_from(["a", "b.yaml", ".h", "ab.yaml", "x"])
PARTS = st.sampled_from(["a", "*", "**", "*.yaml", "?", ".h", "[ab]", "b.yaml", ".*"])


@settings(max_examples=50)
@given(
    st.sets(st.lists(NAMES, min_size=1, max_size=4).map("/".join), max_size=6), st.lists(PARTS, min_size=1, max_size=4)
)
@example({"a/b.yaml", "a/x/b.yaml"}, ["a", "**", "*.yaml"])
def test_patterns_name_the_files_that_they_name_on_disk(
    tmp_path_factory: pytest.TempPathFactory, names: set[str], pattern: list[str]
) -> None:
    """A commit's list of files is matched as `glob` matches a folder."""
    folder = tmp_path_factory.mktemp("files")
    for name in sorted(names):
        if not any(name.startswith(f"{other}/") or other.startswith(f"{name}/") for other in names):
            written(folder, {name: ""})
    there = [str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()]
    found = {name for name in glob("/".join(pattern), root_dir=folder, recursive=True)}  # noqa: PTH207, C416
    found = {name for name in found if (folder / name).is_file()}
    assert {name for name in there if _matches(name.split("/"), pattern)} == found


# ---- the endpoint -----------------------------------------------------------------------------------------

ENVIRON = {"NOT_SET_ANYWHERE": "https://llm.example.com/v1"}


def endpoint(folder: Path, text: str, files: dict[str, str] | None = None, **environ: str) -> OpenAI:
    """That of a commit of this configuration."""
    commit = committed(folder, {**SUITE, **(files or {}), "evalgate.yaml": text})
    written(folder, {"evalgate.yaml": "broken: ["})
    found: OpenAI = suite_at(
        Repository(folder), commit, "evalgate.yaml", environ={**ENVIRON, **environ}
    ).config.endpoint
    return found


def with_system(name: str) -> str:
    return CONFIG.replace("model: m-1}", f"model: m-1, system: {{file: {name}}}}}")


def test_the_endpoint_of_a_commit_is_read_with_todays_variables(folder: Path) -> None:
    """Its prompt's file is that of the commit, whatever lies there now."""
    found = endpoint(folder, with_system("prompts/s.txt"), {"prompts/s.txt": "then"})
    written(folder, {"prompts/s.txt": "now"})
    assert (found.base_url, found.model, found.system) == ("https://llm.example.com/v1", "m-1", "then")


@pytest.mark.parametrize("name", ["../s.txt", "/etc/passwd"])
def test_a_prompt_that_lies_outside_is_not_read(folder: Path, name: str) -> None:
    """What a machine holds is nothing that a commit may have sent."""
    with pytest.raises(InputError, match="leads out of the repository"):
        endpoint(folder, with_system(name))


def test_a_prompt_that_is_a_link_is_not_read(folder: Path) -> None:
    """Where it leads is not part of the commit."""
    (folder / "s.txt").symlink_to("/etc/passwd")
    with pytest.raises(InputError, match=r"[0-9a-f]{10}:evalgate.yaml.*there is no file [0-9a-f]{10}:s.txt"):
        endpoint(folder, with_system("s.txt"))


def test_an_endpoint_that_is_code_is_not_made(folder: Path) -> None:
    """Only what is called over HTTP can be asked again as it was."""
    code = CONFIG.replace("{kind: openai,", '{kind: python, callable: "os:system",')
    with pytest.raises(InputError, match=r"evalgate.yaml:4:\d+: unknown kind `python`"):
        endpoint(folder, code)


def test_keys_stay_bound_to_their_hosts(folder: Path) -> None:
    """A commit's configuration sends a variable nowhere that the present one might not."""
    with pytest.raises(InputError, match=r"MODEL_KEY may not be sent to https://llm.example.com"):
        endpoint(folder, CONFIG, EVALGATE_KEY_HOSTS="MODEL_KEY=other.example.com")
