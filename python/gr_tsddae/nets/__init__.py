# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks by name. `nets/` knows tensors only: no files, no datasets, no GNU Radio."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from gr_tsddae.nets.tsnet import TSNetConfig

# name -> builder(class_count, **options); every builder gives a module (B, 2, L) scaled windows
# -> (B, K), with a method check_window(L) that raises ValueError for a length it does not take.
_CLASSIFIERS: dict[str, Callable[..., nn.Module]] = {}
# name -> builder(**options) of a module (noisy (B, 2, L), step (B,)) -> two noises (B, 2, L), with
# the same `backbone` as the classifier of that name.
_DENOISERS: dict[str, Callable[..., nn.Module]] = {}


def _tsnet_config(size: str, options: Mapping[str, Any]) -> TSNetConfig:
    from gr_tsddae.nets.tsnet import SIZES, TSNetConfig

    known = {field.name for field in dataclasses.fields(TSNetConfig)}
    if unknown := sorted(options.keys() - known):
        raise ValueError(
            f"a TS-Net has no {', '.join(unknown)}; its options are: {', '.join(sorted(known))}"
        )
    return dataclasses.replace(SIZES[size], **options)


def _tsnet(size: str) -> tuple[Callable[..., nn.Module], Callable[..., nn.Module]]:
    def classifier(class_count: int, **options: Any) -> nn.Module:
        from gr_tsddae.nets.heads import TSNetClassifier

        return TSNetClassifier(_tsnet_config(size, options), class_count=class_count)

    def denoiser(**options: Any) -> nn.Module:
        from gr_tsddae.nets.heads import TSNetDenoiser

        return TSNetDenoiser(_tsnet_config(size, options))

    return classifier, denoiser


for _size in ("base", "small", "nano"):
    _CLASSIFIERS[f"tsnet-{_size}"], _DENOISERS[f"tsnet-{_size}"] = _tsnet(_size)


def names() -> list[str]:
    """All network names, sorted."""
    return sorted(_CLASSIFIERS)


def create(name: str, *, class_count: int, **options: Any) -> nn.Module:
    """A fresh, untrained classifier network.

    Args:
        name: one of `names()`.
        class_count: number of classes K, at least 2.
        **options: what differs from the named size, e.g. `layers=3`; for a TS-Net the fields of
            `TSNetConfig`.

    Raises:
        ValueError: for an unknown name or option, or fewer than 2 classes.
    """
    if name not in _CLASSIFIERS:
        raise ValueError(f"no network is called {name!r}; there are: {', '.join(names())}")
    if class_count < 2:
        raise ValueError(f"class_count is {class_count}: a classifier needs at least 2 classes")
    return _CLASSIFIERS[name](class_count, **options)


def create_denoiser(name: str, **options: Any) -> nn.Module:
    """A fresh network that estimates both noises of Eq. 5, for pre-training and denoising.

    Args:
        name: one of `names()` that can denoise.
        **options: as for `create`.

    Raises:
        ValueError: for an unknown name or option, or a network that cannot denoise.
    """
    if name not in _DENOISERS:
        raise ValueError(
            f"{name!r} cannot be pre-trained by denoising; these can: "
            f"{', '.join(sorted(_DENOISERS))}"
        )
    return _DENOISERS[name](**options)
