"""The other end of `beside`: a process that judges what it is sent, one output at a time, until nobody sends any more.

Messages are pickles with their length before them. Both ends are one program of one version, started by the first.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from typing import Any, BinaryIO

from evalgate.errors import ScorerError
from evalgate.harmless import guard
from evalgate.records import ScorerSpec
from evalgate.scorers.build import Scorer, build

LENGTH = 4
"""Bytes of a message's length, big-endian."""

READY = "ready"
"""The first message: from here on, time is the scorer's own."""


def main(longest_s: float) -> None:
    """Serves stdin and stdout. longest_s: a judgement that takes longer ends the process, whoever waits for it."""
    told = os.fdopen(os.dup(1), "wb")
    guard(os.environ)
    os.dup2(2, 1)  # what a user's scorer prints is talk, and must not stand between the messages
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group: the run says when it ends
    scorers: dict[str, Scorer] = {}
    _write(told, READY)
    while (asked := _read(sys.stdin.buffer)) is not None:
        spec, case, output = asked
        # By the system's clock and its default action: also code that never lets Python see a signal is ended.
        signal.setitimer(signal.ITIMER_REAL, longest_s)
        try:
            answer: Any = _scorer(scorers, spec).score_now(case, output)
        except ScorerError as error:
            answer = str(error)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _write(told, answer)


def _scorer(scorers: dict[str, Scorer], spec: ScorerSpec) -> Scorer:
    if spec.key not in scorers:
        scorers[spec.key] = build(spec)
    return scorers[spec.key]


def framed(message: Any) -> bytes:
    """A message as it is sent, either way."""
    body = pickle.dumps(message)
    return len(body).to_bytes(LENGTH, "big") + body


def _write(stream: BinaryIO, message: Any) -> None:
    stream.write(framed(message))
    stream.flush()


def _read(stream: BinaryIO) -> Any:
    head = stream.read(LENGTH)
    return pickle.loads(stream.read(int.from_bytes(head, "big"))) if len(head) == LENGTH else None
