# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: none is run twice, and none is lost."""

import dataclasses
import multiprocessing
import time

import pytest

from gr_tsddae.files import write_json
from gr_tsddae.train.config import DataConfig, FinetuneConfig
from gr_tsddae.train.experiments import jobs
from gr_tsddae.train.experiments.jobs import Job, claimed, distinct, run_all


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
