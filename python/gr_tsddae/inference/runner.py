# SPDX-License-Identifier: GPL-3.0-or-later
"""A network at work: its device, its precision, batches of few sizes, and the loss of a GPU."""

import copy
import logging
from collections.abc import Callable

import numpy as np
import torch

from gr_tsddae import zoo
from gr_tsddae.inference.device import PRECISIONS, resolve_device, resolve_precision
from gr_tsddae.iq.windows import SCALINGS, to_rows

log = logging.getLogger(__name__)


class Runner:
    """The common part of `Recognizer` and `Denoiser`.

    Passes through the network come in a few fixed sizes, the last one padded, so that what else is
    in a batch changes no bit of a window's result.

    Attributes:
        card: The model's.
        batch_windows: Most windows per pass.
        step_windows: Passes are padded to a multiple of it.
        device_failures: GPUs that were left for the CPU.
    """

    def __init__(
        self,
        model: zoo.Model,
        *,
        device: str,
        precision: str,
        batch_windows: int | None,
    ):
        if batch_windows is not None and batch_windows < 1:
            raise ValueError(f"batch_windows is {batch_windows}: it must be at least 1")
        self.card = model.card
        self.device_failures = 0
        self._scale = SCALINGS[self.card.scaling]
        self._float_network = model.network  # kept on the CPU, to fall back on
        self._precision = precision
        self._place(resolve_device(device))
        self.batch_windows = batch_windows or suitable_batch(
            model.network, self._device, self.window_samples
        )
        # Passes come in few sizes: a trickle of windows must not cost a whole batch.
        self.step_windows = min(self.batch_windows, max(16, self.batch_windows // 16))

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
        self._network = self._prepared(device)

    def _prepared(self, device: torch.device) -> torch.nn.Module:
        """Copy the network for a device, so that the CPU original stays float32."""
        return copy.deepcopy(self._float_network).to(device=device, dtype=self._dtype)

    def _silent_batch(self) -> np.ndarray:
        """Make a batch of zeros, for `warm_up`: a GPU prepares each size, a CPU the first alone."""
        count = self.batch_windows if self._device.type != "cpu" else self.step_windows
        return np.zeros((count, self.window_samples), np.complex64)

    def _fill(
        self,
        found: np.ndarray,
        compute: Callable[[torch.Tensor], torch.Tensor],
        windows: np.ndarray,
    ) -> np.ndarray:
        """Fill an array with results of windows, one pass after another.

        Args:
            found: (N, ...), filled and returned.
            compute: Rows as received, float32 (B, 2, L), on `device`, to results (B, ...); what
                it finds of a window depends on that window alone.
            windows: complex64, (N, L); not changed.

        Raises:
            ValueError: For windows of another shape.
        """
        self._check_windows(windows)
        for start in range(0, len(windows), self.batch_windows):
            part = windows[start : start + self.batch_windows]
            found[start : start + len(part)] = self._run_guarded(compute, part)
        return found

    def _check_windows(self, windows: np.ndarray) -> None:
        if windows.ndim != 2 or windows.shape[1] != self.window_samples:
            raise ValueError(
                f"windows have shape {windows.shape}: {self.card.name} takes "
                f"(B, {self.window_samples})"
            )

    def _run_guarded(
        self, compute: Callable[[torch.Tensor], torch.Tensor], windows: np.ndarray
    ) -> np.ndarray:
        """Run one pass; leave a GPU that fails for the CPU, once and for good."""
        try:
            return self._run(compute, windows)
        except RuntimeError as error:  # torch raises it, or kinds of it, for all CUDA failures
            self._leave_device(error)
            return self._run(compute, windows)

    def _leave_device(self, error: RuntimeError) -> None:
        """Go on with the CPU; raise the error where that is the device already."""
        if self._device.type == "cpu":
            raise error
        self.device_failures += 1
        log.warning(
            "%s failed (%s); going on with the CPU", self._device, str(error).splitlines()[0]
        )
        self._place(torch.device("cpu"))

    @torch.inference_mode()
    def _run(
        self, compute: Callable[[torch.Tensor], torch.Tensor], windows: np.ndarray
    ) -> np.ndarray:
        # A full batch goes to the device as it lies; only an odd one is copied, to be padded.
        batch = torch.from_numpy(np.require(windows, np.complex64, ["C", "W"]))
        if missing := -len(windows) % self.step_windows:
            batch = torch.cat((batch, batch.new_zeros(missing, self.window_samples)))
        found = compute(to_rows(batch.to(self._device)))
        return found[: len(windows)].cpu().numpy()


def suitable_batch(
    network: torch.nn.Module, device: torch.device, window_samples: int = 128
) -> int:
    """Choose windows per pass: efficient, and few enough for a CPU to answer within a second."""
    if device.type != "cpu":
        return 1024
    parameters = sum(p.numel() for p in network.parameters())
    of_128 = 1024 if parameters < 500_000 else 256 if parameters < 2_000_000 else 64
    return max(1, of_128 * 128 // max(128, window_samples))
