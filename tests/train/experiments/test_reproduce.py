# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's row of a dataset: the right runs, the right figures, beside the right ones."""

import dataclasses
import json

import numpy as np
import pytest

from gr_tsddae import zoo
from gr_tsddae.train import __main__ as command
from gr_tsddae.train.config import NetworkChoice, TrainerConfig
from gr_tsddae.train.experiments.experiment import ClassifierSettings, PretrainSettings
from gr_tsddae.train.experiments.published import sweep_text, table_1, table_2
from gr_tsddae.train.experiments.reproduce import ReproduceConfig, reproduce, rows_of
from gr_tsddae.train.experiments.reproduce import _table as filled

TINY = NetworkChoice(
    name="tsnet-mini",
    options={"width": 8, "heads": 1, "feedforward": 8, "layers": 1, "squeeze": 2},
)
ONCE = TrainerConfig(epochs=1, device="cpu", precision="32")


@pytest.fixture
def config(npz, tmp_path):
    """Makes a configuration of tiny runs."""

    def make(**changes):
        part = ClassifierSettings(trainer=ONCE)
        settings = {
            "dataset": "npz",
            "path": npz,
            "out": tmp_path / "out",
            "network": TINY,
            "seeds": (1, 2),
            "shots": (3,),
            "pretrain": PretrainSettings(trainer=ONCE),
            "finetune": part,
            "probe": part,
            "fewshot": part,
        }
        return ReproduceConfig(**settings | changes)

    return make


def test_a_row_is_run_and_compared(config, capsys):
    content = reproduce(config())
    out = config().out
    names = ["TS-DDAE", "TS-DDAE (probe)", "TS-DDAE (3-shot)", "from scratch"]
    assert [row["name"] for row in content["rows"]] == [*names, "from scratch (3-shot)"]
    folders = ("finetuned", "probe", "3-shot", "scratch", "3-shot-scratch")
    for row, folder in zip(content["rows"], folders, strict=True):
        for seed in (1, 2):
            held = json.loads((out / f"seed-{seed}" / folder / "metrics.json").read_text())
            assert row["values"]["average"]["per_seed"][seed] == 100 * held["average_over_snr"]
            training = zoo.load(out / f"seed-{seed}" / folder).card.training
            assert training["trainer"]["seed"] == seed
            assert training["windows"]["test"] == 32
            assert training["windows"]["train"] == (12 if "shot" in folder else 96)
            start = None if "scratch" in folder else "pretrained"
            assert training["init"] == start
    probed, pretrained = (zoo.load(out / "seed-1" / f).network for f in ("probe", "pretrained"))
    for name, value in probed.backbone.state_dict().items():
        assert (value == pretrained.backbone.state_dict()[name]).all(), name

    tuned, scratch = (
        np.array(list(content["rows"][i]["values"]["average"]["per_seed"].values())) for i in (0, 3)
    )
    assert len(content["findings"]) == 2
    assert f"average {np.mean(tuned - scratch):+.2f} points" in content["findings"][0]
    error = np.std(tuned - scratch, ddof=1) / 2**0.5
    assert f"standard error {error:.2f} over 2 seeds" in content["findings"][0]
    assert content["findings"][0] in capsys.readouterr().out

    dates = {path: path.stat().st_mtime_ns for path in out.rglob("model.safetensors")}
    assert len(dates) == 12
    assert reproduce(config()) == content  # nothing is trained again
    assert dates == {path: path.stat().st_mtime_ns for path in out.rglob("model.safetensors")}
    assert "whole validation set" in content["note"]
    assert "shots" not in table_of(config(rows=("finetuned",)))["note"]
    with pytest.raises(ValueError, match=r"another configuration \(trainer\.epochs\)"):
        reproduce(config(finetune=ClassifierSettings(trainer=dataclasses.replace(ONCE, epochs=2))))


def table_of(asked):
    return filled(asked, rows_of(asked))


def test_only_what_is_asked_for(config):
    found = rows_of(config(rows=("shots", "scratch"), shots=(25, 100), dataset="rml2016.10a"))
    assert list(found) == ["25-shot", "100-shot", "scratch"]
    assert found["100-shot"].published == {"average": 55.47, "best": 84.95}
    assert found["scratch"].published == {}
    assert found["scratch"].jobs[1].needs is None
    assert found["25-shot"].jobs[2].needs == found["100-shot"].jobs[2].needs


def test_too_many_shots_are_found_out_first(config):
    with pytest.raises(ValueError, match="500"):
        reproduce(config(shots=(3, 500)))
    assert not config().out.exists()


def test_detectors_are_compared_by_area(config, tmp_path):
    """The area per SIR is the probability that an anomaly scores higher than a normal window."""
    random = np.random.default_rng(1)
    anomaly = np.arange(240) % 2
    sir_db = np.arange(240) // 2 % 2 * 5
    rows = random.standard_normal((240, 2, 32)).astype(np.float32)
    rows[anomaly == 1, 0] += 1.0
    path = tmp_path / "icarus.npz"
    np.savez(path, X=rows, y=anomaly, sir=sir_db)
    content = reproduce(
        config(
            dataset="icarus",
            path=path,
            options={"window_samples": 32},
            rows=("finetuned", "scratch"),
            seeds=(1,),
        )
    )
    assert content["columns"][:3] == ["AUC all", "AUC 0 dB", "AUC 5 dB"]
    assert content["rows"][0]["published"]["AUC 10 dB"] == "over 0.9"
    folder = config().out / "seed-1" / "finetuned" / "evaluation"
    held = json.loads((folder / "metrics.json").read_text())
    assert held["windows"] == 48
    value = content["rows"][0]["values"]["AUC 5 dB"]["mean"]
    assert value == held["roc"]["5"]["auc"]
    assert "AUC all" in content["findings"][0]
    assert "one seed" in content["findings"][0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seeds": ()}, "seeds is"),
        ({"seeds": (1, 1)}, "seeds is"),
        ({"rows": ()}, "rows is empty"),
        ({"shots": (0,)}, "shots is"),
        ({"dataset": "synth"}, "never end"),
        ({"probe": ClassifierSettings(trainer=TrainerConfig(devices=2))}, "probe.trainer asks for"),
    ],
)
def test_a_configuration_that_cannot_be(config, changes, words):
    with pytest.raises(ValueError, match=words):
        config(**changes)


def test_published_figures():
    assert table_1("rml2018.01a", "TS-DDAE") == {"average": 64.15, "best": 96.80}
    assert table_1("techrec", "TS-DDAE (25-shot)") == {"average": 80.42, "best": 94.56}
    assert table_1("rml2016.04c", "TS-DDAE") == table_1("rml2016.10a", "from scratch") == {}
    assert table_2("techrec", "w/o spectral") == {"average": 37.48, "best": 47.58}
    assert table_2("rml2016.10b", "w/ single noise") == {"average": 65.12, "best": 94.14}
    assert "5" in sweep_text("layers", "techrec")
    assert sweep_text("ratio", "npz") == ""


def test_the_small_recipe_is_complete():
    words = ["--config", "table-mini", "--dataset=npz", "--path=f", "--out=o"]
    found = command.parse("reproduce", [*words, "--seeds=[7]", "--probe.trainer.epochs=3"])
    assert (found.network.name, found.seeds, found.probe.trainer.epochs) == ("tsnet-mini", (7,), 3)
    assert found.pretrain.trainer == TrainerConfig(epochs=12, stop_patience=1000)
    assert command.parse("ablate", words).network.name == "tsnet-mini"
    swept = command.parse("sweep", [*words, "--over=ratio", "--at=[0.2, 0.6]"])
    assert (swept.at, swept.finetune.trainer.epochs) == ((0.2, 0.6), 12)


def test_the_paper_is_the_default():
    words = ["--dataset=npz", "--path=f", "--out=o"]
    found = command.parse("reproduce", words)
    needed = ["--name=x", "--out=o", "--data.kind=npz", "--data.path=f"]
    for part, name in (("pretrain", "pretrain"), ("finetune", "finetune"), ("fewshot", "fewshot")):
        own, base = getattr(found, part), command.parse(name, needed)
        for key, value in vars(own).items():
            assert value == getattr(base, key), (part, key)
    assert found.network.name == "tsnet-base"
