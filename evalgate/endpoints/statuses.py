"""What an HTTP status means for a run: which fault, whether to wait, what to check. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from evalgate.endpoints.answers import NotJson, parse_json
from evalgate.errors import CallError, CallFault
from evalgate.masking import excerpt
from evalgate.records import Json

SHOWN = 300
"""Characters of what the endpoint said that a message shows."""

_UNKNOWN_MODEL = frozenset({"model_not_found", "unknown_model", "invalid_model", "model_not_available"})
_NO_QUOTA = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance"}
)

_CHECK = {
    CallFault.CREDENTIALS: "Check the key (api_key_env, headers) and what it may use",
    CallFault.NOT_FOUND: "Check the URL's path and the model's name",
    CallFault.TIMEOUT: "The server gave up waiting",
    CallFault.SERVER: "Check the server's log",
    CallFault.RATE_LIMITED: "Write run.requests_per_minute, or lower run.concurrency, if it goes on",
    CallFault.REFUSED_REQUEST: "Check the request: params, messages and body",
}


def failure_of(
    status: int, headers: Mapping[str, str], body: bytes, secrets: Sequence[str] = (), *, now: datetime | None = None
) -> CallError:
    """The error for an answer whose status is no success: the status, what the endpoint said, what to check.

    headers: with lower-case names. now: the moment that a date in Retry-After is counted from.
    """
    said, codes = _said(body, secrets)
    fault, check = _fault(status, codes)
    message = f"the endpoint answered {status}"
    message += f": {said}" if said else ""
    message += f"{'' if message[-1] in '.!?…' else '.'} {check or _CHECK[fault]}"
    waits = fault in (CallFault.RATE_LIMITED, CallFault.SERVER)
    return CallError(fault, message, retry_after_s=_retry_after_s(headers, now) if waits else None)


def redirect_of(status: int, headers: Mapping[str, str], secrets: Sequence[str] = ()) -> CallError:
    """The error for a redirect: where it points, without its query, which may hold secrets."""
    location = headers.get("location", "")
    shown = excerpt(location.partition("?")[0], SHOWN, secrets) or "nowhere"
    hint = " Write that address" if urlsplit(location).netloc else " Correct the path"
    return CallError(
        CallFault.REFUSED_REQUEST,
        f"the endpoint answered {status} and points to {shown}; redirects are not followed, so that no key goes where "
        f"nobody sent it.{hint} in the configuration if it is right",
    )


def error_in(answer: Json, headers: Mapping[str, str], secrets: Sequence[str] = ()) -> CallError | None:
    """The error that an answer with a good status reports in its body, as `{"error": …}`; None: it reports none."""
    error = answer.get("error") if isinstance(answer, Mapping) else None
    if not error:
        return None
    code = error.get("code") if isinstance(error, Mapping) else None
    said = _message(answer, secrets) or "(no message)"
    if isinstance(code, int) and 400 <= code < 600:
        fault, check = _fault(code, ())
        waits = fault in (CallFault.RATE_LIMITED, CallFault.SERVER)
        wait = _retry_after_s(headers, None) if waits else None
        return CallError(
            fault, f"the endpoint reports error {code}: {said}. {check or _CHECK[fault]}", retry_after_s=wait
        )
    return CallError(CallFault.BAD_ANSWER, f"the endpoint answered 200 with an error: {said}")


def _fault(status: int, codes: Sequence[str]) -> tuple[CallFault, str | None]:
    if _UNKNOWN_MODEL.intersection(codes) and 400 <= status < 500:
        return CallFault.NOT_FOUND, "Check endpoint.model: the endpoint does not know it"
    if _NO_QUOTA.intersection(codes) or status == 402:
        # Another attempt, or another case, will meet the same: stop the run as for a wrong key.
        return CallFault.CREDENTIALS, "The account's quota or credit is used up: check its plan and billing"
    match status:
        case 401 | 403:
            return CallFault.CREDENTIALS, None
        case 404 | 410:
            return CallFault.NOT_FOUND, None
        case 408:
            return CallFault.TIMEOUT, None
        case 407:
            return CallFault.CREDENTIALS, "Check the user and password in the proxy's URL (HTTPS_PROXY)"
        case 429:
            return CallFault.RATE_LIMITED, None
        case 501 | 505:
            return CallFault.REFUSED_REQUEST, "The server cannot do this: check the URL and the method"
        case 409 | 425:
            return CallFault.SERVER, None
        case _ if status >= 500:
            return CallFault.SERVER, None
        case _:
            return CallFault.REFUSED_REQUEST, None


def _said(body: bytes, secrets: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The endpoint's own words, on one line, and the codes and types of its error."""
    try:
        answer = parse_json(body)
    except NotJson:
        return excerpt(body[: 1 << 16].decode("utf-8", "replace"), SHOWN, secrets), ()
    error = answer.get("error", answer) if isinstance(answer, Mapping) else None
    codes = (error.get("code"), error.get("type")) if isinstance(error, Mapping) else ()
    return _message(answer, secrets), tuple(code for code in codes if isinstance(code, str))


def _message(answer: Json, secrets: Sequence[str]) -> str:
    """`error.message`, or whatever stands where other servers put it."""
    if not isinstance(answer, Mapping):
        return excerpt(str(answer), SHOWN, secrets)
    error = answer.get("error")
    inner = error if isinstance(error, Mapping) else answer
    for key in ("message", "detail", "title", "error_description", "error"):
        if value := inner.get(key):
            return excerpt(value if isinstance(value, str) else repr(value), SHOWN, secrets)
    return excerpt(repr(dict(inner)), SHOWN, secrets)


def _retry_after_s(headers: Mapping[str, str], now: datetime | None) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `Retry-After` (seconds or a date); None where neither can be read."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    from email.utils import parsedate_to_datetime  # half of what loading this package would cost

    try:
        moment = parsedate_to_datetime(headers.get("retry-after", ""))
    except (TypeError, ValueError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
