"""Judges: scorers that ask an endpoint of their own. Here the two stages meet; neither knows the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from evalgate.endpoints import Endpoint, Opening, Settings
from evalgate.errors import Fault, InputError
from evalgate.pipeline.pacing import Paces
from evalgate.pipeline.session import discreet
from evalgate.records import Case, Json, Output, Request, fingerprint
from evalgate.runner.cache import Remembering
from evalgate.runner.judgement import judgement
from evalgate.runner.pace import Pace
from evalgate.runner.paced import Paced

Remember: TypeAlias = Callable[[Settings, Endpoint], Remembering | None]

_ASKED = Case(id="judge", categories=("judge",))


class JudgeDesk:
    """Opens the endpoints that judges ask, each once, and closes them with the stack it was given."""

    def __init__(
        self,
        stack: AsyncExitStack,
        opening: Opening,
        *,
        default: Settings | None,
        read: Callable[[Mapping[str, Json]], Settings],
        charged: Callable[[Endpoint], Endpoint],
        paces: Paces,
        remember: Remember | None = None,
    ) -> None:
        """default: the configuration's `judge`; read: checks a judge's own `endpoint`, raises InputError; charged: the
        endpoint with its calls counted; remember: it with its answers kept, or None where they are not reused (absent:
        no endpoint's are)."""
        self._stack, self._opening, self._default, self._read = stack, opening, default, read
        self._charged, self._paces, self._remember = charged, paces, remember

    def open(self, wanted: Mapping[str, Json] | None) -> AskedEndpoint:
        """The endpoint of a judge. Raises InputError where neither it nor the configuration names one."""
        settings = self._default if wanted is None else self._read(wanted)
        if settings is None:
            hint = "Give it an `endpoint`, or write one under `judge:` in evalgate.yaml."
            raise InputError(Fault(where="scorer `judge`", what="there is no endpoint to ask", hint=hint))
        lacking = settings.missing_credentials(self._opening.environ)
        if lacking is not None:
            raise InputError(Fault(where="scorer `judge`", what=lacking))
        pace = self._paces.of(settings)
        return AskedEndpoint(self._stack, self._opening, settings, self._charged, pace, self._remember)


class AskedEndpoint:
    """One judge's endpoint: messages in, output out."""

    def __init__(
        self,
        stack: AsyncExitStack,
        opening: Opening,
        settings: Settings,
        charged: Callable[[Endpoint], Endpoint],
        pace: Pace,
        remember: Remember | None,
    ) -> None:
        self._stack, self._opening, self._settings = stack, opening, settings
        self._charged, self._pace, self._remember = charged, pace, remember
        self._opened: dict[str, tuple[Endpoint, Remembering | None]] = {}
        self.identity: Mapping[str, Json] = settings.identity(opening.base_dir)

    async def ask(self, messages: list[dict[str, Json]], response_format: Mapping[str, Json] | None) -> Output:
        """The answer to these messages, structured where the endpoint's kind can ask for it. Raises CallError."""
        endpoint, remembering = await self._endpoint(response_format)
        text = messages[-1].get("content")
        request = Request(
            case=_ASKED,
            epoch=1,
            prompt=text if isinstance(text, str) else "",
            messages=tuple(messages),
            params=self._settings.params,
        )
        under_way = judgement()
        if remembering is None or under_way is None:
            return await endpoint.call(request)
        # The same material for another case or epoch is another sample of what the judge says of it.
        sample = under_way.sample(fingerprint(request.messages))
        output = remembering.recall(request, sample)
        if output is None:
            output = await endpoint.call(request)
            under_way.afterwards.append(partial(remembering.keep, request, output, sample))
        return output

    async def _endpoint(self, response_format: Mapping[str, Json] | None) -> tuple[Endpoint, Remembering | None]:
        key = fingerprint(response_format)
        if key not in self._opened:
            settings = self._settings
            if response_format is not None and getattr(settings, "response_format", True) is None:
                settings = replace(settings, response_format=response_format)  # type: ignore[call-arg]
            # No await between the look-up and this line's first step would be needed if opening were free of waiting;
            # two judges that meet here open twice, and both are closed with the stack.
            opening = replace(self._opening, told=self._pace.told)
            opened = await self._stack.enter_async_context(settings.open(opening))
            opened = self._charged(discreet(opened, settings.secrets(opening.environ)))
            remembering = self._remember(settings, opened) if self._remember else None
            self._opened[key] = Paced(opened, self._pace, first=True), remembering
        return self._opened[key]
