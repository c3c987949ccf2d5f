# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes: how the windows of a training or test set are drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from gr_tsddae.iq.windows import to_rows
from gr_tsddae.labels import NOISE
from gr_tsddae.synth import air, channel, wtc
from gr_tsddae.synth.modulators import CLASSES, MODULATORS, Audio, Timing, check_labels


@dataclass(frozen=True, kw_only=True)
class AnyRecipe:
    """What every recipe says of its windows.

    Attributes:
        levels_db: lowest and highest SNR of a set of this recipe, in the occupied bandwidth.
        twice: classes that random draws hold twice as often as the others: the hard ones.
    """

    levels_db: tuple[float, float] = (-5.0, 30.0)
    twice: frozenset[str] = frozenset()
    classes: ClassVar[Sequence[str]]
    empty_classes: ClassVar[frozenset[str]] = frozenset()  # whose windows hold nothing but noise
    task: ClassVar[str] = "amc"
    samples_per_symbol: ClassVar[float | None] = None
    bandwidth_multiple: ClassVar[float | None] = None
    sample_rate_hz: ClassVar[float | None] = None


@dataclass(frozen=True, kw_only=True)
class Recipe(AnyRecipe):
    """How windows of RML2016's classes are drawn. Shares are probabilities per window.

    Attributes:
        samples_per_symbol: nominal, of the digital classes.
        rate_offset: the sample clock is off by up to this share, uniformly, either way.
        carrier_offset: largest carrier offset in cycles per sample, uniform, either way.
        carrier_share: windows that have a carrier offset at all.
        echo_share: windows that went through the three-path Ricean channel.
        filtered_share: windows whose noise was narrowed by a channel filter.
        audio: loudness of the analogue classes.
        levels_db: lowest and highest level a set of this recipe holds.
        snr_per_level, snr_offset_db, class_gain_db: true SNR of a window labelled with a level:
            snr_per_level * level + snr_offset_db + class_gain_db.get(class, 0).
        empty_classes: classes whose windows hold nothing but noise.
    """

    samples_per_symbol: float = 8.0
    rate_offset: float = 0.0
    carrier_offset: float = 0.0
    carrier_share: float = 1.0
    echo_share: float = 0.0
    filtered_share: float = 0.0
    audio: Audio = field(default_factory=Audio)
    levels_db: tuple[float, float] = (-20.0, 30.0)
    snr_per_level: float = 1.0
    snr_offset_db: float = 0.0
    class_gain_db: Mapping[str, float] = field(default_factory=dict)
    empty_classes: frozenset[str] = frozenset()
    classes: ClassVar[Sequence[str]] = CLASSES

    def __post_init__(self) -> None:
        for name in ("carrier_share", "echo_share", "filtered_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}: a share is from 0 to 1")
        if not 0 <= self.rate_offset < 1:
            raise ValueError(f"rate_offset is {self.rate_offset}: it must be from 0 to under 1")
        if not 0 <= self.carrier_offset <= 0.5:
            raise ValueError(
                f"carrier_offset is {self.carrier_offset}: give 0 to 0.5 cycles per sample"
            )
        if not self.samples_per_symbol >= 2:
            raise ValueError(
                f"samples_per_symbol is {self.samples_per_symbol}: at least 2 are needed, "
                "or the signal aliases"
            )


@dataclass(frozen=True, kw_only=True)
class AirRecipe(AnyRecipe):
    """How windows of any signal of the air are drawn: as a survey cuts them out.

    Attributes:
        outlier_share: windows of no class, which a classifier learns to be unsure about.
    """

    outlier_share: float = 0.0
    classes: ClassVar[Sequence[str]] = air.CLASSES
    bandwidth_multiple: ClassVar[float] = air.BANDWIDTH_MULTIPLE


class TechnologyRecipe(AnyRecipe):
    """How windows of wireless technologies are drawn, all at one sample rate.

    Their SNR is that in the band that signal and receiver share.
    """

    classes: ClassVar[Sequence[str]] = wtc.CLASSES
    sample_rate_hz: ClassVar[float] = wtc.RATE_HZ
    task: ClassVar[str] = "wtc"


RECIPES: dict[str, AnyRecipe] = {
    # Nothing but modulation, timing, phase and noise: for checking things against theory.
    "clean": Recipe(),
    # RML2016.10A and B as they were released, flaws included; all figures were measured on 1400
    # windows of the released 10B. Its label is no SNR in decibels: the noise amplitude is
    # 10^(-label/10), so two decibels a step; constellations were sent with their integer
    # coordinates, so PAM4 (mean energy 5), QAM16 (10) and QAM64 (42) stand above the noise by that
    # much more. Carrier and clock wander too slowly to be seen within a window. The audio is
    # a few per cent of full scale at its loudest, and silent half of the time. AM-SSB is empty.
    "as-released": Recipe(
        carrier_offset=2e-5,
        echo_share=1.0,
        audio=Audio(loudness_db=(-40.0, -22.0), silent_share=0.55),
        levels_db=(-20.0, 18.0),
        snr_per_level=2.0,
        snr_offset_db=5.2,
        class_gain_db={"PAM4": 7.0, "QAM16": 10.0, "QAM64": 16.2},
        empty_classes=frozenset({"AM-SSB"}),
    ),
    # RML2016's channel at a true SNR.
    "rml": Recipe(rate_offset=0.0005, carrier_offset=0.0025, echo_share=1.0),
    # What a live receiver meets: half of it RML2016's channel, carriers off tune, noise that a
    # channel filter has narrowed.
    "live": Recipe(
        rate_offset=0.01,
        carrier_offset=0.02,
        carrier_share=0.5,
        echo_share=0.6,
        filtered_share=0.3,
    ),
    # The signals of `live` with next to no noise, and never nothing: what a denoiser should find.
    "noise-free": Recipe(
        rate_offset=0.01,
        carrier_offset=0.02,
        carrier_share=0.5,
        echo_share=0.6,
        levels_db=(30.0, 60.0),
        empty_classes=frozenset({NOISE}),
    ),
    # Every signal of the air, at four times its occupied bandwidth.
    "air": AirRecipe(),
    # The same to learn from: signals of no class are among them, and none that only noise hides.
    "air-open": AirRecipe(
        levels_db=(0.0, 36.0),
        outlier_share=0.12,
        twice=frozenset(
            ("4-FSK", "GFSK", "QPSK", "OQPSK", "pi/4-DQPSK", "8PSK", "QAM16", "QAM64", "OFDM")
        ),
    ),
    # LTE, Wi-Fi, DVB-T, what is none of them, and noise.
    "wtc": TechnologyRecipe(levels_db=(0.0, 30.0), twice=frozenset(("LTE", "other"))),
}


def draw(
    recipe: AnyRecipe,
    label: torch.Tensor,
    level_db: torch.Tensor,
    *,
    window_samples: int,
    generator: torch.Generator,
    emission_windows: int = 1,
) -> torch.Tensor:
    """Draw windows of given classes and levels.

    The level is what a set of this recipe labels its windows with: a true SNR, unless the recipe
    says otherwise. The SNR is the power of the signal in this very window over the mean power of
    the noise in the whole sampled band. Class `noise` has none and ignores it.

    Args:
        recipe: how.
        label: indices into the recipe's classes, (B,). In recipes of the air, `OUTLIER` is a signal
            of no class.
        level_db: (B,), same device as `label`.
        window_samples: L.
        generator: source of all randomness, on the device of `label`.
        emission_windows: windows in turn that are of one emission: transmitter, channel, receiver
            and errors of measurement are the same. For recipes of the air.

    Returns:
        Windows, float32 (B, 2, L), mean power near 1; scale them with the model's own scaling.

    Raises:
        ValueError: when a label is none of the recipe's classes, lengths differ, or a window is
            empty.
    """
    if window_samples < 1:
        raise ValueError(f"window_samples is {window_samples}: a window needs at least 1 sample")
    size: dict[str, Any] = {"window_samples": window_samples, "generator": generator}
    if isinstance(recipe, AirRecipe):
        return air.draw(label, level_db, together=emission_windows, **size)
    if isinstance(recipe, TechnologyRecipe):
        return wtc.draw(label, level_db, **size)
    return _draw_rml(recipe, label, level_db, **size)


def _draw_rml(
    recipe: Recipe,
    label: torch.Tensor,
    level_db: torch.Tensor,
    *,
    window_samples: int,
    generator: torch.Generator,
) -> torch.Tensor:
    check_labels(label, CLASSES, level_db=level_db)
    batch, device = len(label), label.device
    if not batch:
        return torch.empty(0, 2, window_samples, device=device)  # the FFT refuses an empty batch

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(batch, generator=generator, device=device)

    def chosen(share: float) -> torch.Tensor:
        return uniform(0, 1) < share

    # Echoes reach back, so signals start a little before their window.
    run_in = channel.ECHO_TAPS - 1
    sps = recipe.samples_per_symbol * (1 + uniform(-recipe.rate_offset, recipe.rate_offset))
    signal = torch.empty(batch, window_samples + run_in, dtype=torch.complex64, device=device)
    for index in label.unique().tolist():
        rows = (label == index).nonzero().squeeze(1)
        timing = Timing(sps[rows], window_samples + run_in, recipe.audio)
        name = NOISE if CLASSES[index] in recipe.empty_classes else CLASSES[index]
        signal[rows] = MODULATORS[name](timing, generator).to(torch.complex64)

    offset = uniform(-recipe.carrier_offset, recipe.carrier_offset) * chosen(recipe.carrier_share)
    signal = channel.shift_carrier(signal, offset, uniform(0, 2 * torch.pi))
    taps = channel.echo_taps(batch, generator, device)
    direct = torch.zeros_like(taps)
    direct[:, 0] = 1
    taps = torch.where(chosen(recipe.echo_share)[:, None], taps, direct)
    signal = channel.convolve(signal, taps)  # (B, L)

    power = signal.abs().square().mean(1, keepdim=True)
    present = power > 0  # class `noise` has no signal
    signal = signal / torch.where(present, power, torch.ones_like(power)).sqrt()
    noise = channel.complex_normal(batch, window_samples, generator=generator, device=device)
    narrowed = channel.band_limit(noise, uniform(0.15, 0.9), uniform(-0.05, 0.05))
    noise = torch.where(chosen(recipe.filtered_share)[:, None], narrowed, noise)
    gain_db = torch.tensor([recipe.class_gain_db.get(name, 0.0) for name in CLASSES], device=device)
    snr_db = recipe.snr_per_level * level_db + recipe.snr_offset_db + gain_db[label]
    noise_amplitude = 10 ** (-snr_db[:, None] / 20)
    noise_amplitude = torch.where(present, noise_amplitude, torch.ones_like(noise_amplitude))
    received = signal + noise_amplitude * noise
    # A mirrored spectrum is as likely as an upright one: conjugation costs nothing and doubles
    # what a recipe covers.
    received = torch.where(chosen(0.5)[:, None], received, received.conj().resolve_conj())
    return to_rows(received / (present + noise_amplitude.square()).sqrt())


def named(recipe: str) -> list[AnyRecipe]:
    """Return the recipes of a name like `live` or, in equal shares, `live+as-released`.

    Raises:
        ValueError: for a name that is not in `RECIPES`, or recipes of different classes.
    """
    names = recipe.split("+")
    for name in names:
        if name not in RECIPES:
            raise ValueError(f"no recipe {name!r}; there are: {', '.join(RECIPES)}")
    found = [RECIPES[name] for name in names]
    if len({tuple(each.classes) for each in found}) > 1:
        raise ValueError(
            f"the recipes of {recipe!r} have different classes: they cannot take turns"
        )
    return found


def draw_random(
    recipe: str, count: int, *, window_samples: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draw windows of random classes and levels, levels uniform.

    All classes are alike, unless a recipe says otherwise.

    Classes that are empty in a recipe are not drawn from it: `noise` covers them.

    Args:
        recipe: one name of `RECIPES`, or several joined by `+`, which take turns.
        count: B.
        window_samples: L.
        generator: source of all randomness; its device is where the windows are made.

    Returns:
        Windows, float32 (B, 2, L); labels, int64 (B,), `OUTLIER` where a recipe holds signals of
        no class; levels in dB, float32 (B,).

    Raises:
        ValueError: for an unknown recipe.
    """
    recipes, device = named(recipe), generator.device
    rows = torch.empty(count, 2, window_samples, device=device)
    label = torch.empty(count, dtype=torch.int64, device=device)
    level_db = torch.empty(count, device=device)
    for turn, each in enumerate(recipes):
        mine = slice(turn, None, len(recipes))
        size = len(label[mine])
        drawn = [i for i, name in enumerate(each.classes) if name not in each.empty_classes]
        drawn += [i for i, name in enumerate(each.classes) if name in each.twice]
        pick = torch.randint(len(drawn), (size,), generator=generator, device=device)
        low, high = each.levels_db
        label[mine] = torch.tensor(drawn, device=device)[pick]
        level_db[mine] = low + (high - low) * torch.rand(size, generator=generator, device=device)
        if isinstance(each, AirRecipe) and each.outlier_share:
            outlier = torch.rand(size, generator=generator, device=device) < each.outlier_share
            label[mine] = torch.where(outlier, air.OUTLIER, label[mine])
        rows[mine] = draw(
            each, label[mine], level_db[mine], window_samples=window_samples, generator=generator
        )
    return rows, label, level_db
