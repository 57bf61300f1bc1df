"""Every payload of GitHub's examples, of the events that start workflows, is understood: `events.py INDEX_JSON`."""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

from evalgate.errors import InputError
from evalgate.github import event

NAMES = ("pull_request", "push", "merge_group", "workflow_run", "workflow_dispatch")


def main(index: Path) -> int:
    read: Counter[str] = Counter()
    refused = 0
    with tempfile.TemporaryDirectory() as folder:
        for row in json.loads(index.read_text("utf-8")):
            for payload in row["examples"] if row["name"] in NAMES else ():
                file = Path(folder) / "event.json"
                file.write_text(json.dumps(payload), "utf-8")
                environ = {
                    "GITHUB_ACTIONS": "true",
                    "GITHUB_EVENT_NAME": row["name"],
                    "GITHUB_EVENT_PATH": str(file),
                    "GITHUB_REPOSITORY": payload["repository"]["full_name"],
                    "GITHUB_RUN_ID": "1",
                    "GITHUB_RUN_ATTEMPT": "1",
                    "GITHUB_SHA": "a" * 40,
                    "GITHUB_REF": payload.get("ref") or "refs/heads/main",
                }
                try:
                    situation = event.read(environ)
                except InputError as fault:
                    refused += 1
                    print(f"{row['name']}: {fault}")
                    continue
                assert situation is not None
                is_pull = row["name"] == "pull_request"
                assert (situation.pull is not None) == is_pull, row["name"]
                read[row["name"]] += 1
    said = ", ".join(f"{count} {name}" for name, count in sorted(read.items()))
    print(f"GitHub's example events: {said or 'none'}: understood; {refused} not")
    return 1 if refused or not read else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
