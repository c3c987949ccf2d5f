# SPDX-License-Identifier: GPL-3.0-or-later
"""What the synthesiser's tests share: seeds and a symbol clock that starts where it is told."""

import pytest
import torch

from gr_tsddae.synth.modulators import Timing


class FixedTiming(Timing):
    """A symbol clock that starts every window at one known phase instead of a random one."""

    def __init__(self, *, batch, window_samples, samples_per_symbol=8.0, phase_symbols=0.0):
        super().__init__(torch.full((batch,), float(samples_per_symbol)), window_samples)
        object.__setattr__(self, "phase_symbols", phase_symbols)  # Timing is frozen

    def symbol_times(self, generator):
        n = torch.arange(self.window_samples)
        return n / self.samples_per_symbol[:, None] + self.phase_symbols


@pytest.fixture(scope="session")
def fixed_timing():
    return FixedTiming


@pytest.fixture(scope="session")
def seeded():
    """seeded(7) is a CPU generator with seed 7."""
    return lambda seed: torch.Generator().manual_seed(seed)
