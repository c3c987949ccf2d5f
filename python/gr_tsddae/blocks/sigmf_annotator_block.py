# SPDX-License-Identifier: GPL-3.0-or-later
"""The TS-DDAE SigMF Annotator block: decisions and emissions become annotations of a recording.

Inside, `Recorder` writes the stream, unless a recording exists already. `AnnotationWorker` writes
the annotations.
"""

import logging
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pmt
from gnuradio import gr

from gr_tsddae.blocks.receiver.receiver_tags import ReceiverTags
from gr_tsddae.blocks.recording.annotation_worker import AnnotationWorker
from gr_tsddae.blocks.recording.recorder import Recorder, SampleWriter
from gr_tsddae.iq.sigmf.annotated_recording import AnnotatedRecording

log = logging.getLogger(__name__)

RECORD_MODES = ("drop", "block", "off")


class sigmf_annotator(gr.hier_block2):
    """Complex stream (none if `record` is "off"), `decisions`, `emissions`, `record` in.

    Record a stream as SigMF with decisions of a classifier and emissions of a survey as
    annotations, or annotate an existing recording. The
    block's documentation (grc/tsddae_sigmf_annotator.block.yml) has the formats.

    Args:
        path: name of the recording, with or without .sigmf-meta. A new recording never overwrites
            another: it becomes NAME-2, NAME-3, ...
        record: "drop" records; when the disk is too slow, samples are lost and counted. "block"
            records and makes the stream wait. "off" annotates the existing recording, which the
            flowgraph must play from its start.
        sample_rate_hz: sample rate while no rx_rate tag was seen; 0: unknown.
        center_frequency_hz: centre while no rx_freq tag was seen; 0: unknown.
        ignore: labels that are not written: names separated by commas, or a list of names.
        minimum_confidence: what is below this confidence is not written.
        merge: whether consecutive decisions with one label become one annotation.
        author: who recorded; written if it is not empty, as are the next two.
        description: what was recorded.
        hardware: the receiver.

    Raises:
        gr_tsddae.iq.captures.CaptureError: If the recording to annotate cannot be used.
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        path: str = "recording",
        record: str = "drop",
        sample_rate_hz: float = 0.0,
        center_frequency_hz: float = 0.0,
        ignore: str | Iterable[str] = "noise",
        minimum_confidence: float = 0.0,
        merge: bool = True,
        author: str = "",
        description: str = "",
        hardware: str = "",
    ):
        if record not in RECORD_MODES:
            raise ValueError(f"record is {record!r}: choose one of {', '.join(RECORD_MODES)}")
        if not str(path):
            raise ValueError("path is empty: give the name of the recording")
        if not 0 <= sample_rate_hz < math.inf:
            raise ValueError(f"sample_rate_hz is {sample_rate_hz}: give hertz, or 0 when unknown")
        if not math.isfinite(center_frequency_hz):
            raise ValueError(
                f"center_frequency_hz is {center_frequency_hz}: give hertz, or 0 when unknown"
            )
        self._path = Path(path).expanduser()
        self._record = record
        self._rate_hz = float(sample_rate_hz) or None
        self._center_hz = float(center_frequency_hz) or None
        self._about = {"author": author, "description": description, "hw": hardware}
        if record == "off":
            self._open_existing()  # a recording that cannot be used is an error now, not later
        gr.hier_block2.__init__(
            self,
            "TS-DDAE SigMF Annotator",
            gr.io_signature(*((0, 0, 0) if record == "off" else (1, 1, gr.sizeof_gr_complex))),
            gr.io_signature(0, 0, 0),
        )
        # Children stay referenced here: GNU Radio does not keep Python blocks alive.
        self.recorder = None
        if record != "off":
            self.recorder = Recorder(
                open_writer=self._open_new,
                on_tags=self._note_tags,
                on_lost=self._note_loss,
                report=self._report,
            )
        self.worker = AnnotationWorker(
            open_recording=self._open_existing if record == "off" else None,
            status=self._sample_counts,
            samples_written=self._samples_there,
            stream_ended=None if self.recorder is None else self.recorder.ended,
        )
        self.worker.ignore = _labels(ignore)
        self.worker.minimum_confidence = _checked_confidence(minimum_confidence)
        self.worker.merge = bool(merge)
        if self.recorder is not None:
            self.connect(self, self.recorder)
            # No message ever flows here: the connection ties the worker's end to the stream's.
            self.msg_connect(self.recorder, "drain", self.worker, "drain")
        for port in ("decisions", "emissions", "record"):
            self.message_port_register_hier_in(port)
            self.msg_connect(self, port, self.worker, port)
        self.message_port_register_hier_out("status")
        self.msg_connect(self.worker, "status", self, "status")

    # Setters are called from GUI slots, where an exception ends the process. So a bad value is
    # reported in `status`, and the old value stays.

    def set_ignore(self, ignore: str | Iterable[str]) -> None:
        """Leave out other labels, from the next decision on."""
        try:
            self.worker.ignore = _labels(ignore)
        except TypeError as error:
            self._report("ignore not changed", error)

    def set_minimum_confidence(self, minimum_confidence: float) -> None:
        """Leave out decisions of less confidence, from the next decision on."""
        try:
            self.worker.minimum_confidence = _checked_confidence(minimum_confidence)
        except (ValueError, TypeError) as error:
            self._report("minimum confidence not changed", error)

    @property
    def recording_path(self) -> Path | None:
        """Give the .sigmf-meta file that this run writes; None before the run."""
        recording = self.worker.recording
        return None if recording is None else recording.meta_path

    # --- called by the children ---------------------------------------------------------------

    def _report(self, what: str, error: BaseException) -> None:
        self.worker.report(what, error)

    def _open_existing(self) -> AnnotatedRecording:
        return AnnotatedRecording.existing(self._path, sample_rate_hz=self._rate_hz)

    def _open_new(self) -> SampleWriter | None:
        """Begin a recording for a run, whose sample numbers begin at 0."""
        self.worker.recording = None
        # The computer's clock dates a live stream only; a replayed stream is from another day.
        clock_s = time.time() if self._record == "drop" else None
        self._tags = ReceiverTags(self._rate_hz, self._center_hz, clock_s)
        try:
            recording = AnnotatedRecording.new(
                self._path, sample_rate_hz=self._rate_hz, **self._about
            )
            writer = SampleWriter(
                recording.data_path, wait=self._record == "block", report=self._report
            )
        except (OSError, ValueError) as error:  # the flowgraph goes on
            self._report("nothing is recorded", error)
            return None
        recording.add_segment(*self._tags.segment(0))
        self.worker.recording = recording
        self.worker.changed()
        log.info("recording to %s", recording.meta_path)
        return writer

    def _note_tags(self, tags: list[gr.tag_t]) -> None:
        recording = self.worker.recording
        by_sample: dict[int, dict[str, Any]] = {}
        for tag in tags:
            by_sample.setdefault(tag.offset, {})[pmt.symbol_to_string(tag.key)] = tag.value
        for offset in sorted(by_sample):
            new = self._tags.take(offset, by_sample[offset])
            for key, why in self._tags.ignored.items():
                self._report(f"tag {key}", ValueError(why))
            if not new:
                continue
            recording.add_segment(*self._tags.segment(offset))
            if self._tags.rate_changed_from is not None:
                self._report(
                    "sample rate changed",
                    ValueError(
                        f"from {self._tags.rate_changed_from:g} to {self._tags.rate_hz:g} at "
                        f"sample {offset}, but a SigMF recording has one; start another"
                    ),
                )
            elif self._tags.rate_hz is not None:
                recording.set_sample_rate_hz(self._tags.rate_hz)
            self.worker.changed()

    def _note_loss(self, first_sample: int, sample_count: int) -> None:
        self._report(
            "samples lost", OSError(f"the disk is too slow: {sample_count} from {first_sample} on")
        )
        remark = "samples lost, the disk was too slow: the file holds zeros"
        self.worker.recording.add_remark(first_sample, sample_count, remark)
        self.worker.changed()

    def _samples_there(self) -> int:
        """Count the samples that the file holds: annotations end there."""
        if self.recorder is None:
            return self.worker.recording.sample_count
        return 0 if self.recorder.writer is None else self.recorder.writer.end_sample

    def _sample_counts(self) -> dict[str, Any]:
        if self.recorder is None:
            return {"record": "off"}
        writer = self.recorder.writer
        # Read in this order, a block that is on its way is never counted as lost.
        written = 0 if writer is None else writer.samples_written
        pending = 0 if writer is None or writer.failed else writer.samples_pending
        samples_in = max(self.recorder.samples_in, written + pending)
        return {
            "record": self._record,
            "recording": writer is not None and not writer.failed,
            "samples_in": samples_in,
            "samples_written": written,
            "samples_pending": pending,
            "samples_lost": samples_in - written - pending,
        }


def _labels(ignore: str | Iterable[str]) -> frozenset[str]:
    if isinstance(ignore, str):
        ignore = ignore.split(",")
    return frozenset(label.strip() for label in map(str, ignore)) - {""}


def _checked_confidence(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"minimum_confidence is {value}: give a number from 0 to 1")
    return float(value)
