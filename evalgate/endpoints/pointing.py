"""JMESPath expressions that point into an answer. The only home of `jmespath`, loaded when a path is used."""

from __future__ import annotations

from collections.abc import Callable

from evalgate.errors import CallError, CallFault
from evalgate.records import Json

Pick = Callable[[Json], Json]


def path_problem(path: str) -> str | None:
    """What is wrong with a JMESPath, in a few words; None: nothing."""
    import jmespath

    try:
        jmespath.compile(path)
    except jmespath.exceptions.JMESPathError as error:
        return " ".join(str(error).split())
    return None


def picker(path: str | None, key: str) -> Pick:
    """A function from an answer to what `path` finds there: None where it finds nothing, or where there is no path.

    It raises CallError where the path cannot be applied to an answer (a function of a value of the wrong type).
    """
    if path is None:
        return lambda answer: None
    import jmespath

    compiled = jmespath.compile(path)

    def pick(answer: Json) -> Json:
        try:
            return compiled.search(answer)
        except jmespath.exceptions.JMESPathError as error:
            what = " ".join(str(error).split())
            raise CallError(CallFault.BAD_ANSWER, f"endpoint.{key}: `{path}` does not fit the answer: {what}") from None

    return pick
