# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks by name. `nets/` knows tensors only: no files, no datasets, no GNU Radio."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

# name -> builder(class_count); every builder gives a module (B, 2, L) scaled windows -> (B, K),
# with a method check_window(L) that raises ValueError for a length it does not take.
_CLASSIFIERS: dict[str, Callable[[int], nn.Module]] = {}


def _tsnet(size: str) -> Callable[[int], nn.Module]:
    def build(class_count: int) -> nn.Module:
        from gr_tsddae.nets.heads import TSNetClassifier
        from gr_tsddae.nets.tsnet import SIZES

        return TSNetClassifier(SIZES[size], class_count=class_count)

    return build


for _size in ("base", "small", "nano"):
    _CLASSIFIERS[f"tsnet-{_size}"] = _tsnet(_size)


def names() -> list[str]:
    """All network names, sorted."""
    return sorted(_CLASSIFIERS)


def create(name: str, *, class_count: int) -> nn.Module:
    """A fresh, untrained classifier network.

    Args:
        name: one of `names()`.
        class_count: number of classes K, at least 2.

    Raises:
        ValueError: for an unknown name or fewer than 2 classes.
    """
    if name not in _CLASSIFIERS:
        raise ValueError(f"no network is called {name!r}; there are: {', '.join(names())}")
    if class_count < 2:
        raise ValueError(f"class_count is {class_count}: a classifier needs at least 2 classes")
    return _CLASSIFIERS[name](class_count)
