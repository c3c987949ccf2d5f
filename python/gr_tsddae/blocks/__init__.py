# SPDX-License-Identifier: GPL-3.0-or-later
"""GNU Radio blocks. Thin: they own threads and ports, never maths.

Each block is a module of its own and is imported when it is first asked for, so that the rest of
the package does without GNU Radio.
"""

import functools
import importlib
import inspect
from numbers import Real
from typing import Any

from gr_tsddae.missing import explained

__all__ = [
    "accuracy_probe",
    "anomaly_detector",
    "classifier",
    "conditioner",
    "denoiser",
    "embedding",
    "json_publisher",
    "qt_display",
    "rml_source",
    "sigmf_annotator",
    "survey",
    "survey_display",
    "waterfall",
    "window_batcher",
]

_HOMES = {
    "accuracy_probe": "gr_tsddae.blocks.accuracy_probe_block",
    "anomaly_detector": "gr_tsddae.blocks.anomaly_detector_block",
    "classifier": "gr_tsddae.blocks.classifier_block",
    "conditioner": "gr_tsddae.blocks.conditioner_block",
    "denoiser": "gr_tsddae.blocks.denoiser_block",
    "embedding": "gr_tsddae.blocks.embedding_block",
    "json_publisher": "gr_tsddae.blocks.json_publisher_block",
    "qt_display": "gr_tsddae.blocks.qt_display_block",
    "rml_source": "gr_tsddae.blocks.rml_source_block",
    "sigmf_annotator": "gr_tsddae.blocks.sigmf_annotator_block",
    "survey": "gr_tsddae.blocks.survey_block",
    "survey_display": "gr_tsddae.blocks.survey_display_block",
    "waterfall": "gr_tsddae.blocks.waterfall_block",
    "window_batcher": "gr_tsddae.bindings",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no block {name!r}; there are: {__all__}")
    try:
        importlib.import_module("gnuradio.gr")
    except ImportError as error:
        raise ImportError(
            f"the block {name} needs GNU Radio 3.10, which this Python cannot import ({error}). "
            "Install it (Debian, Ubuntu: apt install gnuradio gnuradio-dev), then run "
            "`make setup` in gr-tsddae; `tsddae doctor` says what is missing"
        ) from error
    try:
        block = getattr(importlib.import_module(_HOMES[name]), name)
    except ImportError as error:
        raise explained(error) from error
    if _HOMES[name] != "gr_tsddae.bindings":
        _numbers_only(block)
    globals()[name] = block
    return block


def _numbers_only(block: type) -> None:
    """Let a constructor name what is no number where its signature says float or int."""
    made, signature = block.__init__, inspect.signature(block.__init__)

    @functools.wraps(made)
    def checked(self: Any, *arguments: Any, **options: Any) -> None:
        for name, value in signature.bind(self, *arguments, **options).arguments.items():
            wanted = signature.parameters[name].annotation
            if wanted in (float, int, "float", "int") and not isinstance(value, Real):
                raise ValueError(f"{name} is {value!r}: give a number")
        made(self, *arguments, **options)

    block.__init__ = checked


def __dir__() -> list[str]:
    return sorted(__all__)
