# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of scenes: who sends, and how bad the receiver is."""

from dataclasses import dataclass

from gr_tsddae.synth.emission import LABELS


@dataclass(frozen=True)
class SceneRecipe:
    """How scenes are drawn. Ranges are uniform.

    Attributes:
        labels: classes, drawn equally often.
        snr_db: of each emitter, in its occupied bandwidth.
        burst_share: emitters that send bursts; half of the others begin or end inside the scene.
        burst_s: shortest and longest burst, log-uniform.
        fading_share: emitters that fade, and echo where they are wide.
        drift_share: emitters whose carrier drifts.
        splatter_share: emitters keyed without a ramp, or driven into their amplifier's limit.
        slope_db: most by which the noise floor differs between the band's edges, either way.
        edge_db: how far the receiver's filter falls at the band's edges; 0 is no filter.
        edge_share: part of the band, at each end, over which it falls.
        image_db: of the mirror image against its signal.
        dc_db: of the spike at 0 Hz against the noise in the whole band; None for none.
        level_dbfs: rms of the recording against full scale; what exceeds it is clipped.
    """

    labels: tuple[str, ...] = LABELS
    snr_db: tuple[float, float] = (0.0, 30.0)
    burst_share: float = 0.35
    burst_s: tuple[float, float] = (1e-3, 0.2)
    fading_share: float = 0.3
    drift_share: float = 0.3
    splatter_share: float = 0.2
    slope_db: float = 4.0
    edge_db: tuple[float, float] = (0.0, 20.0)
    edge_share: tuple[float, float] = (0.02, 0.1)
    image_db: tuple[float, float] = (-50.0, -25.0)
    dc_db: tuple[float, float] | None = (-20.0, 5.0)
    level_dbfs: tuple[float, float] = (-20.0, -8.0)


_DIGITAL = tuple(
    name for name in LABELS if name not in ("carrier", "AM-DSB", "AM-SSB", "FM", "pulses")
)

SCENES: dict[str, SceneRecipe] = {
    "mixed": SceneRecipe(),
    "clean": SceneRecipe(
        fading_share=0.0,
        drift_share=0.0,
        splatter_share=0.0,
        slope_db=0.0,
        edge_db=(0.0, 0.0),
        image_db=(-200.0, -200.0),
        dc_db=None,
        level_dbfs=(-14.0, -14.0),
    ),
    "bursts": SceneRecipe(labels=_DIGITAL, burst_share=1.0),
    "voices": SceneRecipe(labels=("AM-DSB", "AM-SSB", "FM", "carrier", "4-FSK"), burst_share=0.2),
    "rough": SceneRecipe(
        fading_share=0.8,
        drift_share=0.8,
        splatter_share=0.6,
        slope_db=10.0,
        edge_db=(10.0, 30.0),
        image_db=(-35.0, -20.0),
        dc_db=(0.0, 15.0),
        level_dbfs=(-12.0, -4.0),
    ),
}
