# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a block that runs a network: a batcher, a worker, and perhaps a source."""

from typing import NamedTuple

from gnuradio import gr

from gr_tsddae.bindings import window_batcher
from gr_tsddae.blocks.network.model_loader import Network
from gr_tsddae.blocks.network.result_source import ResultSource
from gr_tsddae.blocks.network.worker import WindowWorker

OVERFLOW_POLICIES = ("drop_oldest", "drop_newest", "block")


class Cut(NamedTuple):
    """How a stream is cut, where the network's windows do not matter."""

    window_samples: int
    batch_windows: int


class WindowBlock(gr.hier_block2):
    """Complex stream and message `control` in; messages and perhaps a stream out.

    `window_batcher` (C++) cuts the stream and never waits for the network unless it is told to; the
    worker (Python) takes whole batches on a thread of its own.

    Arguments that mean the same in every such block:

    * `hop_samples`: From one window's start to the next; 0 takes the window length.
    * `batch_windows`: Most windows per pass through the network; 0 takes what suits the model.
    * `max_wait_s`: A batch that is not full goes to the network after this time.
    * `capacity_batches`: Batches that may exist at once, waiting or worked on.
    * `overflow`: What gives when network or reader are slower than the stream: "drop_oldest" or
      "drop_newest" lose windows (and count them), "block" makes the stream wait.
    * `gate_dbfs`: Windows with less power (mean |x|^2, dB re 1.0) are not looked at;
      the default leaves out digital silence only, -inf leaves out none.
    * `device`: "auto", "cpu", "cuda", ...
    * `precision`: "auto", "float32", "bfloat16".
    * `sample_rate_hz`: Used while no rx_rate tag was seen; 0: unknown.
    * `center_frequency_hz`: Used while no rx_freq tag was seen; 0: unknown.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        title: str,
        network: Network | Cut,
        *,
        hop_samples: int,
        capacity_batches: int,
        overflow: str,
        gate_dbfs: float,
        max_wait_s: float,
        output_bytes: int = 0,
    ):
        if hop_samples < 0:
            raise ValueError(
                f"hop_samples is {hop_samples}: give the distance between windows in samples, "
                "or 0 for the window length"
            )
        if overflow not in OVERFLOW_POLICIES:
            raise ValueError(
                f"overflow is {overflow!r}: choose one of {', '.join(OVERFLOW_POLICIES)}"
            )
        outputs = 1 if output_bytes else 0
        gr.hier_block2.__init__(
            self,
            title,
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
            gr.io_signature(outputs, outputs, output_bytes),
        )
        # Children stay referenced here: GNU Radio does not keep Python blocks alive.
        self.batcher = window_batcher(
            window_samples=network.window_samples,
            hop_samples=hop_samples or network.window_samples,
            batch_windows=network.batch_windows,
            capacity_batches=capacity_batches,
            policy=overflow,
            gate_dbfs=gate_dbfs,
            max_wait_s=max_wait_s,
        )
        self.worker: WindowWorker
        self.source: ResultSource | None = None

    def _connect(
        self, worker: WindowWorker, *, ports: tuple[str, ...], source: ResultSource | None = None
    ) -> None:
        """Connect the parts; `ports` are the worker's messages that leave the block."""
        self.worker, self.source = worker, source
        self.connect(self, self.batcher)
        # No message ever flows here; it ties the worker's start and stop to the stream's.
        self.msg_connect(self.batcher, "drain", worker, "drain")
        for port in ports:
            self.message_port_register_hier_out(port)
            self.msg_connect(worker, port, self, port)
        self.message_port_register_hier_in("control")
        self.msg_connect(self, "control", worker, "control")
        if source is not None:
            self.connect(source, self)

    # Setters are called from GUI slots, where an exception ends the process: a bad value is
    # reported in `status`, and the old one stays.

    def set_model(self, model: str) -> None:
        """Load another model in the background and swap it in between two batches.

        The same name or folder again reloads it. When the new model is bad, or its windows have
        another length, the old one keeps working and `status` says why.
        """
        self.worker.try_to_set(model=model)

    def set_sample_rate_hz(self, sample_rate_hz: float) -> None:
        """Change the rate assumed while no rx_rate tag was seen."""
        self.worker.try_to_set(sample_rate_hz=sample_rate_hz)

    def set_center_frequency_hz(self, center_frequency_hz: float) -> None:
        """Change the frequency assumed while no rx_freq tag was seen."""
        self.worker.try_to_set(center_frequency_hz=center_frequency_hz)

    def set_gate_dbfs(self, gate_dbfs: float) -> None:
        """Change the power gate, from the next window on."""
        self.worker.try_to_set(gate_dbfs=gate_dbfs)

    def counters(self) -> dict[str, int]:
        """Count where every sample and window went; see `window_batcher.counters`."""
        return self.batcher.counters()
