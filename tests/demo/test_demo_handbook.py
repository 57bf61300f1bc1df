"""The handbook's pages, as passages."""

from __future__ import annotations

import re

import pytest

from evalgate.demo.pages import Passage, handbook_hash, passages


def passage(id: str) -> Passage:
    return next(each for each in passages() if each.id == id)


def test_handbook_has_a_few_dozen_pages() -> None:
    """A handbook large enough that retrieval has something to get wrong."""
    pages = {each.id.partition("#")[0] for each in passages()}
    assert 32 <= len(pages) <= 60
    assert len(passages()) > 100


def test_ids_are_unique_and_typable() -> None:
    """An eval set names passages by id: plain letters, and never two of a name."""
    ids = [each.id for each in passages()]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z-]+#[a-z0-9-]+", id) for id in ids)
    assert {"leave#carry-over", "sick-leave#doctors-note", "repairs#repair-cafes"} <= set(ids)


def test_list_gives_its_items_and_the_whole() -> None:
    """A list can be answered with one item or with all of them, and both know what announces it."""
    snippets = passage("expenses#not-reimbursed").snippets
    assert [snippet.text for snippet in snippets if snippet.is_item][:2] == [
        "Parking and speeding fines",
        "Alcohol, except at customer dinners",
    ]
    assert [snippet.text.count("; ") for snippet in snippets if snippet.is_list] == [4]
    assert {snippet.lead for snippet in snippets} == {"We do not reimburse:"}


def test_sentences_keep_their_decimals() -> None:
    """A full stop inside a number ends no sentence."""
    first = passage("shipping#shipping-costs").snippets[0].text
    assert first == "Standard shipping costs 4.90 euros and is free for orders above 80 euros."


def test_every_snippet_stands_in_its_passage() -> None:
    """What can be answered can be found in the source, word for word."""
    for each in passages():
        for snippet in each.snippets:
            pieces = snippet.text.split("; ") if snippet.is_list else [snippet.text]
            assert all(piece in each.text for piece in pieces), each.id


def test_hash_is_short_and_stable() -> None:
    """The hash names a content: twelve hex digits, the same each time."""
    assert re.fullmatch(r"[0-9a-f]{12}", handbook_hash())
    assert handbook_hash() == handbook_hash()


@pytest.mark.parametrize("mark", ["http", "@", "TODO"])
def test_pages_hold_no_addresses(mark: str) -> None:
    """The company is made up: nothing in its handbook leads anywhere."""
    assert not [each.id for each in passages() if mark in each.text]
