"""Long lists on disk: what goes in comes out, and nobody holds it all."""

import pytest
from builders import make_case, make_scored, peak_bytes
from hypothesis import given
from hypothesis import strategies as st
from test_codec import results, texts, values

from evalgate.records import Case, CaseRef, Failed, Output, Scored, Source
from evalgate.spool import Names, Spool, gathered

maps = st.dictionaries(texts, values, max_size=3)
sources = st.builds(Source, file=texts, line=st.integers(1, 9999))
names = st.lists(texts, max_size=2).map(tuple)
cases = st.builds(
    Case, id=texts, categories=names, input=values, messages=st.lists(maps, max_size=2).map(tuple), expected=values,
    tags=names, context=values, cluster=st.none() | texts, critical=st.booleans(), metadata=maps, scorers=names,
    template=st.none() | texts, source=sources,
)  # fmt: skip
refs = st.builds(
    CaseRef, id=texts, categories=names, content=st.none() | texts, scorers=st.none() | texts, critical=st.booleans(),
    cluster=st.none() | texts, tags=names, input=values, expected=values, metadata=maps, source=st.none() | sources,
)  # fmt: skip


@given(st.lists(cases, max_size=4) | st.lists(refs, max_size=4) | st.lists(results, max_size=4))
def test_what_goes_to_the_disk_comes_back_exactly(given: list[Case | CaseRef | Scored | Failed]) -> None:
    """Cases, what a run remembers of them, and results are the same values after they were on disk."""
    spool = Spool(given, long=0)
    assert given == list(spool)
    assert given == [spool[place] for place in range(len(spool))]


@given(st.lists(texts, max_size=20), st.integers(0, 10), st.data())
def test_a_spool_is_a_sequence_like_any(ids: list[str], long: int, data: st.DataObject) -> None:
    """Length, places from either end, slices and any order are those of the list, in memory or on disk."""
    given = [make_scored(case_id) for case_id in ids]
    spool = Spool(given, long=long)
    order = data.draw(st.permutations(range(len(given))))
    assert len(given) == len(spool)
    assert given[1:-1] == list(spool[1:-1])
    assert given[-1:] == ([spool[-1]] if given else [])
    assert [given[place] for place in order] == list(spool.in_order(order))
    with pytest.raises(IndexError):
        spool[len(given)]


@given(st.lists(texts, max_size=20))
def test_names_come_back_exactly(given: list[str]) -> None:
    """Short texts packed into one piece are the same texts, and are put in order without being unpacked together."""
    assert given == list(Names(given))
    assert sorted(range(len(given)), key=given.__getitem__) == list(Names(given).order())


def test_many_names_are_put_in_order_part_by_part() -> None:
    """More names than are unpacked at once come in the same order, equal ones as they stood."""
    given = [f"case-{number * 7919 % 4001}" for number in range(5000)]
    assert sorted(range(len(given)), key=given.__getitem__) == list(Names(given).order())


def test_a_value_can_be_added_after_others_were_read() -> None:
    """Reading in the middle of writing changes nothing."""
    spool = Spool([make_scored("a")], long=0)
    assert spool[0].case_id == "a"
    spool.append(make_scored("b"))
    assert [result.case_id for result in spool] == ["a", "b"]


def test_few_values_stay_as_they_are() -> None:
    """A small run pays nothing: its values are the very ones, in a tuple."""
    case = make_case()
    assert gathered([case])[0] is case


def test_what_is_no_json_is_kept_as_its_text() -> None:
    """An endpoint of the user's own may answer whatever it likes; here as in the history it becomes text."""

    class Answer:
        def __str__(self) -> str:
            return "forty-two"

    (result,) = Spool([make_scored("a", output=Output(data={"answer": [Answer()], 7: (1.5, True)}))], long=0)
    assert result.output.data == {"answer": ["forty-two"], 7: (1.5, True)}


def test_a_long_list_takes_eight_bytes_a_value() -> None:
    """What stays in memory of a value is its place in the file, whatever the value is."""
    with peak_bytes() as peak:
        results = (make_scored(f"case-{number}", output=Output(text="text " * 100)) for number in range(6000))
        spool = Spool(results, long=2000)
        assert sum(1 for result in spool if result.epoch == 1) == 6000
    assert peak[0] < 3_500_000  # 2,000 values until they are long, a quarter of a megabyte on its way; all were 6 MB
