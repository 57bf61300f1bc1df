"""evalgate: a regression gate for AI systems. `evalgate.decide` is the decision, `evalgate.run` the whole way."""

from evalgate.api import decide, open_history, run
from evalgate.errors import EvalgateError, InputError, StoreError

__version__ = "0.1.0"

__all__ = ["EvalgateError", "InputError", "StoreError", "decide", "open_history", "run"]
