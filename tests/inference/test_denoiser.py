# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows in, their signal part out: against known signals, and against Eq. 5 by hand.

A small network learns narrow tones in a few seconds; what it is asked for, it has not seen.
"""

import logging

import numpy as np
import pytest
import torch
from torch import nn

from gr_tsddae import nets, zoo
from gr_tsddae.inference import runner
from gr_tsddae.inference.denoiser import LOWEST_SNR_DB, Denoiser, estimate_snr_db
from gr_tsddae.iq.windows import to_rows, unit_power
from gr_tsddae.nets.diffusion import SCORE_STEPS, Diffusion
from gr_tsddae.synth import CLASSES, RECIPES, draw

WINDOW = 64
LEVEL = np.float32(0.003)
OPTIONS = {"width": 16, "heads": 1, "feedforward": 32, "layers": 1}
OPTIONS |= {"stride_samples": 4, "kernel_samples": 8, "squeeze": 4}


def tones(count, seed):
    """(count, WINDOW) complex64 of unit power, up to 0.05 cycles per sample either way."""
    random = np.random.default_rng(seed)
    frequency, phase = random.uniform(-0.05, 0.05, (count, 1)), random.uniform(0, 1, (count, 1))
    angle = 2 * np.pi * (frequency * np.arange(WINDOW) + phase)
    return np.exp(1j * angle).astype(np.complex64)


def white(shape, seed):
    """Complex64 noise of unit power."""
    pair = np.random.default_rng(seed).standard_normal((2, *shape)) / np.sqrt(2)
    return (pair[0] + 1j * pair[1]).astype(np.complex64)


def received(clean, snr_db, seed=5):
    """Clean windows of unit power, with noise, at the level of a receiver."""
    return LEVEL * (clean + np.float32(10 ** (-snr_db / 20)) * white(clean.shape, seed))


def sdr_db(found, clean):
    """Signal over what is left of noise and of distortion, over all windows."""
    error = (np.abs(found - clean) ** 2).sum()
    return 10 * np.log10((np.abs(clean) ** 2).sum() / error)


def rows_of(windows):
    return to_rows(torch.from_numpy(windows))


def save(folder, network, **training):
    card = zoo.Card(
        name="tones",
        task=zoo.DENOISING,
        network="tsnet-nano",
        network_options=OPTIONS,
        classes=(),
        window_samples=WINDOW,
        scaling="unit_power",
        samples_per_symbol=None,
        weights_sha256="",
        licence="GPL-3.0-or-later",
        training=training,
    )
    zoo.save(folder, card, network, half=False)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a denoiser of tones."""
    torch.manual_seed(1)
    network, diffusion = nets.create_denoiser("tsnet-nano", **OPTIONS).train(), Diffusion()
    steps = 150
    optimiser = torch.optim.AdamW(network.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, steps)
    for number in range(steps):
        clean = rows_of(tones(64, 1000 + number))
        step = torch.randint(1, 1600, (64,))
        noises = torch.randn_like(clean), torch.randn_like(clean)
        estimates = network(diffusion.corrupt(clean, step, *noises), step)
        optimiser.zero_grad()
        diffusion.loss(*noises, *estimates).backward()
        optimiser.step()
        schedule.step()
    return save(tmp_path_factory.mktemp("models") / "tones", network.eval())


@pytest.fixture(scope="module")
def live(model):
    """A denoiser on the CPU, float32, small batches; tests must leave it as it is."""
    return Denoiser(model, device="cpu", precision="float32", batch_windows=8)


@pytest.mark.parametrize("snr_db", [-5, 0, 5, 10])
def test_what_comes_out_is_nearer_to_the_signal(live, snr_db):
    clean = tones(60, 1)
    noisy = received(clean, snr_db)
    gain_db = sdr_db(live.denoise(noisy, snr_db), LEVEL * clean) - sdr_db(noisy, LEVEL * clean)
    assert gain_db > 5
    blind = sdr_db(live.denoise(noisy), LEVEL * clean) - sdr_db(noisy, LEVEL * clean)
    assert blind > gain_db - 1.5, "an estimated SNR must serve about as well as the true one"


def test_the_level_is_that_of_the_signal_part(live):
    clean = tones(60, 2)
    found = live.denoise(received(clean, 3), 3)
    assert found.dtype == np.complex64
    power = (np.abs(found) ** 2).mean() / LEVEL**2
    assert power == pytest.approx(1, abs=0.12), "not that of signal and noise, which is 1.5"


def test_noise_alone_nearly_vanishes(live):
    noise = white((60, WINDOW), 3)
    assert (np.abs(live.denoise(noise)) ** 2).mean() < 0.25


@pytest.mark.parametrize("level", [1e-9, 0.0078, 30.0, 32768.0, 1e9])
@pytest.mark.parametrize("snr_db", [None, 5.0])
def test_any_level_comes_out_as_it_went_in(live, level, snr_db):
    noisy = received(tones(9, 4), 5)
    wanted = live.denoise(noisy, snr_db)
    found = live.denoise(noisy * np.float32(level), snr_db) / np.float32(level)
    np.testing.assert_allclose(found, wanted, atol=1e-3 * LEVEL)


def test_digital_silence_stays_silence(live):
    windows = received(tones(5, 5), 10)
    wanted = live.denoise(windows)
    windows[[0, 3]] = 0
    for snr_db in (None, 10.0):
        assert not live.denoise(windows, snr_db)[[0, 3]].any()
    found = live.denoise(windows)
    assert np.array_equal(found[[1, 2, 4]], wanted[[1, 2, 4]])


class Spy(nn.Module):
    """Sees what a network sees, and answers with given estimates."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.seen, self.steps = answer, [], []

    def forward(self, noisy, step):
        self.seen.append(noisy)
        self.steps.append(step)
        return self.answer(noisy, step)


def zeros(noisy, step):
    return torch.zeros_like(noisy), torch.zeros_like(noisy)


@pytest.mark.parametrize("split", ["paper", "published_code"])
@pytest.mark.parametrize("snr_db", [-10, 0, 12, 25])
def test_the_network_sees_windows_as_in_training(model, tmp_path, split, snr_db, monkeypatch):
    """Signal and noise part of what it sees against Eq. 5, step by step."""
    folder = save(tmp_path / "m", zoo.load(model).network, split=split, ratio=0.414)
    live = Denoiser(folder, device="cpu", precision="float32", batch_windows=400)
    monkeypatch.setattr(live, "_network", Spy(zeros))
    clean = tones(400, 6)
    live.denoise(received(clean, snr_db), snr_db)
    seen, step = live._network.seen[0].numpy(), live._network.steps[0]
    seen = seen[:, 0] + 1j * seen[:, 1]
    along = (seen * clean.conj()).mean(1)  # amplitude of the clean window in what is seen
    process = Diffusion(ratio=0.414, split=split)
    at = int(step[0])
    assert (step == at).all()
    abar = process.alpha_bar[at].item()
    variance = (process.beta_bar[at] ** 2 + process.gamma_bar[at] ** 2).item()  # per row
    # Windows are scaled one by one, each by its own power: at low SNR the mean is a little off.
    assert along.real.mean() == pytest.approx(abar, rel=0.03)
    noise = np.abs(seen - along[:, None] * clean) ** 2
    assert noise.mean() * WINDOW / (WINDOW - 1) == pytest.approx(2 * variance, rel=0.05)


def test_restored_by_eq_5_from_known_noises(live, monkeypatch):
    """A network that knows its noises gives the window back as it was, at its own level."""
    clean, noise = tones(6, 7), white((6, WINDOW), 8)
    snr_db = 4.0
    noisy = 20 * clean + np.float32(20 * 10 ** (-snr_db / 20)) * noise
    process = Diffusion()

    def knows(seen, step):
        # What it sees is the received window with some gain; so the gain shows in the noise.
        gain = seen.flatten(1).norm(dim=1) / rows_of(noisy).flatten(1).norm(dim=1)
        total = rows_of(noisy - 20 * clean) * gain[:, None, None]
        temporal = torch.full_like(total, 0.5)  # any share of it will do
        left = total - process.beta_bar[step].view(-1, 1, 1) * temporal
        return temporal, left / process.gamma_bar[step].view(-1, 1, 1)

    monkeypatch.setattr(live, "step_windows", 6)  # no padding: it knows these windows alone
    monkeypatch.setattr(live, "_network", Spy(knows))
    np.testing.assert_allclose(live.denoise(noisy, snr_db), 20 * clean, atol=2e-3)


def test_the_snr_is_limited_to_what_the_process_covers(live, monkeypatch):
    noisy = received(tones(8, 9), 10)
    assert sdr_db(live.denoise(noisy, np.inf), noisy) > 40, "nothing to take away"
    assert np.array_equal(live.denoise(noisy, 1000), live.denoise(noisy, np.inf))
    assert np.array_equal(live.denoise(noisy, -1000), live.denoise(noisy, -60))
    spy = Spy(zeros)
    monkeypatch.setattr(live, "_network", spy)
    for snr_db in (1000, -1000):
        live.denoise(noisy, snr_db)
    assert [int(step[0]) for step in spy.steps] == [1, 3000]
    with pytest.raises(ValueError, match="snr_db is NaN"):
        live.denoise(noisy, float("nan"))


# The SNR of a window


@pytest.mark.parametrize("snr_db", [0, 10, 20, 30])
@pytest.mark.parametrize("name", ["BPSK", "QAM64", "GFSK", "AM-DSB", "WBFM"])
def test_snr_of_known_mixtures(name, snr_db):
    label = torch.full((100,), CLASSES.index(name))
    endless = torch.full((100,), torch.inf)
    generator = torch.Generator().manual_seed(1)
    clean = draw(RECIPES["noise-free"], label, endless, window_samples=128, generator=generator)
    noise = rows_of(white((100, 128), 10))
    found = estimate_snr_db(unit_power(unit_power(clean) + 10 ** (-snr_db / 20) * noise))
    assert found.median().item() == pytest.approx(snr_db - 1, abs=1.5)
    assert found.std().item() < 2.5


def test_snr_without_signal_and_without_noise():
    noise = estimate_snr_db(rows_of(white((300, 128), 11)))
    assert (noise >= LOWEST_SNR_DB).all()
    assert noise.median() < -5
    carrier = torch.ones(1, 2, 128) / 2**0.5
    assert estimate_snr_db(carrier).item() > 60
    assert estimate_snr_db(torch.zeros(2, 2, 128)).tolist() == [LOWEST_SNR_DB] * 2


# Scores


def test_scores_are_the_loss_of_eq_7(live, model):
    """Window by window, with the diffusion's own loss."""
    windows = received(tones(3, 12), 10)
    found = live.scores(windows)
    assert found.dtype == np.float32
    assert found.shape == (3,)
    network, process = zoo.load(model).network, Diffusion()
    noises = torch.randn((5, 4, 2, 1, 2, WINDOW), generator=torch.Generator().manual_seed(1))
    for number, row in enumerate(unit_power(rows_of(windows))):
        losses = []
        for step, pairs in zip((50, 100, 200, 400, 800), noises, strict=True):
            at = torch.tensor([step])
            for pair in pairs:
                with torch.inference_mode():
                    estimates = network(process.corrupt(row[None], at, *pair), at)
                losses.append(process.loss(*pair, *estimates).item())
        assert found[number] == pytest.approx(np.mean(losses), rel=1e-4)


def test_scores_are_those_of_the_anomaly_command(live, model):
    pytest.importorskip("lightning")
    from gr_tsddae.data import Dataset
    from gr_tsddae.train.experiments.anomaly_auc import AnomalyConfig, scores

    windows = received(tones(9, 13), 10)

    class Store:
        shape = (9, 2, WINDOW)

        def read(self, index):
            return rows_of(windows).numpy()[index]

    dataset = Dataset(
        kind="npz",
        path="",
        store=Store(),
        index=np.arange(9),
        label=np.zeros(9, np.int64),
        level_db=np.zeros(9),
        classes=("normal", "other"),
    )
    config = AnomalyConfig(out="out", path="file.npz", dataset="npz")
    wanted = scores(zoo.load(model).network, dataset, config).mean(1)
    np.testing.assert_allclose(live.scores(windows), wanted, rtol=1e-5)


def test_what_was_never_learned_is_anomalous(live):
    normal = live.scores(received(tones(20, 14), 30))
    far = tones(20, 15) * np.exp(2j * np.pi * 0.25 * np.arange(WINDOW)).astype(np.complex64)
    assert live.scores(received(far, 30)).min() > normal.max()
    assert live.scores(white((20, WINDOW), 16)).min() > normal.max()


def test_the_score_does_not_depend_on_level_or_company(live):
    windows = received(tones(13, 17), 10)
    together = live.scores(windows)
    assert np.array_equal(together, live.scores(windows))
    apart = np.concatenate([live.scores(windows[:5]), live.scores(windows[5:])])
    assert np.array_equal(apart, together)
    np.testing.assert_allclose(live.scores(windows * np.float32(1e4)), together, rtol=1e-3)


@pytest.mark.parametrize("changes", [{"steps": ()}, {"steps": (0,)}, {"steps": (3001,)}])
def test_scores_at_steps_that_are_none(live, changes):
    with pytest.raises(ValueError, match=r"steps is .*from 1 to 3000"):
        live.scores(tones(1, 1), **changes)
    with pytest.raises(ValueError, match=r"draws 0: .* at least 1 draw"):
        live.scores(tones(1, 1), draws=0)


def test_fewer_steps_and_draws_cost_fewer_passes(live, monkeypatch):
    spy = Spy(zeros)
    monkeypatch.setattr(live, "_network", spy)
    live.scores(tones(8, 1), steps=(100, 300), draws=3)
    assert [int(step[0]) for step in spy.steps] == [100] * 3 + [300] * 3
    assert len(SCORE_STEPS) == 5


# What it shares with the recogniser


@pytest.mark.parametrize("part", [1, 3, 8, 13])
def test_what_else_is_in_the_batch_changes_no_bit(live, part):
    windows = received(tones(20, 18), 5)
    together = live.denoise(windows)
    apart = [live.denoise(windows[at : at + part]) for at in range(0, len(windows), part)]
    assert np.array_equal(np.concatenate(apart), together)


def test_input_is_not_changed_and_may_be_read_only(live):
    windows = received(tones(8, 19), 5)
    before = windows.copy()
    windows.flags.writeable = False
    assert np.array_equal(live.denoise(windows[::2]), live.denoise(before[::2].copy()))
    assert np.array_equal(windows, before)
    assert live.denoise(windows[:0]).shape == (0, WINDOW)
    assert live.scores(windows[:0]).shape == (0,)


@pytest.mark.parametrize("shape", [(WINDOW,), (2, WINDOW + 1), (1, 2, WINDOW)])
def test_windows_of_another_shape_are_refused(live, shape):
    for ask in (live.denoise, live.scores):
        with pytest.raises(ValueError, match=rf"windows have shape .*takes \(B, {WINDOW}\)"):
            ask(np.zeros(shape, np.complex64))


def test_bfloat16_is_of_the_network_alone(live, model):
    half = Denoiser(model, device="cpu", precision="bfloat16", batch_windows=64)
    assert (half.precision, live.precision) == ("bfloat16", "float32")
    for snr_db in (0, 20):
        noisy = received(tones(60, 20), snr_db)
        # The noise estimate is rounded, not the window: what changes lies under the noise.
        difference = sdr_db(half.denoise(noisy, snr_db), live.denoise(noisy, snr_db))
        assert difference > snr_db + 15
    normal = received(tones(20, 21), 30)
    np.testing.assert_allclose(half.scores(normal), live.scores(normal), rtol=0.1)


def test_a_device_that_fails_is_left_for_the_cpu(live, model, monkeypatch, caplog):
    monkeypatch.setattr(runner, "resolve_device", lambda word: torch.device("meta"))
    with caplog.at_level(logging.WARNING):
        fallen = Denoiser(model, device="cuda", precision="float32", batch_windows=8)
    assert (fallen.device.type, fallen.device_failures) == ("cpu", 1)
    assert len(caplog.records) == 1
    windows = received(tones(9, 22), 5)
    assert np.array_equal(fallen.denoise(windows), live.denoise(windows))
    assert np.array_equal(fallen.scores(windows), live.scores(windows))


# Models that do not fit


def test_a_classifier_is_refused(model_folder):
    with pytest.raises(zoo.ModelMismatchError, match="amc-untrained is a model for amc, not a den"):
        Denoiser(model_folder)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"objective": "single"}, "objective 'single' and estimates no noises"),
        ({"split": "fair"}, "ratio or split: split is 'fair'"),
        ({"ratio": "half"}, "its card's ratio or split"),
        ({"ratio": float("nan")}, "ratio or split: ratio is nan"),
        ({"ratio": float("inf")}, "ratio or split: ratio is inf"),
    ],
)
def test_a_model_of_another_process_is_refused(model, tmp_path, training, message):
    folder = save(tmp_path / "m", zoo.load(model).network, **training)
    with pytest.raises(zoo.ModelMismatchError, match=message):
        Denoiser(folder)
