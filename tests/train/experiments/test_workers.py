# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes share GPUs and processors, and what they leave is told."""

import os
import time

import pytest

from gr_tsddae.train.experiments import workers
from gr_tsddae.train.experiments.jobs import run_all
from gr_tsddae.train.experiments.workers import WorkersConfig, share, tell_unfinished


def test_workers_share_gpus_and_processors(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert workers.run_workers(tell, tmp_path, count=3) == [0, 0, 0]
    told = sorted(path.read_text() for path in tmp_path.iterdir())
    assert told == ["3", "3", "5"]


def tell(folder):
    (folder / str(os.getpid())).write_text(os.environ["CUDA_VISIBLE_DEVICES"])


def test_one_process_works_itself(tmp_path):
    config, calls = WorkersConfig(out=tmp_path / "out"), []
    share(lambda *arguments: calls.append(arguments), config, 7, jobs=())
    assert calls == [(config, 7)] and config.out.is_dir()


def test_a_folder_of_another_run_is_found_before_anything_begins(job, tmp_path):
    run_all([job("a", seed=1)])
    config = WorkersConfig(out=tmp_path / "out")
    with pytest.raises(ValueError, match=r"trainer\.seed"):
        share(lambda *_: pytest.fail("began"), config, jobs=[job("a", seed=2)])
    assert not config.out.exists()


def test_unfinished_jobs_are_an_error_but_for_a_limit_of_time(job, tmp_path, caplog):
    caplog.set_level("INFO")
    limited = WorkersConfig(out=tmp_path, minutes=2)
    tell_unfinished(limited, [job("a")], "runs")
    assert "1 of 1 runs are not finished; the same command goes on" in caplog.text
    with pytest.raises(RuntimeError, match="1 of 1 points are not finished, as processes ended"):
        tell_unfinished(WorkersConfig(out=tmp_path), [job("a")], "points")
    run_all([job("a")])
    tell_unfinished(WorkersConfig(out=tmp_path), [job("a")], "points")


def test_a_limit_of_time_counts_from_the_beginning(tmp_path):
    began = time.time()
    assert WorkersConfig(out=tmp_path, minutes=2).until(began) == began + 120
    assert WorkersConfig(out=tmp_path).until(began) == float("inf")
