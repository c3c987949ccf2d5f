# SPDX-License-Identifier: GPL-3.0-or-later
"""A folded TS-Net as OpenVINO runs it on a CPU."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from gr_tsddae.iq.windows import spectrum
from gr_tsddae.nets.tsnet.folded import FoldedTSNet

# Windows that a core works on at once: fewer leave it waiting, more do not stay in its caches.
SMALLEST_SHARE, LARGEST_SHARE = 16, 256


class OpenVinoTSNet(nn.Module):
    """A folded TS-Net whose batches, of any size, are divided among cores that share nothing.

    torch has all cores work on one operation after another, and every one ends with a wait. Here
    each core takes windows of its own through the whole network.

    Args:
        folded: on the CPU, in its precision; not changed. `to_precision` has been called.
        threads: how many cores; None takes torch's number.

    Raises:
        ImportError: when the package openvino is not installed.
    """

    def __init__(self, folded: FoldedTSNet, threads: int | None = None):
        import openvino

        super().__init__()
        self.folded = folded
        self.feature_size = folded.feature_size
        self._shares = threads or torch.get_num_threads()
        plain = copy.deepcopy(folded).to_precision(torch.float32)
        example = torch.zeros(2, 2, folded.window_samples)
        with torch.no_grad():
            model = openvino.convert_model(_Features(plain), example_input=(example, example))
        model.reshape({port: [-1, 2, folded.window_samples] for port in model.inputs})
        compiled = openvino.Core().compile_model(
            model,
            "CPU",
            {
                "NUM_STREAMS": self._shares,
                "INFERENCE_NUM_THREADS": self._shares,
                "ENABLE_CPU_PINNING": False,  # the radio's threads want a core now and then
                "INFERENCE_PRECISION_HINT": "bf16" if folded.dtype == torch.bfloat16 else "f32",
            },
        )
        self._queue = openvino.AsyncInferQueue(compiled, self._shares)
        self._queue.set_callback(_keep)

    def embed(self, rows: torch.Tensor) -> torch.Tensor:
        """Feature vectors of scaled windows, float32: (B, 2, L) -> (B, E)."""
        self.folded.check_window(rows.shape[-1])
        rows = rows.float()
        found = np.empty((len(rows), self.feature_size), np.float32)
        share = min(max(-(-len(rows) // self._shares), SMALLEST_SHARE), LARGEST_SHARE)
        for start in range(0, len(rows), share):
            part = rows[start : start + share]
            # The next part's spectrum is computed while the one before is worked on.
            inputs = part.numpy(), spectrum(part).numpy()
            self._queue.start_async(inputs, found[start : start + share], share_inputs=False)
        self._queue.wait_all()
        return torch.from_numpy(found)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.folded.head(self.embed(rows))


class _Features(nn.Module):
    """What `FoldedTSNet.features` does, as a module."""

    def __init__(self, folded: FoldedTSNet):
        super().__init__()
        self.folded = folded

    def forward(self, rows: torch.Tensor, spectrum_rows: torch.Tensor) -> torch.Tensor:
        return self.folded.features(rows, spectrum_rows)


def _keep(request: object, found: np.ndarray) -> None:
    found[:] = request.get_output_tensor(0).data
