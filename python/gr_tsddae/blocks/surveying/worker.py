# SPDX-License-Identifier: GPL-3.0-or-later
"""The Survey block's thread: it finds and measures emissions, and tells of them and of spectra."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pmt

from gr_tsddae.bindings import window_batcher
from gr_tsddae.blocks.network.worker import WindowWorker
from gr_tsddae.blocks.surveying.known import Known
from gr_tsddae.blocks.surveying.model import SurveyModel
from gr_tsddae.blocks.surveying.recognition import Question, Recognition
from gr_tsddae.blocks.surveying.rows import rows
from gr_tsddae.blocks.surveying.stretch import Stretch
from gr_tsddae.inference.decision import Origin, check_threshold
from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.naming import load_signals
from gr_tsddae.survey.stream import Event

HURRY_S = 0.3  # of samples that wait: less is measured anew until they are fewer


class SurveyWorker(WindowWorker):
    """Surveys the stream from batches of its samples; recognition has another thread."""

    def __init__(
        self,
        batcher: window_batcher,
        model: SurveyModel,
        *,
        capacity_batches: int,
        minimum_snr_db: float,
        confidence_threshold: float,
        sample_rate_hz: float,
        center_frequency_hz: float,
    ):
        super().__init__(
            "survey",
            batcher,
            model,
            sample_rate_hz=sample_rate_hz,
            center_frequency_hz=center_frequency_hz,
            ports=("emissions", "spectrum", "status"),
        )
        self.set_minimum_snr_db(minimum_snr_db)
        self.set_confidence_threshold(confidence_threshold)
        self._recognition = Recognition(
            self._on_answer, self._report, load_signals(), patient=batcher.policy == "block"
        )
        self._most_ready = max(1, capacity_batches - 2)
        self._paused = False
        self._stretch: Stretch | None = None
        self._known: dict[int, Known] = {}  # by the number that the stretch gives
        self._telling = threading.Lock()
        self._numbers = self._ended = 0
        self._cpu = (0.0, 0.0, 0.0)  # moment, the survey's and recognition's CPU time
        self._before = Counter()  # of stretches that are over

    # --- parameters, from any thread ----------------------------------------------------------

    def set_minimum_snr_db(self, value: float) -> None:
        if not -200 <= value <= 200:
            raise ValueError(f"minimum_snr_db is {value}: give decibels, such as 6")
        self._minimum_snr_db = float(value)

    def set_confidence_threshold(self, value: float) -> None:
        self._confidence_threshold = check_threshold(float(value))

    def set_paused(self, value: bool) -> None:
        """While paused, samples are gated before they cost anything."""
        self._paused = bool(value)
        self._batcher.set_gate_dbfs(float("inf") if value else float("-inf"))

    def _setters(self) -> dict[str, Callable[[Any], None]]:
        return {
            "model": self.set_model,
            "minimum_snr_db": self.set_minimum_snr_db,
            "confidence_threshold": self.set_confidence_threshold,
            "sample_rate_hz": self.set_sample_rate_hz,
            "center_frequency_hz": self.set_center_frequency_hz,
            "paused": self.set_paused,
        }

    # --- the worker thread --------------------------------------------------------------------

    def _begin(self) -> None:
        self._stretch = None
        self._known.clear()
        self._numbers = self._ended = 0
        self._cpu = (time.monotonic(), 0.0, 0.0)
        self._before.clear()
        self._recognition.begin()

    def _process(self, windows: np.ndarray, info: np.ndarray) -> None:
        samples = windows.shape[1]
        for part, origin in self._stretches(info):
            first = info["first_sample"][part].astype(np.int64)
            edges = np.flatnonzero(np.diff(first) != samples) + 1  # where some were lost
            for rows_ in np.split(np.arange(part.start, part.stop), edges):
                iq = windows[rows_[0] : rows_[-1] + 1].reshape(-1).copy()
                self._survey(iq, int(info["first_sample"][rows_[0]]), origin)
        if self._batcher.policy == "block":
            return
        ready = self._batcher.counters()["batches_ready"]
        if self._stretch is not None:
            waiting_s = ready * windows.size / self._stretch.rate_hz
            self._stretch.survey.hurried = waiting_s > HURRY_S
        if ready >= self._most_ready:
            # One long gap, and a long stretch behind it: an emission must last to be found. Left
            # alone, a full ring loses a batch between any two.
            self._batcher.discard_pending()

    def _survey(self, iq: np.ndarray, first_sample: int, origin: Origin) -> None:
        if not origin.sample_rate_hz:
            raise ValueError(
                "the sample rate is unknown, so nothing is surveyed: set sample_rate_hz, or let "
                "the source send rx_rate"
            )
        if self._stretch is None or not self._stretch.goes_on(first_sample, origin):
            self._end_stretch()
            self._stretch = Stretch(first_sample, origin, self._publish_rows)
        stretch = self._stretch
        try:
            self._tell(stretch, stretch.events(iq, first_sample))
        except Exception:
            self._end_stretch(broken=True)
            raise

    def _end_stretch(self, *, broken: bool = False) -> None:
        """End all emissions."""
        stretch, self._stretch = self._stretch, None
        if stretch is None:
            return
        self._before += _efforts(stretch)
        try:
            if not broken:
                self._tell(stretch, stretch.end())
        finally:
            left = [Event("ended", known.emission) for known in self._known.values()]
            self._tell(stretch, left)

    def _idle(self) -> None:
        if self._paused:
            self._end_stretch()

    def _finish(self) -> None:
        try:
            self._end_stretch()
        finally:
            self._recognition.finish(give_up=self._gives_up())

    def _tell(self, stretch: Stretch, events: Iterable[Event]) -> None:
        for event in events:
            emission, over = event.emission, event.kind in ("ended", "withdrawn")
            known = self._known.get(emission.id)
            kind = event.kind
            if known is None:
                if kind == "withdrawn" or emission.snr_db < self._minimum_snr_db:
                    continue
                self._numbers += 1
                known = self._known[emission.id] = Known(self._numbers, stretch, emission)
                kind = kind if over else "begun"
            known.emission = emission
            if over:
                del self._known[emission.id]
            asked = kind != "withdrawn" and self._ask(known, ended=kind == "ended")
            if not (asked and over):  # else the answer comes with the end
                self._publish_emission(kind, known)

    def _ask(self, known: Known, *, ended: bool) -> bool:
        """Ask what an emission is, if it is time to; return whether it was asked."""
        hurried = known.stretch.survey.hurried and known.answer is not None and not ended
        if hurried or not known.is_to_be_asked():
            return False
        question = Question(
            known=known,
            ends=ended,
            emission=known.emission,
            history=known.stretch.survey.history.snapshot(),
            recognizer=self._network.recognizer,
            least_confidence=self._confidence_threshold,
        )
        asked_before_s, known.asked_s = known.asked_s, max(known.lasted_s, 1e-9)
        asked = self._recognition.ask(question)
        if not asked:
            known.asked_s = asked_before_s
        return asked

    def _model_changed(self, network: SurveyModel) -> None:
        for known in self._known.values():
            known.asked_s = 0.0  # the new model is asked about what is on the air

    # --- the thread of recognition ------------------------------------------------------------

    def _on_answer(self, question: Question, answer: Emission | None) -> None:
        known = question.known
        news = answer is not None and known.is_news(answer)
        if answer is not None and (answer.probabilities or known.answer is None):
            known.answer = answer  # else its samples were lost: what was said before stands
        else:
            news = False
        if answer is None or (question.recognizer is not None and not answer.probabilities):
            known.asked_s = 0.0  # perhaps there was no window of it yet
        if question.ends or news:
            self._publish_emission("ended" if question.ends else "updated", known)

    def _report(self, what: str, error: Exception) -> None:
        self._status.add_error(what, error)

    # --- messages -----------------------------------------------------------------------------

    def _publish_emission(self, kind: str, known: Known) -> None:
        with self._telling:
            if known.over:
                return
            known.over = kind in ("ended", "withdrawn")
            if known.over:
                self._ended += 1
            content = {
                "kind": "ended" if known.over else kind,
                **known.stretch.describe(known.described()),
                "id": known.number,
                "model": self._network.card.name,
            }
            if known.over:
                content["withdrawn"] = kind == "withdrawn"
            self._publish("emissions", content)

    def _publish_rows(self, stretch: Stretch, frames: np.ndarray, first_sample: int) -> None:
        port = self._ports["spectrum"]
        if pmt.is_null(self.message_subscribers(port)):
            return
        grid = stretch.survey.grid
        center_hz = stretch.origin.center_frequency_hz or 0.0
        low_hz = center_hz - stretch.rate_hz / 2 - grid.coarse_hz / 2
        for start, count, row in rows(frames, grid.hop_samples / stretch.rate_hz):
            first = first_sample + start * grid.hop_samples
            length = count * grid.hop_samples
            where = {
                **stretch.where(first, length),
                "start_s": stretch.seconds(first),
                "stop_s": stretch.seconds(first + length),
                "low_hz": low_hz,
                "high_hz": low_hz + stretch.rate_hz,
            }
            self.message_port_pub(port, pmt.cons(pmt.to_pmt(where), pmt.to_pmt(row)))

    def _state(self) -> dict[str, Any]:
        efforts = self._before + _efforts(self._stretch)
        survey_s = time.thread_time() + efforts["cpu_s"]
        before, cpu = self._cpu, (time.monotonic(), survey_s, self._recognition.cpu_s)
        self._cpu = cpu
        elapsed_s = max(cpu[0] - before[0], 1e-9)
        stretch = self._stretch
        rate_hz = stretch.rate_hz if stretch else self._told_rate_hz or self._sample_rate_hz
        waiting = 0 if stretch is None else self._samples_seen()[0] - stretch.end_sample
        return {
            "sample_rate_hz": rate_hz,
            "center_frequency_hz": stretch.origin.center_frequency_hz
            if stretch
            else self._center_frequency_hz,
            "emissions_open": len(self._known),
            "emissions_ended": self._ended,
            "updates_skipped": efforts["updates_skipped"],
            "recognitions": self._recognition.asked,
            "recognitions_skipped": self._recognition.skipped,
            "lag_s": max(0, waiting) / rate_hz if rate_hz else 0.0,
            "cpu_share": (cpu[1] - before[1]) / elapsed_s,
            "cpu_share_recognition": max(0.0, cpu[2] - before[2]) / elapsed_s,
            "paused": self._paused,
            "minimum_snr_db": self._minimum_snr_db,
        }

    def _publish_status(self) -> None:
        # A survey takes any rate, so that no rate disagrees with the model's.
        message = self._status.message(
            self._network, sample_rate_hz=None, symbol_rate_hz=None, more=self._state()
        )
        self._publish("status", surveyed(message))


def _efforts(stretch: Stretch | None) -> Counter:
    """Tell what a stretch cost on other threads, and what it was spared."""
    if stretch is None:
        return Counter()
    survey = stretch.survey
    return Counter(cpu_s=survey.cpu_elsewhere_s, updates_skipped=survey.updates_skipped)


def surveyed(counters: dict[str, Any]) -> dict[str, Any]:
    """Name counters of a ring by what happens here to samples that were not lost."""
    return {name.replace("classified", "surveyed"): value for name, value in counters.items()}
