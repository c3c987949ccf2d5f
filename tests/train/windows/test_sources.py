# SPDX-License-Identifier: GPL-3.0-or-later
"""A data set is split, thinned out, and refused where nothing can be learned from it."""

import numpy as np
import pytest

from gr_tsddae.data import DatasetError
from gr_tsddae.train.config import FewshotConfig, FinetuneConfig, ProbeConfig
from gr_tsddae.train.fewshot import fewshot
from gr_tsddae.train.finetune import finetune
from gr_tsddae.train.probe import probe
from gr_tsddae.train.windows.sources import DatasetSource, source_of


def test_shots_are_per_class_and_snr(settings):
    source = DatasetSource(settings(FinetuneConfig).data, labelled=True)
    few = source.few_shot(3)
    part = source.dataset.select(few.train)
    assert len(part) == 3 * 2 * 2
    for label in (0, 1):
        for snr_db in (0, 10):
            assert ((part.label == label) & (part.level_db == snr_db)).sum() == 3
    assert set(few.train) < set(source.train)
    assert (few.test == source.test).all()
    assert (few.validated == source.validated).all()
    assert len(source.train) == 96


def test_nothing_to_learn_from(settings, npz, tmp_path):
    with np.load(npz) as file:
        np.savez(tmp_path / "bare.npz", X=file["X"])
    with pytest.raises(ValueError, match="has no labelled window"):
        finetune(settings(FinetuneConfig, data={"path": tmp_path / "bare.npz"}))


@pytest.mark.parametrize(
    ("command", "kind", "more"),
    [(probe, ProbeConfig, {"init": "p"}), (fewshot, FewshotConfig, {"shots": (2,)})],
)
def test_one_class_is_none(command, kind, more, settings, npz, tmp_path):
    """Also where the kind of the data knows two, and the file holds one of them."""
    with np.load(npz) as file:
        rows, one = file["X"], np.repeat("slow", len(file["X"]))
    nowhere = np.full(len(rows), np.nan)
    np.savez(tmp_path / "bare.npz", X=rows)
    np.savez(tmp_path / "one.npz", X=rows, y=one)
    np.savez(tmp_path / "icarus.npz", X=rows, y=np.zeros(len(rows), int), sir=nowhere)
    for name, words in (
        ("bare", "has no labelled window: .* at least 2 classes"),
        ("one", "has windows of one class, 'slow': .* at least 2 classes"),
        ("icarus", "has windows of one class, 'normal': .* at least 2 classes"),
    ):
        data = {"path": tmp_path / f"{name}.npz"}
        if name == "icarus":
            data |= {"kind": "icarus", "options": {"window_samples": 32}}
        with pytest.raises(DatasetError, match=words):
            command(settings(kind, data=data, **more))


def test_the_sets_to_validate_and_measure_on_are_those_of_the_split(settings):
    config = settings(FinetuneConfig)
    source = source_of(config, labelled=True)
    assert len(source.validation_set()) == len(source.test_set(config)) == 32
    assert source.validation_set().index.tolist() == source.validated.tolist()
    assert source.test_set(config).index.tolist() == source.test.tolist()
    source.test = source.test[:0]
    with pytest.raises(DatasetError, match="the test set is empty, so nothing is measured"):
        source.test_set(config)


def test_synthetic_windows_are_measured_on_others(settings):
    synth = {"kind": "synth", "path": None, "recipe": "live", "window_samples": 32}
    config = settings(
        FinetuneConfig, data=synth, trainer={"steps": 1}, optimiser={"schedule": "constant"},
        test_windows=1,
    )  # fmt: skip
    source = source_of(config, labelled=True)
    test = source.test_set(config)
    assert test.kind == "synth" and test.window_samples == 32
    assert source.validation(config, None) is None
    assert 1 / 13 < source.noise_share < 1 / 9
