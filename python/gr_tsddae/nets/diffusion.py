# SPDX-License-Identifier: GPL-3.0-or-later
"""The temporal-spectral diffusion process (paper, Section 3.2, Eq. 1-7)."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

STEPS = 3000  # T, the paper's max_step
MIN_NOISE = 5.45e-6  # variance added by the first step
MAX_NOISE = 0.0072  # variance added by the last step
RATIO = 0.414  # the paper's lambda: spectral over temporal noise; tan 22.5 degrees
# Steps at which an anomaly score measures denoising errors: faint noise shows fine detail, strong
# noise coarse shape. The score's own randomness falls with the root of the draws per step.
SCORE_STEPS = (50, 100, 200, 400, 800)
SCORE_DRAWS = 4


class Diffusion(nn.Module):
    """Noise added step by step in both domains, in closed form for any step.

    One step (Eq. 4) is x_t = alpha_t x_{t-1} + beta_t eps_t + gamma_t eta_t with
    alpha_t^2 + beta_t^2 + gamma_t^2 = 1. Its iteration (Eq. 5) is
    x_t = abar_t x_0 + bbar_t eps + gbar_t eta. Independent Gaussian noises add by their
    variances, so bbar_t^2 = sum_i (abar_t/abar_i)^2 beta_i^2, and with a constant ratio
    lambda = gamma/beta this is bbar^2 = (1 - abar^2) / (1 + lambda^2), gbar = lambda bbar.

    Args:
        ratio: lambda with split "paper"; the share r with split "published_code".
        split: how the noise is divided. "paper" keeps abar^2 + bbar^2 + gbar^2 = 1.
            "published_code" is bbar = r s, gbar = (1 - r) s with s = sqrt(1 - abar^2), as in the
            authors' code; its squares do not add up to 1.
        steps: T.
        min_noise, max_noise: variance of the first and the last step, linear in between.
    """

    def __init__(
        self,
        *,
        ratio: float = RATIO,
        split: Literal["paper", "published_code"] = "paper",
        steps: int = STEPS,
        min_noise: float = MIN_NOISE,
        max_noise: float = MAX_NOISE,
    ):
        super().__init__()
        if not 0 <= ratio < math.inf:
            raise ValueError(f"ratio is {ratio}: it must be a finite number, at least 0")
        self.steps = steps
        self.split = split
        # Row t belongs to step t; row 0 is "no noise yet".
        variance = torch.cat(
            (torch.zeros(1), torch.linspace(min_noise, max_noise, steps))
        ).double()  # beta_t^2 + gamma_t^2
        signal_power = torch.cumprod(1 - variance, 0)  # abar_t^2
        noise = (1 - signal_power).sqrt()
        if split == "paper":
            norm = (1 + ratio**2) ** 0.5
            temporal_share, spectral_share = 1 / norm, ratio / norm
        elif split == "published_code":
            temporal_share, spectral_share = ratio, 1 - ratio
        else:
            raise ValueError(f"split is {split!r}: choose 'paper' or 'published_code'")
        self.register_buffer("alpha_bar", signal_power.sqrt().float(), persistent=False)
        self.register_buffer("beta_bar", (temporal_share * noise).float(), persistent=False)
        self.register_buffer("gamma_bar", (spectral_share * noise).float(), persistent=False)
        self.noise_ratio = spectral_share / temporal_share  # gbar / bbar, the same at every step
        # Weight of the spectral term in Eq. 7: lambda, which the authors' code squares.
        self.loss_ratio = self.noise_ratio if split == "paper" else self.noise_ratio**2
        # The chain itself (Eq. 4), for whoever walks it step by step.
        self.register_buffer("alpha", (1 - variance).sqrt().float(), persistent=False)
        self.register_buffer("beta", (temporal_share * variance.sqrt()).float(), persistent=False)
        self.register_buffer("gamma", (spectral_share * variance.sqrt()).float(), persistent=False)

    def corrupt(
        self,
        clean: torch.Tensor,
        step: torch.Tensor,
        temporal_noise: torch.Tensor,
        spectral_noise: torch.Tensor,
    ) -> torch.Tensor:
        """Add the noise of any step at once (Eq. 5).

        Args:
            clean: x_0, (B, 2, L).
            step: t, integers 0..steps, (B,).
            temporal_noise: epsilon, standard Gaussian, (B, 2, L).
            spectral_noise: eta, the inverse DFT of white spectral noise, (B, 2, L); the DFT is
                orthonormal, so it may be drawn as a standard Gaussian right away.
        """
        shape = (-1, 1, 1)
        return (
            self.alpha_bar[step].view(shape) * clean
            + self.beta_bar[step].view(shape) * temporal_noise
            + self.gamma_bar[step].view(shape) * spectral_noise
        )

    def restore(
        self,
        noisy: torch.Tensor,
        step: torch.Tensor,
        temporal_noise: torch.Tensor,
        spectral_noise: torch.Tensor,
    ) -> torch.Tensor:
        """Estimate x_0 from estimates of both noises (above Eq. 7): Eq. 5 solved for x_0."""
        shape = (-1, 1, 1)
        noise = (
            self.beta_bar[step].view(shape) * temporal_noise
            + self.gamma_bar[step].view(shape) * spectral_noise
        )
        return (noisy - noise) / self.alpha_bar[step].view(shape)

    @property
    def noise_power(self) -> torch.Tensor:
        """Variance of both noises together in one row, at every step: (steps + 1,)."""
        return self.beta_bar.square() + self.gamma_bar.square()

    def step_at(self, snr_db: torch.Tensor) -> torch.Tensor:
        """Find the step whose SNR comes nearest, 1..steps: (B,) -> int64 (B,).

        For x_0 of unit power: |x_0|^2 = 1 on average over both rows together, while the noise is of
        unit variance in each, so that SNR = abar^2 / (2 (bbar^2 + gbar^2)).
        """
        signal, noise = self.alpha_bar[1:].square(), 2 * self.noise_power[1:]
        falling_db = 10 * (signal / noise).log10()
        between_db = (falling_db[1:] + falling_db[:-1]) / 2
        return 1 + torch.bucketize(-snr_db, -between_db)

    @staticmethod
    def standard_noises(
        steps: int, draws: int, window_samples: int, *, seed: int = 1
    ) -> torch.Tensor:
        """Draw the noises that `errors` takes, the same on every machine.

        Returns:
            float32 (steps, draws, 2, 1, 2, L), on the CPU: epsilon and eta for every draw.
        """
        shape = (steps, draws, 2, 1, 2, window_samples)
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed))

    def errors(
        self,
        network: nn.Module,
        clean: torch.Tensor,
        steps: Sequence[int],
        noises: torch.Tensor,
    ) -> torch.Tensor:
        """Measure how much of given noises a network misses: Eq. 7 for each window and step.

        All windows meet the same noises, so that a window's errors depend on itself alone.

        Args:
            network: denoiser, (noisy (B, 2, L), step (B,)) -> two estimates (B, 2, L).
            clean: x_0, (B, 2, L).
            steps: S of them, each in 1..steps.
            noises: what `standard_noises` gives for S steps, on the device of `clean`.

        Returns:
            float64 (B, S), averaged over draws.
        """
        dtype = next((p.dtype for p in network.parameters()), clean.dtype)
        found = torch.zeros(len(clean), len(steps), dtype=torch.float64, device=clean.device)
        for column, step in enumerate(steps):
            times = torch.full((len(clean),), step, device=clean.device)
            for temporal, spectral in noises[column]:
                noisy = self.corrupt(clean, times, temporal, spectral).to(dtype)
                estimates = [estimate.float() for estimate in network(noisy, times)]
                error = (temporal - estimates[0]) + self.loss_ratio * (spectral - estimates[1])
                found[:, column] += error.double().square().mean((1, 2))
        return found / noises.shape[1]

    def loss(
        self,
        temporal_noise: torch.Tensor,
        spectral_noise: torch.Tensor,
        temporal_estimate: torch.Tensor,
        spectral_estimate: torch.Tensor,
        step: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the mean squared error of eps + lambda eta (Eq. 7): tensors (B, 2, L) -> scalar.

        With `step` (B,) each window is weighted by bbar_t^2 / abar_t^2, as Eq. 7 is written;
        without it all steps weigh the same, as in DDPM and in the authors' code.
        """
        error = (temporal_noise - temporal_estimate) + self.loss_ratio * (
            spectral_noise - spectral_estimate
        )
        if step is None:
            return error.square().mean()
        weight = (self.beta_bar[step] / self.alpha_bar[step]).square().view(-1, 1, 1)
        return (weight * error.square()).mean()
