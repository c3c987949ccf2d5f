# SPDX-License-Identifier: GPL-3.0-or-later
"""The Accuracy Probe block: a running classifier held against the truth.

Inside: a sink that reads truth tags, and a message block that outlives the stream.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gnuradio import gr

from gr_tsddae.blocks.accuracy.page import page
from gr_tsddae.blocks.accuracy.truth import Truth, read_annotations
from gr_tsddae.blocks.accuracy.worker import AccuracyWorker, TruthSink


class accuracy_probe(gr.hier_block2):
    """Measures how often a classifier is right while it runs.

    Message ports in: `results`, `decisions`; out: `accuracy`. Their formats are in the block's
    documentation (grc/tsddae_accuracy_probe.block.yml).

    Args:
        truth: .sigmf-meta whose annotations are the truth, of the recording that is replayed from
            its first sample on. Empty: `label` and `snr_db` tags of the stream are; then the
            stream input must be connected to the very stream that the classifier gets.
        rename: label of the truth -> class of the model, for names that differ.
        among: classes of the model to choose among, as benchmarks do; empty: all of them.
        file: JSON file for the report, written anew about once a second; empty: none.

    Raises:
        ValueError: when an argument makes no sense, or a file cannot be used.
    """

    def __init__(
        self,
        truth: str = "",
        rename: Mapping[str, str] | None = None,
        among: Sequence[str] = (),
        file: str = "",
    ):
        rename = {} if rename is None else rename
        if not isinstance(rename, Mapping):
            raise ValueError(f"rename is {rename!r}: give {{'label': 'class', ...}}")
        if isinstance(among, str) or len(set(among)) == 1:
            raise ValueError(f"among is {among!r}: give a list of two classes or more, or []")
        gr.hier_block2.__init__(
            self,
            "TS-DDAE Accuracy Probe",
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
            gr.io_signature(0, 0, 0),
        )
        annotated = read_annotations(Path(truth)) if truth else None
        # Children stay referenced here: GNU Radio does not keep Python blocks alive. The tags of a
        # stream that runs beside annotations go into a truth that nobody asks.
        told = Truth()
        self.sink = TruthSink(told)
        self.worker = AccuracyWorker(
            annotated or told,
            self.sink,
            rename={str(label): str(name) for label, name in rename.items()},
            among=tuple(map(str, among)),
            file=_writable(Path(file)) if file else None,
        )
        self.connect(self, self.sink)
        for port in ("results", "decisions"):
            self.message_port_register_hier_in(port)
            self.msg_connect(self, port, self.worker, port)
        self.message_port_register_hier_out("accuracy")
        self.msg_connect(self.worker, "accuracy", self, "accuracy")

    def report(self) -> dict[str, Any]:
        """Give the figures so far, as `accuracy` publishes them."""
        return self.worker.report()

    def page(self) -> str:
        """Give the figures so far as one page of text, to print."""
        return page(self.worker.report())


def _writable(file: Path) -> Path:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"file is {file}: its folder cannot be made ({error.strerror})") from error
    if file.is_dir() or not os.access(file.parent, os.W_OK):
        raise ValueError(f"file is {file}: it cannot be written; choose another name or folder")
    return file
