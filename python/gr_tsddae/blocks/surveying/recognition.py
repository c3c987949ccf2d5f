# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a model about emissions and names them, on a thread of its own: it holds up no detection."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch

from gr_tsddae.blocks.network.shared_recognizer import SharedRecognizer
from gr_tsddae.blocks.surveying.known import Known
from gr_tsddae.blocks.surveying.stretch import Stretch
from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.history import History
from gr_tsddae.survey.isolation import Isolator
from gr_tsddae.survey.naming import Signal, named
from gr_tsddae.survey.recognition import MOST_SAMPLES, recognise

MOST_WAITING = 64
FIRST_SAMPLES = 1 << 13  # that the model is asked about at first: an answer soon, then a better one
MOST_LATE_S = 2.0  # a question keeps the samples of its time in memory


@dataclass(frozen=True)
class Question:
    """What is this emission?

    Attributes:
        known: the emission that it is about; a newer question about it replaces an older one.
        ends: whether it has ended.
        emission: as measured when the question was asked.
        history: the latest samples of that time, which do not go on.
        recognizer: to ask; None: the emission is only compared with known signals.
        least_confidence: below it the answer is "unknown".
    """

    known: Known
    ends: bool
    emission: Emission
    history: History
    recognizer: SharedRecognizer | None
    least_confidence: float
    asked_at: float = field(default_factory=time.monotonic)


class Recognition:
    """A bounded queue of questions, and the thread that answers them.

    Args:
        answer: called on the thread with each question that was taken, and with the emission as
            recognised; with None when the question was given up. It must not raise.
        report: called with what went wrong.
        signals: known ones, for the candidates.
        patient: whether `ask` waits for room and no question is given up.

    Attributes:
        asked: questions that were taken.
        skipped: questions that were refused or given up.
        cpu_s: time that the thread itself has worked.
    """

    def __init__(
        self,
        answer: Callable[[Question, Emission | None], None],
        report: Callable[[str, Exception], None],
        signals: Sequence[Signal],
        *,
        patient: bool,
    ):
        self._answer, self._report, self._patient = answer, report, patient
        self._signals = signals
        self._questions: dict[int, Question] = {}
        self._changed = threading.Condition()
        self._closing = self._giving_up = False
        self._thread: threading.Thread | None = None
        self._cutter: tuple[Stretch, Isolator] | None = None
        self._history: History | None = None
        self.asked = self.skipped = 0
        self.cpu_s = 0.0

    def begin(self) -> None:
        """Start the thread."""
        self._closing = self._giving_up = False
        self.asked = self.skipped = 0
        self.cpu_s = 0.0
        self._thread = threading.Thread(target=self._run, name="tsddae recognition", daemon=True)
        self._thread.start()

    def finish(self, *, give_up: bool) -> None:
        """Answer what was asked, or give it up, and end the thread."""
        with self._changed:
            self._closing, self._giving_up = True, give_up
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._cutter = self._history = None

    def ask(self, question: Question) -> bool:
        """Take a question; return False when there is no room."""
        with self._changed:
            if self._patient:
                self._changed.wait_for(lambda: self._has_room(question))
            if not self._has_room(question):
                self.skipped += 1
                return False
            self.asked += 1
            self._questions[question.known.number] = question
            self._changed.notify_all()
        return True

    def _has_room(self, question: Question) -> bool:
        return len(self._questions) < MOST_WAITING or question.known.number in self._questions

    def _run(self) -> None:
        _keep_to_one_core()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._questions or self._closing)
                if not self._questions:
                    return
                urgent = min(self._questions.values(), key=_urgency)
                del self._questions[urgent.known.number]
                self._changed.notify_all()
            self._answer(urgent, self._answered(urgent))
            self.cpu_s = time.thread_time()

    def _answered(self, question: Question) -> Emission | None:
        late = time.monotonic() - question.asked_at > MOST_LATE_S
        if self._giving_up or (late and not self._patient):
            self.skipped += 1
            return None
        try:
            return self._recognised(question)
        except Exception as error:  # whatever it is, other emissions want to be recognised
            self._report("emission not recognised", error)
            return None

    def _recognised(self, question: Question) -> Emission:
        stretch, history = question.known.stretch, question.history
        found, rate_hz = question.emission, stretch.rate_hz
        if question.recognizer is not None:
            self._history = history
            if self._cutter is None or self._cutter[0] is not stretch:
                block_samples = max(4096, stretch.survey.grid.slab_samples)
                self._cutter = stretch, Isolator(self._read, rate_hz, block_samples)
            quick = question.known.answer is None and not question.ends
            found = recognise(
                found, question.recognizer, self._cutter[1], rate_hz, question.least_confidence,
                since_s=history.first_sample / rate_hz,
                most_samples=FIRST_SAMPLES if quick else MOST_SAMPLES,
            )  # fmt: skip
        return named(stretch.placed(found), self._signals, sample_rate_hz=rate_hz)

    def _read(self, first: int, count: int) -> tuple[np.ndarray, bool]:
        return self._history.read(first, count)


def _keep_to_one_core() -> None:
    """Let torch work on this thread alone.

    Its other threads would wait for work in a loop that takes the core which the survey needs.
    """
    usual = torch.get_num_threads()
    torch.set_num_threads(1)  # of this thread, and of those that are started later
    with ThreadPoolExecutor(1) as pool:
        pool.submit(torch.set_num_threads, usual).result()  # of the latter


def _urgency(question: Question) -> tuple[bool, float]:
    """Sort emissions that have no answer yet before others, and older questions before newer."""
    return question.known.answer is not None, question.asked_at
