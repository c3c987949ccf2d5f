# SPDX-License-Identifier: GPL-3.0-or-later
"""All networks on a dataset: the right runs, none twice, whatever is killed or fails."""

import csv
import dataclasses
import json
import subprocess
import sys
import time

import pytest
import yaml

from gr_tsddae import nets
from gr_tsddae.bench import cost
from gr_tsddae.train import __main__ as command
from gr_tsddae.train import finetune
from gr_tsddae.train.config import OptimiserConfig, TrainerConfig, plain
from gr_tsddae.train.experiments import benchmark as module
from gr_tsddae.train.experiments.benchmark import (
    BenchmarkConfig,
    SynthConfig,
    benchmark,
    entries,
    own_objective,
)
from gr_tsddae.train.experiments.experiment import ClassifierSettings, PretrainSettings
from gr_tsddae.train.run.lock import claimed

ONCE = TrainerConfig(epochs=1, device="cpu", precision="32")
SMALL = {
    "cnn2": {"options": {"width": 2, "hidden": 8}},
    "gru2": {"options": {"width": 8}},
    "tsnet-nano": {
        "options": {"width": 8, "heads": 1, "feedforward": 8, "layers": 1, "squeeze": 2}
    },
}


@pytest.fixture
def config(npz, tmp_path, monkeypatch):
    """Makes a configuration of tiny runs."""
    monkeypatch.setattr(cost, "MEASURED_S", 0.0)

    def make(**changes):
        part = ClassifierSettings(trainer=ONCE)
        settings = {
            "dataset": "npz",
            "path": npz,
            "out": tmp_path / "out",
            "networks": ("cnn2", "tsnet-nano"),
            "overrides": SMALL,
            "seeds": (1,),
            "shots": (3,),
            "pretrain": PretrainSettings(trainer=ONCE),
            "finetune": part,
            "probe": part,
            "fewshot": part,
        }
        return BenchmarkConfig(**settings | changes)

    return make


def made(out):
    return {path: path.stat().st_mtime_ns for path in out.rglob("model.safetensors")}


def test_rows_figures_costs_and_files(config, capsys):
    settings = config(protocols=("scratch", "finetuned", "probe", "fewshot", "fewshot-scratch"))
    content = benchmark(settings)
    rows = {(row["network"], row["protocol"]): row for row in content["rows"]}
    own = [("tsnet-nano", kind) for kind in ("finetuned", "probe", "3-shot")]
    any_network = [
        (name, kind) for name in settings.networks for kind in ("scratch", "3-shot-scratch")
    ]
    assert sorted(rows) == sorted(own + any_network)
    assert rows["tsnet-nano", "probe"]["objective"] == "noise"
    assert len(made(settings.out)) == 8  # one pre-training for three rows
    for (name, protocol), row in rows.items():
        held = json.loads((settings.out / name / protocol / "seed-1" / "metrics.json").read_text())
        values = row["values"]
        assert values["average"]["per_seed"] == {1: 100 * held["average_over_snr"]}
        assert row["curve"] == {k: 100 * v for k, v in held["accuracy_per_snr"].items()}
        network = nets.create(name, class_count=2, window_samples=32, **SMALL[name]["options"])
        assert values["parameters"]["mean"] == cost.parameters(network)
        assert values["windows/s"]["mean"] > 0
        assert values["seeds"]["mean"] == 1
    assert "Overrides: cnn2 with width 2, hidden 8; tsnet-nano with width 8" in content["note"]
    assert "gru2" not in content["note"]  # it has no row
    seconds = [
        json.loads((settings.out / "tsnet-nano" / kind / "seed-1" / "job.json").read_text())[
            "seconds_since_resumed"
        ]
        for kind in ("pretrained", "finetuned")
    ]
    took = rows["tsnet-nano", "finetuned"]["values"]["training s"]["mean"]
    assert took == pytest.approx(sum(seconds))
    page = (settings.out / "table.html").read_text()
    assert "<svg" in page and "http" not in page.replace("http://www.w3.org", "")
    assert (settings.out / "curves.png").read_bytes().startswith(b"\x89PNG")
    with (settings.out / "table.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert {line["column"] for line in lines} >= {"average", "best", "GFLOP", "windows/s"}
    assert (settings.out / "table.md").read_text() in capsys.readouterr().out
    before = made(settings.out)
    assert benchmark(settings) == content  # costs are not measured again either
    assert made(settings.out) == before


def endless(config, **changes):
    """A benchmark on two steps of windows of the air, judged by one emission per class."""
    settings = {
        "dataset": "synth",
        "path": None,
        "synth": SynthConfig(
            recipe="air-open", window_samples=64, test_recipe="air", test_windows=2,
            test_snrs_db=(10, 20), emission_windows=2,
        ),
        "networks": ("cnn2", "conv4"),
        "overrides": {"cnn2": SMALL["cnn2"]},
        "protocols": ("scratch",),
        "finetune": ClassifierSettings(
            optimiser=OptimiserConfig(batch=4, schedule="onecycle"),
            trainer=dataclasses.replace(ONCE, steps=2),
        ),
    }  # fmt: skip
    return config(**settings | changes)


def test_networks_on_endless_windows_are_judged_by_windows_and_emissions(config):
    settings = endless(config)
    content = benchmark(settings)
    assert "8 windows of 64 samples of air-open" in content["title"]
    for row in content["rows"]:
        folder = settings.out / row["network"] / "scratch/seed-1"
        held = json.loads((folder / "evaluation/metrics.json").read_text())
        assert held["windows"] == 2 * 2 * 19 and held["emissions"]["windows"] == 2 * 19
        assert list(held["accuracy_per_snr"]) == ["10", "20"]
        values = {name: value["per_seed"] for name, value in row["values"].items()}
        assert values["average"] == {1: 100 * held["average_over_snr"]}
        assert values["emissions"] == {1: 100 * held["emissions"]["average_over_snr"]}
        # Noise is expected as often as it judges, which training drew: no prior is folded in.
        card = yaml.safe_load((folder / "card.yaml").read_text())
        assert card["training"]["noise_prior"] == pytest.approx(1 / 19)
    assert "emissions" in content["columns"]


def test_a_failure_is_reported_and_the_others_go_on(config, monkeypatch):
    real = finetune.train_classifier

    def broken(settings, source):
        if settings.network.name == "cnn2":
            raise ValueError("no such luck")
        return real(settings, source)

    with monkeypatch.context() as patch:
        patch.setattr(finetune, "train_classifier", broken)
        with pytest.raises(RuntimeError, match=r"1 of 4 runs failed, see .*cnn2.*failed\.txt"):
            benchmark(config())
    out = config().out
    assert "no such luck" in (out / "cnn2/scratch/seed-1/failed.txt").read_text()
    content = json.loads((out / "table.json").read_text())
    assert [row["values"]["seeds"]["mean"] for row in content["rows"]] == [0, 1, 1]
    content = benchmark(config())  # the next command tries it again
    assert [row["values"]["seeds"]["mean"] for row in content["rows"]] == [1, 1, 1]
    assert not list(out.rglob("failed.txt"))


def test_what_needs_a_failed_run_is_not_waited_for(config, monkeypatch):
    def broken(self, *arguments):
        raise ValueError("no such luck")

    monkeypatch.setattr("gr_tsddae.train.pretrain.pretrain_on", broken)
    with pytest.raises(RuntimeError, match=r"2 of 2 runs failed"):
        benchmark(config(networks=("tsnet-nano",), protocols=("finetuned",)))


def test_after_the_time_limit_no_run_begins(config, monkeypatch):
    monkeypatch.setattr(module, "run_all", lambda *_, until, **__: limits.append(until))
    limits = []
    began = time.time()
    content = benchmark(config(minutes=2))
    assert began + 120 <= limits[0] <= time.time() + 120
    assert [row["values"]["seeds"]["mean"] for row in content["rows"]] == [0, 0, 0]
    monkeypatch.undo()
    benchmark(config(minutes=1e-9))
    assert not made(config().out)


def test_killed_and_gone_on(config, tmp_path):
    """With SIGKILL to the command alone, its workers end too; what is finished stays."""
    long = ClassifierSettings(trainer=dataclasses.replace(ONCE, epochs=100_000))
    settings = config(jobs=2, protocols=("scratch", "fewshot-scratch"), finetune=long)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(plain(settings)))
    words = [sys.executable, "-m", "gr_tsddae.train", "benchmark", "--config", str(recipe)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, start_new_session=True)
    try:
        wait_for(lambda: len(list(settings.out.rglob("lock"))) >= 2)
        wait_for(lambda: len(list(settings.out.rglob("log.jsonl"))) >= 2)
    finally:
        process.kill()
    process.wait()
    process.stderr.read()  # ends when no worker holds the other end
    for lock in settings.out.rglob("lock"):
        with claimed(lock.parent) as free:
            assert free
    assert len(list(settings.out.rglob("checkpoint.pt"))) == 2
    assert not made(settings.out)
    # Their checkpoints are gone on from, by the same budget only.
    with pytest.raises(RuntimeError, match="2 of 2 runs failed"):
        benchmark(config(protocols=("scratch",)))
    assert "trainer.epochs" in (settings.out / "cnn2/scratch/seed-1/failed.txt").read_text()


def wait_for(condition, timeout_s=240.0):  # a busy machine imports torch for a minute
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def test_every_network_of_the_registry_is_in_it(config):
    every = config(networks=(), overrides={})
    assert [entry.network for entry in entries(every)][: len(nets.names())] == nets.names()
    own = {name: own_objective(name) for name in nets.names() if own_objective(name)}
    assert own == {
        **dict.fromkeys(("tsnet-base", "tsnet-mini", "tsnet-nano", "tsnet-small"), "noise"),
        "spectrum-fm": "masked",
        "lsm": "lsm",
    }


@pytest.mark.parametrize(
    ("recipe", "count"), [("table-baselines", 17), ("table-baselines-gpu", 14)]
)
def test_recipes_hold_the_networks(recipe, count, npz, tmp_path):
    words = ["--config", recipe, "--dataset", "npz", "--path", str(npz), "--out", str(tmp_path)]
    config = command.parse("benchmark", words)
    assert len(config.networks) == count
    assert len(config.seeds) == 2
    assert len(entries(config)) == count + 4


def test_the_recipe_of_the_air_gives_all_networks_one_budget(tmp_path):
    config = command.parse("benchmark", ["--config", "table-air", "--out", str(tmp_path)])
    jobs = {entry.network: entry.row.jobs[1] for entry in entries(config)}
    assert sorted(jobs) == ["amc-net", "iqformer", "msnet", "resnet18", "tsnet-small"]
    rates = {name: job.config.optimiser.learning_rate for name, job in jobs.items()}
    assert rates.pop("tsnet-small") == 2e-3 and set(rates.values()) == {1e-3}
    first = jobs["amc-net"].config
    for job in jobs.values():
        assert job.config.trainer == first.trainer
        assert dataclasses.replace(job.config.optimiser, learning_rate=1e-3) == first.optimiser
    air = command.parse("finetune", ["--config", "air-small", "--name", "a", "--out", "a"])
    assert jobs["tsnet-small"].config.network == air.network
    assert all(job.config.data == air.data for job in jobs.values())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"networks": ("nope",)}, "networks names nope; there are: amc-net"),
        ({"overrides": {"cnn2": {"epochs": 3}}}, "overrides.cnn2 has epochs; it takes options"),
        ({"protocols": ()}, "at least one"),
        ({"jobs": 0}, "jobs is 0"),
        ({"minutes": 0.0}, "minutes is 0"),
        ({"shots": (0,)}, "shots is"),
        ({"path": None}, "--dataset npz needs a --path"),
        ({"dataset": "synth"}, "--dataset synth takes no --path"),
        ({"synth": SynthConfig(recipe="air")}, "synth is for --dataset synth"),
        ({"dataset": "synth", "path": None, "protocols": ("fewshot",)}, "synth has no few shots"),
    ],
)
def test_mistakes_are_told(config, wrong, words):
    with pytest.raises(ValueError, match=words):
        config(**wrong)


def test_overrides_are_of_one_network(config):
    changed = SMALL | {"cnn2": {**SMALL["cnn2"], "learning_rate": 2e-4, "batch": 32}}
    by_name = {e.network: e.row for e in entries(config(overrides=changed, protocols=("scratch",)))}
    assert by_name["cnn2"].jobs[1].config.optimiser == OptimiserConfig(learning_rate=2e-4, batch=32)
    assert by_name["tsnet-nano"].jobs[1].config.optimiser == OptimiserConfig()
    assert "(overrides)" in by_name["cnn2"].name


def test_a_network_of_another_shape_has_no_published_figures(config):
    overrides = {"vgg": {"learning_rate": 2e-4}, "cnn2": SMALL["cnn2"]}
    settings = config(networks=(), overrides=overrides, protocols=("scratch",))
    settings = dataclasses.replace(settings, dataset="rml2016.10a")
    published = {entry.network: entry.row.published for entry in entries(settings)}
    assert published["cnn2"] == {}
    assert published["vgg"] == {"average": 39.99, "best": 62.18}
