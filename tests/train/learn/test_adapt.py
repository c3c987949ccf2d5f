# SPDX-License-Identifier: GPL-3.0-or-later
"""Few windows: what disturbs them, how networks are compared, and that the better one is kept."""

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score

from gr_tsddae import nets
from gr_tsddae.iq.windows import to_complex, to_rows, unit_power
from gr_tsddae.train.learn.adapt import adapt, disturb, score

L = 32
TINY = {"width": 8, "heads": 1, "feedforward": 8, "layers": 1, "squeeze": 2}


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


def tones(count, cycles, seed=1):
    """Noisy tones of random phase, scaled, (count, 2, L)."""
    random = torch.Generator().manual_seed(seed)
    phase = torch.rand(count, 1, generator=random)
    windows = torch.polar(torch.ones(count, L), 2 * torch.pi * (cycles * torch.arange(L) + phase))
    noise = torch.randn(count, L, dtype=torch.complex64, generator=random)
    return unit_power(to_rows(windows + 0.3 * noise))


def test_noise_is_added_at_the_snr_asked_for_and_phases_are_random():
    windows = torch.randn(1, 4096, dtype=torch.complex64, generator=seeded()) * 3
    windows = windows.repeat(400, 1)
    changed = to_complex(disturb(to_rows(windows), seeded(), frequency_shift=0, snr_db=(5.0, 15.0)))
    power = windows.abs().square().mean(1)
    gain = (changed * windows.conj()).mean(1) / power
    left = (changed - gain[:, None] * windows).abs().square().mean(1)
    snr_db = 10 * torch.log10(power / left)
    assert gain.abs().numpy() == pytest.approx(1, abs=0.05)
    assert gain.mean().abs() < 0.15  # phases cancel
    assert snr_db.min() > 4.7 and snr_db.max() < 15.3
    assert snr_db.mean() == pytest.approx(10, abs=0.5)
    assert snr_db.std() == pytest.approx(10 / 12**0.5, abs=0.3)


def test_frequencies_are_shifted_by_no_more_than_asked_for():
    time = torch.arange(L)
    windows = torch.polar(torch.ones(500, L), 2 * torch.pi * 0.1 * time.expand(500, L))
    changed = to_complex(
        disturb(to_rows(windows), seeded(), frequency_shift=0.02, snr_db=(200, 200))
    )
    cycles = (changed[:, 1:] * changed[:, :-1].conj()).mean(1).angle() / (2 * torch.pi)
    assert cycles.min() == pytest.approx(0.08, abs=5e-4)
    assert cycles.max() == pytest.approx(0.12, abs=5e-4)
    assert changed.abs().numpy() == pytest.approx(1, abs=1e-4)


def test_a_score_counts_classes_alike():
    random = np.random.default_rng(0)
    label = torch.tensor([0] * 90 + [1] * 10)
    logits = torch.from_numpy(random.standard_normal((100, 3))) + torch.eye(3)[label]
    found = score(logits, label)
    assert found.recall == pytest.approx(balanced_accuracy_score(label, logits.argmax(1)))
    likelihood = logits.log_softmax(1)[torch.arange(100), label]
    assert found.log_likelihood == pytest.approx(
        ((likelihood[:90].mean() + likelihood[90:].mean()) / 2).item()
    )
    assert score(logits + 10 * torch.eye(3)[label], label) > found


def tiny():
    torch.manual_seed(1)
    return nets.create("tsnet-nano", class_count=2, **TINY).eval()


def parts():
    def part(seed):
        rows = torch.cat((tones(40, 0.06, seed), tones(20, 0.2, seed + 10)))
        return rows, torch.tensor([0] * 40 + [1] * 20)

    return part(1), part(2)


def quietly(rows, generator):
    return unit_power(disturb(rows, generator, frequency_shift=0.01, snr_db=(10, 30)))


@pytest.mark.parametrize(("rate", "kept"), [(3e-3, "encoder"), (30.0, "head")])
def test_the_better_of_head_and_encoder_is_kept(rate, kept):
    network = tiny()
    before = {name: value.clone() for name, value in network.backbone.state_dict().items()}
    train, validation = parts()
    adapted = adapt(network, train, validation, quietly, epochs=6, learning_rate=rate, seed=1)
    assert adapted.kept == kept
    assert (adapted.encoder > adapted.head) == (kept == "encoder")
    after = adapted.network.backbone.state_dict()
    same = [torch.equal(before[name], after[name]) for name in before]
    assert all(same) == (kept == "head")
    means = [name for name in before if name.endswith(("running_mean", "running_var"))]
    assert means and all(torch.equal(before[name], after[name]) for name in means)
    assert not adapted.network.training
    with torch.no_grad():
        fresh = unit_power(torch.cat((tones(50, 0.06, 5), tones(50, 0.2, 6))))
        called = adapted.network(fresh).argmax(1)
    assert (called == torch.tensor([0] * 50 + [1] * 50)).double().mean() > 0.9


def test_without_epochs_only_the_head_learns():
    train, validation = parts()
    adapted = adapt(tiny(), train, validation, quietly, epochs=0, learning_rate=1e-3, seed=1)
    assert (adapted.kept, adapted.encoder) == ("head", None)
    for name, value in tiny().backbone.state_dict().items():
        assert torch.equal(value, adapted.network.backbone.state_dict()[name])
