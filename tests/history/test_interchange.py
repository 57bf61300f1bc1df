"""A run goes from a store into a file and from the file into another store, with all that stands beside it."""

from builders import NOON, make_run
from history_builders import verdict

from evalgate.history import run_file
from evalgate.history.interchange import beside, keep
from evalgate.history.listing import Beside
from evalgate.history.store import History
from evalgate.records import DriftEvent, VerdictName


def test_a_run_is_in_the_other_store_what_it_was_in_the_first(store_url: str) -> None:
    """Its verdicts in their order, its drift, and what it could have seen: the choice of a baseline is the same."""
    run = make_run("run-1", facts=[1, 0])
    drift = DriftEvent(run_id="run-1", created=NOON, category="facts", before=0.5, after=0.25, p=0.01, sentence="so")
    with History.open("sqlite://") as first:
        first.write_run(run, detectable={"facts": 0.1})
        first.write_verdict("run-1", verdict(VerdictName.FAIL, 1), decided=NOON)
        first.write_verdict("run-1", verdict(), decided=NOON)
        first.write_drift([drift])
        said = beside(first, "run-1", "suite")
        row = first.list_runs()[0]
    with History.open(store_url) as second:
        keep(second, run_file.RunFile(run=run, shard=None, outputs="full", checksum="", beside=said))
        assert beside(second, "run-1", "suite") == said
        assert second.read_run("run-1") == run
        assert second.list_runs() == [row]
    assert [one.verdict for one in said.verdicts] == ["fail", "pass"]
    assert said != Beside()
