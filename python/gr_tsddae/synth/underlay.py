# SPDX-License-Identifier: GPL-3.0-or-later
"""A direct-sequence spread-spectrum signal, which lies under another signal."""

import torch

from gr_tsddae.synth.pulses import root_raised_cosine

CHIP_ROLLOFF = 0.25
CODE_CHIPS = 63
_SPAN_CHIPS = 16  # on either side of a sample; the pulse's tails beyond are 50 dB down


def dsss(samples: int, chips_per_sample: float, generator: torch.Generator) -> torch.Tensor:
    """Draw BPSK data, each bit spread by a period of a random code, root-raised-cosine chips.

    Args:
        samples: how many.
        chips_per_sample: chip rate over sample rate; at most 1 / (1 + CHIP_ROLLOFF).
        generator: source of all randomness.

    Returns:
        complex64 (samples,), real-valued, mean power near 1, at a random chip phase.
    """
    time = torch.arange(samples, dtype=torch.float64) * chips_per_sample
    time = time + torch.rand(1, generator=generator, dtype=torch.float64) + _SPAN_CHIPS
    nearest = time.round().long()
    code = torch.randint(2, (CODE_CHIPS,), generator=generator) * 2.0 - 1
    chip_count = int(nearest[-1]) + _SPAN_CHIPS + 1
    bits = torch.randint(2, (chip_count // CODE_CHIPS + 2,), generator=generator) * 2.0 - 1
    first = int(torch.randint(CODE_CHIPS, (1,), generator=generator))
    chips = (bits[:, None] * code).flatten()[first:]
    total = torch.zeros(samples)
    for offset in range(-_SPAN_CHIPS, _SPAN_CHIPS + 1):
        chip = nearest + offset
        total += chips[chip] * root_raised_cosine((time - chip).float(), CHIP_ROLLOFF)
    return total.to(torch.complex64)
