# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded windows as another day might have them: other noise, filter, echoes, gain, tuning."""

import torch

from gr_tsddae.iq.windows import to_complex, to_rows
from gr_tsddae.synth.air.dice import Dice
from gr_tsddae.synth.air.receiver import digitised, echoes, floor_shape, passband
from gr_tsddae.train.learn.adapt import disturb

SHARE = 0.5  # of the windows that another filter, other noise or another receiver changes
USUAL_MULTIPLE = 4.0  # bandwidths in a window's sample rate, where it is not known


def another_day(
    rows: torch.Tensor,
    generator: torch.Generator,
    *,
    frequency_shift: float,
    snr_db: tuple[float, float],
    bandwidth_multiple: float | None,
) -> torch.Tensor:
    """Disturb windows: filter edges, echoes, coloured noise, gain steps, and what `disturb` does.

    Args:
        rows: Of any scaling, (B, 2, L).
        generator: On the device of `rows`.
        frequency_shift: See `disturb`.
        snr_db: See `disturb`; half of the noise is coloured.
        bandwidth_multiple: Sample rate over the bandwidth of the signal. None: it is not known, and
            no filter or echo is applied.

    Returns:
        (B, 2, L), mean power near 1.
    """
    dice = Dice(len(rows), generator)
    windows = to_complex(rows)
    f = torch.fft.fftfreq(rows.shape[2], device=rows.device)
    f = (f * (bandwidth_multiple or USUAL_MULTIPLE)).expand(len(rows), -1)  # in bandwidths
    if bandwidth_multiple:
        narrowest = torch.full((len(rows), 1), 1.5, device=rows.device)
        response = echoes(f, dice) * passband(f, narrowest, dice)
        response = torch.where(dice.chance(SHARE), response, 1.0)
        windows = torch.fft.ifft(torch.fft.fft(windows) * response)
    level_db = snr_db[0] + (snr_db[1] - snr_db[0]) * dice.uniform()
    power = windows.abs().square().mean(1, keepdim=True) * 10 ** (-level_db / 10)
    noise = torch.fft.ifft(torch.fft.fft(dice.complex_normal(rows.shape[2])) * floor_shape(f, dice))
    windows = windows + noise * power.sqrt() * dice.chance(SHARE)
    windows = windows / windows.abs().square().mean(1, keepdim=True).clamp(min=1e-20).sqrt()
    windows = torch.where(dice.chance(SHARE), digitised(windows, dice), windows)
    return disturb(to_rows(windows), generator, frequency_shift=frequency_shift, snr_db=snr_db)
