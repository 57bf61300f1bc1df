"""Small real repositories and verdicts for the history's tests."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from repositories import commit, git

from evalgate.history.database import Database
from evalgate.history.place import Place
from evalgate.records import BaselineSummary, CaseLists, Usage, Verdict, VerdictName


def merged(folder: Path) -> dict[str, str]:
    """main: a - b - m, where m merges c, which branched off from a."""
    commits = {"a": commit(folder, "a"), "b": commit(folder, "b")}
    git(folder, "switch", "--quiet", "-c", "side", commits["a"])
    commits["c"] = commit(folder, "c")
    git(folder, "switch", "--quiet", "main")
    git(folder, "merge", "--quiet", "--no-ff", "-m", "m", "side")
    commits["m"] = git(folder, "rev-parse", "HEAD")
    return commits


def verdict(name: VerdictName = VerdictName.PASS, exit_code: int = 0) -> Verdict:
    return Verdict(
        verdict=name,
        exit_code=exit_code,
        reason="because",
        findings=(),
        categories={},
        cases=CaseLists(),
        usage=Usage(),
        baseline=BaselineSummary(kind="missing", why="first"),
    )


@contextmanager
def database(url: str) -> Iterator[Database]:
    """The database at this URL, whatever is there."""
    with closing(Database(Place(url))) as found:
        yield found


def rows_of(url: str, table: str) -> int:
    """How many rows a table has."""
    with database(url) as found, found.reading() as connection:
        return int(connection.value(f"SELECT count(*) FROM {table}"))
