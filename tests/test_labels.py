# SPDX-License-Identifier: GPL-3.0-or-later
"""Class names: which class a name means."""

import pytest

from gr_tsddae import labels, zoo
from gr_tsddae.labels import match_class

CLASSES = ("BPSK", "AM-SSB", "am dsb", "QAM16", "qam-16")


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("BPSK", 0),
        ("bpsk", 0),
        ("amssb", 1),
        ("AM_SSB", 1),
        (" AM\tDSB ", 2),
        ("QAM16", 3),  # exact, although another class fits loosely
        ("qam-16", 4),
        ("Qam 16", None),  # two classes fit loosely
        ("BPSK2", None),
        ("", None),
    ],
)
def test_a_name_means_a_class(name, index):
    assert match_class(name, CLASSES) == index


def test_a_letter_outside_ascii_has_cases_too():
    assert match_class("GRÖSSE", ["größe"]) == 0


def test_there_is_one_word_for_decisions_that_are_not_sure():
    assert zoo.UNKNOWN is labels.UNKNOWN
