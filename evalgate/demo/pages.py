"""The handbook's pages as passages: one a section, with the sentences and lists that an answer can be cut from.

Knows Markdown as the handbook uses it (one `#` title, `##` sections, paragraphs, `-` lists) and nothing of questions.
"""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent / "handbook"
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


@dataclass(frozen=True, kw_only=True, slots=True)
class Snippet:
    """A piece of a passage that can stand as an answer."""

    text: str
    """A sentence, one item of a list, or all items of a list joined by `; `."""
    lead: str = ""
    """The sentence that announces a list (`We do not reimburse:`); empty for sentences."""
    is_item: bool = False
    is_list: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """One section of one page: what is retrieved, and what is cited."""

    id: str
    """Page and section, `leave#carry-over`."""
    title: str
    """The page's."""
    heading: str
    """The section's."""
    body: str
    snippets: tuple[Snippet, ...]

    @property
    def text(self) -> str:
        """What is handed out as a context: title, heading and body."""
        return f"{self.title}: {self.heading}\n{self.body}"


@functools.cache
def passages() -> tuple[Passage, ...]:
    """Every section of the handbook, pages in the order of their file names."""
    return tuple(passage for file in sorted(_FOLDER.glob("*.md")) for passage in _sections(file))


@functools.cache
def handbook_hash() -> str:
    """Twelve hex digits that change when a passage does."""
    content = "\0".join(f"{passage.id}\0{passage.text}" for passage in passages())
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _sections(file: Path) -> Iterator[Passage]:
    title, *sections = re.split(r"(?m)^##? ", file.read_text(encoding="utf-8"))[1:]
    for section in sections:
        heading, _, body = section.partition("\n")
        yield Passage(
            id=f"{file.stem}#{_anchor(heading)}",
            title=title.strip(),
            heading=heading.strip(),
            body=body.strip(),
            snippets=tuple(_snippets(body)),
        )


def _anchor(heading: str) -> str:
    """`Doctor's note` -> `doctors-note`, in ASCII, so that an id can be typed into an eval set."""
    plain = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower().replace("'", "")).strip("-")


def _snippets(body: str) -> Iterator[Snippet]:
    lead = ""
    for block in re.split(r"\n\s*\n", body.strip()):
        items = [line[2:].strip() for line in block.splitlines() if line.startswith("- ")]
        if items:
            yield from (Snippet(text=item, lead=lead, is_item=True) for item in items)
            yield Snippet(text="; ".join(items), lead=lead, is_list=True)
        else:
            for sentence in _SENTENCE_END.split(" ".join(block.split())):
                lead = sentence if sentence.endswith(":") else ""
                if not lead:
                    yield Snippet(text=sentence)
