"""What stands above a report whose scores come from somebody else's run. Decides nothing."""

from __future__ import annotations

from html import escape
from typing import Literal

from evalgate.records import short
from evalgate.report.escape import code

NAME_LIMIT = 80


def banner(*, whose: Literal["a fork", "Dependabot"], run_url: str, branch: str, commit: str) -> str:
    """That a good result is no proof, and by what it was judged; Markdown of some hundred bytes, to stand first.

    branch, commit: whose rules, eval sets and history decided.
    """
    by = f"{code(branch, limit=NAME_LIMIT)} at {code(short(commit), limit=NAME_LIMIT)}"
    return (
        "> [!IMPORTANT]\n"
        f"> **The scores come from [a run]({escape(run_url)}) that this pull request controls** (it is from {whose}): "
        f"a good result is no proof. They were judged here, by rules, eval sets and history of {by}. What this pull "
        "request changes in them counts only once it is merged.\n"
    )
