"""How each sink's reader takes a text, written after what the readers do: what is found here would happen there."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import cmarkgfm
from cmarkgfm.cmark import Options

_OPTIONS = Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_FOOTNOTES


def outputs_of(text: str) -> dict[str, str]:
    """The outputs that the runner reads from the file of GITHUB_OUTPUT. Source: its `FileCommandManager`."""
    found: dict[str, str] = {}
    lines = iter(re.split(r"\r\n|[\r\n]", text))
    for line in lines:
        if not line:
            continue
        at_equals, at_heredoc = line.find("="), line.find("<<")
        if at_equals >= 0 and (at_heredoc < 0 or at_equals < at_heredoc):
            found[line[:at_equals]] = line[at_equals + 1 :]
        elif at_heredoc >= 0:
            name, end = line[:at_heredoc], line[at_heredoc + 2 :]
            value: list[str] = []
            for following in lines:
                if following == end:
                    break
                value.append(following)
            else:
                raise ValueError(f"no end of {name}")
            found[name] = "\n".join(value)
        else:
            raise ValueError(f"no output: {line!r}")
    return found


ALLOWED = {
    "table", "thead", "tbody", "tr", "th", "td", "p", "strong", "code", "pre", "span", "details", "summary", "ul", "ol",
    "li", "blockquote", "sub", "h3", "br", "em", "hr",
}  # fmt: skip
"""The elements that reports are made of."""
AS_NEEDED = {"code", "span", "strong", "br", "p", "pre"}
"""Of these there are as many as the texts need: long answers stand in blocks, short ones in a line."""

_NAMES = r"[A-Za-z0-9][A-Za-z0-9-]*"
FILTERS = {
    "mention": re.compile(rf"(?<![\w/.`@])@{_NAMES}(?:/[\w.-]+)?"),
    "issue": re.compile(r"(?<![\w&])#[0-9]+\b"),
    "issue by prefix": re.compile(r"(?<!\w)GH-[0-9]+", re.IGNORECASE),
    "commit": re.compile(r"(?<![0-9A-Za-z_])[0-9a-f]{7,40}(?![0-9A-Za-z_])", re.IGNORECASE),
    "address": re.compile(r"\b(?:https?|ftp)://|\bwww\.\w|mailto:\w", re.IGNORECASE),
    "e-mail": re.compile(r"[\w.+-]+@[\w-]+\.\w"),
    "emoji": re.compile(r":[a-z0-9_+-]+:"),
    "formula": re.compile(r"\$[^$\s][^$]*\$|\$\$|\$`"),
}
"""What GitHub's filters look for in each text node outside of code, after the Markdown has become elements."""


class Page(HTMLParser):
    """A comment as GitHub shows it: its elements, and its text nodes as the filters after the parser see them."""

    def __init__(self, markdown: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.strange: list[str] = []
        self.nodes: list[str] = [""]
        self.alerts: list[str] = []
        self._open: list[str] = []
        self._is_first = False
        html = cmarkgfm.github_flavored_markdown_to_html(markdown, options=_OPTIONS)
        self.feed(html)
        self.close()
        if self._open:
            self.strange.append(f"never closed: {self._open}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self._is_first = self._is_first or tag == "blockquote"
        usual = (
            {"align"} if tag in ("td", "th") else {"lang"} if tag == "pre" else {"class"} if tag == "code" else set()
        )
        if tag not in ALLOWED or {name for name, _ in attrs} - usual:
            self.strange.append(f"<{tag} {dict(attrs)}>")
        if tag not in ("br", "hr"):
            self._open.append(tag)
        self.nodes.append("")

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.strange.append(f"</{tag}> closes nothing")
        self.nodes.append("")

    def handle_comment(self, data: str) -> None:
        if data != " ":
            self.strange.append(f"<!--{data}-->")
        self.nodes.append("")

    def handle_decl(self, decl: str) -> None:
        self.strange.append(f"<!{decl}>")

    def handle_pi(self, data: str) -> None:
        self.strange.append(f"<?{data}>")

    def unknown_decl(self, data: str) -> None:
        self.strange.append(f"<![{data}>")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("code", "pre"):
            return
        self.nodes[-1] += data
        if self._open[-2:] == ["blockquote", "p"] and self._is_first and data.strip():
            self._is_first = False
            self.alerts += re.findall(r"^\s*\[!\w+\]", data)

    @property
    def shape(self) -> Counter[str]:
        """How many there are of each element, but for those that depend on a text's length."""
        return Counter({tag: count for tag, count in self.tags.items() if tag not in AS_NEEDED})

    def happenings(self) -> list[str]:
        """What would happen on GitHub that a report of ours does not mean."""
        found = list(self.strange)
        for node in self.nodes:
            for name, pattern in FILTERS.items():
                if match := pattern.search(node):
                    found.append(f"{name}: {match.group()!r} in {node[max(0, match.start() - 20) :][:60]!r}")
        return found + [f"another alert: {alert}" for alert in self.alerts[1:]]
