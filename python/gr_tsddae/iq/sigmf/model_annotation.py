# SPDX-License-Identifier: GPL-3.0-or-later
"""A model's decisions for one label, joined to one annotation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from gr_tsddae.iq.sigmf.opinion import generator


class DecisionLike(Protocol):
    """The attributes that a decision needs to be written."""

    model: str
    label: str
    confidence: float
    first_sample: int
    sample_count: int
    center_frequency_hz: float | None
    sample_rate_hz: float | None


class Note(Protocol):
    """What becomes an annotation."""

    first_sample: int
    sample_count: int

    @property
    def end_sample(self) -> int: ...

    def entry(
        self, *, sample_rate_hz: float | None, center_frequency_hz: float | None
    ) -> dict[str, Any]: ...


@dataclass
class ModelAnnotation:
    """A model's label for consecutive samples.

    Attributes:
        sample_count: Samples from its start to the end of its last decision.
        confidence: Mean over the decisions, weighted by their length.
        center_frequency_hz: Tuning during the decisions, or None.
        sample_rate_hz: Samples per second, or None.
    """

    first_sample: int
    sample_count: int
    label: str
    model: str
    confidence: float
    center_frequency_hz: float | None
    sample_rate_hz: float | None

    def __post_init__(self) -> None:
        self._weight = self.sample_count  # samples of its decisions, overlaps counted twice

    @property
    def end_sample(self) -> int:
        return self.first_sample + self.sample_count

    @classmethod
    def of(cls, decision: DecisionLike) -> ModelAnnotation:
        """Make an annotation of one decision; others may lengthen it."""
        return cls(
            first_sample=int(decision.first_sample),
            sample_count=int(decision.sample_count),
            label=decision.label,
            model=decision.model,
            confidence=float(decision.confidence),
            center_frequency_hz=_float(decision.center_frequency_hz),
            sample_rate_hz=_float(decision.sample_rate_hz),
        )

    def take_in(self, later: ModelAnnotation) -> bool:
        """Join one that starts no earlier, if it touches and agrees; return whether it did."""
        if later.first_sample > self.end_sample or self._kind() != later._kind():
            return False
        self._weight += later.sample_count
        if self._weight:
            self.confidence += (
                (later.confidence - self.confidence) * later.sample_count / self._weight
            )
        self.sample_count = max(self.end_sample, later.end_sample) - self.first_sample
        return True

    def entry(
        self,
        *,
        sample_rate_hz: float | None,
        center_frequency_hz: float | None,
        band_hz: tuple[float, float] | None = None,
    ) -> dict[str, Any]:
        """Return the SigMF annotation.

        Its frequency edges count from 0 Hz where the centre is unknown. They are left out where the
        rate is unknown.

        Args:
            sample_rate_hz: The recording's, for decisions that know none.
            center_frequency_hz: The same for the centre.
            band_hz: Edges of the signal, from the centre; None: the whole band that was listened
                to.
        """
        entry = {
            "core:sample_start": self.first_sample,
            "core:sample_count": self.sample_count,
            "core:label": self.label,
            "core:comment": f"{self.confidence:.2f} by {self.model}",
            "core:generator": generator(),
            "tsddae:confidence": round(self.confidence, 4),
            "tsddae:model": self.model,
        }
        rate_hz = self.sample_rate_hz or sample_rate_hz
        if rate_hz is not None:
            own_hz = self.center_frequency_hz
            centre_hz = (center_frequency_hz if own_hz is None else own_hz) or 0.0
            low_hz, high_hz = band_hz or (-rate_hz / 2, rate_hz / 2)
            entry["core:freq_lower_edge"] = centre_hz + low_hz
            entry["core:freq_upper_edge"] = centre_hz + high_hz
        return entry

    def _kind(self) -> tuple[Any, ...]:
        return self.label, self.model, self.center_frequency_hz, self.sample_rate_hz


def in_order(decisions: Iterable[DecisionLike]) -> list[ModelAnnotation]:
    """Return an annotation for each decision, in order of their start."""
    return sorted(map(ModelAnnotation.of, decisions), key=lambda note: note.first_sample)


def merged(decisions: Iterable[DecisionLike]) -> list[ModelAnnotation]:
    """Join decisions that touch or overlap and agree in label, model, tuning and rate."""
    notes: list[ModelAnnotation] = []
    for new in in_order(decisions):
        if not (notes and notes[-1].take_in(new)):
            notes.append(new)
    return notes


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)  # JSON knows no numbers of NumPy's
