# SPDX-License-Identifier: GPL-3.0-or-later
"""The model of a survey: any, or none, and each can take another's place."""

from __future__ import annotations

import pytest

from gr_tsddae import zoo
from gr_tsddae.blocks.network.model_loader import ModelLoader
from gr_tsddae.blocks.surveying.model import CHUNK_SAMPLES, NO_MODEL, SurveyModel


def loaded(model: str, running: SurveyModel) -> SurveyModel:
    loader = ModelLoader()
    loader.request(model, running)
    loader.wait()
    return loader.outcome()


def test_none_is_a_model_without_a_recogniser():
    none = SurveyModel(NO_MODEL)
    assert (none.recognizer, none.card.name, none.device_failures) == (None, "none", 0)


def test_models_and_none_take_each_others_place_whatever_their_windows():
    none = SurveyModel(NO_MODEL, device="cpu")
    nano = loaded("amc-nano", none)
    assert isinstance(nano, SurveyModel), nano
    assert nano.recognizer.window_samples != CHUNK_SAMPLES == nano.window_samples
    other = SurveyModel("amc-nano", device="cpu").recognizer
    assert nano.recognizer._shared is other._shared
    assert loaded(NO_MODEL, nano).recognizer is None


def test_a_model_that_is_not_there():
    with pytest.raises(zoo.ModelError, match="nowhere"):
        SurveyModel("nowhere")
