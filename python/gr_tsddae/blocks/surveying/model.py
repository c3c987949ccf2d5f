# SPDX-License-Identifier: GPL-3.0-or-later
"""What names the emissions of a running survey: a recogniser, or nothing."""

from dataclasses import dataclass

from gr_tsddae.blocks.network.shared_recognizer import SharedRecognizer
from gr_tsddae.survey import DEFAULT_MODEL

CHUNK_SAMPLES = 1024  # the stream is taken in such pieces; less than one is lost at a retune
NO_MODEL = "none"


@dataclass(frozen=True)
class NoCard:
    """Stands where a model has its card."""

    name: str = NO_MODEL


class SurveyModel:
    """A network for a worker that needs none: with the model "none" emissions are only measured.

    Args:
        model: name or folder of a model, or "none".
        device, precision, batch_windows, engine: as for `SharedRecognizer`.

    Attributes:
        recognizer: None without a model.
        window_samples: of the pieces that the stream is cut to, whatever the windows of the model.

    Raises:
        gr_tsddae.zoo.ModelError: If the model cannot be loaded.
        ValueError: If an argument is out of its range.
    """

    window_samples = CHUNK_SAMPLES

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        device: str = "auto",
        precision: str = "auto",
        batch_windows: int | None = None,
        engine: str = "auto",
    ):
        self.recognizer: SharedRecognizer | None = None
        self.card = NoCard()
        self.device, self.precision, self.engine_wanted = device, precision, engine
        self.batch_windows = batch_windows
        if model != NO_MODEL:
            self.recognizer = SharedRecognizer(
                model, device=device, precision=precision, batch_windows=batch_windows,
                engine=engine,
            )  # fmt: skip
            self.card = self.recognizer.card
            self.device, self.precision = self.recognizer.device, self.recognizer.precision

    @property
    def device_failures(self) -> int:
        """How often a device failed and another took over."""
        return 0 if self.recognizer is None else self.recognizer.device_failures
