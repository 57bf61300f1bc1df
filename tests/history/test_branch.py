"""The history's branch: what is written to it, who may be faster, and what is read from it. All on real git."""

import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from builders import make_run
from hypothesis import given
from hypothesis import strategies as st
from remote_kit import Hosted, state
from repositories import ENVIRON, git, git_bytes

from evalgate.errors import Fault, InputError, RemoteError, RemoteFault
from evalgate.history import branch_events as events
from evalgate.history import branch_names as names
from evalgate.history import branch_packs as packs
from evalgate.history import run_file
from evalgate.history.branch import DEFAULT, Branch, NewFile, Written
from evalgate.history.branch_names import By, Kind
from evalgate.history.branch_sight import Sight
from evalgate.history.compaction import compact
from evalgate.history.listing import Blessing
from evalgate.history.remote import Remote
from evalgate.records import Run

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
COMMIT = "a" * 40


def run(id: str, *, created: datetime = NOW) -> Run:
    return replace(make_run(id, facts=[1, 0]), created=created, commit=COMMIT)


def file_of(made: Run, folder: Path) -> NewFile:
    run_file.write(folder / "file", made, outputs="hashes")
    path = names.run_path(made.id, created=made.created, commit=made.commit, by=By())
    return NewFile(path=path, content=(folder / "file").read_bytes(), run_id=made.id)


def branch_at(clone: Path) -> Branch:
    return Branch(Remote.of(clone, ENVIRON))


def there(hosted: Hosted) -> list[str]:
    """Every path on the branch."""
    return git(hosted.bare, "ls-tree", "-r", "--name-only", DEFAULT).splitlines()


def looked(branch: Branch) -> Sight:
    sight = branch.look()
    assert sight is not None
    return sight


def committed(hosted: Hosted, path: str, content: bytes, mode: str = "100644") -> None:
    """Somebody adds a file to the branch by hand."""
    blob = git(hosted.bare, "hash-object", "-w", "--stdin", content=content)
    rows = git(hosted.bare, "ls-tree", "-r", DEFAULT) + f"\n{mode} blob {blob}\t{path}\n"
    index = {"content": rows.encode()}
    tree = _tree(hosted.bare, index["content"])
    commit = git(hosted.bare, "commit-tree", tree, "-p", DEFAULT, "-m", "by hand")
    git(hosted.bare, "update-ref", f"refs/heads/{DEFAULT}", commit)


def _tree(bare: Path, rows: bytes) -> str:
    git(bare, "read-tree", "--empty")
    git(bare, "update-index", "--index-info", content=rows)
    return git(bare, "write-tree")


# ---- writing ----------------------------------------------------------------------------------------------


def test_a_run_becomes_one_file_on_a_branch_of_its_own(hosted: Hosted, tmp_path: Path) -> None:
    """No commit is shared with the code; the clone is as it was; the branch says what it is."""
    before = state(hosted.clone)
    done = branch_at(hosted.clone).append([file_of(run("r1"), tmp_path)], "evalgate: 1 run")
    assert (len(done.added), done.tries) == (1, 1)
    assert there(hosted) == ["README.md", f"v1/runs/2026/11/{COMMIT}-local-1-r1.evalrun"]
    assert git(hosted.bare, "log", "--format=%an %s", DEFAULT) == "evalgate evalgate: 1 run [skip ci]"
    assert state(hosted.clone) == before
    assert not list(hosted.clone.glob(".evalgate/remote.git/work-*"))


def test_the_same_run_is_never_there_twice(hosted: Hosted, tmp_path: Path) -> None:
    """Also where another attempt of the job pushes it under another name; no commit is made for nothing."""
    file = file_of(run("r1"), tmp_path)
    branch = branch_at(hosted.clone)
    branch.append([file], "one")
    again = replace(file, path=file.path.replace("-local-1-", "-77-2-"))
    assert branch.append([again, file], "two") == Written(commit=looked(branch).commit, added=(), tries=0)
    assert git(hosted.bare, "rev-list", "--count", DEFAULT) == "1"


def test_a_push_whose_answer_was_lost_is_found_to_be_there(hosted: Hosted, tmp_path: Path) -> None:
    """The connection broke after the server had taken it: the next look finds it, and nothing is pushed twice."""

    class Broken(Remote):
        def push(self, commit: str, ref: str) -> None:
            super().push(commit, ref)
            raise RemoteError(RemoteFault.BUSY, "the connection was lost")

    remote = Broken.of(hosted.clone, ENVIRON)
    assert Branch(remote).append([file_of(run("r1"), tmp_path)], "one").added == ()
    assert git(hosted.bare, "rev-list", "--count", DEFAULT) == "1"


def test_writers_at_the_same_time_lose_nothing(hosted: Hosted, tmp_path: Path) -> None:
    """The branch is not there yet, and each of four clones of depth 1 wants to begin it."""
    clones = [hosted.another(f"clone-{number}") for number in range(4)]
    files = [[file_of(run(f"r{number}-{nth}"), tmp_path) for nth in range(2)] for number in range(4)]

    def write(number: int) -> None:
        for file in files[number]:
            branch_at(clones[number]).append([file], "one")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert len(there(hosted)) == 9
    assert git(hosted.bare, "rev-list", "--count", "--first-parent", DEFAULT) == "8"


def test_a_refused_push_is_explained_and_not_tried_again(hosted: Hosted, tmp_path: Path) -> None:
    """A rule will not be another one in a second."""
    hosted.hook("pre-receive", "echo x >> tries; echo 'error: GH013: Repository rule violations found' >&2; exit 1")
    with pytest.raises(RemoteError, match="ruleset") as raised:
        branch_at(hosted.clone).append([file_of(run("r1"), tmp_path)], "one")
    assert raised.value.fault is RemoteFault.RULES
    assert (hosted.bare / "tries").read_text() == "x\n"


def test_a_deadline_ends_the_tries(hosted: Hosted, tmp_path: Path) -> None:
    """A remote that cannot be reached is not asked for ever."""
    branch = branch_at(hosted.clone)
    hosted.bare.rename(hosted.bare.with_name("away"))
    with pytest.raises(RemoteError):
        branch.append([file_of(run("r1"), tmp_path)], "one", deadline_s=0)


def test_a_branch_that_holds_something_else_is_left_alone(hosted: Hosted, tmp_path: Path) -> None:
    """A configuration that names `main` must not have runs written over the code."""
    branch = Branch(Remote.of(hosted.clone, ENVIRON), "main")
    with pytest.raises(InputError, match="something else than a history"):
        branch.append([file_of(run("r1"), tmp_path)], "one")
    assert len(hosted.ids()) == 5


def test_a_name_that_is_none_is_refused(hosted: Hosted) -> None:
    """Before git is asked."""
    remote = hosted.remote
    for name in ("", "-x", "a..b", "/a", "a/", "a//b", "refs lock", "a.lock", "a/.b", "x:y", "@{u}", "é", "a" * 300):
        with pytest.raises(InputError, match="no name of a branch"):
            Branch(remote, name)
    assert Branch(remote, "ci/history_2.x").name == "ci/history_2.x"


# ---- reading ----------------------------------------------------------------------------------------------


@pytest.fixture
def filled(hosted: Hosted, tmp_path: Path) -> Hosted:
    """Three runs of October and one of November are on the branch."""
    october = NOW - timedelta(days=40)
    made = [run(f"old-{number}", created=october + timedelta(hours=number)) for number in range(3)] + [run("new")]
    branch_at(hosted.clone).append([file_of(one, tmp_path) for one in made], "four")
    return hosted


def test_names_alone_say_what_is_there(filled: Hosted) -> None:
    """A first look fetches no run file."""
    branch = branch_at(filled.another("other"))
    sight = looked(branch)
    assert sight.run_ids == {"old-0", "old-1", "old-2", "new"}
    kinds = git(
        filled.bare.parent / "other" / ".evalgate" / "remote.git", "cat-file", "--batch-all-objects", "--batch-check"
    )
    assert sum(" blob " in line for line in kinds.splitlines()) == 0
    assert len(dict(branch.contents(sight, ["new", "old-1"]))) == 2


STRANGE: dict[str, tuple[str, str]] = {
    "v1/notes.txt": ("100644", "v1/notes.txt: no file of a history"),
    "v1/runs/2026/11/..evalrun": ("100644", "..evalrun: no file of a history"),
    "v1/\x1b[2Jx": ("100644", r"v1/\x1b[2Jx: no file of a history"),
    "v2/runs/x": ("100644", "v2/runs/x: written by a newer evalgate"),
    f"v1/runs/2026/11/{COMMIT}-local-1-link.evalrun": ("120000", "-link.evalrun: this is a link"),
    f"v1/runs/2026/11/{COMMIT}-local-2-new.evalrun": ("100644", "a second file of run new"),
    "v1/packs/2026/10-0123456789abcdef.tar": ("100644", "def.tar: this pack has no list"),
    "v1/packs/2026/10-fedcba9876543210.json": ("100644", "the pack that it lists is not there"),
}


def test_what_is_strange_is_told_and_the_rest_is_read(filled: Hosted) -> None:
    """By name, so that it can be found and taken away: foreign, newer, a link, out of place."""
    for path, (mode, _) in STRANGE.items():
        committed(filled, path, b"/etc/passwd", mode)
    sight = looked(branch_at(filled.clone))
    told = "\n".join(map(str, sight.faults))
    assert len(sight.faults) == len(STRANGE)
    assert [message for _, message in STRANGE.values() if message not in told] == []
    assert len(sight.run_ids) == 4


def test_a_rewritten_branch_is_told(filled: Hosted, tmp_path: Path) -> None:
    """Who has seen it before knows; who has not, cannot."""
    seen = looked(branch_at(filled.clone))
    git(filled.bare, "update-ref", "-d", f"refs/heads/{DEFAULT}")
    branch_at(filled.another("other")).append([file_of(run("other"), tmp_path)], "anew")
    sight = looked(branch_at(filled.clone))
    assert "has been rewritten" in sight.warnings[0] and seen.commit[:10] in sight.warnings[0]
    assert "4 run files (of new, old-0, old-1, old-2) are gone" in sight.warnings[1]
    assert looked(branch_at(filled.clone)).warnings == ()
    assert looked(branch_at(filled.bare.parent / "other")).warnings == ()


def test_a_changed_run_file_is_told(filled: Hosted) -> None:
    """A commit on top that changes what never changes."""
    path = looked(branch_at(filled.clone)).runs["new"].path
    committed(filled, path, b"changed")
    (warning,) = looked(branch_at(filled.clone)).warnings
    assert "1 run file (of new) is another file" in warning


def test_a_missing_branch_is_none_and_one_that_was_seen_is_remembered(filled: Hosted) -> None:
    """The two are told apart by whoever asks."""
    branch = branch_at(filled.clone)
    commit = looked(branch).commit
    git(filled.bare, "update-ref", "-d", f"refs/heads/{DEFAULT}")
    assert (branch.look(), branch.was_seen()) == (None, commit)
    assert branch_at(filled.another("other")).was_seen() is None


# ---- packs ------------------------------------------------------------------------------------------------


def test_compaction_loses_nothing(filled: Hosted) -> None:
    """The same bytes before and after, of every run; this month's files stay."""
    branch = branch_at(filled.clone)
    before = {name.path: content for name, content in branch.contents(looked(branch), looked(branch).run_ids)}
    done = compact(branch, now=NOW)
    assert list(done.packs.values()) == [3]
    assert len(there(filled)) == 4
    fresh = branch_at(filled.another("other"))
    sight = looked(fresh)
    assert {name.path: content for name, content in fresh.contents(sight, sight.run_ids)} == before
    assert (sight.faults, looked(branch).warnings) == ((), ())
    assert compact(branch, now=NOW).packs == {}
    with tarfile.open(fileobj=BytesIO(_blob(filled, next(iter(done.packs))))) as tar:
        assert tar.getnames() == sorted(path for path in before if "/2026/10/" in path)


def test_a_run_pushed_during_compaction_is_kept(filled: Hosted, tmp_path: Path) -> None:
    """The writer wins, and the packing is planned anew on top of it."""
    late = file_of(run("late", created=NOW - timedelta(days=40)), tmp_path)
    other = filled.another("other")

    class Slow(Remote):
        tries = 0

        def push(self, commit: str, ref: str) -> None:
            Slow.tries += 1
            if Slow.tries == 1:
                branch_at(other).append([late], "late")
            super().push(commit, ref)

    done = compact(Branch(Slow.of(filled.clone, ENVIRON)), now=NOW)
    assert (list(done.packs.values()), done.tries) == ([4], 2)
    assert looked(branch_at(other)).run_ids == {"old-0", "old-1", "old-2", "new", "late"}


def test_a_damaged_file_is_not_buried_in_a_pack(filled: Hosted) -> None:
    """It stays where it can be seen; the others are packed."""
    committed(filled, f"v1/runs/2026/10/{COMMIT}-local-1-bad.evalrun", b"damaged")
    done = compact(branch_at(filled.clone), now=NOW)
    assert list(done.packs.values()) == [3]
    assert "no run file" in str(done.left[0])


def test_a_damaged_pack_is_told_by_name(filled: Hosted) -> None:
    """What its list promises and it does not hold is no run."""
    branch = branch_at(filled.clone)
    pack = next(iter(compact(branch, now=NOW).packs))
    committed(filled, pack, _blob(filled, pack)[:700])
    fresh = branch_at(filled.another("other"))
    found = list(fresh.contents(looked(fresh), ["old-0", "old-1", "old-2"]))
    assert found and all(isinstance(content, Fault) for _, content in found)


def _blob(hosted: Hosted, path: str) -> bytes:
    return git_bytes(hosted.bare, "cat-file", "blob", f"{DEFAULT}:{path}")


@given(st.dictionaries(st.integers(0, 99), st.binary(min_size=1, max_size=200), min_size=1, max_size=5))
def test_what_is_packed_is_unpacked(made: dict[int, bytes]) -> None:
    """Whatever the files hold; and the same files give the same bytes."""
    files = {f"v1/runs/2026/10/{COMMIT}-local-1-r{number}.evalrun": content for number, content in made.items()}
    packed, members = packs.pack("2026/10", files)
    assert packs.pack("2026/10", dict(reversed(files.items())))[0] == packed
    tar, listed = sorted(packed, reverse=True)
    assert packs.read_list(listed, packed[listed]) == members
    assert dict(packs.unpack(tar, packed[tar], {member.path: member for member in members})) == files


# ---- names and events -------------------------------------------------------------------------------------


def instants() -> st.SearchStrategy[datetime]:
    return st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))


@given(
    st.text("aZ09_.:-", min_size=1, max_size=64),
    instants(),
    st.one_of(st.none(), st.just(COMMIT), st.just("main")),
    st.one_of(st.none(), st.integers(0, 10**18)),
)
def test_a_runs_name_says_which_run_it_is(
    run_id: str, created: datetime, commit: str | None, number: int | None
) -> None:
    """Whatever its id: a pull compares names with what the store has."""
    found = names.of(names.run_path(run_id, created=created, commit=commit, by=By(ci_run=number)))
    assert (found.kind, found.run_id, found.month) == (Kind.RUN, run_id, f"{created:%Y/%m}")
    assert found.commit == (COMMIT if commit == COMMIT else None)


@given(st.text(max_size=60))
def test_no_name_of_somebody_elses_is_a_run(path: str) -> None:
    """What is not written by us is foreign, or of a newer schema."""
    assert names.of(path).kind in (Kind.FOREIGN, Kind.NEWER, Kind.README)
    assert names.told(path).isprintable()


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30), instants())
def test_a_blessing_comes_back_exactly(author: str, reason: str, created: datetime) -> None:
    """Whoever gave it, whenever, and whatever they said."""
    blessing = Blessing(run_id="r1", created=created, author=author, reason=reason, name=None)
    path, content = events.written(blessing, "hashes")
    assert events.read(names.of(path), content) == blessing


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "no JSON"),
        (b"[]", "no event"),
        (b'{"schema": "evalgate.event/2"}', "newer one"),
        (b'{"schema": "evalgate.event/1", "kind": "omen"}', "newer one"),
        (b'{"schema": "evalgate.event/1", "kind": "blessing", "run": "../x"}', "no event"),
    ],
)
def test_what_is_no_event_is_refused(content: bytes, message: str) -> None:
    """With its path and what is wrong."""
    name = names.of(f"v1/events/2026/11/blessing-r1-{names.digest_of(content)}.json")
    with pytest.raises(InputError, match=message):
        events.read(name, content)


def test_an_event_under_another_name_is_refused() -> None:
    """A blessing of one run cannot be moved to another."""
    path, content = events.written(Blessing(run_id="r1", created=NOW, author="a", reason="b"), "hashes")
    with pytest.raises(InputError, match="not that of its content"):
        events.read(names.of(path.replace("-r1-", "-r2-")), content)
