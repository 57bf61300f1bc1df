"""A short form of the story that `benchmarks/github/story.py` tells in full: whole workflows, job by job."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from fake_github import FakeGitHub
from workflow_jobs import World

FILE = Path(__file__).parents[2] / "benchmarks" / "github" / "story.py"


def test_the_scenes_end_as_the_document_tells(tmp_path: Path) -> None:
    """Main records on the branch; a fork that lowers the rules is judged by main's."""
    spec = importlib.util.spec_from_file_location("story", FILE)
    assert spec is not None and spec.loader is not None
    acted = importlib.util.module_from_spec(spec)
    sys.modules["story"] = acted
    spec.loader.exec_module(acted)
    said: list[str] = []
    with FakeGitHub() as github:
        story = acted.Story(world=World(tmp_path, github), tell=said.append)
        acted.main_records(story, 1)
        acted.fork(story)
    assert story.wrong == 0, "\n".join(said)
