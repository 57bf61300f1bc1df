"""The command line: arguments → pipeline → output and exit code. The only place that ends the process.

The report goes to stdout, talk and progress to stderr, the verdict into the exit code. Each command's module imports
what it needs when it is called, so that `evalgate --help` costs nothing of it.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from evalgate.cli.options import NEWEST
from evalgate.errors import EvalgateError, InputError

app = typer.Typer(
    name="evalgate",
    help="A regression gate for AI systems: runs category-tagged evals, keeps their history, decides by evidence.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command and ends the process with its exit code: 0, 1, 2, 3, 70 or 130."""
    sys.exit(call(sys.argv[1:] if arguments is None else list(arguments)))


def call(arguments: Sequence[str]) -> int:
    """The exit code of a command line. Errors are one message on stderr; only our own faults have a traceback."""
    from evalgate.cli.commands import COMMANDS, register

    if not app.registered_commands:
        register(app)
    if list(arguments) in (["--version"], ["version"]):
        from evalgate import __version__

        sys.stdout.write(f"evalgate {__version__}\n")
        return 0
    try:
        result = app(args=_spelled_out(arguments) or ["--help"], standalone_mode=False, prog_name="evalgate")
    except TyperException as error:
        named = [word for word in arguments[:1] if word in {*COMMANDS, "baseline", "demo"}]
        _say(f"{error.format_message()} See: {' '.join(['evalgate', *named])} --help")
        return 2
    except InputError as error:
        _say(str(error))
        return error.exit_code
    except EvalgateError as error:
        _say(str(error))
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        _say("interrupted")
        return 130
    except BrokenPipeError:
        # Whoever read our output went away; there is nobody left to tell.
        sys.stderr.close()
        return 70
    except Exception:  # noqa: BLE001 -- the last door: whatever comes here is our own fault
        traceback.print_exc()
        _say("This is a fault of evalgate itself, not of your set-up.")
        return 70
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
