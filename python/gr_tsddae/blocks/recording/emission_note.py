# SPDX-License-Identifier: GPL-3.0-or-later
"""An emission, as the Survey block tells of it, as an annotation of a recording."""

import dataclasses
import math
from typing import Any

from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.output.files import annotation

NEEDED = ("kind", "id", "label", "first_sample", "sample_count", "low_hz", "high_hz")


class EmissionNote:
    """A box in time and frequency with a label.

    Args:
        said: a message of the port `emissions` of the Survey block, or of the port `record` of the
            Survey Display.
        name: what the user calls it; empty: the label of the message, which is a model's.

    Attributes:
        number: of the emission; later messages about it have the same.
        label: the class, or "unknown", or the user's name.
        by_user: whether the label is the user's. Models may learn from such an annotation.
        confidence: of the label, 0 to 1.
        first_sample, sample_count, end_sample: where the emission lies in the stream.
        over: whether it has ended.
        withdrawn: whether it turned out to be none.

    Raises:
        ValueError: If it is no such message, or a number in it makes no sense.
    """

    def __init__(self, said: Any, name: str = ""):
        if not isinstance(said, dict) or not set(NEEDED) <= set(said):
            raise ValueError(f"an emission is a dictionary with {', '.join(NEEDED)}, not {said}")
        emission = Emission.from_dict(said, said.get("center_frequency_hz"))
        if name:
            emission = dataclasses.replace(emission, label=name, confidence=1.0)
        self._emission, self.by_user = emission, bool(name)
        self.number, self.label = emission.id, emission.label
        self.confidence = emission.confidence
        self.first_sample = int(said["first_sample"])
        self.sample_count = int(said["sample_count"])
        self.over = said["kind"] == "ended"
        self.withdrawn = bool(said.get("withdrawn"))
        numbers = emission.confidence, emission.low_hz, emission.high_hz
        if self.first_sample < 0 or self.sample_count < 1 or not all(map(math.isfinite, numbers)):
            raise ValueError(
                f"the emission has first_sample {self.first_sample}, sample_count "
                f"{self.sample_count}, low_hz {said['low_hz']} and high_hz {said['high_hz']}; "
                "samples are counted from 0 on and it needs at least one, edges are numbers"
            )

    @property
    def end_sample(self) -> int:
        return self.first_sample + self.sample_count

    def entry(
        self, *, sample_rate_hz: float | None, center_frequency_hz: float | None
    ) -> dict[str, Any]:
        """Return the SigMF annotation; its edges are those of the occupied bandwidth."""
        emission = self._emission
        if emission.band_center_hz is None:
            emission = dataclasses.replace(emission, band_center_hz=center_frequency_hz)
        entry = annotation(emission, self.first_sample, self.sample_count)
        if self.by_user:
            del entry["core:generator"]
        return entry
