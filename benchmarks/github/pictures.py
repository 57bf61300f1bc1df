"""Draws the golden comments as they look on GitHub: `python benchmarks/github/pictures.py --to FOLDER [NAME…]`.

GitHub's own Markdown parser (cmark-gfm, by its binding cmarkgfm) makes the page, chromium draws it, without a network.
Alerts are no part of the parser; they are put in afterwards, as GitHub does. The style sheet is our own.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

import cmarkgfm
from cmarkgfm.cmark import Options

GOLDEN = Path(__file__).parents[2] / "tests" / "github" / "golden"
COLOURS = {"note": "#0969da", "tip": "#1a7f37", "important": "#8250df", "warning": "#9a6700", "caution": "#cf222e"}
SIGNS = {"note": "ⓘ", "tip": "✧", "important": "✉", "warning": "⚠", "caution": "⊗"}
STYLE = """
* { box-sizing: border-box; }
body { margin: 0; padding: 16px; background: #fff; color: #1f2328; line-height: 1.5; font-size: 14px;
       font-family: -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, "Noto Color Emoji", sans-serif; }
.comment { border: 1px solid #d1d9e0; border-radius: 6px; }
.who { background: #f6f8fa; border-bottom: 1px solid #d1d9e0; border-radius: 6px 6px 0 0; padding: 8px 16px;
       color: #59636e; }
.who b { color: #1f2328; } .who i { border: 1px solid #d1d9e0; border-radius: 2em; padding: 0 7px; font-size: 12px;
       font-style: normal; margin-left: 4px; }
.body { padding: 16px; overflow-wrap: break-word; }
.body > :first-child { margin-top: 0; } .body > :last-child { margin-bottom: 0; }
p, ul, table, pre, details, .alert { margin: 0 0 16px; }
a { color: #0969da; } ul { padding-left: 2em; } summary { cursor: pointer; } sub { font-size: 75%; }
code { font: 85% ui-monospace, "DejaVu Sans Mono", monospace; background: #818b981f; padding: .2em .4em;
       border-radius: 6px; }
pre { background: #f6f8fa; padding: 16px; border-radius: 6px; overflow: auto; }
pre code { background: none; padding: 0; }
table { border-collapse: collapse; display: block; width: max-content; max-width: 100%; overflow: auto; }
th, td { border: 1px solid #d1d9e0; padding: 6px 13px; } tr:nth-child(2n) td { background: #f6f8fa; }
th { font-weight: 600; }
.alert { padding: 8px 16px; border-left: .25em solid; } .alert p:last-child { margin-bottom: 0; }
.alert .title { font-weight: 500; margin-bottom: 8px; }
"""


def page(markdown: str, *, is_open: bool = False) -> str:
    """The comment as a page of its own."""
    body = cmarkgfm.github_flavored_markdown_to_html(markdown, options=Options.CMARK_OPT_UNSAFE)
    body = re.sub(r"<blockquote>\s*<p>\[!(\w+)\]\n?(.*?)</blockquote>", _alert, body, flags=re.DOTALL)
    if is_open:
        body = body.replace("<details>", "<details open>")
    who = '<div class="who"><b>github-actions</b><i>bot</i> commented 2 minutes ago</div>'
    script = "<script>document.title = document.querySelector('.comment').getBoundingClientRect().height + 32</script>"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>{STYLE}</style>'
    return f'<!doctype html>{head}<div class="comment">{who}<div class="body">{body}</div></div>{script}'


def _alert(match: re.Match[str]) -> str:
    kind = match[1].lower()
    title = f'<p class="title" style="color:{COLOURS[kind]}">{SIGNS[kind]} {kind.capitalize()}</p>'
    return f'<div class="alert" style="border-color:{COLOURS[kind]}">{title}<p>{match[2]}</div>'


def draw(html: str, file: Path, *, width: int, most: int) -> None:
    """A picture of the page, as high as it is, but at most `most` pixels."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "page.html")
        source.write_text(html, "utf-8")
        found = _chromium(folder, f"--window-size={width},600", "--dump-dom", source.as_uri())
        height = re.search(r"<title>(\d+)[\d.]*</title>", found)
        size = min(int(height[1]) + 1 if height else 600, most)
        _chromium(folder, f"--window-size={width},{size}", f"--screenshot={file}", source.as_uri())


def _chromium(folder: str, *arguments: str) -> str:
    always = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}/profile")
    done = subprocess.run(["chromium", *always, *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="golden files, without ending, or Markdown files; default: all")
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--width", type=int, default=860)
    parser.add_argument("--most", type=int, default=2_400, help="height at which a picture ends")
    parser.add_argument("--open", action="store_true", help="with every fold opened")
    given = parser.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    for name in given.names or sorted(file.stem for file in GOLDEN.glob("*.md")):
        file = Path(name) if name.endswith(".md") else GOLDEN / f"{name}.md"
        html = page(file.read_text("utf-8"), is_open=given.open)
        draw(html, (given.to / f"{file.stem}.png").absolute(), width=given.width, most=given.most)


if __name__ == "__main__":
    main()
