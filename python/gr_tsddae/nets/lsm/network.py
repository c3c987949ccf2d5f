# SPDX-License-Identifier: GPL-3.0-or-later
"""LSM: two encoders of patches, and a classifier in which every patch of a window votes.

Source: Zhenyu Wen, Yuheng Ye et al., "Unraveling complexity: an exploration into large-scale
multimodal signal processing", IEEE Intelligent Systems 2024.

Parameters: 10,117,118 for 128 samples and 11 classes; the article gives no figure. The sequence
encoder's 6,309,936 are those of XCiT-Tiny-12 (6.7 million with an image's kernels and its head).

Left open: sizes follow the authors' published network: XCiT-Tiny-12 whose stem halves the length
once, a spectrum encoder of two 1x1 convolutions and two linear layers, features of the same length
from both, a head with one hidden layer.

Deviations: a vote is a patch's probabilities, and all votes count alike; the published code
flattens them with a temperature of 10 and weighs each by its largest. The head ends with a linear
layer; theirs with a leaky rectifier, which bends negative logits. In the class layers the class
token alone changes, as the XCiT paper has it. A patch is a tenth of longer windows, too; there the
stem halves more often, or 1024 samples would need a head of 200 million parameters. The spectrum is
orthonormal; the BatchNorm behind it takes away the difference.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.iq.windows import spectrum
from gr_tsddae.nets.classifier import Backbone, Classifier
from gr_tsddae.nets.lsm.augment import crop, rotate
from gr_tsddae.nets.lsm.config import LSMConfig
from gr_tsddae.nets.lsm.nt_xent import TEMPERATURE, nt_xent
from gr_tsddae.nets.lsm.xcit import XCiT

SLOPE = 0.2  # of leaky rectifiers under zero


class SpectrumEncoder(nn.Sequential):
    """Patches' spectra (B, 2, P) -> features (B, F)."""

    def __init__(self, config: LSMConfig):
        super().__init__(
            *_block(nn.Conv1d(2, 64, kernel_size=1), 64),
            *_block(nn.Conv1d(64, 1, kernel_size=1), 1),
            nn.Flatten(),
            *_block(nn.Linear(config.patch_samples, 128), 128),
            *_block(nn.Linear(128, config.feature_size), config.feature_size),
        )


class LSMBackbone(Backbone):
    """Both encoders; their features have length one.

    `sequence` and `frequency` take patches, (B, 2, P) -> (B, F) each. Called as it is, the backbone
    takes windows, (B, 2, L) -> (B, 2F): both branches side by side, averaged over the patches.
    """

    def __init__(self, config: LSMConfig):
        super().__init__(config, 2 * config.feature_size)
        self.sequence_encoder = XCiT(config)
        self.spectrum_encoder = SpectrumEncoder(config)

    def sequence(self, patches: torch.Tensor) -> torch.Tensor:
        """Encode the time signal of patches: (B, 2, P) -> (B, F)."""
        return F.normalize(self.sequence_encoder(patches), dim=1)

    def frequency(self, patches: torch.Tensor) -> torch.Tensor:
        """Encode the spectrum of patches: (B, 2, P) -> (B, F)."""
        return F.normalize(self.spectrum_encoder(spectrum(patches).to(patches.dtype)), dim=1)

    def features(self, patches: torch.Tensor) -> torch.Tensor:
        """Encode time signal and spectrum, side by side: (B, 2, P) -> (B, 2F)."""
        return torch.cat((self.sequence(patches), self.frequency(patches)), dim=1)

    def patches(self, rows: torch.Tensor) -> torch.Tensor:
        """Cut windows into M = L // P whole patches: (B, 2, L) -> (B, M, 2, P)."""
        self.config.check_window(rows.shape[-1])
        size = self.config.patch_samples
        return rows.unfold(2, size, size).transpose(1, 2)

    def features_of_patches(self, rows: torch.Tensor) -> torch.Tensor:
        """Compute the features of every patch of windows: (B, 2, L) -> (B, M, 2F)."""
        patches = self.patches(rows)
        return self.features(patches.flatten(0, 1)).unflatten(0, patches.shape[:2])

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.features_of_patches(rows).mean(1)

    def pair(
        self, rows: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode the time signal of one patch and the spectrum of another, both turned.

        Args:
            rows: scaled windows, (B, 2, L).
            generator: of the device of `rows`; torch's own when None.

        Returns:
            Two tensors (B, F).
        """
        first, second = (
            rotate(crop(rows, self.config.patch_samples, generator), generator) for _ in range(2)
        )
        return self.sequence(first), self.frequency(second)

    def contrast(
        self,
        rows: torch.Tensor,
        *,
        temperature: float = TEMPERATURE,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Return the loss of pre-training: NT-Xent between the two of a `pair`.

        Args:
            rows: scaled windows, (B, 2, L), at least 2.
            temperature: of the loss.
            generator: of the device of `rows`; torch's own when None.

        Returns:
            A scalar, float32.
        """
        return nt_xent(*self.pair(rows, generator), temperature=temperature)


class LSM(Classifier):
    """Windows (B, 2, L) -> logits (B, K): the log of the patches' mean probabilities.

    `embed` averages the patches' features. The head is no linear function, so that logits are not
    what it makes of that average: it learns from `parts`, which are patches, or by `forward`.
    """

    Config, Backbone = LSMConfig, LSMBackbone

    @staticmethod
    def new_head(config: LSMConfig, feature_size: int, class_count: int) -> nn.Sequential:
        hidden = config.feature_size
        return nn.Sequential(
            nn.Linear(feature_size, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, class_count)
        )

    def parts(self, rows: torch.Tensor) -> torch.Tensor:
        """Compute the features of each window's patches: (B, 2, L) -> (B, M, 2F)."""
        return self.backbone.features_of_patches(rows.to(self.head[0].weight.dtype))

    def vote(self, logits: torch.Tensor) -> torch.Tensor:
        """Average the probabilities over patches: logits (B, M, K) -> their logarithm (B, K)."""
        votes = logits.float().log_softmax(-1)
        return votes.logsumexp(1) - math.log(votes.shape[1])

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.vote(self.head(self.parts(rows)))


def _block(layer: nn.Module, channels: int) -> tuple[nn.Module, ...]:
    return layer, nn.BatchNorm1d(channels), nn.LeakyReLU(SLOPE)
