# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: none is run twice, none is lost, and a table says what their folders hold."""

import csv
import dataclasses
import json
import math
import multiprocessing
import time

import numpy as np
import pytest

from gr_tsddae.files import write_json
from gr_tsddae.train.config import DataConfig, FinetuneConfig, ProbeConfig
from gr_tsddae.train.experiments import jobs, table
from gr_tsddae.train.experiments.jobs import Job, claimed, distinct, run_all
from gr_tsddae.train.experiments.table import Row, paired


@pytest.fixture
def job(settings, tmp_path):
    """Makes jobs that write figures and note that they ran: (name, needs, accuracy, seed)."""

    def make(name, needs=None, accuracy=0.5, seed=1):
        kind = ProbeConfig if needs else FinetuneConfig
        init = {"init": needs.folder} if needs else {}

        def train(config):
            assert not needs or needs.finished()
            with (tmp_path / "ran").open("a") as file:
                file.write(f"{name}\n")
            per_snr = {"average_over_snr": accuracy, "best": accuracy + 0.1}
            write_json(config.out / "metrics.json", {"accuracy": 0.0, **per_snr})

        config = settings(kind, tmp_path / name, trainer={"seed": seed}, **init)
        return Job(train=train, config=config, needs=needs)

    return make


@pytest.fixture
def ran(tmp_path):
    path = tmp_path / "ran"
    return lambda: path.read_text().split() if path.exists() else []


def test_jobs_run_in_order_and_finished_ones_never_again(job, ran):
    first = job("first")
    tasks = [job("second", first), first, job("third")]
    run_all(tasks)
    assert ran() == ["first", "second", "third"]
    run_all(tasks)
    assert ran() == ["first", "second", "third"]
    first.metrics_file.unlink()  # a job without its figures is not finished
    run_all(tasks)
    assert ran()[3:] == ["first"]


def test_another_configuration_is_not_mistaken_for_this_one(job):
    run_all([job("first", seed=1)])
    with pytest.raises(ValueError, match=r"first was made with .*trainer\.seed.*choose another"):
        run_all([job("first", seed=2)])
    (job("first").folder / "job.json").write_text("{")
    with pytest.raises(ValueError, match=r"job\.json is damaged; delete it"):
        run_all([job("first")])


def test_folders_may_be_moved_together(job, ran, tmp_path):
    first = job("first")
    second = job("second", first)
    run_all([first, second])
    elsewhere = dataclasses.replace(second.config, init=tmp_path / "old" / "first")
    run_all([dataclasses.replace(second, config=elsewhere)])
    assert ran() == ["first", "second"]


def test_a_failing_job_is_run_again(job, ran):
    def fails(config):
        raise FloatingPointError("loss is nan")

    good = job("first")
    with pytest.raises(FloatingPointError):
        run_all([dataclasses.replace(good, train=fails)])
    assert not good.finished()
    run_all([good])
    assert ran() == ["first"]


def test_what_is_needed_is_listed_once_and_first(job):
    first = job("first")
    found = distinct([job("second", first), job("third", first)])
    assert [each.folder.name for each in found] == ["first", "second", "third"]


def work(out, seconds):
    """Six jobs, of which all but the first need the first."""

    def train(config):
        with (out / "ran").open("a") as file:
            file.write(f"{config.name}\n")
        time.sleep(seconds)
        write_json(config.out / "metrics.json", {})

    jobs.POLL_S = 0.02
    data = DataConfig(kind="npz", path=out / "none.npz")
    made = []
    for name in "abcdef":
        config = FinetuneConfig(name=name, out=out / name, data=data)
        made.append(Job(train=train, config=config, needs=made[0] if made else None))
    run_all(made)


def started(out, seconds):
    process = multiprocessing.get_context("fork").Process(target=work, args=(out, seconds))
    process.start()
    return process


def wait_for(condition):
    for _ in range(2400):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def test_a_killed_process_leaves_its_job_to_others_and_none_runs_twice(tmp_path, ran):
    """One process is killed in its first job; two more share all six."""
    killed = started(tmp_path, 120)
    try:
        wait_for(lambda: ran() == ["a"])
        with claimed(tmp_path / "a") as mine:
            assert not mine
    finally:
        killed.kill()
        killed.join()
    with claimed(tmp_path / "a") as mine:
        assert mine
    others = [started(tmp_path, 0.05) for _ in range(2)]
    for each in others:
        each.join(120)
    assert [each.exitcode for each in others] == [0, 0]
    assert sorted(ran()) == ["a", *"abcdef"]


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
    assert table.figures({"roc": roc, "accuracy": 0.1, "best": 0.2}) == {
        "AUC all": 0.9, "AUC 0 dB": 0.99, "AUC 10 dB": 0.8, "average": 10.0, "best": 20.0,
    }  # fmt: skip
    assert table.figures({"accuracy": 0.1, "best": 0.1}) == {"average": 10.0, "best": 10.0}
