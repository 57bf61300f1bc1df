"""The command line: arguments → pipeline → output and exit code. The only place that ends the process.

The report goes to stdout, talk and progress to stderr, the verdict into the exit code. Importing this loads nothing.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

from evalgate.harmless import guard


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command and ends the process with its exit code: 0, 1, 2, 3, 70 or 130."""
    # Hardly anything dies while a program loads: looking for garbage at every 700th object is a third of its start.
    gc.set_threshold(200_000, 20, 50)
    streams = guard(os.environ)
    code = call(sys.argv[1:] if arguments is None else list(arguments))
    for stream in streams:
        stream.end()
    gc.freeze()  # nor is there anything to look for in what goes with the process: that took 0.1 s
    sys.exit(code)


def call(arguments: Sequence[str]) -> int:
    """The exit code of a command line. Errors are one message on stderr; only our own faults have a traceback."""
    try:
        from evalgate.cli.program import run

        return run(arguments)
    except KeyboardInterrupt:  # while it is still being loaded
        sys.stderr.write("evalgate: interrupted\n")
        return 130
