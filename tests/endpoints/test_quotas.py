"""What headers say of a provider's limits."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from endpoint_servers import Canned, ask_server
from hypothesis import given
from hypothesis import strategies as st

from evalgate.endpoints import Settings
from evalgate.endpoints.chat_completions import OpenAI
from evalgate.endpoints.quotas import quotas_of
from evalgate.records import Remaining

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def requests(left: float, reset_s: float, limit: float | None = None, *, refills: bool = False) -> Remaining:
    return Remaining(unit="requests", left=left, reset_s=reset_s, limit=limit, refills=refills)


def openai(left: str, reset: str) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": left,
        "x-ratelimit-reset-requests": reset,
    }


def plain(left: str, reset: str, prefix: str = "") -> dict[str, str]:
    return {f"{prefix}ratelimit-remaining": left, f"{prefix}ratelimit-reset": reset}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, []),
        ({"content-type": "text/plain"}, []),
        (openai("499", "120ms"), [requests(499, 0.12, 500, refills=True)]),
        (openai("0", "1s"), [requests(0, 1, 500, refills=True)]),
        (openai("0", "6m0s"), [requests(0, 360, 500, refills=True)]),
        (openai("0", "1h2m3.5s"), [requests(0, 3723.5, 500, refills=True)]),
        (openai("7", "12"), [requests(7, 12, 500, refills=True)]),
        (
            {"x-ratelimit-remaining-tokens": "149984", "x-ratelimit-reset-tokens": "6ms"},
            [Remaining(unit="tokens", left=149984, reset_s=0.006, refills=True)],
        ),
        (
            {
                "anthropic-ratelimit-requests-limit": "50",
                "anthropic-ratelimit-requests-remaining": "2",
                "anthropic-ratelimit-requests-reset": "2026-11-01T12:00:30Z",
                "anthropic-ratelimit-tokens-limit": "40000",
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "2026-11-01T11:59:30Z",
            },
            [
                requests(2, 30, 50, refills=True),
                Remaining(unit="tokens", left=0, reset_s=0, limit=40000, refills=True),
            ],
        ),
        (plain("5", "10"), [requests(5, 10)]),
        (plain("5", "10", "x-"), [requests(5, 10)]),
        (plain("5", str(int(NOW.timestamp()) + 20), "x-"), [requests(5, 20)]),
        (plain("5", str((int(NOW.timestamp()) + 20) * 1000), "x-"), [requests(5, 20)]),
        ({"ratelimit": "limit=100, remaining=5, reset=10"}, [requests(5, 10, 100)]),
        ({"ratelimit": '"burst";r=5;t=10, "daily";r=90;t=3600'}, [requests(5, 10), requests(90, 3600)]),
        ({"ratelimit": '"default";t=30;r=0', "ratelimit-policy": '"default";q=9;w=60'}, [requests(0, 30)]),
    ],
)
def test_each_spelling_is_read(headers: dict[str, str], expected: list[Remaining]) -> None:
    """OpenAI's, Anthropic's and the drafts'; spans, numbers, moments and dates."""
    assert list(quotas_of(headers, NOW)) == expected


WRONG = ("", "-1", "nan", "inf", "1e9", "soon", "1" * 50, "-5s", "1s later", "٣", "0x10", "1 000")


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_number_and_no_span_is_not_there(wrong: str) -> None:
    """Also where the other half of it is right: a made-up limit would slow down for nothing."""
    assert quotas_of(openai(wrong, "1s"), NOW) == ()
    assert quotas_of(openai("0", wrong), NOW) == ()
    assert quotas_of({"ratelimit": f'"a";r={wrong};t={wrong}'}, NOW) == ()


@given(
    st.dictionaries(
        st.sampled_from(
            [
                *openai("", ""),
                *plain("", ""),
                *plain("", "", "x-"),
                "ratelimit",
                "date",
                "anthropic-ratelimit-tokens-reset",
            ]
        ),
        st.text(max_size=40) | st.from_regex(r"[0-9.]{1,18}(ms|s|m|h|d)?", fullmatch=True),
    )
)
def test_whatever_stands_there_is_read_or_ignored(headers: dict[str, str]) -> None:
    """Nothing is raised, and no figure is negative, infinite or no number."""
    for quota in quotas_of(headers):
        assert 0 <= quota.left < 1e16
        assert 0 <= quota.reset_s < 1e15


@pytest.mark.parametrize("status", [200, 429, 500])
def test_answers_and_refusals_are_listened_to(status: int) -> None:
    """What is left is told with either, before anything else is made of the answer."""
    told: list[Remaining] = []
    server = Canned(body=b"{}", status=status, headers=openai("3", "1s"))

    def make(url: str) -> Settings:
        return OpenAI(base_url=f"{url}/v1", model="small-chat-1")

    ask_server(server, make, told=told.extend)
    assert told == [requests(3, 1, 500, refills=True)]
