# SPDX-License-Identifier: GPL-3.0-or-later
"""From one configuration to the runs of an experiment."""

import dataclasses
from pathlib import Path

import pytest

from gr_tsddae.train.config import NetworkChoice, PretrainSettings, TrainerConfig
from gr_tsddae.train.experiments.experiment import (
    ClassifierSettings,
    ExperimentConfig,
    ProtocolsConfig,
    ShotsConfig,
    require_ratio,
)


@pytest.fixture
def config(npz, tmp_path):
    return ProtocolsConfig(
        dataset="npz", path=npz, out=tmp_path / "out", seeds=(1, 2), shots=(3,),
        network=NetworkChoice(name="tsnet-nano", options={"width": 8}),
        probe=ClassifierSettings(calibrate=False),
    )  # fmt: skip


def test_a_classifier_starts_from_the_pre_training_of_its_seed(config):
    jobs = config.tuned_jobs("full", options={"layers": 1}, ratio=0.5)
    assert list(jobs) == [1, 2]
    tuned, start = jobs[2], jobs[2].needs
    assert tuned.folder == config.out / "full/seed-2/finetuned"
    assert tuned.config.init == start.folder == config.out / "full/seed-2/pretrained"
    assert start.config.ratio == 0.5
    for each in (tuned.config, start.config):
        assert each.trainer.seed == 2
        assert each.network.options == {"width": 8, "layers": 1}
        assert each.data.path == config.path


def test_each_protocol_trains_in_its_own_way(config):
    settings = {"seed": 1, "start": None}
    tuned = config.protocol_job("scratch", "a", shots=None, **settings)
    few = config.protocol_job("fewshot", "b", shots=3, **settings)
    start = config.pretrain_job("p", seed=1)
    probe = config.protocol_job("probe", "c", shots=None, seed=1, start=start)
    assert [type(job.config).__name__ for job in (tuned, few, probe)] == [
        "FinetuneConfig", "FewshotConfig", "ProbeConfig",
    ]  # fmt: skip
    assert few.config.shots == (3,) and few.config.optimiser.batch == 128
    assert tuned.config.calibrate and not probe.config.calibrate


def test_detectors_are_evaluated_and_others_on_demand(config):
    plain = config.protocol_job("scratch", "a", shots=None, seed=1, start=None)
    assert plain.evaluation is None
    reported = dataclasses.replace(config, reports=True)
    found = reported.protocol_job("scratch", "a", shots=None, seed=1, start=None).evaluation
    assert (found.part, found.report, Path(found.model)) == ("test", True, plain.folder)
    assert dataclasses.replace(config, dataset="icarus").column == "AUC all"


def test_too_few_windows_for_the_shots_are_found_out_first(config):
    assert len(config.check().train) == 96
    with pytest.raises(ValueError, match="1000"):
        dataclasses.replace(config, shots=(1000,)).check()


def test_what_cannot_be(npz, tmp_path):
    given = {"path": npz, "out": tmp_path}
    with pytest.raises(ValueError, match="dataset is synth, whose windows never end"):
        ExperimentConfig(dataset="synth", **given)
    with pytest.raises(ValueError, match=r"finetune\.trainer asks for several devices"):
        settings = ClassifierSettings(trainer=TrainerConfig(devices=2))
        ExperimentConfig(dataset="npz", **given, finetune=settings)
    with pytest.raises(ValueError, match=r"seeds is \[1, 1\]"):
        ExperimentConfig(dataset="npz", **given, seeds=(1, 1))
    with pytest.raises(ValueError, match=r"shots is \[0\]"):
        ShotsConfig(dataset="npz", **given, shots=(0,))
    with pytest.raises(ValueError, match="objective is simclr, and only noise has a ratio: do so"):
        require_ratio(PretrainSettings(objective="simclr"), "do so")
