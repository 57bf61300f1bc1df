"""Many writers, one history branch: is anything lost, how often is it tried, how long does it take?

    python -m benchmarks.github.writers [--writers 16] [--runs 20] [--kill] [--large 2000]

Each writer is a process with a clone of depth 1 of its own and pushes its run files one by one onto one bare
repository. With `--kill` writers are killed with SIGKILL at random moments, with or without the git process that they
have started, and begun again, while a reader looks at the branch. `--large N` measures a branch of N runs instead.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from evalgate.errors import Fault
from evalgate.history import branch_names as names
from evalgate.history import run_file
from evalgate.history.branch import DEFAULT, Branch, NewFile
from evalgate.history.branch_names import By
from evalgate.history.compaction import compact
from evalgate.history.interchange import keep
from evalgate.history.remote import Remote
from evalgate.history.store import History
from evalgate.records import CaseRef, Output, Run, Score, Scored, Version

MOST_KILLS = 100

ENVIRON = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "GITHUB_"))},
    **{f"GIT_{role}_{what}": "bench" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], env=ENVIRON, check=True, capture_output=True, text=True).stdout.strip()


def hosted(folder: Path) -> Path:
    """A bare repository with one commit on main, which serves filters as GitHub does."""
    bare, work = folder / "remote.git", folder / "work"
    git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    git("-C", str(bare), "config", "uploadpack.allowFilter", "true")
    git("clone", "--quiet", str(bare), str(work))
    git("-C", str(work), "commit", "--quiet", "--allow-empty", "-m", "code")
    git("-C", str(work), "push", "--quiet", "origin", "HEAD:main")
    return bare


def cloned(bare: Path, clone: Path) -> Path:
    git("clone", "--quiet", "--depth=1", f"file://{bare}", str(clone))
    return clone


def branch_of(clone: Path) -> Branch:
    return Branch(Remote.of(clone, ENVIRON))


def made(number: int, created: datetime, cases: int = 100) -> NewFile:
    """A run of so many cases in eight categories, as a file without texts."""
    rng = random.Random(number)
    ids = [f"case-{place:04d}" for place in range(cases)]
    run = Run(
        id=f"{number:012x}",
        suite="bench",
        created=created,
        commit=f"{number:040x}",
        cases=tuple(CaseRef(id=id, categories=(f"category-{place % 8}",)) for place, id in enumerate(ids)),
        results=tuple(
            Scored(
                case_id=id,
                epoch=1,
                score=value,
                scores=(Score(scorer="exact", value=value, reason="", version="1", weight=1.0),),
                output=Output(text="an answer", latency_s=round(rng.uniform(0.2, 2), 6), tokens_in=120, tokens_out=30),
            )
            for id in ids
            for value in [float(rng.random() < 0.85)]
        ),
        version=Version(id="v"),
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run"
        run_file.write(file, run, outputs="hashes")
        path = names.run_path(run.id, created=created, commit=run.commit, by=By(ci_run=number))
        return NewFile(path=path, content=file.read_bytes(), run_id=run.id)


# ---- one writer -------------------------------------------------------------------------------------------


def write(clone: Path, folder: Path, log: Path) -> None:
    """Pushes the folder's run files one by one; a line in the log for each whose push has returned."""
    done = {json.loads(line)["run"] for line in log.read_text().splitlines()} if log.exists() else set()
    branch = branch_of(clone)
    with log.open("a") as lines:
        for file in sorted(folder.glob("*/*.evalrun")):
            path = (file.parent / file.name).read_bytes()
            name = names.of(json.loads((file.parent / "path").read_text()))
            if name.run_id in done:
                continue
            start = time.monotonic()
            written = branch.append([NewFile(path=name.path, content=path, run_id=name.run_id)], "evalgate: 1 run")
            row = {"run": name.run_id, "tries": written.tries, "seconds": time.monotonic() - start}
            lines.write(json.dumps(row) + "\n")
            lines.flush()
            os.fsync(lines.fileno())


@dataclass
class Writer:
    """A writer's process and what belongs to it."""

    clone: Path
    folder: Path
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", __spec__.name, "--write", str(self.clone), str(self.folder), str(self.log)]
        self.process = subprocess.Popen(command, env=ENVIRON)

    def kill(self, rng: random.Random) -> None:
        """Ends the process as a machine that is taken away does; sometimes its git outlives it for a moment."""
        assert self.process is not None
        children = [] if rng.random() < 0.5 else _children(self.process.pid)
        self.process.send_signal(signal.SIGKILL)
        for child in children:
            try:
                os.killpg(child, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()


def _children(pid: int) -> list[int]:
    """The git processes that a writer has started, each the head of a group of its own."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


# ---- all of them ------------------------------------------------------------------------------------------


def contend(writers: int, runs: int, *, kill: bool, seed: int = 1) -> bool:
    """Prints what came of it; whether nothing was lost."""
    rng = random.Random(seed)
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="writers-") as text:
        folder = Path(text)
        bare = hosted(folder)
        crew = []
        for number in range(writers):
            writer = Writer(folder / f"clone-{number}", folder / f"files-{number}", folder / f"log-{number}")
            cloned(bare, writer.clone)
            for nth in range(runs):
                file = made(number * 1000 + nth, now)
                place = writer.folder / f"{nth:03d}"
                place.mkdir(parents=True)
                (place / "run.evalrun").write_bytes(file.content)
                (place / "path").write_text(json.dumps(file.path))
            crew.append(writer)
        start = time.monotonic()
        for writer in crew:
            writer.start()
        kills = looks = 0
        reader = branch_of(cloned(bare, folder / "reader"))
        while any(writer.process is not None and writer.process.poll() is None for writer in crew):
            # Each writer lives for some seconds on average: long enough to start, not to finish.
            time.sleep(rng.uniform(4, 12) / writers if kill else 1.0)
            running = [writer for writer in crew if writer.process is not None and writer.process.poll() is None]
            if kill and running and kills < MOST_KILLS:
                victim = rng.choice(running)
                victim.kill(rng)
                victim.start()
                kills += 1
                looks += _looked(reader)
        wall = time.monotonic() - start
        return _told(folder, bare, crew, writers * runs, wall, kills, looks)


def _looked(reader: Branch) -> int:
    """Reads every file of the branch; raises where one cannot be read. 0: nothing is there yet."""
    sight = reader.look()
    if sight is None:
        return 0
    assert not sight.faults and not sight.warnings, (sight.faults, sight.warnings)
    for name, content in reader.contents(sight, sight.run_ids):
        assert not isinstance(content, Fault), content
        run_file.parse(name.path, content)
    return 1


def _told(folder: Path, bare: Path, crew: list[Writer], expected: int, wall: float, kills: int, looks: int) -> bool:
    rows = [json.loads(line) for writer in crew for line in writer.log.read_text().splitlines()]
    fresh = branch_of(cloned(bare, folder / "fresh"))
    assert _looked(fresh) == 1
    sight = fresh.look()
    assert sight is not None
    returned = {row["run"] for row in rows}
    lost = returned - sight.run_ids
    commits = int(git("-C", str(bare), "rev-list", "--count", DEFAULT))
    linear = int(git("-C", str(bare), "rev-list", "--count", "--first-parent", DEFAULT)) == commits
    fsck = subprocess.run(["git", "-C", str(bare), "fsck", "--strict"], capture_output=True, check=False).returncode
    tries, seconds = [row["tries"] for row in rows], [row["seconds"] for row in rows]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{len(sight.run_ids)} of {expected} runs on the branch, {len(lost)} lost, {len(returned)} pushes returned")
    print(f"{commits} commits, one after the other: {linear}; git fsck: {'sound' if fsck == 0 else 'BROKEN'}")
    print(f"tries a run: mean {statistics.mean(tries):.1f}, max {max(tries)}")
    print(f"seconds a run: median {statistics.median(seconds):.1f}, max {max(seconds):.1f}; all: {wall:.0f}")
    print(f"processor: {used.ru_utime + used.ru_stime:.0f} s, the remote's included")
    if kills:
        print(f"{kills} writers killed and begun again; {looks} looks in between, every file readable each time")
    return len(sight.run_ids) == expected and not lost and linear and fsck == 0


# ---- a large branch ---------------------------------------------------------------------------------------


def large(size: int) -> bool:
    """Prints what it takes to pull from and push to a branch of so many runs."""
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="large-") as text:
        folder = Path(text)
        bare = hosted(folder)
        writer = branch_of(cloned(bare, folder / "writer"))
        files = [made(number, now - timedelta(hours=4 * (size - number))) for number in range(size)]
        for first in range(0, size, 100):
            writer.append(files[first : first + 100], "evalgate: 100 runs")
        git("-C", str(bare), "gc", "--quiet")
        packed = sum(file.stat().st_size for file in (bare / "objects" / "pack").glob("*.pack"))
        print(f"{size} runs of 100 cases: {sum(len(f.content) for f in files) / size:,.0f} bytes a run file, ", end="")
        print(f"{packed / 2**20:.1f} MiB as the remote keeps them")
        clone = cloned(bare, folder / "clone")
        _timed("pull into an empty store", lambda: _pulled(clone, folder / "history.db"), clone)
        _timed("pull of nothing", lambda: _pulled(clone, folder / "history.db"), clone)
        _timed("push of one", lambda: writer.append([made(size + 1, now)], "evalgate: 1 run"), folder / "writer")
        other = cloned(bare, folder / "other")
        branch = branch_of(other)
        _timed("push of one from a fresh clone", lambda: branch.append([made(size + 2, now)], "evalgate: 1 run"), other)
        _timed("pull of two", lambda: _pulled(clone, folder / "history.db"), clone)
        _timed("compaction", lambda: compact(writer, now=now), folder / "writer")
        _timed("pull of nothing after it", lambda: _pulled(clone, folder / "history.db"), clone)
        git("-C", str(bare), "gc", "--quiet")
        late = cloned(bare, folder / "late")
        _timed("pull into an empty store after it", lambda: _pulled(late, folder / "late.db"), late)
        with History.open(f"sqlite:///{folder / 'late.db'}", create=False) as history:
            return len(history.list_runs()) == size + 2


def _pulled(clone: Path, store: Path) -> int:
    branch = branch_of(clone)
    sight = branch.look()
    assert sight is not None and not sight.faults and not sight.warnings
    with History.open(f"sqlite:///{store}") as history:
        lacking = sight.run_ids - {row.id for row in history.list_runs()}
        for name, content in branch.contents(sight, lacking):
            assert isinstance(content, bytes)
            keep(history, run_file.parse(name.path, content))
    return len(lacking)


def _timed(what: str, act: object, clone: Path) -> None:
    assert callable(act)
    before, start = _cpu(), time.monotonic()
    act()
    wall, cpu = time.monotonic() - start, _cpu() - before
    scratch = sum(file.stat().st_size for file in (clone / ".evalgate" / "remote.git").rglob("*") if file.is_file())
    print(f"{what}: {wall:.2f} s, processor {cpu:.2f} s; scratch repository {scratch / 2**20:.1f} MiB")


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--large", type=int, metavar="N")
    parser.add_argument("--write", nargs=3, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        write(*given.write)
        return 0
    if given.large:
        return 0 if large(given.large) else 1
    return 0 if contend(given.writers, given.runs, kill=given.kill) else 1


if __name__ == "__main__":
    sys.exit(main())
