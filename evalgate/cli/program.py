"""From a command line to its exit code: which command is meant, and what is said of an error.

Each command's module imports what it needs when it is called, so that `evalgate --help` costs nothing of it.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from evalgate.cli.commands import COMMANDS, register
from evalgate.cli.options import NEWEST
from evalgate.errors import EvalgateError, InputError

INTERRUPTED = 130


def program(only: str | None = None) -> typer.Typer:
    """Every command, or only one of them."""
    app = typer.Typer(
        name="evalgate",
        help="A regression gate for AI systems: runs category-tagged evals, keeps their history, decides by evidence.",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        no_args_is_help=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    register(app, only)
    return app


def run(arguments: Sequence[str]) -> int:
    """The exit code of a command line. Errors are one message on stderr; only our own faults have a traceback."""
    if list(arguments) in (["--version"], ["version"]):
        from evalgate import __version__

        sys.stdout.write(f"evalgate {__version__}\n")
        return 0
    named = next((word for word in arguments[:1] if word in COMMANDS), None)
    try:
        result = program(named)(args=_spelled_out(arguments) or ["--help"], standalone_mode=False, prog_name="evalgate")
    except TyperException as error:
        context = getattr(error, "ctx", None)
        meant = f"evalgate {named}" if named else "evalgate"
        _say(f"{error.format_message()} See: {context.command_path if context is not None else meant} --help")
        return 2
    except InputError as error:
        _say(str(error))
        return error.exit_code
    except EvalgateError as error:
        _say(str(error))
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        _say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output went away; there is nobody left to tell.
        sys.stderr.close()
        return 70
    except Exception:  # noqa: BLE001 -- the last door: whatever comes here is our own fault
        from evalgate.cli.console import discreet

        sys.stderr.write(discreet(traceback.format_exc()))
        _say("This is a fault of evalgate itself, not of your set-up.")
        return 70
    if result == INTERRUPTED:  # typer makes this of a KeyboardInterrupt in a command, and says nothing
        _say("interrupted")
    return result if isinstance(result, int) else 0


def _spelled_out(arguments: Sequence[str]) -> list[str]:
    """The arguments with `--resume newest` for a bare `--resume`: its value is optional, which typer does not know."""
    found: list[str] = []
    for argument in arguments:
        if found and found[-1] == "--resume" and argument.startswith("-"):
            found.append(NEWEST)
        found.append(argument)
    return [*found, NEWEST] if found and found[-1] == "--resume" else found


def _say(text: str) -> None:
    """One message on stderr, each of its lines marked; `evalgate: ` stands before the first only."""
    from evalgate.cli.console import plain

    lines = [plain(line) for line in text.splitlines()] or [""]
    sys.stderr.write("evalgate: " + "\n          ".join(lines) + "\n")
