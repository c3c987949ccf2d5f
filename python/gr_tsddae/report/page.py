# SPDX-License-Identifier: GPL-3.0-or-later
"""HTML pages that need nothing else: one style, and tables of escaped text."""

from collections.abc import Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; --ink: #1f2933; --soft: #5d6b79; --line: #d5dbe1;
  --paper: #ffffff; --tile: #f3f6f9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ee; --soft: #9fadba; --line: #38434e;
  --paper: #14191f; --tile: #1e252d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 78rem; background: var(--paper);
  color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.75rem 0 .75rem; }
p { margin: .4rem 0; max-width: 46rem; }
.soft, figcaption { color: var(--soft); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem;
  margin: 1.5rem 0; }
.tile { background: var(--tile); border-radius: .5rem; padding: .8rem 1rem; }
.tile b { display: block; font-size: 1.6rem; line-height: 1.25; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
.tile span { font-size: .85rem; color: var(--soft); }
figure { margin: 1rem 0 0; }
figure svg { display: block; max-width: 100%; height: auto; color: var(--ink); }
figcaption { font-size: .9rem; margin-top: .25rem; max-width: 46rem; }
.pair { display: flex; flex-wrap: wrap; gap: 1rem 2rem; }
.pair figure { flex: 1 1 32rem; min-width: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .9rem .3rem 0; text-align: right; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } th:first-child, td:first-child, .words td { text-align: left; }
.words td { vertical-align: top; overflow-wrap: anywhere; }
.words td:first-child { color: var(--soft); white-space: nowrap; }
pre { background: var(--tile); padding: .8rem 1rem; border-radius: .5rem; white-space: pre-wrap;
  overflow-wrap: anywhere; font-size: .85rem; }
@media print { :root { --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --tile: #f3f6f9; }
  body { max-width: none; padding: 0; font-size: 11pt; }
  figure, .tile, tr { break-inside: avoid; } h2 { break-after: avoid; } }
"""


def html_page(title: str, body: str, *, style: str = "") -> str:
    """Write a page.

    Args:
        title: Of the page, not escaped yet.
        body: HTML.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}{style}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def html_table(lines: Sequence[Sequence[str]]) -> str:
    """Write lines of cells, which are escaped, as a table; the first line holds the heads."""
    rows = [
        f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in line)}</tr>"
        for tag, line in zip(("th", *["td"] * len(lines)), lines, strict=False)
    ]
    return f'<div class="scroll"><table>{"".join(rows)}</table></div>'
