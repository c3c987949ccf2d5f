# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks by name. This room knows tensors alone: no files, no datasets, no GNU Radio."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gr_tsddae.plugins import VARIABLE, Registry

if TYPE_CHECKING:
    from torch import nn

    from gr_tsddae.nets.classifier import Classifier
    from gr_tsddae.nets.tsnet import TSNetConfig

# The networks that can also be pre-trained by denoising.
_TSNETS = ("tsnet-base", "tsnet-mini", "tsnet-nano", "tsnet-small")
# name -> "module:Class" below gr_tsddae.nets, a `nets.classifier.Classifier`. This line is all that
# a network of this package needs to be known by name; docs/add-a-network.md tells the rest.
_NETWORKS = {
    **dict.fromkeys(_TSNETS, "tsnet:TSNet"),
    "amc-net": "baselines.amc_net:AMCNet",
    "cgdnn": "baselines.cgdnn:CGDNN",
    "cnn-lstm": "baselines.cnn_lstm:CNNLSTM",
    "cnn2": "baselines.cnn2:CNN2",
    "conv4": "baselines.conv4:Conv4",
    "gru2": "baselines.gru2:GRU2",
    "iqformer": "baselines.iqformer:IQFormer",
    "lsm": "lsm:LSM",
    "mcnet": "baselines.mcnet:MCNet",
    "msnet": "baselines.msnet:MSNet",
    "resnet": "baselines.resnet:ResNet",
    "resnet18": "baselines.resnet18:ResNet18",
    "spectrum-fm": "baselines.spectrum_fm:SpectrumFM",
    "transformer": "baselines.transformer:Transformer",
    "vgg": "baselines.vgg:VGG",
}
_REGISTRY: Registry[type[Classifier]] = Registry(
    "network", "gr_tsddae.networks", {n: f"{__name__}.{at}" for n, at in _NETWORKS.items()}
)
register = _REGISTRY.register


def _configured(name: str, default: Any, options: Mapping[str, Any]) -> Any:
    """Replace fields of a configuration by options."""
    known = {field.name for field in dataclasses.fields(default)}
    if unknown := sorted(options.keys() - known):
        raise ValueError(
            f"{name} has no option {', '.join(unknown)}; its options are: "
            f"{', '.join(sorted(known))}"
        )
    return dataclasses.replace(default, **options)


def _tsnet_config(name: str, options: Mapping[str, Any]) -> TSNetConfig:
    from gr_tsddae.nets.tsnet import SIZES

    return _configured(name, SIZES[name.removeprefix("tsnet-")], options)


def class_of(name: str) -> type[Classifier]:
    """Import the class of a network that is no TS-Net.

    Raises:
        ValueError: it cannot be imported, or is no `Classifier`.
    """
    from gr_tsddae.nets.classifier import Classifier

    network = _REGISTRY.load(name)
    if not (isinstance(network, type) and issubclass(network, Classifier)):
        raise ValueError(
            f"the network {name!r} is {network!r}; it must be a class that derives from "
            "gr_tsddae.nets.classifier.Classifier"
        )
    return network


def names() -> list[str]:
    """List all network names, sorted: those of this package and those from outside."""
    return sorted(_REGISTRY.names())


def denoisers() -> list[str]:
    """List the networks that `create_denoiser` takes, sorted."""
    return sorted(_TSNETS)


def create(name: str, *, class_count: int, window_samples: int = 128, **options: Any) -> nn.Module:
    """Create an untrained classifier network.

    It gives logits (B, K) of scaled windows (B, 2, L). `backbone` is all of it but the `head`,
    `embed` gives the features between the two, `check_window(L)` raises ValueError for a length it
    does not take.

    Args:
        name: one of `names()`.
        class_count: number of classes K, at least 2.
        window_samples: L, the windows it is built for. Only networks that flatten a window into
            a linear layer depend on it.
        **options: what differs from the named network, e.g. `layers=3`; the fields of its
            configuration, for a TS-Net those of `TSNetConfig`.

    Raises:
        ValueError: for an unknown name or option, or fewer than 2 classes.
    """
    _check_name(name)
    if class_count < 2:
        raise ValueError(f"class_count is {class_count}: a classifier needs at least 2 classes")
    if name in _TSNETS:
        from gr_tsddae.nets.heads import TSNetClassifier

        return TSNetClassifier(_tsnet_config(name, options), class_count=class_count)
    network = class_of(name)
    config = _configured(name, network.Config(), {"window_samples": window_samples, **options})
    return network(config, class_count=class_count)


def create_encoder(name: str, *, window_samples: int = 128, **options: Any) -> nn.Module:
    """Create an untrained network without a head, which pre-training without labels trains.

    It gives features (B, E) of scaled windows (B, 2, L), E being its `feature_size`, with the same
    `backbone` as the classifier of that name.

    Args:
        name: one of `names()`.
        window_samples: as for `create`.
        **options: as for `create`.

    Raises:
        ValueError: for an unknown name or option.
    """
    if name in _TSNETS:
        from gr_tsddae.nets.heads import TSNetEncoder

        return TSNetEncoder(_tsnet_config(name, options))
    from gr_tsddae.nets.classifier import Encoder

    whole = create(name, class_count=2, window_samples=window_samples, **options)
    return Encoder(whole.backbone, whole.feature_size)


def create_denoiser(name: str, **options: Any) -> nn.Module:
    """Create an untrained network that estimates both noises of Eq. 5.

    (noisy (B, 2, L), step (B,)) -> two noises (B, 2, L), with the same `backbone` as the
    classifier of that name.

    Args:
        name: one of `denoisers()`.
        **options: as for `create`.

    Raises:
        ValueError: for an unknown name or option, or a network that cannot denoise.
    """
    _check_name(name)
    if name not in _TSNETS:
        raise ValueError(
            f"{name!r} cannot be pre-trained by denoising; these can: {', '.join(denoisers())}"
        )
    from gr_tsddae.nets.heads import TSNetDenoiser

    return TSNetDenoiser(_tsnet_config(name, options))


def _check_name(name: str) -> None:
    if name not in names():
        raise ValueError(
            f"no network is called {name!r}; there are: {', '.join(names())}; one from outside "
            f"needs its package installed, or its module named in {VARIABLE}"
        )
