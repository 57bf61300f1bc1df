"""Makes `builders` importable from every test folder; hypothesis never judges by the clock of a busy machine.

Ctrl-C reaches what the tests start, however they were started themselves.
"""

import signal
import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("evalgate", deadline=None, derandomize=True)
settings.load_profile("evalgate")

# A shell that starts a job in the background has it ignore Ctrl-C, and whatever the tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
