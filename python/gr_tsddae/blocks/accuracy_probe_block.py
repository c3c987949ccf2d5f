# SPDX-License-Identifier: GPL-3.0-or-later
"""The Accuracy Probe block: compare a running classifier with the truth.

Inside are a sink that reads truth tags, and a message block that outlives the stream.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gnuradio import gr

from gr_tsddae.blocks.accuracy.page import page
from gr_tsddae.blocks.accuracy.truth import Truth, read_annotations
from gr_tsddae.blocks.accuracy.worker import AccuracyWorker, TruthSink


class accuracy_probe(gr.hier_block2):
    """Complex stream and messages `results`, `decisions` in; message `accuracy` out.

    Measure how often a classifier is right while it runs. The block's documentation
    (grc/tsddae_accuracy_probe.block.yml) has the formats.

    Args:
        truth: .sigmf-meta of the recording that the flowgraph replays from its first sample on;
            its annotations are the truth. Empty: the tags `label` and `snr_db` are the truth. Then
            the stream input must be connected to the very stream that the classifier gets.
        rename: label of the truth -> class of the model, for names that differ.
        among: classes of the model to choose among, as benchmarks do; empty: all of them.
        file: JSON file for the report, replaced about once a second; empty: none.

    Raises:
        ValueError: If an argument makes no sense, or a file cannot be used.
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
        # Children stay referenced here: GNU Radio does not keep Python blocks alive. If the truth
        # comes from annotations, nobody asks for what the stream's tags told.
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
