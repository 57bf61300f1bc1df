"""Makes `builders` importable from every test folder; hypothesis never judges by the clock of a busy machine.

Ctrl-C reaches what the tests start, however they were started themselves, and it is compiled once a session. At the
end stands how many requests to GitHub were held against its published description.
"""

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("evalgate", deadline=None, derandomize=True)
settings.load_profile("evalgate")

# A shell that starts a job in the background has it ignore Ctrl-C, and whatever the tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_REQUESTS = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Where no bytecode is to lie beside the sources, all processes of the session share a folder that ends with it.

    Without one, each of some hundred would compile all of evalgate anew.
    """
    if sys.dont_write_bytecode and not hasattr(config, "workerinput"):
        folder = tempfile.mkdtemp(prefix="bytecode-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Counts this process's requests; a worker hands them to the process that started it."""
    module = sys.modules.get("github_openapi")
    description = module.published_description() if module else None
    if description is not None:
        n_asked = session.config.stash.get(_REQUESTS, 0) + description.n_asked
        session.config.stash[_REQUESTS] = n_asked
        getattr(session.config, "workeroutput", {})["github_requests"] = n_asked


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker has ended."""
    n_asked = getattr(node, "workeroutput", {}).get("github_requests", 0)
    node.config.stash[_REQUESTS] = node.config.stash.get(_REQUESTS, 0) + n_asked


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One that is not as described has failed its test."""
    if n_asked := config.stash.get(_REQUESTS, 0):
        terminalreporter.write_line(f"GitHub API: {n_asked:,} requests held against its published description")
