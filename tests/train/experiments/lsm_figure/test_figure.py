# SPDX-License-Identifier: GPL-3.0-or-later
"""LSM's Figure 4 from one file: every line there, the same after a stop, and honest findings."""

import dataclasses
import json
import os
import pickle
import statistics

import numpy as np
import pytest

from gr_tsddae import nets
from gr_tsddae.train import __main__ as command
from gr_tsddae.train.experiments.lsm_figure import figure as module
from gr_tsddae.train.experiments.lsm_figure.figure import (
    FewshotFigureConfig,
    _compared,
    fewshot_figure,
    jobs_of,
)
from gr_tsddae.train.experiments.lsm_figure.point import CONTENDERS, Budget

NETWORKS = {
    "lsm": {"width": 8, "layers": 1, "class_layers": 1, "heads": 2},
    "tsnet-mini": {"width": 8, "heads": 1, "feedforward": 8, "layers": 1, "squeeze": 2},
    "resnet18": {"width": 2},
    "cnn2": {"width": 2, "hidden": 8},
    "cnn-lstm": {"width": 2, "hidden": 8},
    "conv4": {"width": 4},
}
BUDGET = Budget(
    trials=2, shots=(1, 2), queries=6, pretrain_windows=16, contrast_windows=(8, 2, 3, 4), epochs=1,
    batch=16, head_steps=5, turns=2, episodes=2, networks=NETWORKS,
)  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Eleven noisy tones, 20 windows of each at two SNRs, in the layout of RML2016.10A."""
    random = np.random.default_rng(0)
    arrays = {}
    for number in range(11):
        for snr_db in (0, 10):
            noise = random.standard_normal((2, 20, 128)) * 10 ** (-snr_db / 20)
            cycles = (number - 5) / 12 * np.arange(128) + random.random((20, 1))
            windows = np.exp(2j * np.pi * cycles) + noise[0] + 1j * noise[1]
            rows = np.stack((windows.real, windows.imag), 1)
            arrays[f"tone-{number:02d}", snr_db] = rows.astype(np.float32)
    found = tmp_path_factory.mktemp("data") / "tones.pkl"
    found.write_bytes(pickle.dumps(arrays))
    return found


@pytest.fixture
def config(path, tmp_path):
    return FewshotFigureConfig(
        path=path, out=tmp_path / "out", seeds=(1, 2), device="cpu", budget=BUDGET
    )


def test_all_panels_are_measured_and_a_second_run_measures_nothing(config, capsys):
    config = dataclasses.replace(config, snrs_db=(10,))
    found = fewshot_figure(config)
    named = {name: [line["name"] for line in p["lines"]] for name, p in found["panels"].items()}
    assert [name.partition(",")[0] for name in named["a"]] == [
        CONTENDERS[m].title for m in ("lsm", "simclr", "simsiam", "semiamc", "ts-ddae")
    ]
    assert named["b"][:2] == ["LSM, 2-shot", "prototypical, 2-shot"]
    assert len(named["b"]) == 8
    assert len(named["c"]) == 10
    for job in jobs_of(config, (10,)):
        for values in job.metrics()["accuracy"].values():
            assert len(values) == 2
            queries = 44 if job.config.protocol == "contrastive" else 30
            assert all(abs(v * queries - round(v * queries)) < 1e-9 for v in values)
    shown = (config.out / "figure.md").read_text()
    assert shown in capsys.readouterr().out
    assert "73.71 % at 4 dB" in shown
    assert json.loads((config.out / "figure.json").read_text()) == found
    assert (config.out / "figure.png").read_bytes().startswith(b"\x89PNG")
    line = found["panels"]["b"]["lines"][0]["accuracy"]["10"]
    held = [
        100 * value
        for seed in (1, 2)
        for value in json.loads(
            (config.out / f"few-shot/lsm/seed-{seed}/+10dB/metrics.json").read_text()
        )["accuracy"]["2"]
    ]
    assert line["mean"] == pytest.approx(statistics.fmean(held))
    assert line["count"] == 4

    dates = {file: file.stat().st_mtime_ns for file in config.out.rglob("metrics.json")}
    assert len(dates) == 24
    assert fewshot_figure(config) == found
    assert dates == {file: file.stat().st_mtime_ns for file in config.out.rglob("metrics.json")}
    other = dataclasses.replace(config, budget=dataclasses.replace(BUDGET, epochs=2))
    with pytest.raises(ValueError, match=r"another configuration \(budget\.epochs\)"):
        fewshot_figure(other)


def test_stopped_and_resumed_it_has_the_same_figures(config, monkeypatch, tmp_path):
    config = dataclasses.replace(config, panels=("b",), seeds=(1,))
    whole = fewshot_figure(config)
    measure, calls = module.measure_point, []

    def stopping(point, **arguments):
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(point)
        measure(point, **arguments)

    stopped = dataclasses.replace(config, out=tmp_path / "stopped")
    monkeypatch.setattr(module, "measure_point", stopping)
    with pytest.raises(KeyboardInterrupt):
        fewshot_figure(stopped)
    partly = json.loads((stopped.out / "figure.json").read_text())
    assert (partly["finished"], partly["points"]) == (3, 8)
    monkeypatch.setattr(module, "measure_point", measure)
    assert fewshot_figure(stopped)["panels"] == whole["panels"]


def test_the_same_file_by_another_name_resumes_and_a_copy_does_not(config, monkeypatch, tmp_path):
    config = dataclasses.replace(config, panels=("b",), seeds=(1,), snrs_db=(10,))
    finished = fewshot_figure(config)
    monkeypatch.setattr(module, "measure_point", lambda *_, **__: pytest.fail("measured again"))
    link, copy = tmp_path / "link.pkl", tmp_path / "copy.pkl"
    link.symlink_to(config.path)
    copy.write_bytes(config.path.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(config.path.parent))
    for name in (os.path.relpath(config.path), link, "~/tones.pkl"):
        words = ["--dataset=rml2016.10a", f"--path={name}", "--out=out"]
        renamed = command.parse("fewshot-figure", words).path
        found = fewshot_figure(dataclasses.replace(config, path=renamed))
        assert found["panels"] == finished["panels"]
    with pytest.raises(ValueError, match=r"another configuration \(path\)"):
        fewshot_figure(dataclasses.replace(config, path=copy))


def test_a_file_with_too_little_is_found_out_first(config):
    for changes, words in (
        ({"budget": dataclasses.replace(BUDGET, queries=500)}, "500 queries need 502"),
        ({"budget": dataclasses.replace(BUDGET, contrast_windows=(495, 5, 250, 250))}, "1000"),
        ({"snrs_db": (0, 3)}, r"snrs_db names 3 dB; .* has 0, 10"),
    ):
        with pytest.raises(ValueError, match=words):
            fewshot_figure(dataclasses.replace(config, **changes))
    assert not config.out.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"panels": ()}, "panels is"),
        ({"seeds": (1, 1)}, "seeds is"),
        ({"snrs_db": (0, 0)}, "snrs_db is"),
        ({"jobs": 0}, "jobs is 0"),
        ({"minutes": 0}, "minutes is 0"),
    ],
)
def test_a_configuration_that_cannot_be(config, changes, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(config, **changes)


def test_a_lead_is_clear_when_every_seed_has_it():
    """Two trials of two seeds at two SNRs; the difference of a trial is its mean over SNRs."""
    keys = [(1, 0), (1, 1), (2, 0), (2, 1)]
    rival = {0: dict.fromkeys(keys, 50.0), 10: dict.fromkeys(keys, 60.0)}
    first = {0: dict(zip(keys, (52, 54, 53, 55), strict=True)), 10: dict.fromkeys(keys, 66.0)}
    said = _compared(5, "lsm", first, "cnn2", rival)
    differences = [(d + 6) / 2 for d in (2, 4, 3, 5)]
    error = statistics.stdev(differences) / 2
    assert f"+4.8 ± {error:.1f} points over 2 SNRs and 4 trials" in said
    assert "from +3.5 at +0 dB to +6.0 at +10 dB; +4.5 with seed 1, +5.0 with seed 2" in said
    assert said.endswith(": ahead")
    assert _compared(5, "cnn2", rival, "lsm", first).endswith(": behind")
    one_seed = {
        level: {k: v for k, v in each.items() if k[0] == 1} for level, each in first.items()
    }
    assert _compared(5, "lsm", one_seed, "cnn2", rival).endswith("no clear lead")
    split = {0: dict(zip(keys, (70, 71, 48, 49), strict=True))}
    assert _compared(5, "lsm", split, "cnn2", rival).endswith("no clear lead")


def test_a_figure_that_is_cut_short_spans_all_snrs(config):
    levels = tuple(range(-20, 20, 2))
    jobs = jobs_of(dataclasses.replace(config, panels=("b",)), levels)
    order = list(dict.fromkeys(job.config.snr_db for job in jobs))
    assert order[:3] == [-20, 18, -2]
    assert sorted(order) == list(levels)
    assert len({job.folder for job in jobs}) == len(jobs) == 2 * 4 * 20
    assert len(jobs_of(dataclasses.replace(config, panels=("b",)), (0,))) == 2 * 4


@pytest.mark.parametrize("recipe", ["lsm-small", "lsm-figure"])
def test_the_recipes_are_complete(recipe):
    found = command.parse("fewshot-figure", ["--config", recipe, "--path=f", "--out=o"])
    assert (found.seeds, found.budget.trials, found.budget.shots) == ((1, 2), 10, (1, 5))
    for name, options in found.budget.networks.items():
        nets.create(name, class_count=5, **options)
    if recipe == "lsm-figure":
        assert (found.budget.queries, found.budget.batch) == (500, 1400)
