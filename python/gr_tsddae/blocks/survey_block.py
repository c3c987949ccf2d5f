# SPDX-License-Identifier: GPL-3.0-or-later
"""The TS-DDAE Survey block: a wide complex stream in, its emissions out as messages."""

from gr_tsddae.blocks.network.block import Cut, WindowBlock
from gr_tsddae.blocks.surveying.model import CHUNK_SAMPLES, SurveyModel
from gr_tsddae.blocks.surveying.worker import SurveyWorker, surveyed
from gr_tsddae.survey import DEFAULT_MODEL

BATCH_CHUNKS = 64
MAX_WAIT_S = 0.05


class survey(WindowBlock):
    """Complex stream and message `control` in; messages `emissions`, `spectrum`, `status` out.

    Finds, measures and names every emission of a wide band while it runs.

    grc/tsddae_survey.block.yml gives the messages' formats.

    Args:
        model: Name or folder of the model that names emissions; "none": they are only measured.
        sample_rate_hz: Used while no rx_rate tag was seen; 0: unknown.
        center_frequency_hz: Used while no rx_freq tag was seen; 0: unknown.
        minimum_snr_db: Weaker emissions are not told of.
        confidence_threshold: Labels below it are "unknown".
        overflow: What gives when the survey is slower than the stream: "drop_oldest" or
            "drop_newest" lose samples (and count them), "block" makes the stream wait.
        capacity_batches: Batches of 65536 samples that may wait or be worked on.
        device: "auto", "cpu", "cuda", ...
        precision: "auto", "float32", "bfloat16".
        engine: How the network runs, see docs/speed.md.

    Raises:
        gr_tsddae.zoo.ModelError: If the model cannot be loaded.
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        sample_rate_hz: float = 0.0,
        center_frequency_hz: float = 0.0,
        minimum_snr_db: float = 0.0,
        confidence_threshold: float = 0.6,
        overflow: str = "drop_oldest",
        capacity_batches: int = 64,
        device: str = "auto",
        precision: str = "auto",
        engine: str = "auto",
    ):
        network = SurveyModel(model, device=device, precision=precision, engine=engine)
        super().__init__(
            "TS-DDAE Survey",
            Cut(CHUNK_SAMPLES, BATCH_CHUNKS),
            hop_samples=0,
            capacity_batches=capacity_batches,
            overflow=overflow,
            gate_dbfs=float("-inf"),
            max_wait_s=MAX_WAIT_S,
        )
        worker = SurveyWorker(
            self.batcher,
            network,
            capacity_batches=capacity_batches,
            minimum_snr_db=minimum_snr_db,
            confidence_threshold=confidence_threshold,
            sample_rate_hz=sample_rate_hz,
            center_frequency_hz=center_frequency_hz,
        )
        self._connect(worker, ports=("emissions", "spectrum", "status"))

    def set_minimum_snr_db(self, minimum_snr_db: float) -> None:
        """Tell of weaker or only of stronger emissions, from the next one on."""
        self.worker.try_to_set(minimum_snr_db=minimum_snr_db)

    def set_confidence_threshold(self, confidence_threshold: float) -> None:
        """Change the confidence below which labels are "unknown"."""
        self.worker.try_to_set(confidence_threshold=confidence_threshold)

    def set_sample_rate_hz(self, sample_rate_hz: float) -> None:
        """Change the rate assumed while no rx_rate tag was seen; all emissions end."""
        self.worker.try_to_set(sample_rate_hz=sample_rate_hz)

    def set_center_frequency_hz(self, center_frequency_hz: float) -> None:
        """Change the frequency assumed while no rx_freq tag was seen; all emissions end."""
        self.worker.try_to_set(center_frequency_hz=center_frequency_hz)

    def set_paused(self, paused: bool) -> None:
        """Stop surveying, or go on; all emissions end."""
        self.worker.try_to_set(paused=paused)

    def counters(self) -> dict[str, int]:
        """Count where every sample went.

        At any moment in = surveyed + gated + dropped + flushed + pending.
        """
        return surveyed(self.batcher.counters())
