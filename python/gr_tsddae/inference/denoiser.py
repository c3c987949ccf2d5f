# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows in, their signal part out: a pre-trained network's estimate of x_0, and its error.

A received window is taken for some step x_t of the diffusion process: the step whose ratio of
signal to noise is the window's own. The network estimates the noises in it; what is left is x_0.
"""

import copy
import math
import os
from collections.abc import Sequence

import numpy as np
import torch

from gr_tsddae import zoo
from gr_tsddae.inference.runner import Runner
from gr_tsddae.iq.windows import spectrum, to_complex
from gr_tsddae.nets.diffusion import RATIO, SCORE_DRAWS, SCORE_STEPS, STEPS, Diffusion

LOWEST_SNR_DB = -15.0  # below, 128 samples do not tell a signal from chance
FLOOR_SHARE = 0.3  # of a spectrum's bins that hold noise alone


class Denoiser(Runner):
    """A pre-trained model, ready to denoise.

    Deterministic: the same window gives the same result, whatever else is in the batch.

    Args:
        model: Name or folder of a model whose task is "denoising", see `zoo.find`.
        device: "auto" (a GPU when torch sees one), "cpu", "cuda", "cuda:1", ...
        precision: "auto" (bfloat16 where the hardware multiplies it fast), "float32", "bfloat16";
            of the network alone: sums with what was received are float32.
        batch_windows: Most windows per pass through the network; None takes what suits the
            network's size and the device.

    Raises:
        zoo.ModelError: If the model cannot be loaded, or is no denoiser.
        ValueError: For a device that is not there, or an unknown precision.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        device: str = "auto",
        precision: str = "auto",
        batch_windows: int | None = None,
    ):
        loaded = zoo.load(model)
        self._cpu_diffusion = _diffusion_of(loaded.card)  # to fall back on, as the network
        super().__init__(loaded, device=device, precision=precision, batch_windows=batch_windows)
        self.warm_up()

    def _place(self, device: torch.device) -> None:
        super()._place(device)
        self._diffusion = copy.deepcopy(self._cpu_diffusion).to(device)

    def warm_up(self) -> None:
        """Run once on silence, so that the first real batch is as fast as the next."""
        self.denoise(self._silent_batch())

    def denoise(self, windows: np.ndarray, snr_db: float | None = None) -> np.ndarray:
        """Estimate the signal part of windows, at the level it was received with.

        Args:
            windows: complex64, (B, L), any level; not changed. All samples finite.
            snr_db: Power of the signal over that of white noise in the whole sampled band; limited
                to what the process covers, -50 to 49 dB. None estimates it for each window, see
                `estimate_snr_db`.

        Returns:
            complex64, (B, L); zeros for windows of zeros.

        Raises:
            ValueError: For another shape, or an SNR that is not a number.
        """
        if snr_db is not None and math.isnan(snr_db):
            raise ValueError("snr_db is NaN: give decibels, or None to have it estimated")
        return self._fill(
            np.empty(windows.shape, np.complex64),
            lambda rows: to_complex(self._restored(rows, snr_db)),
            windows,
        )

    def _restored(self, rows: torch.Tensor, snr_db: float | None) -> torch.Tensor:
        """Estimate the signal part of received rows: (B, 2, L) -> (B, 2, L)."""
        scaled = self._scale(rows)
        snr = estimate_snr_db(scaled) if snr_db is None else rows.new_full((len(rows),), snr_db)
        diffusion = self._diffusion
        step = diffusion.step_at(snr)
        # A scaled window has unit power. In training x_0 has, and the noise adds its own to it.
        signal = diffusion.alpha_bar[step]
        amplitude = (signal.square() + 2 * diffusion.noise_power[step]).sqrt()
        noisy = scaled * amplitude[:, None, None]
        temporal, spectral = self._network(noisy.to(self._dtype), step)
        clean = diffusion.restore(noisy, step, temporal.float(), spectral.float())
        # ||rows|| / ||scaled|| undoes the scaling; it is 0 for silence.
        level = rows.flatten(1).norm(dim=1) / scaled.flatten(1).norm(dim=1).clamp(min=1e-30)
        return clean * (level * signal / amplitude)[:, None, None]

    def scores(
        self, windows: np.ndarray, *, steps: Sequence[int] = SCORE_STEPS, draws: int = SCORE_DRAWS
    ) -> np.ndarray:
        """Measure how badly windows can be denoised: higher is less like the training windows.

        The score of `train anomaly`: Eq. 7 for known noises that are added to the scaled window,
        averaged over steps and noises, which are the same for all windows. It takes a pass through
        the network per step and noise.

        Args:
            windows: complex64, (B, L), any level; not changed. All samples finite.
            steps: Diffusion steps, each in 1..3000.
            draws: Noises per step, at least 1.

        Returns:
            float32, (B,); 0 would be perfect, about 1.2 is knowing nothing.

        Raises:
            ValueError: For another shape, or steps or draws that cannot be.
        """
        if not steps or not all(1 <= step <= STEPS for step in steps) or draws < 1:
            raise ValueError(
                f"steps is {list(steps)}, draws {draws}: give steps from 1 to {STEPS}, "
                "and at least 1 draw"
            )
        noises = Diffusion.standard_noises(len(steps), draws, self.window_samples)

        def error(rows: torch.Tensor) -> torch.Tensor:
            there = noises.to(rows.device)
            errors = self._diffusion.errors(self._network, self._scale(rows), steps, there)
            return errors.mean(1)

        return self._fill(np.empty(len(windows), np.float32), error, windows)


def estimate_snr_db(rows: torch.Tensor) -> torch.Tensor:
    """Estimate the SNR of windows over white noise, from the floor of their spectra.

    Bins of white noise are exponentially distributed, which tells their mean from the bin below
    which the lowest 30 % lie: few enough to be noise even where a signal fills half of the band.
    The taper keeps the signal's sidelobes off the floor. For signals of 8 samples per symbol in 128
    samples it is 1 dB low with a spread of 1 dB from 5 to 30 dB; for signals of 2.5 it is 3 to 5 dB
    low. It is far too high where a filter has emptied a part of the band.

    Args:
        rows: (B, 2, L).

    Returns:
        float32 (B,), at least `LOWEST_SNR_DB`.
    """
    length = rows.shape[2]
    taper = torch.hann_window(length, device=rows.device)
    bins = spectrum(rows * taper).square().sum(1)  # (B, L)
    floor = bins.kthvalue(max(1, round(FLOOR_SHARE * length)), dim=1).values
    noise = floor / (-math.log(1 - FLOOR_SHARE) * taper.square().mean())
    power = rows.square().sum(1).mean(1)
    signal = (power - noise).clamp(min=0)
    smallest = torch.finfo(noise.dtype).tiny  # a window without noise has a finite SNR
    return (10 * (signal / noise.clamp(min=smallest)).log10()).clamp(min=LOWEST_SNR_DB)


def _diffusion_of(card: zoo.Card) -> Diffusion:
    """Make the process of a model's training; the paper's where its card is silent."""
    if card.task != zoo.DENOISING:
        raise zoo.ModelMismatchError(
            f"{card.name} is a model for {card.task}, not a denoiser; make one with "
            "`tsddae train pretrain --config denoise-mini`"
        )
    if card.training.get("objective", "noise") != "noise":
        raise zoo.ModelMismatchError(
            f"{card.name} was pre-trained with objective {card.training['objective']!r} and "
            "estimates no noises; pre-train with --objective noise"
        )
    ratio, split = card.training.get("ratio", RATIO), card.training.get("split", "paper")
    try:
        return Diffusion(ratio=ratio, split=split)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise zoo.ModelMismatchError(f"{card.name}: its card's ratio or split: {error}") from error
