# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of experiments show the numbers of their tables."""

import pytest

pytest.importorskip("matplotlib")

from gr_tsddae.report import fewshot_panels, sweep_curve
from gr_tsddae.report.benchmark_page import curves, write_page


def test_a_benchmark_has_a_curve_per_row_that_has_one(tmp_path):
    row = {"network": "a", "protocol": "scratch", "name": "a, scratch"}
    content = {
        "title": "T & U", "note": "n", "findings": ["f < g"],
        "rows": [row | {"curve": {"10": 80.0, "-4": 20.0}}, row | {"curve": {}}],
    }  # fmt: skip
    (axis,) = curves(content).axes
    (line,) = axis.lines
    assert list(line.get_xdata()) == [-4, 10] and list(line.get_ydata()) == [20.0, 80.0]
    page = write_page(tmp_path, content, [["", "x"], ["a", "1"]]).read_text()
    assert "<td>1</td>" in page and "f &lt; g" in page and "<svg" in page
    assert (tmp_path / "curves.png").exists()


def test_few_shots_are_dashed_and_two_methods_look_alike_everywhere():
    def line(method, shots):
        levels = {"-4": {"mean": 20.0, "standard_deviation": 2.0, "count": 4}}
        return {"name": method, "method": method, "shots": shots, "accuracy": levels}

    panel = {"title": "t", "lines": [line("lsm", 5), line("cnn2", 5), line("lsm", 1)]}
    panels = {"a": panel, "b": {"title": "u", "lines": [line("vgg", 1), line("lsm", 1)]}}
    first, second = fewshot_panels.panels({"panels": panels}).axes
    assert [each.get_linestyle() for each in first.lines] == ["-", "-", "--"]
    colours = {each.get_label(): each.get_color() for each in (*first.lines, *second.lines)}
    assert colours["lsm"] == first.lines[0].get_color() == second.lines[1].get_color()
    assert colours["lsm"] not in (colours["cnn2"], colours["vgg"])


def test_a_sweep_shows_means_spreads_and_every_seed(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(sweep_curve, "save_png", lambda figure, path: drawn.append(figure))
    value = {"mean": 50.0, "standard_deviation": 1.0, "per_seed": {1: 49.0, 2: 51.0}}
    content = {
        "title": "T", "findings": ["said"], "columns": ["average", "best", "AUC all"],
        "rows": [{"values": {"average": value, "best": value}} for _ in range(2)],
    }  # fmt: skip
    sweep_curve.write_curve(tmp_path / "a.png", content, (2, 3), axis_name="layers", areas=False)
    (axis,) = drawn[0].axes
    assert axis.get_legend_handles_labels()[1] == ["average"]
    assert len(axis.collections[-1].get_offsets()) == 4
    assert axis.get_title() == "T\nsaid"
