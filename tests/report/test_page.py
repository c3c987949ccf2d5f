# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages hold what they are given, and nothing of it runs."""

from html.parser import HTMLParser

from gr_tsddae.report.page import html_page, html_table

HOSTILE = '<script>alert("x")</script>'


def words(page):
    found = []

    class Words(HTMLParser):
        def handle_data(self, data):
            found.append(data)

    Words().feed(page)
    return found


def test_titles_and_cells_are_escaped():
    page = html_page(HOSTILE, html_table([(HOSTILE, "b"), ("1", HOSTILE)]))
    assert "<script" not in page
    assert words(page).count(HOSTILE) == 4  # title, headline, a head and a cell


def test_the_first_line_of_a_table_holds_the_heads():
    table = html_table([("a",), ("b",)])
    assert "<table><tr><th>a</th></tr><tr><td>b</td></tr></table>" in table


def test_a_page_needs_nothing_else():
    page = html_page("t", "<p>x</p>", style=".own { color: red }")
    assert page.startswith("<!DOCTYPE html>") and page.endswith("</html>\n")
    assert ".own { color: red }</style>" in page
    assert "http" not in page and "src=" not in page
