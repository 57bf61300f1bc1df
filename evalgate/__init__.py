"""evalgate: a regression gate for AI systems. `evalgate.decide` is the decision, `evalgate.run` the whole way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalgate.api import decide, open_history, run
    from evalgate.errors import EvalgateError, InputError, StoreError

__version__ = "0.1.0"

__all__ = ["EvalgateError", "InputError", "StoreError", "decide", "open_history", "run"]


def __getattr__(name: str) -> Any:
    # A command pays for none of them: each is loaded where it is first asked for.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from evalgate import api, errors

    return getattr(errors if hasattr(errors, name) else api, name)
