# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of an evaluation: complete, self-contained, and safe to open."""

import re
from collections import namedtuple
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

pytest.importorskip("matplotlib")

from gr_tsddae.inference.metrics import metrics
from gr_tsddae.report.evaluation_page import write_report
from gr_tsddae.report.evaluation_plots import INK, figures
from gr_tsddae.train.measure.details import details

HOSTILE = '<script>alert("x")</script>'
FeatureMap = namedtuple("FeatureMap", "title points label")


def result(classes=("a", "b", "c"), levels=(-4, 2, 10), **changes):
    torch.manual_seed(1)
    count = 300
    label = torch.randint(len(classes), (count,))
    level = torch.tensor(levels)[torch.randint(len(levels), (count,))] if levels else None
    logits = torch.randn(count, len(classes))
    logits[torch.arange(count), label] += 1.5
    measured = metrics(logits.softmax(1), label, level, classes)
    more = details(
        logits.softmax(1), label, level, classes,
        confusion_snrs_db=(-4,), best_snr_db=measured.get("best_snr_db"),
    )  # fmt: skip
    return {
        "model": "amc-test",
        "command": "tsddae train evaluate --model=amc-test",
        "dataset": {"kind": "npz", "path": "x.npz", "window_samples": 128, "part": "all",
                    "closed_set": True, "licence": "CC0-1.0", "renamed": {}},
        "card": {"name": "amc-test", "description": "A model.", "classes": list(classes)},
        "level_name": "SNR" if levels else None,
        **measured,
        "outside_share": 0.0,
        "skipped": {},
        **more,
    } | changes  # fmt: skip


def maps(count=3):
    return [
        FeatureMap("-4 dB SNR", np.random.default_rng(1).random((30, 2)), np.arange(30) % count)
    ]


class Page(HTMLParser):
    """Tags that are open, and all there were, with their attributes."""

    VOID = {"meta", "br"}  # noqa: RUF012

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def written(folder, *arguments):
    return write_report(folder, *arguments).read_text()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """What was measured, the page about it, and its folder."""
    folder, found = tmp_path_factory.mktemp("report"), result(skipped={"not finite": 3})
    return found, written(folder, found, maps()), folder


def test_the_page_says_what_was_measured(report):
    found, text, folder = report
    page = Page(text)
    assert not page.open
    words = " ".join(page.words)
    for word in (
        f"{100 * found['accuracy']:.1f} %", f"{found['macro_f1']:.3f}", f"{found['ece']:.3f}",
        "amc-test on npz", "not finite: 3", found["command"], "A model.", "CC0-1.0",
        f"{100 * found['recall']['b']:.1f} %",
    ):  # fmt: skip
        assert word in words
    assert (
        sum(tag == "svg" for tag, _ in page.tags)
        == len(list(folder.glob("*.png")))
        == 7 - (found["best_snr_db"] == -4)
    )


def test_the_page_needs_nothing_from_outside(report):
    _, text, _ = report
    for tag, attributes in Page(text).tags:
        assert tag not in {"script", "link", "iframe", "object"}
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href", "srcset", "data"):
                assert value.startswith(("#", "data:image/png;base64,"))
            assert not name.startswith("on")
    assert not re.search(r"@import|url\((?!#)", text)


def test_pictures_take_the_colour_of_the_page(report):
    _, text, _ = report
    for svg in re.findall(r"(?s)<svg.*?</svg>", text):
        ElementTree.fromstring(svg)
        assert "currentColor" in svg and "#333333" not in svg


def test_every_word_is_readable_on_light_and_dark_pages():
    from matplotlib.colors import to_hex
    from matplotlib.text import Text

    for found in (result(), result(("normal", "anomaly"))):
        for name, figure in figures(found, maps(2)).items():
            for text in figure.findobj(Text):
                if text.get_text():
                    on_cells = name.startswith(("confusion", "recall"))
                    colours = {INK, "#ffffff", "#1f2a36"} if on_cells else {INK}
                    assert to_hex(text.get_color()) in colours, (name, text)


def test_hostile_names_do_not_run_and_do_not_break(tmp_path):
    names = (HOSTILE, "$x^", r"$\frac$", "-->")
    found = result(
        names, model=HOSTILE, command=f"evaluate {HOSTILE}", skipped={HOSTILE: 1},
        card={"name": HOSTILE, "description": "</style>" + HOSTILE},
    )  # fmt: skip
    found["dataset"] |= {"path": HOSTILE, "licence": HOSTILE, "renamed": {HOSTILE: HOSTILE}}
    text = written(tmp_path, found, [maps(4)[0]._replace(title=HOSTILE)])
    assert "<script" not in text
    page = Page(text)
    assert not page.open and HOSTILE in "".join(page.words)


def test_two_classes_have_a_curve_and_one_level_has_no_curve_over_levels(tmp_path):
    drawn = figures(result(("normal", "anomaly"), levels=(5,)), [])
    assert "roc" in drawn and "accuracy" not in drawn
    labels = [text.get_text() for text in drawn["roc"].axes[0].get_legend().get_texts()]
    auc = result(("normal", "anomaly"), levels=(5,))["roc"][5]["auc"]
    assert labels == [f"5 dB: AUC {auc:.4f}"]


def test_recordings_without_levels(tmp_path):
    found = result(levels=())
    assert set(figures(found, [])) == {"confusion", "reliability"}
    assert "dB" not in " ".join(w for w in Page(written(tmp_path, found)).words if "{" not in w)


def test_cells_hold_percentages_of_the_true_class():
    matrix = [[8, 2, 0], [0, 0, 0], [1, 0, 199]]
    (axis,) = figures(result(levels=()) | {"confusion": matrix}, [])["confusion"].axes
    cells = {(t.get_position()): t.get_text() for t in axis.texts}
    assert cells == {(0.5, 0.5): "80", (1.5, 0.5): "20", (2.5, 2.5): "100"}, (
        "half a per cent is blank"
    )


def test_the_curve_shows_the_figures():
    found = result()
    axis = figures(found, [])["accuracy"].axes[0]
    line = axis.lines[0]
    assert list(line.get_xdata()) == [-4, 2, 10]
    assert list(line.get_ydata()) == pytest.approx(
        [100 * share for share in found["accuracy_per_snr"].values()]
    )


def test_many_classes_are_told_apart():
    names = tuple(f"c{i}" for i in range(26))
    every = [FeatureMap("all", np.random.default_rng(1).random((52, 2)), np.arange(52) % 26)]
    (legend,) = figures(result(names), every)["features"].legends
    looks = {(h.get_color(), h.get_marker()) for h in legend.legend_handles}
    assert len(looks) == 26
