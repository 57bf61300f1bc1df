"""What a call cost, from the price list in `genai_prices`, whose only home this is. Unknown is None, never 0."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a model costs, in place of the published price."""

    # Read by the config stage's checker, which reaches this class only through the field that has it.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    input_per_mtok_usd: float
    """Dollars for a million tokens of input."""
    output_per_mtok_usd: float
    """Dollars for a million tokens of output."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """The tokens of one call."""

    input: int
    """With those read from the provider's cache."""
    output: int
    cached: int = 0
    """Of `input`, read from the provider's cache."""


Pricing = Callable[[Tokens, tuple[str, ...]], float | None]
"""(tokens, names of the model, most exact first) -> dollars, or None where no list knows the price."""


def pricing_for(base_url: str, price: Price | None) -> Pricing:
    """How calls of `base_url` are priced: by `price`, else by the published prices of whoever serves there.

    A server on this machine or in a private network has no published price, whatever its models are called.
    """
    if price is not None:
        chosen = price

        def by_choice(tokens: Tokens, models: tuple[str, ...]) -> float | None:
            return (tokens.input * chosen.input_per_mtok_usd + tokens.output * chosen.output_per_mtok_usd) / 1e6

        return by_choice
    if _is_private(urlsplit(base_url).hostname or ""):
        return lambda tokens, models: None
    return _published(base_url)


def _published(base_url: str) -> Pricing:
    # Loaded when the endpoint is opened: 0.4 s in the middle of a run would be measured as latency.
    from genai_prices import Usage, calc_price

    unknown: set[str] = set()

    def search(tokens: Tokens, model: str) -> float | None:
        usage = Usage(input_tokens=tokens.input, output_tokens=tokens.output, cache_read_tokens=tokens.cached)
        try:
            return float(calc_price(usage, model, provider_api_url=base_url).total_price)
        except LookupError:
            pass
        try:
            return float(calc_price(usage, model).total_price)  # a gateway: the maker's price
        except LookupError:
            unknown.add(model)
            return None

    def by_list(tokens: Tokens, models: tuple[str, ...]) -> float | None:
        for model in models:
            if model not in unknown and (cost := search(tokens, model)) is not None:
                return cost
        return None

    return by_list


def _is_private(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal", ".lan"))
