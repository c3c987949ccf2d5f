# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows in, probabilities out: determinism, levels, precision, mistakes, and a dying GPU."""

import logging

import numpy as np
import pytest
import torch
from torch import nn

from gr_tsddae import Recognizer, zoo
from gr_tsddae.inference import runner
from gr_tsddae.inference.device import multiplies_bfloat16_fast
from gr_tsddae.inference.engines.engine import openvino_is_there
from gr_tsddae.iq.windows import SCALINGS, to_complex
from gr_tsddae.labels import UNKNOWN
from gr_tsddae.synth import draw_random

WINDOW = 128


@pytest.fixture(scope="module")
def untrained(model_folder):
    """A recogniser on the CPU, float32, small batches; tests must leave it as it is."""
    return Recognizer(
        model_folder.name, device="cpu", precision="float32", batch_windows=8, engine="eager"
    )


def noise(count, seed=0):
    """(count,) complex64 of unit power."""
    random = np.random.default_rng(seed)
    pair = random.standard_normal((2, count)) / np.sqrt(2)
    return (pair[0] + 1j * pair[1]).astype(np.complex64)


def bpsk(count, seed=0):
    """(count,) complex64: eight samples per symbol, half-sine pulses."""
    bits = np.random.default_rng(seed).integers(0, 2, count // 8 + 1) * 2 - 1
    pulse = np.sin(np.pi * (np.arange(8) + 0.5) / 8)
    shaped = (bits[:, None] * pulse).ravel()[:count]
    return (shaped * np.exp(0.4j)).astype(np.complex64)


def mixture(count=40):
    """(count, WINDOW) windows, of noise, BPSK and tones in turn."""
    kinds = noise(count * WINDOW), bpsk(count * WINDOW), np.exp(1j * np.arange(count * WINDOW))
    windows = np.stack([kind.reshape(count, WINDOW) for kind in kinds], 1).astype(np.complex64)
    return windows.reshape(-1, WINDOW)[:count]


# What comes out


@pytest.mark.parametrize("signal", [noise, bpsk])
def test_predict(untrained, signal):
    found = untrained.predict(signal(WINDOW * 5 + 3))
    assert found.label in untrained.classes
    assert found.window_probabilities.shape == (5, len(untrained.classes))
    assert found.window_probabilities.dtype == np.float32
    np.testing.assert_allclose(found.window_probabilities.sum(1), 1, rtol=1e-5)
    assert found.first_samples.tolist() == [0, 128, 256, 384, 512]
    mean = found.window_probabilities.mean(0)
    assert list(found.probabilities) == list(untrained.classes)
    np.testing.assert_allclose(list(found.probabilities.values()), mean, atol=1e-6)
    assert found.label == untrained.classes[mean.argmax()]
    assert found.confidence == pytest.approx(mean.max(), abs=1e-6)
    decision = found.decision
    assert (decision.first_sample, decision.sample_count, decision.windows) == (0, 640, 5)
    assert decision.model == untrained.card.name


def test_probabilities_are_the_networks_own(untrained, model_folder):
    """The whole way by hand: scale, network, softmax."""
    windows = mixture(3)
    rows = torch.from_numpy(np.stack([windows.real, windows.imag], 1))
    with torch.inference_mode():
        logits = zoo.load(model_folder).network(SCALINGS["unit_power"](rows))
    found = untrained.window_probabilities(windows)
    np.testing.assert_allclose(found, logits.softmax(1).numpy(), atol=1e-5)
    assert found.std(0).max() > 0.05, "windows must differ, or these tests show nothing"


@pytest.mark.parametrize(("hop", "windows"), [(128, 4), (64, 8), (1, 512), (300, 2), (10_000, 1)])
def test_hop(untrained, hop, windows):
    found = untrained.predict(noise(639), hop_samples=hop)
    assert len(found.window_probabilities) == found.decision.windows == windows
    assert found.first_samples.tolist() == [n * hop for n in range(windows)]


def test_one_window_is_enough(untrained):
    assert untrained.predict(noise(WINDOW)).decision.windows == 1


def test_under_the_threshold_it_is_unknown(untrained):
    found = untrained.predict(noise(WINDOW), confidence_threshold=1.0)
    assert found.label == UNKNOWN
    assert found.decision.best in untrained.classes


@pytest.mark.parametrize("as_type", [list, np.complex128, np.complex64])
def test_input_is_taken_in_any_complex_form_and_never_changed(untrained, as_type):
    iq = noise(WINDOW * 2)
    wanted = untrained.predict(iq).window_probabilities
    given = list(iq) if as_type is list else iq.astype(as_type)
    before = list(given)
    assert np.array_equal(untrained.predict(given).window_probabilities, wanted)
    assert list(given) == before


def test_read_only_and_strided_input(untrained):
    iq = noise(WINDOW * 4)
    wanted = untrained.predict(iq[::2].copy()).window_probabilities
    iq.flags.writeable = False
    assert np.array_equal(untrained.predict(iq[::2]).window_probabilities, wanted)


# Embeddings


def test_embeddings_are_what_the_head_takes(untrained, model_folder):
    """The whole way by hand: scale, both encoders, mean over time, one behind the other."""
    windows = mixture(3)
    network = zoo.load(model_folder).network
    rows = SCALINGS["unit_power"](torch.from_numpy(np.stack([windows.real, windows.imag], 1)))
    bins = np.fft.fft(to_complex(rows).numpy(), norm="ortho").astype(np.complex64)
    bins = torch.from_numpy(np.stack([bins.real, bins.imag], 1))
    with torch.inference_mode():
        both = network.backbone(rows, bins, torch.tensor([4 / 3000]))
        logits = network(rows)
    found = untrained.embed(windows)
    assert found.dtype == np.float32
    assert found.shape == (3, untrained.embedding_size) == (3, 2 * both[0].shape[2])
    wanted = np.concatenate([embedding.mean(1).numpy() for embedding in both], 1)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert np.abs(found[0] - found[1]).max() > 0.01, "windows must differ, or this shows nothing"
    with torch.inference_mode():
        head = network.head(torch.from_numpy(found))
    np.testing.assert_allclose(head, logits, atol=1e-4)


def test_an_embedding_depends_on_its_window_alone_and_not_on_the_level(untrained):
    windows = mixture(13)
    together = untrained.embed(windows)
    apart = np.concatenate([untrained.embed(windows[:5]), untrained.embed(windows[5:])])
    assert np.array_equal(apart, together)
    np.testing.assert_allclose(untrained.embed(windows * np.float32(300)), together, atol=1e-3)
    assert untrained.embed(windows[:0]).shape == (0, untrained.embedding_size)
    assert np.isfinite(untrained.embed(np.zeros((2, WINDOW), np.complex64))).all()


@pytest.mark.parametrize("shape", [(128,), (2, 127), (1, 2, 128)])
def test_windows_of_another_shape_have_no_embedding(untrained, shape):
    with pytest.raises(ValueError, match=r"windows have shape .*takes \(B, 128\)"):
        untrained.embed(np.zeros(shape, np.complex64))


def test_no_windows_give_no_probabilities(untrained):
    found = untrained.window_probabilities(np.empty((0, WINDOW), np.complex64))
    assert found.shape == (0, len(untrained.classes))


# Determinism


def test_repeated_calls_and_new_recognisers_agree_to_the_bit(untrained, model_folder):
    windows = mixture()
    first = untrained.window_probabilities(windows)
    assert np.array_equal(untrained.window_probabilities(windows), first)
    again = Recognizer(model_folder, device="cpu", precision="float32", batch_windows=8)
    assert np.array_equal(again.window_probabilities(windows), first)


@pytest.mark.parametrize("part", [1, 3, 8, 13])
def test_what_else_is_in_the_batch_changes_no_bit(untrained, part):
    windows = mixture()
    together = untrained.window_probabilities(windows)
    apart = [
        untrained.window_probabilities(windows[at : at + part])
        for at in range(0, len(windows), part)
    ]
    assert np.array_equal(np.concatenate(apart), together)
    order = np.random.default_rng(1).permutation(len(windows))
    assert np.array_equal(untrained.window_probabilities(windows[order]), together[order])


def test_the_network_always_sees_the_same_batch_size(untrained, monkeypatch):
    sizes = []
    network = untrained._network

    def spy(rows):
        sizes.append(len(rows))
        return network(rows)

    monkeypatch.setattr(untrained, "_network", spy)
    untrained.window_probabilities(mixture(19))
    assert sizes == [8, 8, 8]


@pytest.mark.parametrize("level", [1e-9, 1e-3, 0.0078, 30.0, 32768.0, 1e9])
def test_the_level_does_not_matter(untrained, level):
    windows = mixture()
    wanted = untrained.window_probabilities(windows)
    found = untrained.window_probabilities((windows * np.float32(level)).astype(np.complex64))
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_silence_is_an_answer(untrained):
    found = untrained.predict(np.zeros(WINDOW * 3, np.complex64))
    assert np.isfinite(found.window_probabilities).all()


def test_bfloat16_mostly_agrees_with_float32(untrained, model_folder):
    half = Recognizer(model_folder, device="cpu", precision="bfloat16", batch_windows=64)
    assert (half.precision, untrained.precision) == ("bfloat16", "float32")
    windows = mixture(200)
    wanted, found = untrained.window_probabilities(windows), half.window_probabilities(windows)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)  # softmax stays in float32
    assert (wanted.argmax(1) == found.argmax(1)).mean() > 0.9
    assert np.abs(wanted - found).mean() < 0.02


@pytest.mark.parametrize(
    ("model", "engine"),
    [
        ("amc-nano", "eager"),
        ("amc-mini", "eager"),
        ("amc-mini", "openvino"),
        ("amc-small", "openvino"),
    ],
)
def test_bfloat16_labels_as_float32_does(model, engine):
    """999 of 1000 windows, of what a live receiver meets."""
    if engine == "openvino" and not (openvino_is_there() and multiplies_bfloat16_fast("cpu")):
        pytest.skip("OpenVINO computes in bfloat16 only where a processor has it")
    rows, _, _ = draw_random(
        "live", 1000, window_samples=WINDOW, generator=torch.Generator().manual_seed(5)
    )
    windows = to_complex(rows).numpy()
    found = {}
    for precision in ("float32", "bfloat16"):
        live = Recognizer(
            model, device="cpu", precision=precision, batch_windows=256, engine=engine
        )
        found[precision] = live.window_probabilities(windows)
        assert (live.engine, live.precision) == (engine, precision)
    assert np.abs(found["float32"] - found["bfloat16"]).max() > 1e-4, "they must be two"
    labels = {precision: rows.argmax(1) for precision, rows in found.items()}
    assert len(set(labels["float32"])) == 12
    assert (labels["float32"] == labels["bfloat16"]).mean() >= 0.999


# Mistakes


def test_windows_with_nan_are_left_out_with_a_warning(untrained, caplog):
    iq = noise(WINDOW * 4)
    whole = untrained.predict(iq)
    iq[WINDOW + 7] = np.nan
    iq[3 * WINDOW + 1] = complex(1, np.inf)
    with caplog.at_level(logging.WARNING):
        found = untrained.predict(iq)
    assert found.first_samples.tolist() == [0, 2 * WINDOW]
    assert np.array_equal(found.window_probabilities, whole.window_probabilities[[0, 2]])
    assert found.decision.windows == 2
    assert [r.getMessage() for r in caplog.records] == [
        "left out 2 of 4 windows with NaN or infinite samples"
    ]


@pytest.mark.parametrize(
    ("iq", "message"),
    [
        (np.full(300, np.nan + 0j), "all 2 windows hold NaN"),
        (np.full(300, complex(0, np.inf)), "all 2 windows hold NaN or infinite"),
        (np.zeros(127, np.complex64), "iq has 127 samples: .* at least one window of 128"),
        (np.zeros(0, np.complex64), "iq has 0 samples"),
        (np.zeros(256), "iq is float64: complex samples are needed"),
        (np.zeros(256, np.int16), "iq is int16"),
        ([1, 2, 3], "iq is int64"),
        (np.zeros((2, 256), np.complex64), r"iq has shape \(2, 256\)"),
        (np.complex64(1), r"iq has shape \(\)"),
    ],
)
def test_what_is_no_signal_is_refused(untrained, iq, message):
    with pytest.raises(ValueError, match=message):
        untrained.predict(iq)


@pytest.mark.parametrize("hop", [0, -1, -128])
def test_a_hop_that_does_not_advance_is_refused(untrained, hop):
    with pytest.raises(ValueError, match=f"hop_samples is {hop}"):
        untrained.predict(noise(1000), hop_samples=hop)


@pytest.mark.parametrize("shape", [(128,), (2, 127), (2, 256), (1, 2, 128)])
def test_windows_of_another_shape_are_refused(untrained, shape):
    with pytest.raises(ValueError, match=r"windows have shape .*takes \(B, 128\)"):
        untrained.window_probabilities(np.zeros(shape, np.complex64))


def test_a_threshold_that_is_no_probability_is_refused(untrained):
    with pytest.raises(ValueError, match=r"confidence_threshold is 1\.5"):
        untrained.predict(noise(WINDOW), confidence_threshold=1.5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_the_gpu_agrees_with_the_cpu(untrained, model_folder):
    gpu = Recognizer(model_folder, device="cuda", precision="float32", batch_windows=8)
    windows = mixture()
    found = gpu.window_probabilities(windows)
    np.testing.assert_allclose(found, untrained.window_probabilities(windows), atol=1e-3)


@pytest.mark.parametrize("count", [0, -8])
def test_a_batch_without_windows_is_refused(model_folder, count):
    with pytest.raises(ValueError, match=f"batch_windows is {count}"):
        Recognizer(model_folder, batch_windows=count)


def test_a_missing_model_is_the_zoos_error():
    with pytest.raises(zoo.ModelNotFoundError, match="amc-missing"):
        Recognizer("amc-missing")


# A GPU that dies. No GPU is needed: torch's `meta` device takes networks and windows like one.


class Lost(nn.Module):
    """A network on a device that has gone."""

    def forward(self, rows):
        raise RuntimeError("CUDA error: device lost\nCompile with TORCH_USE_CUDA_DSA ...")


def test_a_device_that_fails_at_once_is_left_for_the_cpu(
    untrained, model_folder, monkeypatch, caplog
):
    monkeypatch.setattr(runner, "resolve_device", lambda word: torch.device("meta"))
    with caplog.at_level(logging.WARNING):
        fallen = Recognizer(model_folder, device="cuda", precision="float32", batch_windows=8)
    assert (fallen.device.type, fallen.device_failures) == ("cpu", 1)
    assert len(caplog.records) == 1
    assert caplog.records[0].getMessage().startswith("meta failed (")
    windows = mixture()
    wanted = untrained.window_probabilities(windows)
    assert np.array_equal(fallen.window_probabilities(windows), wanted)


def test_a_device_that_fails_while_running_is_left_for_the_cpu(untrained, model_folder, caplog):
    live = Recognizer(model_folder, device="cpu", precision="float32", batch_windows=8)
    windows = mixture(40)
    live.window_probabilities(windows)
    live._device, live._network = torch.device("meta"), Lost()
    with caplog.at_level(logging.WARNING):
        found = live.window_probabilities(windows)
    assert np.array_equal(found, untrained.window_probabilities(windows))
    assert live.device == torch.device("cpu")
    assert live.device_failures == 1
    assert [r.getMessage() for r in caplog.records] == [
        "meta failed (CUDA error: device lost); going on with the CPU"
    ]
    live.window_probabilities(windows)
    assert live.device_failures == 1


def test_a_failure_on_the_cpu_is_not_hidden(model_folder):
    live = Recognizer(model_folder, device="cpu", precision="float32", batch_windows=8)
    live._network = Lost()
    with pytest.raises(RuntimeError, match="device lost"):
        live.window_probabilities(mixture(1))
    assert live.device_failures == 0


def test_falling_back_keeps_full_precision(model_folder, untrained, monkeypatch):
    """The CPU's network is the file's own, not a copy that went through bfloat16."""
    monkeypatch.setattr(
        runner,
        "resolve_precision",
        lambda word, device: torch.float32 if device.type == "cpu" else torch.bfloat16,
    )
    monkeypatch.setattr(runner, "resolve_device", lambda word: torch.device("meta"))
    fallen = Recognizer(model_folder, batch_windows=8)
    assert fallen.precision == "float32"
    windows = mixture(8)
    wanted = untrained.window_probabilities(windows)
    assert np.array_equal(fallen.window_probabilities(windows), wanted)
