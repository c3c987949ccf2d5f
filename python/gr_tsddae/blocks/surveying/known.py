# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running survey knows of an emission that it told of."""

import dataclasses
from dataclasses import dataclass

from gr_tsddae.blocks.surveying.stretch import Stretch
from gr_tsddae.survey.emission import Emission

AGAIN_RATIO = 3.0  # an emission is recognised anew when it has lasted so many times as long,
AGAIN_S = 10.0  # or for so much longer
ANSWERS = ("label", "confidence", "probabilities", "candidates", "reasons")


@dataclass
class Known:
    """An emission that was told of.

    Attributes:
        number: its id in messages.
        stretch: where it is in.
        emission: as measured last.
        answer: as recognised and named last.
        asked_s: how long it had lasted when it was asked about last; 0: never.
        over: whether it was told that it ended.
    """

    number: int
    stretch: Stretch
    emission: Emission
    answer: Emission | None = None
    asked_s: float = 0.0
    over: bool = False

    @property
    def lasted_s(self) -> float:
        return self.emission.stop_s - self.emission.start_s

    def is_to_be_asked(self) -> bool:
        """Tell whether an answer is due: there is none, or it rests on a small part."""
        due_s = min(AGAIN_RATIO * self.asked_s, self.asked_s + AGAIN_S)
        return not self.asked_s or self.lasted_s >= due_s

    def described(self) -> Emission:
        """Give the latest measurements, with the latest answer."""
        if self.answer is None:
            return self.emission
        return dataclasses.replace(
            self.emission,
            measured=self.answer.measured | self.emission.measured,  # a score of the model, too
            **{name: getattr(self.answer, name) for name in ANSWERS},
        )

    def is_news(self, answer: Emission) -> bool:
        """Tell whether an answer says something else than the one before."""
        before = self.answer or self.emission
        return any(getattr(answer, name) != getattr(before, name) for name in ANSWERS)
