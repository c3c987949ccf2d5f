# SPDX-License-Identifier: GPL-3.0-or-later
"""The thread that asks a model: order, room, lateness, errors and the end."""

from __future__ import annotations

import dataclasses
import threading
import time

import pytest
from waiting import PATIENCE_S

from gr_tsddae.blocks.surveying import recognition
from gr_tsddae.blocks.surveying.known import AGAIN_S, Known
from gr_tsddae.blocks.surveying.recognition import (
    FIRST_SAMPLES,
    MOST_SAMPLES,
    MOST_WAITING,
    Question,
    Recognition,
)
from gr_tsddae.blocks.surveying.stretch import Stretch
from gr_tsddae.inference.decision import Origin
from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.history import History

STRETCH = Stretch(0, Origin(sample_rate_hz=1e5), lambda *_: None)


def emission(number: int = 1, stop_s: float = 1.0) -> Emission:
    return Emission(number, 0.0, stop_s, -1e3, 1e3, 20.0, [(0.0, stop_s)])


def question(number: int, *, answered: bool = False, **more) -> Question:
    known = Known(number, STRETCH, emission(number), emission(number) if answered else None)
    return Question(
        known=known, ends=False, emission=known.emission, history=History(1e5, 1000),
        recognizer=object(), least_confidence=0.5, **more,
    )  # fmt: skip


class Model:
    """Stands for `recognise`: it waits until it may answer."""

    def __init__(self, monkeypatch):
        self.may, self.begun = threading.Event(), threading.Event()
        self.fails: set[int] = set()
        self.answers: list[tuple[int, bool]] = []
        self.errors: list[str] = []
        self.samples: list[int] = []
        monkeypatch.setattr(recognition, "recognise", self)

    def __call__(self, emission, *_, since_s, most_samples):
        self.samples.append(most_samples)
        self.begun.set()
        assert self.may.wait(PATIENCE_S)
        if emission.id in self.fails:
            raise RuntimeError("of the model")
        return emission

    def answer(self, asked, found):
        self.answers.append((asked.known.number, found is not None))

    def thread(self, *, patient=False):
        made = Recognition(
            self.answer,
            lambda what, error: self.errors.append(f"{what}: {error}"),
            (),
            patient=patient,
        )
        made.begin()
        return made


@pytest.fixture
def model(monkeypatch):
    return Model(monkeypatch)


def busy(model, **options):
    """A thread that works on question 0."""
    thread = model.thread(**options)
    assert thread.ask(question(0))
    assert model.begun.wait(PATIENCE_S)
    return thread


def test_what_has_no_answer_yet_goes_first(model):
    thread = busy(model)
    for number, answered in ((1, True), (2, False), (3, True), (4, False)):
        thread.ask(question(number, answered=answered))
    model.may.set()
    thread.finish(give_up=False)
    assert model.answers == [(0, True), (2, True), (4, True), (1, True), (3, True)]
    assert (thread.asked, thread.skipped) == (5, 0)


def test_the_first_answer_comes_soon_and_later_ones_rest_on_more(model):
    model.may.set()
    thread = model.thread(patient=True)
    thread.ask(question(1))
    thread.ask(question(2, answered=True))
    thread.ask(dataclasses.replace(question(3), ends=True))
    thread.finish(give_up=False)
    assert len(model.samples) == 3
    assert sorted(model.samples) == [FIRST_SAMPLES, MOST_SAMPLES, MOST_SAMPLES]


def test_a_newer_question_replaces_an_older_one(model):
    thread = busy(model)
    for _ in range(3):
        assert thread.ask(question(1))
    model.may.set()
    thread.finish(give_up=False)
    assert model.answers == [(0, True), (1, True)]


def test_without_room_a_question_is_refused_and_counted(model):
    thread = busy(model)
    assert all(thread.ask(question(1 + k)) for k in range(MOST_WAITING))
    assert not thread.ask(question(999))
    assert thread.skipped == 1
    model.may.set()
    thread.finish(give_up=False)
    assert len(model.answers) == MOST_WAITING + 1


def test_a_patient_one_waits_for_room(model):
    thread = busy(model, patient=True)
    for k in range(MOST_WAITING):
        thread.ask(question(1 + k))
    asking = threading.Thread(target=thread.ask, args=(question(999),))
    asking.start()
    time.sleep(0.05)
    assert asking.is_alive()
    model.may.set()
    asking.join(PATIENCE_S)
    thread.finish(give_up=False)
    assert len(model.answers) == MOST_WAITING + 2 and thread.skipped == 0


@pytest.mark.parametrize("patient", [False, True])
def test_a_late_question_is_given_up_where_the_stream_is_live(model, patient):
    model.may.set()
    thread = model.thread(patient=patient)
    thread.ask(question(1, asked_at=time.monotonic() - 60))
    thread.finish(give_up=False)
    assert model.answers == [(1, patient)]
    assert thread.skipped == (not patient)


def test_an_error_is_reported_and_others_are_answered(model):
    model.fails = {1}
    model.may.set()
    thread = model.thread(patient=True)
    thread.ask(question(1))
    thread.ask(question(2))
    thread.finish(give_up=False)
    assert model.answers == [(1, False), (2, True)]
    assert model.errors == ["emission not recognised: of the model"]


def test_what_waits_at_the_end_can_be_given_up(model):
    thread = busy(model)
    thread.ask(question(1))
    ending = threading.Thread(target=thread.finish, kwargs={"give_up": True})
    ending.start()
    time.sleep(0.05)
    model.may.set()
    ending.join(PATIENCE_S)
    assert model.answers == [(0, True), (1, False)]


def test_an_emission_is_asked_about_again_when_it_lasted_three_times_as_long_or_much_longer():
    known = Known(1, STRETCH, emission())
    assert known.is_to_be_asked()
    known.asked_s = 1.0
    assert not known.is_to_be_asked()
    known.emission = emission(stop_s=3.0)
    assert known.is_to_be_asked()
    known.asked_s = 100.0
    known.emission = emission(stop_s=100 + AGAIN_S)
    assert known.is_to_be_asked()


def test_the_latest_answer_goes_with_the_latest_measurement():
    known = Known(1, STRETCH, emission(stop_s=5.0))
    assert known.described().label == "unknown"
    known.answer = Emission(1, 0.0, 1.0, -9e3, 9e3, 3.0, [], label="BPSK", confidence=0.9)
    told = known.described()
    assert (told.label, told.confidence, told.stop_s, told.high_hz) == ("BPSK", 0.9, 5.0, 1e3)
