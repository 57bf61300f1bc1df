"""The bundled assistant: questions over a made-up company's handbook, without a key and without a network.

`answer` is a callable for endpoints of kind `python` (`callable: "evalgate.demo:answer"`); `evalgate.demo.serve` puts
the same assistant behind HTTP; `evalsets_dir` is where its eval sets are; `evalgate.demo.damage` says what one worse
setting does to them. Importing this package costs nothing: the index is built with the first question.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalgate.demo.assistant import answer

__all__ = ["answer", "evalsets_dir"]


def __getattr__(name: str) -> Any:
    if name == "answer":
        from evalgate.demo.assistant import answer

        return answer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def evalsets_dir() -> Path:
    """The folder with `handbook-*.yaml`: packed into the wheel, or beside the package in a checkout.

    Raises FileNotFoundError, naming both places, where neither has it.
    """
    here = Path(__file__).resolve().parent
    places = (here / "evalsets", here.parents[1] / "evalsets")
    for place in places:
        if any(place.glob("handbook-*.yaml")):
            return place
    raise FileNotFoundError(f"no handbook-*.yaml in {places[0]} nor in {places[1]}: install evalgate again")
