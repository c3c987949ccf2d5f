# SPDX-License-Identifier: GPL-3.0-or-later
"""Who sends in a scene: where, when, and how loud; no two at one place."""

from dataclasses import dataclass

import numpy as np

from gr_tsddae.synth.emission import Emission, make
from gr_tsddae.synth.scene.recipes import SceneRecipe

WIDEST_SHARE = 0.3  # of the band, for one emitter
USED_SHARE = 0.9  # emitters keep this far inside the band
GUARD_SHARE, GUARD_HZ = 0.15, 2000.0  # between neighbours, of the wider one, and at least
TRIES = 300


@dataclass(frozen=True)
class Placed:
    """An emitter in a scene.

    Attributes:
        emission: what it sends, for as long as it sends in all.
        center_hz: where the emission's 0 Hz lies, from the band's centre.
        snr_db: in its occupied bandwidth.
        bursts: start and stop of each stretch, in seconds.
    """

    emission: Emission
    center_hz: float
    snr_db: float
    bursts: tuple[tuple[float, float], ...]

    @property
    def low_hz(self) -> float:
        return self.center_hz + self.emission.low_hz

    @property
    def high_hz(self) -> float:
        return self.center_hz + self.emission.high_hz


def lay_out(
    recipe: SceneRecipe, rng: np.random.Generator, *, seconds: float, rate_hz: float, emitters: int
) -> list[Placed]:
    """Draw emitters until as many as asked for are placed.

    Raises:
        ValueError: when the band has no room for so many.
    """
    placed: list[Placed] = []
    for _ in range(TRIES):
        if len(placed) == emitters:
            break
        label = recipe.labels[rng.integers(len(recipe.labels))]
        bursts = _timing(recipe, rng, seconds)
        on_s = sum(stop - start for start, stop in bursts)
        widest_hz = WIDEST_SHARE * rate_hz
        # A short burst of a slow emission would hold no symbols.
        narrowest_hz = 40 / max(min(stop - start for start, stop in bursts), 1e-6)
        emission = make(label, rng, on_s)
        width_hz = emission.bandwidth_hz
        if width_hz > widest_hz or (label != "carrier" and width_hz < narrowest_hz):
            continue
        center_hz = _room(placed, emission, rng, rate_hz)
        if center_hz is not None:
            snr_db = float(rng.uniform(*recipe.snr_db))
            placed.append(Placed(emission, center_hz, snr_db, bursts))
    if len(placed) < emitters:
        raise ValueError(
            f"{emitters} emitters do not fit into {rate_hz:g} Hz: room was found for "
            f"{len(placed)}; ask for fewer, or for a higher --rate"
        )
    return placed


def _room(
    placed: list[Placed], emission: Emission, rng: np.random.Generator, rate_hz: float
) -> float | None:
    half_band_hz = USED_SHARE * rate_hz / 2
    lowest_hz, highest_hz = -half_band_hz - emission.low_hz, half_band_hz - emission.high_hz
    for _ in range(50):
        center_hz = float(rng.uniform(lowest_hz, highest_hz))
        low_hz, high_hz = center_hz + emission.low_hz, center_hz + emission.high_hz
        if low_hz < GUARD_HZ and high_hz > -GUARD_HZ:
            continue  # the spike at 0 Hz would be part of it
        for other in placed:
            wider_hz = max(emission.bandwidth_hz, other.emission.bandwidth_hz)
            guard_hz = max(GUARD_HZ, GUARD_SHARE * wider_hz)
            if low_hz < other.high_hz + guard_hz and high_hz > other.low_hz - guard_hz:
                break
        else:
            return center_hz
    return None


def _timing(
    recipe: SceneRecipe, rng: np.random.Generator, seconds: float
) -> tuple[tuple[float, float], ...]:
    if rng.random() >= recipe.burst_share:
        if rng.random() < 0.5:
            return ((0.0, seconds),)
        start, stop = np.sort(rng.uniform(0, seconds, 2))
        if stop - start < 0.2 * seconds:
            start, stop = 0.2 * seconds, 0.6 * seconds
        return ((float(start), float(stop)),)
    shortest_s, longest_s = recipe.burst_s
    longest_s = min(longest_s, seconds / 2)
    length_s = shortest_s * (longest_s / shortest_s) ** rng.random()
    duty = rng.uniform(0.1, 0.6)
    period_s = min(length_s / duty, 0.25 + length_s)
    start_s = rng.uniform(0, min(period_s, seconds / 4))
    most = int(rng.integers(1, 12)) if rng.random() < 0.5 else 10_000
    starts_s = np.arange(start_s, seconds - length_s, period_s)[:most]
    if not len(starts_s):
        starts_s = np.array([0.25 * (seconds - length_s)])
    return tuple((float(start), float(start + length_s)) for start in starts_s)
