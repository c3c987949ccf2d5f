# SPDX-License-Identifier: GPL-3.0-or-later
"""One score per window, higher where it is less normal, from either kind of model.

A classifier of task "anomaly" gives the probability that a window is of another class than
`normal`. A denoiser gives its denoising error: it was trained on normal windows, and denoises
others badly.
"""

import os

import numpy as np
import torch

from gr_tsddae import zoo
from gr_tsddae.inference.denoiser import Denoiser
from gr_tsddae.inference.recognizer import Recognizer

ANOMALY = "anomaly"
NORMAL = "normal"
# Noises per diffusion step. One makes five passes through the network per window; four, as `train
# anomaly` takes, tell little more: 0.00 to 0.02 of AUC for a sweep over a QPSK signal.
DRAWS = 1


class AnomalyScorer:
    """A model, ready to score windows.

    Args:
        model: Name or folder of a model for "anomaly" or "denoising".
        device, precision, batch_windows: As of `Recognizer` and `Denoiser`.

    Attributes:
        probability: Whether scores are probabilities, 0..1.

    Raises:
        zoo.ModelError: If the model cannot be loaded, or is for something else.
        ValueError: As the two raise it.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        device: str = "auto",
        precision: str = "auto",
        batch_windows: int | None = None,
    ):
        card = zoo.read_card(zoo.find(model))
        options = {"device": device, "precision": precision, "batch_windows": batch_windows}
        self.probability = card.task == ANOMALY
        if self.probability:
            if NORMAL not in card.classes:
                raise zoo.ModelMismatchError(
                    f"{card.name} has the classes {', '.join(card.classes)}: one of them must be "
                    f"called {NORMAL!r}, all others are anomalies"
                )
            self._normal = card.classes.index(NORMAL)
            self._model: Recognizer | Denoiser = Recognizer(model, **options)
        elif card.task == zoo.DENOISING:
            self._model = Denoiser(model, **options)
        else:
            raise zoo.ModelMismatchError(
                f"{card.name} is for {card.task!r}: anomalies need a model for {ANOMALY!r}, or one "
                f"for {zoo.DENOISING!r} that was trained on normal signals"
            )

    @property
    def card(self) -> zoo.Card:
        return self._model.card

    @property
    def window_samples(self) -> int:
        return self._model.window_samples

    @property
    def batch_windows(self) -> int:
        return self._model.batch_windows

    @property
    def device(self) -> torch.device:
        return self._model.device

    @property
    def precision(self) -> str:
        return self._model.precision

    @property
    def device_failures(self) -> int:
        return self._model.device_failures

    def scores(self, windows: np.ndarray) -> np.ndarray:
        """Score windows: complex64 (B, L), all finite, to float32 (B,)."""
        if self.probability:
            return 1 - self._model.window_probabilities(windows)[:, self._normal]
        return self._model.scores(windows, draws=DRAWS)
