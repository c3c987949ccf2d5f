# SPDX-License-Identifier: GPL-3.0-or-later
"""Write decisions, emissions and the user's names into a growing SigMF file, and its status."""

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any

import pmt

from gr_tsddae.blocks.listening.content import as_number, content_of
from gr_tsddae.blocks.listening.message_block import MessageBlock
from gr_tsddae.blocks.recording.emission_note import EmissionNote
from gr_tsddae.iq.sigmf.annotated_recording import AnnotatedRecording
from gr_tsddae.iq.sigmf.model_annotation import ModelAnnotation

log = logging.getLogger(__name__)

STATUS_INTERVAL_S = 1.0
TICK_S = 0.1  # how often the thread looks whether metadata or status are due


class AnnotationWorker(MessageBlock):
    """Messages `decisions`, `emissions`, `record` in, `status` out; a thread writes the metadata.

    Args:
        open_recording: opens the recording of a run without a recorder. None with a recorder,
            whose owner sets `recording`.
        status: gives the entries of the status message beside decisions and errors.
        samples_written: gives the number of samples that the file holds.
        stream_ended: set when the recorded stream has ended; None without a recorder.
    """

    def __init__(
        self,
        *,
        open_recording: Callable[[], AnnotatedRecording] | None,
        status: Callable[[], dict[str, Any]],
        samples_written: Callable[[], int],
        stream_ended: threading.Event | None,
    ):
        super().__init__(
            "annotation_worker",
            hears={
                "decisions": self._on_decision,
                "emissions": self._on_emission,
                "record": self._on_record,
            },
            stream_ended=stream_ended,
            thread_name="tsddae annotator",
        )
        self._open_recording = open_recording
        self._finished: AnnotatedRecording | None = None  # of the run before
        self._extra_status = status
        self._samples_written = samples_written
        self.recording: AnnotatedRecording | None = None
        self.ignore: frozenset[str] = frozenset()
        self.minimum_confidence = 0.0
        self.merge = True

        self._decisions = self._emissions = self._left_out = self._unwritable = 0
        self._names: dict[int, str] = {}  # what the user calls emissions that last
        self._errors = 0
        self._last_error = ""
        self._logged: dict[str, str] = {}
        self._error_lock = threading.Lock()
        self._dirty = False

        self.message_port_register_in(pmt.intern("drain"))
        self.set_msg_handler(pmt.intern("drain"), self._on_drain)
        self._status_port = pmt.intern("status")
        self.message_port_register_out(self._status_port)

    def changed(self) -> None:
        """Note that something else than a message changed the recording."""
        self._dirty = True

    def report(self, what: str, error: BaseException) -> None:
        """Count an error, from any thread; the same error is logged once in a row."""
        with self._error_lock:
            self._errors += 1
            text = self._last_error = f"{what}: {error}"
            if text != self._logged.get(what):
                log.error("%s", text)
            self._logged[what] = text

    # --- called by the scheduler --------------------------------------------------------------

    def start(self) -> bool:
        self._decisions = self._emissions = self._left_out = self._unwritable = 0
        self._names = {}
        if self._open_recording is not None:
            self.recording = None
            try:
                self.recording = self._open_recording()
            except Exception as error:
                self.report("recording not opened", error)
        self._dirty = True
        return super().start()

    def _on_drain(self, message: pmt.pmt_base) -> None:
        """Never called: the port exists for the scheduler's sake."""

    def _on_decision(self, message: pmt.pmt_base) -> None:
        try:
            self._annotate(content_of(message))
        except Exception as error:  # an exception would end the block's thread
            self.report("decision refused", error)

    def _annotate(self, said: Any) -> None:
        if not isinstance(said, dict) or not {"label", "first_sample", "sample_count"} <= set(said):
            raise ValueError(
                f"a decision is a dictionary with label, first_sample and sample_count, not {said}"
            )
        self._decisions += 1
        confidence = _number_in(said, "confidence", 1.0)
        if said["label"] in self.ignore or confidence < self.minimum_confidence:
            self._left_out += 1
            return
        if self.recording is None:
            return  # opening it failed, which has been reported
        note = ModelAnnotation(
            first_sample=int(_number_in(said, "first_sample")),
            sample_count=int(_number_in(said, "sample_count")),
            label=str(said["label"]),
            model=str(said.get("model", "unnamed model")),
            confidence=confidence,
            center_frequency_hz=said.get("center_frequency_hz"),
            sample_rate_hz=said.get("sample_rate_hz"),
        )
        self._check_is_in_file(note.first_sample)
        self.recording.add(note, merge=self.merge)
        self._dirty = True

    def _on_emission(self, message: pmt.pmt_base) -> None:
        try:
            said = content_of(message)
            name = self._names.get(said.get("id"), "") if isinstance(said, dict) else ""
            self._annotate_emission(EmissionNote(said, name))
        except Exception as error:  # an exception would end the block's thread
            self.report("emission refused", error)

    def _on_record(self, message: pmt.pmt_base) -> None:
        """The user names an emission: its box, which may still grow, becomes the user's own."""
        try:
            said = content_of(message)
            note = EmissionNote(said, str(said["label"]).strip() if isinstance(said, dict) else "")
            if not note.by_user:
                raise ValueError("the label is empty: the name of the emission is wanted")
            if not note.over:
                self._names[note.number] = note.label
            self._annotate_emission(note)
        except Exception as error:  # an exception would end the block's thread
            self.report("name of an emission refused", error)

    def _annotate_emission(self, note: EmissionNote) -> None:
        is_left_out = not note.by_user and (
            note.label in self.ignore or note.confidence < self.minimum_confidence
        )
        if note.over:
            self._names.pop(note.number, None)
        if note.over and not note.withdrawn:
            self._emissions += 1
            self._left_out += is_left_out
        if self.recording is None:
            return  # opening it failed, which has been reported
        self._check_is_in_file(note.first_sample)
        if is_left_out or (note.withdrawn and not note.by_user):
            self.recording.withdraw(note.number)
        else:
            self.recording.put(note.number, note, last=note.over)
        self._dirty = True

    def _check_is_in_file(self, first_sample: int) -> None:
        """Raise ValueError when an existing recording, which is annotated, ends before a sample."""
        if self._stream_ended is None and first_sample >= self.recording.sample_count:
            raise ValueError(
                f"it starts at sample {first_sample}, and {self.recording.data_path} holds "
                f"{self.recording.sample_count}; play it once, from its start, without repeating"
            )

    # --- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        status_at = saved_at = time.monotonic()
        self._save()  # a killed recording is valid from its first second on
        while not self._stopping.wait(TICK_S):
            now = time.monotonic()
            if now - status_at >= STATUS_INTERVAL_S:
                status_at = now
                self._publish_status()
            recording = self.recording  # the recorder may replace it
            if recording is not None and now - saved_at >= recording.pause_s:
                self._save()
                saved_at = time.monotonic()

    def _conclude(self) -> None:
        self._dirty = True
        self._save()
        self._finished = self.recording
        self._publish_status()

    def _save(self) -> None:
        # The recorder may replace the recording at any moment. That of the last run stays as it is.
        recording = self.recording
        if recording is None or recording is self._finished or not self._dirty:
            return
        self._dirty = False
        try:
            recording.save(self._samples_written())
        except Exception as error:
            self._dirty = True
            self.report("annotations not written", error)
            return
        count = recording.unwritable_count
        if count > self._unwritable:
            self.report(
                "annotations left out",
                ValueError(f"{count} hold what JSON cannot say, such as edges that overflow"),
            )
        self._unwritable = count

    def _publish_status(self) -> None:
        recording = self.recording
        status = {
            **self._extra_status(),
            "path": "" if recording is None else str(recording.meta_path),
            "decisions": self._decisions,
            "emissions": self._emissions,
            "left_out": self._left_out,
            "annotations": 0 if recording is None else recording.annotation_count,
            "errors": self._errors,
            "last_error": self._last_error,
        }
        self.message_port_pub(self._status_port, pmt.to_pmt(status))


def _number_in(said: dict[str, Any], name: str, otherwise: float | None = None) -> float:
    """Return an entry of a decision as a finite number."""
    value = said.get(name, otherwise)
    try:
        number = as_number(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if not math.isfinite(number):
        raise ValueError(f"{name} is {number}: send a finite number")
    return number
