# SPDX-License-Identifier: GPL-3.0-or-later
"""The diffusion process against its own iteration, and against naive loops."""

import math

import pytest
import torch

from gr_tsddae.iq.windows import spectrum
from gr_tsddae.nets.diffusion import MAX_NOISE, MIN_NOISE, RATIO, STEPS, Diffusion

each_split = pytest.mark.parametrize("split", ["paper", "published_code"])
SHARES = {  # temporal and spectral amplitude per unit of total noise
    "paper": (math.cos(math.atan(RATIO)), math.sin(math.atan(RATIO))),
    "published_code": (RATIO, 1 - RATIO),
}


@each_split
def test_iterated_chain_has_the_moments_of_the_closed_form(split):
    """Eq. 4 walked for hundreds of steps against Eq. 5: mean, variance, share of each noise."""
    torch.manual_seed(7)
    steps, samples, start = 250, 60_000, 3.0
    process = Diffusion(split=split, steps=steps, min_noise=1e-4, max_noise=0.012)
    x = torch.full((samples,), start)
    temporal, spectral = torch.zeros(samples), torch.zeros(samples)  # noise summed so far
    for t in range(1, steps + 1):
        alpha, beta, gamma = process.alpha[t], process.beta[t], process.gamma[t]
        eps, eta = torch.randn(samples), torch.randn(samples)
        x = alpha * x + beta * eps + gamma * eta
        temporal = alpha * temporal + beta * eps
        spectral = alpha * spectral + gamma * eta
        if t in (1, 40, steps):
            abar, bbar, gbar = (
                getattr(process, name)[t].item() for name in ("alpha_bar", "beta_bar", "gamma_bar")
            )
            variance = bbar**2 + gbar**2
            error = (variance / samples) ** 0.5  # of a mean of so many
            assert x.mean().item() == pytest.approx(abar * start, abs=4 * error)
            assert x.var().item() == pytest.approx(variance, rel=0.025)
            assert temporal.std().item() == pytest.approx(bbar, rel=0.015)
            assert spectral.std().item() == pytest.approx(gbar, rel=0.015)
            for noise, share in ((temporal, bbar), (spectral, gbar)):
                correlation = torch.corrcoef(torch.stack((x, noise)))[0, 1].item()
                assert correlation == pytest.approx(share / variance**0.5, abs=0.015)
    assert abar < 0.5, "the walk must be long enough for noise to matter"


@each_split
def test_closed_form_follows_the_recursion_at_every_step(split):
    process = Diffusion(split=split)
    alpha, beta, gamma = (getattr(process, n).double() for n in ("alpha", "beta", "gamma"))
    abar, bbar, gbar = 1.0, 0.0, 0.0
    walked = []
    for t in range(1, STEPS + 1):
        abar *= alpha[t].item()
        bbar = math.hypot(alpha[t].item() * bbar, beta[t].item())
        gbar = math.hypot(alpha[t].item() * gbar, gamma[t].item())
        walked.append((abar, bbar, gbar))
    found = torch.stack((process.alpha_bar, process.beta_bar, process.gamma_bar), 1)[1:]
    torch.testing.assert_close(found, torch.tensor(walked), rtol=1e-4, atol=1e-7)


def test_squares_add_up_to_one_with_the_papers_split():
    process = Diffusion()
    for names in (("alpha", "beta", "gamma"), ("alpha_bar", "beta_bar", "gamma_bar")):
        total = sum(getattr(process, name).double().square() for name in names)
        torch.testing.assert_close(total, torch.ones(STEPS + 1).double(), rtol=0, atol=1e-6)
    assert process.noise_ratio == pytest.approx(RATIO)
    ratio = process.gamma_bar[1:] / process.beta_bar[1:]
    torch.testing.assert_close(ratio, torch.full((STEPS,), RATIO))


def test_published_code_splits_the_amplitude_instead():
    process = Diffusion(split="published_code")
    noise = (1 - process.alpha_bar.double().square()).sqrt().float()
    # 1 - abar^2 is recomputed from float32 here, which costs digits in the first steps.
    torch.testing.assert_close(process.beta_bar, RATIO * noise, rtol=1e-5, atol=2e-4)
    torch.testing.assert_close(process.gamma_bar, (1 - RATIO) * noise, rtol=1e-5, atol=2e-4)
    last = sum(getattr(process, n)[-1].item() ** 2 for n in ("alpha_bar", "beta_bar", "gamma_bar"))
    assert last == pytest.approx(RATIO**2 + (1 - RATIO) ** 2, abs=1e-3)  # not 1
    assert process.noise_ratio == pytest.approx((1 - RATIO) / RATIO)


@each_split
def test_schedule_runs_linearly_from_the_least_to_the_most_noise(split):
    process = Diffusion(split=split)
    assert (STEPS, MIN_NOISE, MAX_NOISE, RATIO) == (3000, 5.45e-6, 0.0072, 0.414)
    for name in ("alpha", "beta", "gamma", "alpha_bar", "beta_bar", "gamma_bar"):
        assert getattr(process, name).shape == (STEPS + 1,)
    added = 1 - process.alpha.double().square()
    assert added[0].item() == 0
    assert added[1].item() == pytest.approx(MIN_NOISE, abs=1e-7)
    assert added[-1].item() == pytest.approx(MAX_NOISE, abs=1e-7)
    assert added[1501].item() == pytest.approx(
        MIN_NOISE + (MAX_NOISE - MIN_NOISE) * 1500 / 2999, abs=1e-7
    )
    assert process.alpha_bar[0] == 1
    assert (process.alpha_bar.diff() < 0).all()
    assert process.alpha_bar[-1] < 0.01, "hardly any signal is left at the end"


def draws(batch=4, length=16):
    torch.manual_seed(3)
    return torch.randn(3, batch, 2, length)


@each_split
def test_corrupt_is_equation_5(split):
    process = Diffusion(split=split)
    clean, eps, eta = draws()
    steps = [0, 4, 1000, 3000]
    noisy = process.corrupt(clean, torch.tensor(steps), eps, eta)
    for b, t in enumerate(steps):
        signal = math.sqrt(
            math.prod(1 - (MIN_NOISE + (MAX_NOISE - MIN_NOISE) * i / 2999) for i in range(t))
        )
        temporal, spectral = (s * math.sqrt(1 - signal**2) for s in SHARES[split])
        wanted = signal * clean[b] + temporal * eps[b] + spectral * eta[b]
        torch.testing.assert_close(noisy[b], wanted, rtol=1e-4, atol=1e-5)


@each_split
def test_step_0_leaves_the_window_as_it_is(split):
    clean, eps, eta = draws()
    step = torch.zeros(4, dtype=torch.long)
    assert torch.equal(Diffusion(split=split).corrupt(clean, step, eps, eta), clean)


@each_split
def test_restore_undoes_corrupt(split):
    process = Diffusion(split=split)
    clean, eps, eta = draws()
    step = torch.tensor([0, 4, 700, 1500])
    noisy = process.corrupt(clean, step, eps, eta)
    torch.testing.assert_close(process.restore(noisy, step, eps, eta), clean, rtol=1e-4, atol=1e-4)
    last = torch.full((4,), STEPS)  # what is left of the signal is 1/200, so digits are lost
    noisy = process.corrupt(clean, last, eps, eta)
    torch.testing.assert_close(process.restore(noisy, last, eps, eta), clean, rtol=0, atol=1e-3)


@pytest.mark.parametrize("t", [4, 800, 3000])
def test_noisy_windows_have_the_variance_of_equation_6(t):
    torch.manual_seed(5)
    process = Diffusion()
    clean = torch.sin(torch.arange(32, dtype=torch.float32)).view(1, 2, 16)
    eps, eta = torch.randn(2, 20_000, 2, 16)
    noisy = process.corrupt(clean.expand(20_000, -1, -1), torch.full((20_000,), t), eps, eta)
    spread = noisy - process.alpha_bar[t] * clean
    variance = 1 - process.alpha_bar[t].double().item() ** 2
    assert spread.square().mean().item() == pytest.approx(variance, rel=0.01)
    assert spread.mean().item() == pytest.approx(0, abs=5 * (variance / spread.numel()) ** 0.5)


def naive_loss(process, eps, eta, eps_hat, eta_hat, weight_of, ratio):
    total, terms = 0.0, 0
    for b in range(eps.shape[0]):
        for row in range(2):
            for n in range(eps.shape[2]):
                error = (eps[b, row, n] - eps_hat[b, row, n]).item()
                error += ratio * (eta[b, row, n] - eta_hat[b, row, n]).item()
                total += weight_of(b) * error**2
                terms += 1
    return total / terms


@each_split
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_is_equation_7(split, weighted):
    process = Diffusion(split=split)
    torch.manual_seed(11)
    noises = torch.randn(4, 3, 2, 8)
    steps = [4, 900, 2500]
    temporal, spectral = SHARES[split]
    ratio = spectral / temporal if split == "paper" else (spectral / temporal) ** 2

    def weight_of(b):
        if not weighted:
            return 1.0
        return (process.beta_bar[steps[b]] / process.alpha_bar[steps[b]]).item() ** 2

    found = process.loss(*noises, step=torch.tensor(steps) if weighted else None)
    assert found.shape == ()
    wanted = naive_loss(process, *noises, weight_of, ratio)
    assert found.item() == pytest.approx(wanted, rel=1e-5)


def test_loss_is_zero_for_the_right_noises_and_has_gradients():
    eps, eta = torch.randn(2, 2, 2, 8)
    process = Diffusion()
    assert process.loss(eps, eta, eps, eta).item() == 0
    guess, other = torch.zeros(2, 2, 2, 8).requires_grad_()
    guess.retain_grad()
    other.retain_grad()
    process.loss(eps, eta, guess, other).backward()
    torch.testing.assert_close(other.grad, RATIO * guess.grad)


def test_white_noise_is_white_in_both_domains():
    """The orthonormal DFT keeps it a standard Gaussian, so eta may be drawn in time."""
    torch.manual_seed(2)
    eta = torch.randn(40_000, 2, 8)
    bins = spectrum(eta)
    torch.testing.assert_close(bins.square().sum((1, 2)), eta.square().sum((1, 2)))
    for noise in (eta, bins):
        covariance = torch.cov(noise.flatten(1).T)
        torch.testing.assert_close(covariance, torch.eye(16), rtol=0, atol=0.03)


def test_buffers_move_with_the_module_and_stay_out_of_files():
    process = Diffusion()
    assert process.state_dict() == {}
    assert {name for name, _ in process.named_buffers()} == {
        "alpha", "beta", "gamma", "alpha_bar", "beta_bar", "gamma_bar"
    }  # fmt: skip


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="split is 'even'"):
        Diffusion(split="even")


@each_split
def test_the_step_of_an_snr(split):
    """Against the SNR that `corrupt` gives windows of unit power, and against a search."""
    process = Diffusion(split=split)
    snr_db = torch.tensor([40.0, 25.0, 10.0, 0.0, -10.0, -25.0])
    step = process.step_at(snr_db)
    torch.manual_seed(3)
    clean = torch.ones(1, 2, 50_000) / 2**0.5
    for wanted_db, at in zip(snr_db.tolist(), step, strict=True):
        noises = torch.randn_like(clean), torch.randn_like(clean)
        noise = process.corrupt(torch.zeros_like(clean), at[None], *noises)
        signal = process.alpha_bar[at] * clean
        found_db = 10 * math.log10(signal.square().sum() / noise.square().sum())
        assert found_db == pytest.approx(wanted_db, abs=0.6 if wanted_db > 30 else 0.1)
    # No other step comes nearer.
    all_db = 10 * torch.log10(process.alpha_bar**2 / (2 * process.noise_power))
    nearest = (all_db[1:] - snr_db[:, None]).abs().argmin(1) + 1
    assert step.tolist() == nearest.tolist()
    assert process.step_at(torch.tensor([math.inf, 90.0, -90.0, -math.inf])).tolist() == [
        1, 1, STEPS, STEPS,
    ]  # fmt: skip
