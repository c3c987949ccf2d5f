# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures without a window system, in the colours of a page."""

import sys

import pytest

pytest.importorskip("matplotlib")

from gr_tsddae.report.drawing import COLOURS, INK, draw_legend_below, new_figure, save_png, to_svg


def test_no_pyplot_and_no_window(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # cannot be imported
    figure, axes = new_figure(4, 3, columns=2)
    assert len(axes) == 2
    save_png(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_ink_becomes_the_colour_of_the_page_and_no_label_ends_a_comment():
    figure, axis = new_figure(4, 3)
    axis.set_xlabel("--><script>")
    svg = to_svg(figure)
    assert svg.startswith("<svg") and "currentColor" in svg
    assert INK not in svg and "<script" not in svg and "<!--" not in svg


@pytest.mark.parametrize("is_old", [False, True])
def test_a_legend_below_lies_on_no_axis(monkeypatch, is_old):
    """With a matplotlib before 3.7, too, which knows no legend outside the axes."""
    figure, axis = new_figure(4, 3)
    usual = figure.legend

    def old(*, loc, **settings):
        if loc.startswith("outside"):
            raise ValueError(loc)
        return usual(loc=loc, **settings)

    if is_old:
        monkeypatch.setattr(figure, "legend", old)
    lines = [axis.plot([0, 1], label=str(number))[0] for number in range(5)]
    draw_legend_below(figure, lines, 2)
    to_svg(figure)  # lays it out
    assert figure.legends[0].get_window_extent().y1 < axis.get_window_extent().y0


def test_classes_have_different_colours():
    assert len(set(COLOURS)) == 12
