"""What git says, asked of real repositories."""

from pathlib import Path

import pytest
from history_builders import merged
from repositories import commit, git

from evalgate.history.git import Repository


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty repository on branch `main`."""
    path = tmp_path / "repository"
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch=main")
    return path


def test_commits_are_named_in_order(folder: Path) -> None:
    """First parents follow the base branch; ancestors take in both sides of a merge."""
    ids = merged(folder)
    repository = Repository(folder)
    assert repository.head() == ids["m"]
    assert repository.parents("HEAD") == [ids["b"], ids["c"]]
    assert repository.parents(ids["a"]) == []
    assert repository.first_parents("HEAD", 10) == [ids["m"], ids["b"], ids["a"]]
    assert repository.first_parents("HEAD^1", 1) == [ids["b"]]
    assert set(repository.ancestors("HEAD", 10)) == set(ids.values())
    assert len(repository.ancestors("HEAD", 2)) == 2
    assert repository.merge_base("HEAD^1", "side") == ids["a"]
    assert repository.distance("HEAD^2", "HEAD") == 2
    assert repository.distance("HEAD", "HEAD") == 0
    assert repository.resolve("HEAD^2") == ids["c"]


class Counted(Repository):
    """A repository that counts what it asks git."""

    asked = 0

    def _bytes(self, *arguments: str, stdin: bytes = b"") -> bytes | None:
        self.asked += 1
        return super()._bytes(*arguments, stdin=stdin)


def test_what_cannot_change_is_asked_once(folder: Path) -> None:
    """A commit that is there stays; every question is a process. A name that has moved is asked for again."""
    ids = merged(folder)
    repository = Counted(folder)
    head = repository.head()
    assert head == ids["m"]
    assert (repository.exists(head), repository.distance(head, head), repository.asked) == (True, 0, 1)
    assert repository.read_all(head, ["absent.md"]) == {}
    assert repository.asked == 2
    newer = commit(folder, "newer")
    assert (repository.exists("f" * 40), repository.head(), repository.distance(head, newer)) == (False, newer, 1)


def test_the_branch_is_named_and_none_when_detached(folder: Path) -> None:
    """CI checks out a commit, not a branch."""
    ids = merged(folder)
    assert Repository(folder).branch() == "main"
    git(folder, "checkout", "--quiet", ids["a"])
    assert Repository(folder).branch() is None


def test_branches_may_have_any_letters(folder: Path) -> None:
    """Names outside ASCII come back as they are."""
    git(folder, "switch", "--quiet", "-c", "prüfung/日本")
    commit(folder, "a")
    assert Repository(folder).branch() == "prüfung/日本"


def test_a_changed_file_makes_the_tree_dirty(folder: Path) -> None:
    """Changes of tracked files count; a stray file does not."""
    (folder / "prompt.md").write_text("one")
    git(folder, "add", "prompt.md")
    commit(folder, "a")
    (folder / "stray").write_text("x")
    before = Repository(folder).is_dirty()
    (folder / "prompt.md").write_text("two")
    assert (before, Repository(folder).is_dirty()) == (False, True)


def test_a_shallow_clone_knows_that_it_is(folder: Path, tmp_path: Path) -> None:
    """Then a missing ancestor says nothing."""
    ids = merged(folder)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth=1", folder.as_uri(), str(clone))
    assert (Repository(folder).is_shallow(), Repository(clone).is_shallow()) == (False, True)
    assert (Repository(clone).exists(ids["m"]), Repository(clone).exists(ids["a"])) == (True, False)


def test_unknown_commits_and_options_are_no_commits(folder: Path) -> None:
    """A name that looks like an option is a name."""
    merged(folder)
    repository = Repository(folder)
    for name in ("--all", "-n1", "nowhere", "f" * 40, "", "a\x00b", "HEAD:prompt.md"):
        assert not repository.exists(name)
        assert repository.first_parents(name, 5) == []
        assert repository.ancestors(name, 5) == []
        assert repository.parents(name) == []
        assert repository.merge_base(name, "HEAD") is None
        assert repository.distance(name, "HEAD") is None


@pytest.mark.parametrize("place", ["empty", "none", "absent"])
def test_without_commits_or_repository_everything_is_unknown(folder: Path, tmp_path: Path, place: str) -> None:
    """No repository is a state, not an error."""
    repository = Repository({"empty": folder, "none": tmp_path, "absent": tmp_path / "absent"}[place])
    assert repository.head() is None
    assert repository.branch() in (None, "main")
    assert not repository.is_dirty()
    assert not repository.is_shallow()
    assert repository.first_parents("HEAD", 5) == []


def test_the_files_of_a_commit_are_named_and_read(folder: Path) -> None:
    """From the repository's top wherever the folder lies; links are named and have no content."""
    inner = folder / "in ner"
    inner.mkdir()
    (folder / "a.txt").write_bytes(b"a\r\n\xff")
    (inner / 'q"ü[*].txt').write_bytes(b"")
    (inner / "link").symlink_to("../a.txt")
    git(folder, "add", "--all")
    head = commit(folder, "a")
    (folder / "a.txt").write_bytes(b"later")
    repository = Repository(inner)
    assert [entry.path for entry in repository.entries(head)] == ["a.txt", "in ner/link", 'in ner/q"ü[*].txt']
    assert [entry.is_file for entry in repository.entries(head, "in ner")] == [False, True]
    assert repository.entries(head, "in") == repository.entries("f" * 40) == []
    asked = ["a.txt", "in ner/link", 'in ner/q"ü[*].txt', "in ner", "nowhere", "../a.txt"]
    assert repository.read_all(head, asked) == {"a.txt": b"a\r\n\xff", 'in ner/q"ü[*].txt': b""}
    assert repository.read_all("f" * 40, ["a.txt"]) == repository.read_all(head, []) == {}
