"""A table of kinds, each imported when it is first asked for: start-up is waited for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, TypeVar

T = TypeVar("T")


class Kinds(Mapping[str, T]):
    """Names that are known at once, with classes that are loaded one by one."""

    def __init__(self, package: str, places: Mapping[str, str]) -> None:
        """places: name → `module:Class`, the module within the package."""
        self._package = package
        self._places = dict(places)

    def __getitem__(self, name: str) -> T:
        module, _, kind = self._places[name].partition(":")
        found: Any = getattr(import_module(f"{self._package}.{module}"), kind)
        return found  # type: ignore[no-any-return]

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
