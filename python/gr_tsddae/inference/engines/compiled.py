# SPDX-License-Identifier: GPL-3.0-or-later
"""A folded TS-Net through torch.compile.

Compiling holds up everything that is Python for the minute it takes. So another process compiles,
at low priority, into torch's cache, which then makes it short work for a thread of this one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from torch import nn

from gr_tsddae.nets.tsnet.folded import FoldedTSNet

CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


def keep_compiled_code() -> None:
    """Have torch keep compiled code in a folder that outlasts a restart of the machine."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault(CACHE_VARIABLE, str(cache / "gr-tsddae" / "inductor"))


class CompiledTSNet(nn.Module):
    """A folded TS-Net, compiled for batches of given sizes; others take the folded one.

    Args:
        folded: On its device, in its precision.
        batches: Sizes B to compile for.
        tune: Try many kernels for each matrix product (on a GPU, minutes rather than seconds).
    """

    def __init__(self, folded: FoldedTSNet, batches: tuple[int, ...], *, tune: bool = False):
        super().__init__()
        keep_compiled_code()
        self.folded = folded
        self.feature_size = folded.feature_size
        self._batches = frozenset(batches)
        mode = "max-autotune-no-cudagraphs" if tune else "default"
        self._compiled = torch.compile(folded.features, dynamic=False, fullgraph=True, mode=mode)

    @torch.inference_mode()
    def compile(self) -> CompiledTSNet:
        """Compile now, for all sizes."""
        folded = self.folded
        device = next(folded.buffers()).device
        import torch._dynamo.config as dynamo  # heavy, and needed by nobody else

        # The limit is per function, of which every network loaded here is a version.
        limit = "recompile_limit" if hasattr(dynamo, "recompile_limit") else "cache_size_limit"
        with dynamo.patch({limit: 256}):
            for batch in sorted(self._batches):
                rows = torch.randn(batch, 2, folded.window_samples, device=device)
                self._compiled(*(part.to(folded.dtype) for part in folded.seen(rows)))
        return self

    def embed(self, rows: torch.Tensor) -> torch.Tensor:
        """Compute feature vectors of scaled windows, float32: (B, 2, L) -> (B, E)."""
        folded = self.folded
        if len(rows) not in self._batches or not torch.is_inference_mode_enabled():
            return folded.embed(rows)
        folded.check_window(rows.shape[-1])
        return self._compiled(*(part.to(folded.dtype) for part in folded.seen(rows)))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.folded.head(self.embed(rows))


def main(order: str) -> None:
    """Compile the network in a file that `Engine` wrote; torch's cache keeps the result."""
    if hasattr(os, "nice"):
        os.nice(10)  # the radio comes first
    folded, batches, tune = torch.load(order, weights_only=False)
    CompiledTSNet(folded, batches, tune=tune).compile()


if __name__ == "__main__":
    main(sys.argv[1])
