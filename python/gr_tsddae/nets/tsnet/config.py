# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of TS-Net, and its sizes."""

from dataclasses import dataclass

from gr_tsddae.nets.classifier import MAX_WINDOW_SAMPLES, between, check_sizes, limits_of


@dataclass(frozen=True, kw_only=True)
class TSNetConfig:
    """Everything that fixes a TS-Net's shape.

    Attributes:
        width: channels C of both embeddings.
        heads: attention heads H of the temporal encoder; divides `width`, with an even quotient
            (rotary embedding turns pairs of channels).
        feedforward: hidden channels of every feed-forward sub-block.
        layers: number of (temporal encoder, spectral encoder) pairs.
        stride_samples: samples per token. 1 is the paper's network; more shortens the sequence
            with a strided input projection, which is what makes small sizes fast.
        kernel_samples: samples the input projection sees per token, at least `stride_samples`.
        squeeze: channel-attention bottleneck ratio (Eq. 12).
        dropout: dropout probability inside sub-blocks.
        drop_path: stochastic-depth probability of the last sub-block of each encoder.
        temporal: whether there are temporal encoders (ablation "w/o temporal").
        spectral: whether there are spectral encoders (ablation "w/o spectral").
        interactive: whether each encoder sees the other's embedding ("w/o interactive").
        derived: whether the encoders also see products of the samples (`inputs.rows_of`), which
            the paper's network does not.
        lags: whether the temporal encoder also sees the autocorrelation of the window.
        head_width: hidden channels of a classifier's head; 0: as many as `width`.
    """

    width: int = between(1, 4096)
    heads: int = between(1, 1024)
    feedforward: int = between(1, 16384)
    layers: int = between(1, 64)
    stride_samples: int = between(1, MAX_WINDOW_SAMPLES, default=1)
    kernel_samples: int = between(1, MAX_WINDOW_SAMPLES, default=1)
    squeeze: int = between(1, 4096, default=16)
    dropout: float = between(0.0, 0.99, default=0.2)
    drop_path: float = between(0.0, 0.99, default=0.2)
    temporal: bool = True
    spectral: bool = True
    interactive: bool = True
    derived: bool = False
    lags: bool = False
    head_width: int = between(0, 4096, default=0)

    def __post_init__(self) -> None:
        check_sizes(self, limits_of(self))
        for name in ("temporal", "spectral", "interactive", "derived", "lags"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} is {getattr(self, name)!r}: it must be true or false")
        if not (self.temporal or self.spectral):
            raise ValueError("temporal and spectral are both false: no encoder would be left")
        if self.width % (2 * self.heads):
            raise ValueError(
                f"width {self.width} with {self.heads} heads: rotary embedding needs "
                f"width to be a multiple of 2*heads = {2 * self.heads}"
            )
        if self.kernel_samples < self.stride_samples or self.stride_samples < 1:
            raise ValueError(
                f"kernel_samples {self.kernel_samples}, stride_samples {self.stride_samples}: "
                "need 1 <= stride_samples <= kernel_samples, or samples would go unseen"
            )
        if (self.kernel_samples - self.stride_samples) % 2:
            raise ValueError(
                f"kernel_samples {self.kernel_samples} and stride_samples {self.stride_samples} "
                "must differ by an even number, so that the padding is the same on both sides"
            )

    @property
    def coupled(self) -> bool:
        """Whether each encoder sees the other's embedding."""
        return self.temporal and self.spectral and self.interactive

    @property
    def embeddings(self) -> int:
        """How many embeddings there are, 1 or 2."""
        return self.temporal + self.spectral

    def tokens(self, window_samples: int) -> int:
        """Tokens N of a window of L samples.

        Raises:
            ValueError: when L is not a multiple of `stride_samples`.
        """
        if window_samples < 1 or window_samples % self.stride_samples:
            raise ValueError(
                f"window of {window_samples} samples: this network takes whole multiples of its "
                f"stride, {self.stride_samples} samples"
            )
        return window_samples // self.stride_samples


SIZES = {
    # The paper's network: 10.3 million parameters.
    "base": TSNetConfig(width=256, heads=16, feedforward=512, layers=4),
    # An RTL-SDR's whole rate on two cores: half the tokens of mini, one layer of wide feed-forward.
    # Wide ones are large matrix products, which a processor does best.
    "nano": TSNetConfig(
        width=64,
        heads=2,
        feedforward=256,
        layers=1,
        stride_samples=16,
        kernel_samples=32,
        dropout=0.0,
        drop_path=0.0,
    ),
    "mini": TSNetConfig(
        width=64,
        heads=2,
        feedforward=128,
        layers=2,
        stride_samples=8,
        kernel_samples=16,
        dropout=0.0,
        drop_path=0.0,
    ),
    # mini with twice the layers, so that it can grow out of a trained mini.
    "small": TSNetConfig(
        width=64,
        heads=2,
        feedforward=128,
        layers=4,
        stride_samples=8,
        kernel_samples=16,
        dropout=0.1,
        drop_path=0.1,
    ),
}
