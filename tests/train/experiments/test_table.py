# SPDX-License-Identifier: GPL-3.0-or-later
"""A table says what the folders of its jobs hold, and honestly what differs."""

import csv
import json
import math

import numpy as np
import pytest

from gr_tsddae.train.experiments import table
from gr_tsddae.train.experiments.jobs import run_all
from gr_tsddae.train.experiments.table import Row, paired


def test_a_table_is_what_the_folders_hold(job, tmp_path):
    accuracy = {"x": (0.5, 0.6, 0.64), "y": (0.41, 0.52, 0.61)}
    rows = [
        Row(
            name=name,
            jobs={seed: job(f"{name}{seed}", None, a, seed) for seed, a in enumerate(values, 1)},
            published={"average": 60.0} if name == "x" else {},
        )
        for name, values in accuracy.items()
    ]
    content = table.fill(
        tmp_path,
        rows,
        lambda: table.table("T", rows, findings=[table.verdict("w", "average", *rows)]),
    )
    assert json.loads((tmp_path / "table.json").read_text())["rows"][0]["name"] == "x"
    for row, values in zip(content["rows"], accuracy.values(), strict=True):
        held = [
            100
            * json.loads((tmp_path / f"{row['name']}{s}" / "metrics.json").read_text())[
                "average_over_snr"
            ]
            for s in (1, 2, 3)
        ]
        assert held == [100 * v for v in values]
        average = row["values"]["average"]
        assert average["mean"] == pytest.approx(np.mean(held))
        assert average["standard_deviation"] == pytest.approx(np.std(held, ddof=1))
        assert row["values"]["best"]["mean"] == pytest.approx(np.mean(held) + 10)
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == [
        "", "average", "average, paper", "best",
    ]  # fmt: skip
    assert [cell.strip() for cell in lines[4].split("|")[1:-1]] == [
        "x", "58.00 ± 7.21", "60.00", "68.00 ± 7.21",
    ]  # fmt: skip
    with (tmp_path / "table.csv").open() as file:
        first = next(csv.DictReader(file))
    assert (first["row"], first["column"], first["seeds"]) == ("x", "average", "3")
    assert float(first["mean"]) == content["rows"][0]["values"]["average"]["mean"]
    assert first["published"] == "60.0"


def test_a_table_of_unfinished_jobs_shows_what_there_is(job):
    row = Row(name="x", jobs={1: job("x1"), 2: job("x2")})
    run_all([row.jobs[2]])
    content = table.table("T", [row])
    assert content["rows"][0]["values"]["average"]["per_seed"] == {2: 50.0}
    text = table.markdown(content)
    assert "| 50.00 " in text
    assert "±" not in text  # of one


def test_paired_difference_by_hand():
    """Student's t with two degrees of freedom: 4.3027 standard errors are 95 %."""
    first, second = {1: 3.0, 2: 5.0, 3: 10.0, 9: 0.0}, {3: 4.0, 1: 1.0, 2: 4.0}
    found = paired(first, second)  # differences 2, 1, 6
    deviation = math.sqrt((1 + 4 + 9) / 2)
    assert found.mean == pytest.approx(3.0)
    assert found.standard_error == pytest.approx(deviation / math.sqrt(3))
    assert found.high - found.mean == pytest.approx(4.30265 * deviation / math.sqrt(3), rel=1e-5)
    assert found.low == pytest.approx(2 * found.mean - found.high)
    assert found.seeds == 3
    assert paired({1: 2.0}, {1: 1.5}) == (0.5, None, None, None, 1)
    assert paired({1: 2.0}, {2: 1.5}) is None


@pytest.mark.parametrize(
    ("differences", "words"),
    [
        ((0.02, 0.021, 0.019), "it helped"),
        ((-0.02, -0.021, -0.019), "it hurt"),
        ((0.02, -0.03, 0.04), "no effect beyond chance"),
        ((0.02,), "one seed, so chance cannot be told from effect"),
    ],
)
def test_verdicts_are_honest(job, differences, words):
    first = {s: job(f"a{s}", None, 0.5 + d, s) for s, d in enumerate(differences, 1)}
    second = {s: job(f"b{s}", None, 0.5, s) for s in first}
    rows = [Row(name="a", jobs=first), Row(name="b", jobs=second)]
    assert table.verdict("w", "average", *rows) is None
    run_all([*first.values(), *second.values()])
    line = table.verdict("w", "average", *rows)
    assert words in line
    assert f"{100 * np.mean(differences):+.2f} points (a − b)" in line


def test_areas_under_the_roc_are_shown_per_sir():
    roc = {"all": {"auc": 0.9}, "0": {"auc": 0.99}, "10": {"auc": 0.8}}
    assert table.scores_of({"roc": roc, "accuracy": 0.1, "best": 0.2}) == {
        "AUC all": 0.9, "AUC 0 dB": 0.99, "AUC 10 dB": 0.8, "average": 10.0, "best": 20.0,
    }  # fmt: skip
    assert table.scores_of({"accuracy": 0.1, "best": 0.1}) == {"average": 10.0, "best": 10.0}


def test_cells_are_what_a_person_reads():
    assert table.cell({"mean": 12345.678, "standard_deviation": None}, 0) == "12,346"
    assert table.cell({"mean": 1.5, "standard_deviation": 0.25}, 1) == "1.5 ± 0.2"
    assert table.cell(None, 2) == "–"
    assert table.spread({1: 4.0}) == {"mean": 4.0, "standard_deviation": None}
    assert table.drawn([["", "a b"], ["long", "1"]]).splitlines() == [
        "|      | a b |", "|------|-----|", "| long | 1   |",
    ]  # fmt: skip
