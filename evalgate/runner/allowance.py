"""How many requests a run may still send, whoever sends them. Knows no endpoint and no case."""

from __future__ import annotations

from evalgate.runner.calls import Halted


class Allowance:
    """What is left of `run.max_calls`: every attempt takes one, so that there is never one more."""

    def __init__(self, most: int | None, *, used: int = 0) -> None:
        """most: over all sessions of the run; None: no bound. used: by earlier sessions."""
        self._most = most
        self._left = None if most is None else max(0, most - used)

    @property
    def left(self) -> int | None:
        """None: as many as are wanted."""
        return self._left

    def lower(self, used: int) -> None:
        """Requests of an earlier session that have come to light."""
        if self._left is not None:
            self._left = max(0, self._left - used)

    def take(self) -> None:
        """Right before an attempt. Raises Halted where none is left: that ends the run."""
        if self._left is None:
            return
        if not self._left:
            raise Halted(f"call limit of {self._most:,} reached")
        self._left -= 1
