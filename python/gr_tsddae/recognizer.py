# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows in, probabilities out: device, precision, batching, and what happens when a GPU dies."""

from __future__ import annotations

import copy
import logging
import os
from dataclasses import dataclass

import numpy as np
import torch

from gr_tsddae import zoo
from gr_tsddae.decision import Decider, Decision, Origin
from gr_tsddae.iq.windows import SCALINGS, cut, to_rows

log = logging.getLogger(__name__)

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Recognition:
    """What `Recognizer.predict` found in a piece of IQ.

    Attributes:
        decision: on the whole piece.
        window_probabilities: float32 (B, K), one row per window.
        first_samples: int64 (B,), where each window starts.
    """

    decision: Decision
    window_probabilities: np.ndarray
    first_samples: np.ndarray

    @property
    def label(self) -> str:
        return self.decision.label

    @property
    def confidence(self) -> float:
        return self.decision.confidence

    @property
    def probabilities(self) -> dict[str, float]:
        return self.decision.probabilities


class Recognizer:
    """A model, ready to be asked.

    Deterministic: no noise is drawn, and the same call gives the same probabilities on the same
    machine. Passes through the network come in a few fixed sizes, the last one padded.

    Args:
        model: name or folder, see `zoo.find`.
        device: "auto" (a GPU when torch sees one), "cpu", "cuda", "cuda:1", ...
        precision: "auto" (bfloat16 where the hardware multiplies it fast), "float32", "bfloat16".
        batch_windows: most windows per pass through the network; None takes what suits the
            network's size and the device.

    Raises:
        zoo.ModelError: when the model cannot be loaded.
        ValueError: for a device that is not there, or an unknown precision.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "amc-nano",
        *,
        device: str = "auto",
        precision: str = "auto",
        batch_windows: int | None = None,
    ):
        if batch_windows is not None and batch_windows < 1:
            raise ValueError(f"batch_windows is {batch_windows}: it must be at least 1")
        loaded = zoo.load(model)
        if loaded.card.task == zoo.DENOISING:
            raise zoo.ModelMismatchError(
                f"{loaded.card.name} is a pre-trained denoiser: it knows no classes yet; "
                "make a classifier of it with `python -m gr_tsddae.train finetune`"
            )
        self.card = loaded.card
        self.device_failures = 0
        self._float_network = loaded.network  # kept on the CPU, to fall back on
        self._precision = precision
        self._place(resolve_device(device))
        self.batch_windows = batch_windows or suitable_batch(loaded.network, self._device)
        # Passes come in few sizes: a trickle of windows must not cost a whole batch.
        self._size_step = min(self.batch_windows, max(16, self.batch_windows // 16))
        self.warm_up()

    @property
    def classes(self) -> tuple[str, ...]:
        return self.card.classes

    @property
    def window_samples(self) -> int:
        return self.card.window_samples

    @property
    def device(self) -> torch.device:
        return self._device

    @property
    def precision(self) -> str:
        return next(name for name, dtype in PRECISIONS.items() if dtype == self._dtype)

    def _place(self, device: torch.device) -> None:
        """Put a copy of the network on a device, in the precision that suits it."""
        self._device = device
        self._dtype = resolve_precision(self._precision, device)
        # A copy, so that the CPU original stays float32 for a later fall-back.
        self._network = copy.deepcopy(self._float_network).to(device=device, dtype=self._dtype)

    def warm_up(self) -> None:
        """Run once on silence, so that the first real batch is as fast as the next."""
        self.window_probabilities(np.zeros((self.batch_windows, self.window_samples), np.complex64))

    def window_probabilities(self, windows: np.ndarray) -> np.ndarray:
        """Class probabilities of windows.

        Args:
            windows: complex64, (B, L); not changed. All samples finite. Windows of zeros alone are
                `noise` where the model has that class, else all classes alike.

        Returns:
            float32, (B, K), rows add up to 1.

        Raises:
            ValueError: for another shape.
        """
        if windows.ndim != 2 or windows.shape[1] != self.window_samples:
            raise ValueError(
                f"windows have shape {windows.shape}: {self.card.name} takes "
                f"(B, {self.window_samples})"
            )
        found = np.empty((len(windows), len(self.classes)), np.float32)
        for start in range(0, len(windows), self.batch_windows):
            part = windows[start : start + self.batch_windows]
            found[start : start + len(part)] = self._run_guarded(part)
        found[~windows.any(1)] = self._silence()
        return found

    def _silence(self) -> np.ndarray:
        """Probabilities of digital silence, (K,): it has no shape that the network could see."""
        if "noise" in self.classes:
            return np.eye(len(self.classes), dtype=np.float32)[self.classes.index("noise")]
        return np.full(len(self.classes), 1 / len(self.classes), np.float32)

    def _run_guarded(self, windows: np.ndarray) -> np.ndarray:
        """One pass; a GPU that fails is left for the CPU, once and for good."""
        try:
            return self._run(windows)
        except RuntimeError as error:  # torch raises it, or kinds of it, for all CUDA failures
            if self._device.type == "cpu":
                raise
            self.device_failures += 1
            log.warning(
                "%s failed (%s); going on with the CPU", self._device, str(error).splitlines()[0]
            )
            self._place(torch.device("cpu"))
            return self._run(windows)

    @torch.inference_mode()
    def _run(self, windows: np.ndarray) -> np.ndarray:
        # A full batch goes to the device as it lies; only an odd one is copied, to be padded.
        batch = torch.from_numpy(np.require(windows, np.complex64, ["C", "W"]))
        if missing := -len(windows) % self._size_step:
            batch = torch.cat((batch, batch.new_zeros(missing, self.window_samples)))
        rows = to_rows(batch.to(self._device))
        logits = self._network(SCALINGS[self.card.scaling](rows))
        return logits[: len(windows)].float().softmax(1).cpu().numpy()

    def predict(
        self,
        iq: np.ndarray,
        *,
        hop_samples: int | None = None,
        confidence_threshold: float = 0.0,
    ) -> Recognition:
        """What a piece of IQ is.

        Args:
            iq: complex, (N,), at least one window long; any level, one signal.
            hop_samples: distance between windows; the window length when None.
            confidence_threshold: under it the label is "unknown".

        Raises:
            ValueError: when `iq` is shorter than a window, is not complex, or holds no window of
                finite samples; when the hop is under 1.
        """
        iq = np.asarray(iq)
        if not np.iscomplexobj(iq):
            raise ValueError(f"iq is {iq.dtype}: complex samples are needed, I + jQ")
        iq = iq.astype(np.complex64, copy=False)
        hop_samples = self.window_samples if hop_samples is None else hop_samples
        windows = cut(iq, self.window_samples, hop_samples)
        if not len(windows):
            raise ValueError(
                f"iq has {len(iq)} samples: {self.card.name} needs at least one window of "
                f"{self.window_samples}"
            )
        first_samples = np.arange(len(windows)) * hop_samples
        finite = np.isfinite(windows).all(1)
        if not finite.any():
            raise ValueError(f"all {len(windows)} windows hold NaN or infinite samples")
        if not finite.all():
            log.warning(
                "left out %d of %d windows with NaN or infinite samples",
                int((~finite).sum()),
                len(finite),
            )
            windows, first_samples = windows[finite], first_samples[finite]
        probabilities = self.window_probabilities(windows)
        decider = Decider(
            model=self.card.name,
            classes=self.classes,
            window_samples=self.window_samples,
            interval_samples=max(1, len(iq)),
            confidence_threshold=confidence_threshold,
        )
        decided = decider.add(probabilities, first_samples, Origin()) or decider.flush()
        return Recognition(decided[0], probabilities, first_samples)


def suitable_batch(network: torch.nn.Module, device: torch.device) -> int:
    """Windows per pass: enough to be efficient, few enough for a CPU to answer within a second."""
    parameters = sum(p.numel() for p in network.parameters())
    if device.type != "cpu" or parameters < 500_000:
        return 1024
    return 256 if parameters < 2_000_000 else 64


def resolve_device(device: str) -> torch.device:
    """The torch device meant by a user's word.

    Raises:
        ValueError: for a word torch does not know, or a GPU that is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        wanted = torch.device(device)
    except RuntimeError:
        wanted = None
    if wanted is None or wanted.type not in ("cpu", "cuda"):
        raise ValueError(f"device {device!r} is not known; use auto, cpu, cuda or cuda:1")
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device {device!r}: torch sees {torch.cuda.device_count()} CUDA devices; "
            "use auto or cpu, or install a CUDA build of torch and its driver"
        )
    return wanted


def _multiplies_bfloat16_fast() -> bool:
    """Whether this processor has AMX tiles; torch has no public word for it."""
    ask = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(ask and ask())


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """The dtype meant by a user's word, on this device.

    Raises:
        ValueError: for an unknown word.
    """
    if precision == "auto":
        if device.type == "cuda":
            return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
        return torch.bfloat16 if _multiplies_bfloat16_fast() else torch.float32
    if precision not in PRECISIONS:
        raise ValueError(f"precision {precision!r}: choose auto, {' or '.join(PRECISIONS)}")
    return PRECISIONS[precision]
