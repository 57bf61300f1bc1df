"""What is kept beside a run: its requests, the drops that it could show, drift, and names of blessings."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from builders import NOON, make_drift, make_run
from history_builders import rows_of

from evalgate.errors import InputError, StoreError
from evalgate.gate import Rules, without_results
from evalgate.history.store import History
from evalgate.practices.trend import suite_trend
from evalgate.records import VerdictName, Version

REQUESTS = {
    "facts-1": {"model": "m", "messages": [{"role": "user", "content": "b\x00\ud800?"}], "temperature": 0},
    "facts-0": {"z": 1, "a": None},
}

METRIC = "detectable_drop"


# ---- requests ---------------------------------------------------------------------------------------------


def test_requests_are_read_as_they_were_sent(store_url: str) -> None:
    """Every body exactly, the order of its keys too: the same bytes can be sent again."""
    with History.open(store_url) as history:
        history.write_run(make_run(facts=[1, 0]), requests=REQUESTS.items())
        found = history.requests("run-1")
    assert found == REQUESTS
    assert list(found["facts-0"]) == ["z", "a"]


def test_runs_of_one_version_and_plan_share_their_requests(store_url: str) -> None:
    """Kept once, not once a run; another version or other cases have their own."""
    with History.open(store_url) as history:
        first = make_run(facts=[1, 0])
        history.write_run(first, requests=REQUESTS.items())
        history.write_run(replace(first, id="same"), requests=REQUESTS.items())
        history.write_run(replace(first, id="unsaid"))
        history.write_run(
            replace(first, id="newer", version=Version(id="v2")), requests={"facts-0": {"model": "n"}}.items()
        )
        history.write_run(replace(first, id="none", version=Version(id="v3")))
        history.write_run(make_run("other-cases", facts=[1, 0, 1]))
        found = {row.id: sorted(history.requests(row.id)) for row in history.list_runs()}
    assert rows_of(store_url, "requests") == 3
    assert found == {
        **{run_id: ["facts-0", "facts-1"] for run_id in ("run-1", "same", "unsaid")},
        "newer": ["facts-0"],
        "none": [],
        "other-cases": [],
    }


def test_a_run_that_is_refused_leaves_no_request(store_url: str) -> None:
    """A run with what belongs to it is one transaction."""
    with History.open(store_url) as history:
        history.write_run(make_run(facts=[1]))
        with pytest.raises(StoreError, match="already"):
            history.write_run(make_run(facts=[1]), requests=REQUESTS.items(), detectable={"*": 0.1})
        assert (history.requests("run-1"), history.detectable("run-1")) == ({}, {})


# ---- detectable drops -------------------------------------------------------------------------------------


def test_what_is_written_together_is_there_whole_or_not_at_all(store_url: str) -> None:
    """A run without its verdict would be pooled into baselines although nobody has judged it."""
    verdict = without_results(VerdictName.ERROR, "no", Rules(), suite="bot")
    with History.open(store_url) as history:
        with pytest.raises(KeyboardInterrupt), history.together():
            history.write_run(make_run(facts=[1]))
            raise KeyboardInterrupt
        assert not history.has_run("run-1")
        with history.together():
            history.write_run(make_run(facts=[1]))
            history.write_verdict("run-1", verdict, decided=NOON)
        history.write_verdict("run-1", verdict, decided=NOON)
        assert [row.verdict for row in history.verdicts("run-1")] == ["error", "error"]


def test_detectable_drops_are_kept_with_the_cases_they_are_of(store_url: str) -> None:
    """By category, exactly; `n` counts the category's cases, whether they have a score or not."""
    drops = {"*": 0.1 + 0.2, "facts": 0.25, "other": 1.0}
    with History.open(store_url) as history:
        history.write_run(make_run(facts=[1, 0, None], other=[1]), detectable=drops)
        history.write_run(make_run("plain", facts=[1]))
        rows = {row.category: (row.value, row.n) for row in history.summaries(suite="suite") if row.metric == METRIC}
        assert (drops, {}) == (history.detectable("run-1"), history.detectable("plain"))
    assert rows == {"*": (0.1 + 0.2, 4), "facts": (0.25, 3), "other": (1.0, 1)}


def test_detectable_drops_do_not_disturb_a_trend(store_url: str) -> None:
    """They say how sharp the gate sees, not how good the system is: a trend is the same with them."""
    found = []
    with History.open(store_url) as history:
        for number in range(4):
            run = replace(make_run(f"{number}-with", minutes=number, facts=[1, 0]), suite="with")
            history.write_run(run, detectable={"facts": 0.5 - number / 10})
            history.write_run(replace(run, id=f"{number}-without", suite="without"))
        for suite in ("with", "without"):
            trend = suite_trend(history.list_runs(suite=suite), history.summaries(suite=suite), now=NOON)
            assert trend is not None
            found.append(trend.courses)
    assert found[0] == found[1]


# ---- drift ------------------------------------------------------------------------------------------------


def test_events_of_drift_are_read_as_they_were_written(store_url: str) -> None:
    """In their order, of one suite or all, from a moment on; every field exactly."""
    events = [
        make_drift("run-1", before=0.1 + 0.2, p=5e-324, sentence="\x00 fell"),
        make_drift("other", created=NOON + timedelta(microseconds=1), category="*"),
        make_drift("run-1", created=NOON + timedelta(days=1)),
    ]
    with History.open(store_url) as history:
        history.write_run(make_run())
        history.write_run(replace(make_run("other"), suite="another"))
        history.write_drift(events[:2])
        history.write_drift(events[2:])
        history.write_drift([])
        assert events == history.drifts()
        assert [events[0], events[2]] == history.drifts("suite")
        assert events[1:] == history.drifts(since=NOON + timedelta(microseconds=1))
        assert [events[2]] == history.drifts("suite", since=NOON + timedelta(hours=1))


def test_drift_of_a_run_that_is_not_there_is_refused_whole(store_url: str) -> None:
    """All events or none: half a finding misleads."""
    with History.open(store_url) as history:
        history.write_run(make_run())
        with pytest.raises(InputError, match='has no run "nowhere"'):
            history.write_drift([make_drift(), make_drift("nowhere")])
        assert history.drifts() == []


# ---- names of blessings -----------------------------------------------------------------------------------


def test_a_blessing_may_have_a_name(store_url: str) -> None:
    """The same name may be given again: both blessings stay on record."""
    with History.open(store_url) as history:
        for run_id in ("one", "two"):
            history.write_run(make_run(run_id))
            history.write_blessing(run_id, reason="r", author="ann", created=NOON, name="live")
        history.write_blessing("two", reason="r", author="ann", created=NOON)
        assert [(given.run_id, given.name) for given in history.blessings()] == [
            ("one", "live"),
            ("two", "live"),
            ("two", None),
        ]


def test_a_blessing_may_expire(store_url: str) -> None:
    """Its last day is kept as a day; a light row has that of the newest blessing."""
    last = date(2026, 12, 31)
    with History.open(store_url) as history:
        for run_id in ("dated", "renewed", "bare"):
            history.write_run(make_run(run_id))
        for run_id, day in (("dated", last), ("renewed", last), ("renewed", None)):
            history.write_blessing(run_id, reason="r", author="ann", created=NOON, expires=day)
        assert [given.expires for given in history.blessings()] == [last, last, None]
        rows = {row.id: row for row in history.list_runs()}
    told = {run_id: (row.blessed, row.blessed_until) for run_id, row in rows.items()}
    assert told == {"dated": (True, last), "renewed": (True, None), "bare": (False, None)}
    days = (last, last + timedelta(days=1))
    holding = {run_id: [row.is_blessed(day) for day in days] for run_id, row in rows.items()}
    assert holding == {"dated": [True, False], "renewed": [True, True], "bare": [False, False]}


def test_the_newest_word_counts_whenever_it_is_written_down(store_url: str) -> None:
    """What others said before may come from the branch afterwards."""
    last, before = date(2026, 12, 31), NOON - timedelta(days=1)
    with History.open(store_url) as history:
        history.write_run(make_run())
        history.write_blessing("run-1", reason="for now", author="ann", created=NOON, expires=last)
        history.write_blessing("run-1", reason="for good", author="bob", created=before)
        for name, decided in ((VerdictName.ERROR, NOON), (VerdictName.NOT_EVALUATED, before)):
            history.write_verdict("run-1", without_results(name, "no", Rules(), suite="suite"), decided=decided)
        (row,) = history.list_runs()
        assert (row.blessed_until, row.verdict, row.exit_code) == (last, "error", 3)
        assert [given.author for given in history.blessings()] == ["bob", "ann"]
        assert [given.verdict for given in history.verdicts("run-1")] == ["not_evaluated", "error"]


@pytest.mark.parametrize("name", ["", " ", "blessed", "latest", "a\nb", " live"])
def test_a_name_that_means_something_else_is_refused(store_url: str, name: str) -> None:
    """An anchor's name must be found again, and by nobody else's word."""
    with History.open(store_url) as history:
        history.write_run(make_run())
        with pytest.raises(InputError, match="cannot name a blessing"):
            history.write_blessing("run-1", reason="r", author="a", created=NOON, name=name)
        assert history.blessings() == []
