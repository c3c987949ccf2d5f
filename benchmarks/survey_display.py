#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what the Survey Display costs: CPU time per picture, with many emissions in sight.

    .venv/bin/python benchmarks/survey_display.py
    xvfb-run -a .venv/bin/python benchmarks/survey_display.py --emissions 1 10 60 --size 1280x720

Each run shows 200 pictures, 50 ms of stream apart: a row of 1024 bins each, and news of every
emission every 0.25 s. The time is that of the whole process, painting included, so other programs
on the machine do not count. Writes benchmarks/results/survey-display.json.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from qtpy.QtWidgets import QApplication

from gr_tsddae.bench.machine import describe
from gr_tsddae.blocks.display.state import Inbox
from gr_tsddae.blocks.survey_view.widget import Settings, SurveyWidget
from gr_tsddae.files import write_json

PICTURES = 200
PICTURE_S = 0.05
NEWS_S = 0.25
BINS = 1024
BAND_HZ = 2.4e6
CENTER_HZ = 433.92e6
LABELS = ("4-FSK", "OOK", "FM", "unknown", "GFSK", "LoRa")


def emission(number: int, count: int, now_s: float) -> dict:
    """One of `count` emissions beside each other; every third ends and comes again."""
    low_hz = CENTER_HZ - BAND_HZ / 2 + (number + 0.3) * BAND_HZ / count
    begin_s = now_s // 2 * 2 if number % 3 == 0 else 0.0
    return {
        "kind": "updated", "id": number + 1000 * int(begin_s), "start_s": begin_s,
        "stop_s": max(begin_s, now_s - 0.1), "low_hz": low_hz,
        "high_hz": low_hz + 0.4 * BAND_HZ / count, "snr_db": 10.0 + number % 7,
        "label": LABELS[number % len(LABELS)], "confidence": 0.9,
        "symbol_rate_hz": 4800.0 if number % 2 else None, "candidates": [], "measured": {},
        "center_frequency_hz": CENTER_HZ,
    }  # fmt: skip


def measure(application: QApplication, count: int, size: tuple[int, int]) -> dict:
    """Milliseconds of CPU per picture, and the share of a core at 20 pictures per second."""
    inbox = Inbox()
    widget = SurveyWidget(Settings(60.0, "dark", 60.0), inbox)
    widget._timer.stop()  # pictures come one by one here
    widget.resize(*size)
    widget.show()
    rng = np.random.default_rng(1)
    rows = rng.normal(-90, 2, (16, BINS)).astype(np.float32)
    costs_s = []
    for picture in range(PICTURES):
        now_s = picture * PICTURE_S
        about = {
            "start_s": now_s, "stop_s": now_s + PICTURE_S, "low_hz": CENTER_HZ - BAND_HZ / 2,
            "high_hz": CENTER_HZ + BAND_HZ / 2, "center_frequency_hz": CENTER_HZ, "time_s": None,
        }  # fmt: skip
        inbox.put("spectrum", lambda about=about, row=rows[picture % 16]: (about, row))
        if picture % round(NEWS_S / PICTURE_S) == 0:
            for number in range(count):
                said = emission(number, count, now_s)
                inbox.put("emissions", lambda said=said: said)
        widget._updated_at_s = time.monotonic() - PICTURE_S
        widget._listed_at_s -= PICTURE_S  # the table's clock goes with the stream's
        begin_s = time.process_time()
        widget._update()
        application.processEvents()
        costs_s.append(time.process_time() - begin_s)
    widget.close()
    costs_s = costs_s[PICTURES // 10 :]  # the first ones lay out the window
    mean_s = float(np.mean(costs_s))
    return {
        "emissions": count,
        "ms_per_picture": round(1e3 * mean_s, 1),
        "ms_p99": round(1e3 * float(np.percentile(costs_s, 99)), 1),
        "core_share_at_20_per_s": round(20 * mean_s, 3),
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--emissions", type=int, nargs="+", default=[1, 10, 60], metavar="N")
    parser.add_argument("--size", default="1280x720", help="of the window (default: 1280x720)")
    default = Path(__file__).parent / "results" / "survey-display.json"
    parser.add_argument("--out", type=Path, default=default, help="JSON file to write")
    arguments = parser.parse_args()
    width, height = (int(each) for each in arguments.size.split("x"))
    application = QApplication([])
    runs = []
    for count in arguments.emissions:
        runs.append(measure(application, count, (width, height)))
        print("  ".join(f"{name} {value}" for name, value in runs[-1].items()))
    write_json(arguments.out, {"machine": describe(), "size": arguments.size, "runs": runs})


if __name__ == "__main__":
    main()
