"""The assistant's settings: what a request's `params` may hold, checked with one message for all faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEFAULT_PASSAGES = 5
MAX_PASSAGES = 20
_PARAMS = ("retrieval", "temperature", "seed", "max_tokens")
_RETRIEVAL = ("passages", "stemming", "synonyms", "titles")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How one question is answered."""

    passages: int = DEFAULT_PASSAGES
    """How many passages are read for an answer and handed out as its contexts, 1 to 20."""
    stemming: bool = True
    """Whether `claims` finds `claim`."""
    synonyms: bool = True
    """Whether `wage` finds `salary`."""
    titles: bool = True
    """Whether pages' titles and sections' headings are searched too."""
    temperature: float = 0.0
    """0: the best candidate sentence. Above: sampled among the candidates; 1 is a noisy model, 2 a very noisy one."""
    seed: int | None = None
    """With a temperature: the same request gives the same answer again. None: it does not."""
    max_tokens: int | None = None
    """The answer is cut after so many words; None: it is not."""

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Settings:
        """The settings that `params` ask for: `{retrieval: {passages, stemming, synonyms, titles}, temperature, seed,
        max_tokens}`, each optional.

        Raises ValueError that names every unknown key and every value out of range.
        """
        faults = [_unknown("parameter", key, _PARAMS) for key in params if key not in _PARAMS]
        retrieval = params.get("retrieval", {})
        if not isinstance(retrieval, Mapping):
            faults.append(f"retrieval must be a mapping of {', '.join(_RETRIEVAL)}, not {retrieval!r}")
            retrieval = {}
        faults += [_unknown("retrieval setting", key, _RETRIEVAL) for key in retrieval if key not in _RETRIEVAL]
        passages = retrieval.get("passages", DEFAULT_PASSAGES)
        if not _is_int(passages) or not 1 <= passages <= MAX_PASSAGES:
            faults.append(f"retrieval.passages must be a whole number from 1 to {MAX_PASSAGES}, not {passages!r}")
        for switch in _RETRIEVAL[1:]:
            if not isinstance(retrieval.get(switch, True), bool):
                faults.append(f"retrieval.{switch} must be true or false, not {retrieval[switch]!r}")
        temperature = params.get("temperature", 0.0)
        if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 <= temperature <= 2:
            faults.append(f"temperature must be a number from 0 to 2, not {temperature!r}")
        seed, max_tokens = params.get("seed"), params.get("max_tokens")
        if seed is not None and not _is_int(seed):
            faults.append(f"seed must be a whole number, not {seed!r}")
        if max_tokens is not None and (not _is_int(max_tokens) or max_tokens < 1):
            faults.append(f"max_tokens must be a whole number above 0, not {max_tokens!r}")
        if faults:
            raise ValueError("; ".join(faults))
        return cls(
            passages=passages,
            stemming=retrieval.get("stemming", True),
            synonyms=retrieval.get("synonyms", True),
            titles=retrieval.get("titles", True),
            temperature=float(temperature),
            seed=seed,
            max_tokens=max_tokens,
        )


def _unknown(what: str, key: object, known: tuple[str, ...]) -> str:
    return f"unknown {what} {key!r}: the handbook assistant knows {', '.join(known)}"


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
