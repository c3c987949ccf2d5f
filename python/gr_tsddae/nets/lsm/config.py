# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of LSM, and its sizes."""

from dataclasses import dataclass
from typing import ClassVar

from gr_tsddae.nets.classifier import NetworkConfig, between

PATCHES = 10  # of a window: 12 samples of 128, as in its authors' program
MOST_TOKENS = 8  # of a patch: features are its tokens side by side, and must stay few


@dataclass(frozen=True, kw_only=True)
class LSMConfig(NetworkConfig):
    """Everything that fixes an LSM's shape; the defaults are XCiT-Tiny-12 as its authors size it.

    Attributes:
        window_samples: L; a patch has L // 10 samples. Windows of other lengths are cut to patches
            of the same size.
        width: channels C of the sequence encoder.
        heads: attention heads; divides `width`.
        layers: cross-covariance layers.
        class_layers: layers in which the class token looks at the others.
        expansion: hidden channels of a feed-forward block, over `width`.
        dropout: probability behind every attention and feed-forward layer.
    """

    SHORTEST_SAMPLES: ClassVar[int] = 4 * PATCHES

    width: int = between(8, 1024, default=192)
    heads: int = between(1, 64, default=4)
    layers: int = between(1, 64, default=12)
    class_layers: int = between(1, 8, default=2)
    expansion: int = between(1, 8, default=4)
    dropout: float = between(0.0, 0.9, default=0.3)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}")
        if self.width % (self.token_samples // 2):
            raise ValueError(
                f"width {self.width}: for windows of {self.window_samples} samples it must be a "
                f"multiple of {self.token_samples // 2}"
            )

    @property
    def patch_samples(self) -> int:
        """P, samples of a patch."""
        return self.window_samples // PATCHES

    @property
    def token_samples(self) -> int:
        """Samples per token: the paper's 2, or the power of two that keeps the tokens few."""
        stride = 2
        while self._tokens(stride) > MOST_TOKENS:
            stride *= 2
        return stride

    @property
    def tokens(self) -> int:
        """Tokens N of a patch, without the class token."""
        return self._tokens(self.token_samples)

    def _tokens(self, stride: int) -> int:
        return -(-self.patch_samples // stride)  # each halving rounds up

    @property
    def feature_size(self) -> int:
        """F, length of what one encoder says of a patch."""
        return (self.tokens + 1) * self.width

    def check_window(self, window_samples: int) -> None:
        """Raise ValueError when windows of this length hold no patch."""
        if window_samples < self.patch_samples:
            raise ValueError(
                f"window of {window_samples} samples: this network cuts windows to patches of "
                f"{self.patch_samples} and needs at least one"
            )
