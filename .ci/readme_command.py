"""Prints the README's n-th `sh` block: what is documented is what is run."""

import re
import sys
from pathlib import Path

blocks = re.findall(r"^```sh\n(.*?)^```$", Path("README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
command = blocks[int(sys.argv[1]) - 1].strip()
if "\n" in command:
    sys.exit(f"the README's command {sys.argv[1]} is not one line")
sys.stdout.write(command + "\n")
