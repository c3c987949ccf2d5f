# SPDX-License-Identifier: GPL-3.0-or-later
"""The base classes of networks: an encoder around a configured backbone, and a head."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

MAX_WINDOW_SAMPLES = 8192  # a flattened window longer than this makes a layer no machine holds


def between(least: float, most: float, *, default: Any = dataclasses.MISSING) -> Any:
    """Declare a field of a configuration with its smallest and largest value."""
    return dataclasses.field(default=default, metadata={"limits": (least, most)})


def limits_of(config: Any) -> dict[str, tuple[float, float]]:
    """Look up the smallest and largest values that a configuration declares: field -> both."""
    fields = dataclasses.fields(config)
    return {f.name: f.metadata["limits"] for f in fields if "limits" in f.metadata}


def check_sizes(config: Any, limits: Mapping[str, tuple[float, float]]) -> None:
    """Raise ValueError when a field is no number, or beyond its smallest and largest value.

    Where the smallest value is an integer, so must the field be.
    """
    for name, (least, most) in limits.items():
        value = getattr(config, name)
        whole = isinstance(least, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            kind = "an integer" if whole else "a number"
            raise ValueError(f"{name} is {value!r}: it must be {kind} from {least} to {most}")
        if not least <= value <= most:
            raise ValueError(f"{name} is {value}: it must be from {least} to {most}")


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Everything that fixes a network's shape; each network adds its own fields.

    Model cards hold options, too. So every number is declared by `between`, and a network too
    large for any machine is refused unbuilt.

    Attributes:
        window_samples: L, complex samples of the windows the network is built for. A network whose
            `ANY_WINDOW` is true takes other lengths as well.
    """

    ANY_WINDOW: ClassVar[bool] = True  # no layer's size depends on L
    SHORTEST_SAMPLES: ClassVar[int] = 1  # pooling and strides leave nothing of less

    window_samples: int = 128

    def __post_init__(self) -> None:
        window = {"window_samples": (self.SHORTEST_SAMPLES, MAX_WINDOW_SAMPLES)}
        check_sizes(self, window | limits_of(self))

    def check_window(self, window_samples: int) -> None:
        """Raise ValueError when windows of this length do not fit the network."""
        if window_samples < self.SHORTEST_SAMPLES:
            raise ValueError(
                f"window of {window_samples} samples: this network needs at least "
                f"{self.SHORTEST_SAMPLES}"
            )
        if not self.ANY_WINDOW and window_samples != self.window_samples:
            raise ValueError(
                f"window of {window_samples} samples: this network is built for "
                f"{self.window_samples}; build it with the option window_samples={window_samples}"
            )


class Backbone(nn.Module):
    """What turns scaled windows (B, 2, L) into features (B, E)."""

    def __init__(self, config: NetworkConfig, feature_size: int):
        super().__init__()
        self.config, self.feature_size = config, feature_size


class Encoder(nn.Module):
    """A network that knows no classes: scaled windows (B, 2, L) -> feature vectors (B, E).

    Args:
        backbone: (B, 2, L) -> (B, E); its `config` is the network's.
        feature_size: E.
    """

    def __init__(self, backbone: nn.Module, feature_size: int):
        super().__init__()
        self.backbone = backbone
        self.feature_size = feature_size

    def check_window(self, window_samples: int) -> None:
        """Raise ValueError when windows of this length do not fit the network."""
        self.backbone.config.check_window(window_samples)

    def embed(self, rows: torch.Tensor) -> torch.Tensor:
        """Compute feature vectors of scaled windows: (B, 2, L) -> (B, E)."""
        self.check_window(rows.shape[-1])
        return self.backbone(rows.to(next(self.backbone.parameters()).dtype))

    def parts(self, rows: torch.Tensor) -> torch.Tensor:
        """Compute the features that a head judges one by one: (B, 2, L) -> (B, M, E).

        Features of the parts of each window; of the window itself, M = 1, where nothing else is
        said.
        """
        return self.embed(rows).unsqueeze(1)

    def vote(self, logits: torch.Tensor) -> torch.Tensor:
        """Combine the logits of each window's `parts`: (B, M, K) -> (B, K)."""
        return logits.squeeze(1)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.embed(rows)


class Classifier(Encoder):
    """An encoder and a head: scaled windows (B, 2, L) -> logits (B, K).

    A network derives from this and names its `Config` and its `Backbone`. A network of which each
    window's parts have a say overrides `parts`, `vote` and `forward`.
    """

    Config: ClassVar[type[NetworkConfig]]
    Backbone: ClassVar[type[Backbone]]

    def __init__(self, config: NetworkConfig, *, class_count: int):
        backbone = self.Backbone(config)
        super().__init__(backbone, backbone.feature_size)
        self.head = self.new_head(config, backbone.feature_size, class_count)

    @staticmethod
    def new_head(config: NetworkConfig, feature_size: int, class_count: int) -> nn.Sequential:
        """Make a head, (B, E) -> (B, K): a linear layer, where a network has no other.

        It begins and ends with a linear layer. Training a head on features, and folding a
        temperature or a prior into a trained model, rely on this.
        """
        return nn.Sequential(nn.Linear(feature_size, class_count))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.head(self.embed(rows))
