# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs so small that a test can afford them."""

import json

import numpy as np
import pytest

from gr_tsddae.train import config as configs

NETWORK = {
    "name": "tsnet-nano",
    "options": {
        "width": 8, "heads": 1, "feedforward": 8, "layers": 1, "squeeze": 2, "stride_samples": 8,
        "kernel_samples": 16,
    },
}  # fmt: skip
WINDOW_SAMPLES = 32


@pytest.fixture(scope="session")
def npz(tmp_path_factory):
    """160 noisy tones in two classes, at two SNRs; 96 of them to train on."""
    random = np.random.default_rng(0)
    number = np.arange(160)
    kind, snr_db = number % 2, number // 2 % 2 * 10
    cycles = np.where(kind == 0, 0.05, 0.2)[:, None] * np.arange(WINDOW_SAMPLES)
    noise = random.standard_normal((2, 160, WINDOW_SAMPLES)) * 10 ** (-snr_db[:, None] / 20)
    windows = np.exp(2j * np.pi * (cycles + random.random((160, 1)))) + noise[0] + 1j * noise[1]
    path = tmp_path_factory.mktemp("data") / "tones.npz"
    rows = np.stack((windows.real, windows.imag), 1).astype(np.float32)
    np.savez(path, X=rows, y=np.array(["slow", "fast"])[kind], snr=snr_db)
    return path


@pytest.fixture
def settings(npz, tmp_path):
    """Makes a configuration: (class, out, **changes of sections) -> config of a tiny run."""

    def make(kind, out=None, *, data=None, network=None, optimiser=None, trainer=None, **changes):
        network = network or {}
        options = NETWORK["options"] | network.get("options", {})
        defaults = {"epochs": 2, "precision": "32", "device": "cpu", "log_steps": 1}
        return kind(
            name="tiny",
            out=out or tmp_path / "out",
            network=configs.NetworkChoice(**NETWORK | network | {"options": options}),
            data=configs.DataConfig(**{"kind": "npz", "path": npz} | (data or {})),
            optimiser=configs.OptimiserConfig(**{"batch": 24} | (optimiser or {})),
            trainer=configs.TrainerConfig(**defaults | (trainer or {})),
            **changes,
        )

    return make


@pytest.fixture
def journal():
    """Reads log.jsonl: (folder, key) -> {step: value}, the last one where a step was repeated."""

    def read(folder, key):
        lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
        return {line["step"]: line[key] for line in lines if key in line}

    return read


def _record(path, cycles, count, seed=1, rate_hz=None):
    """A tone with noise 20 dB below it, as raw cf32."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal((2, count)) * 0.07
    iq = np.exp(2j * np.pi * cycles * np.arange(count)) + noise[0] + 1j * noise[1]
    path.parent.mkdir(parents=True, exist_ok=True)
    iq.astype(np.complex64).tofile(path)
    if rate_hz:
        path.with_suffix(".yaml").write_text(f"sample_rate_hz: {rate_hz}\n")
    return iq


@pytest.fixture(scope="session")
def emitters(tmp_path_factory):
    """Two remotes and a sensor, 60 windows of each recording."""
    folder = tmp_path_factory.mktemp("emitters")
    for seed, (name, cycles) in enumerate((("a/1", 0.05), ("a/2", 0.05), ("b/1", 0.2))):
        _record(folder / f"{name}.cf32", cycles, 60 * WINDOW_SAMPLES + 5, seed, rate_hz=1e6)
    return folder


@pytest.fixture(scope="session")
def record():
    """Writes a noisy tone: (path, cycles per sample, samples, seed, rate_hz) -> its samples."""
    return _record
