# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of RML2018's classes, by what the signals themselves are.

A set is generated, read back, and every class is asked for a property that only it and its like can
have: how an envelope moves, which power of the signal has a line, how wide it is. A reader that
took the order of the classes.txt that is passed around would call FM what is 32PSK.
"""

import numpy as np
import pytest

pytest.importorskip("h5py")

from gr_tsddae.data import open_dataset
from gr_tsddae.synth.__main__ import main as synth

# The order of the classes.txt that circulates with the set; it does not fit the windows.
CIRCULATED = [
    "32PSK",
    "16APSK",
    "32QAM",
    "FM",
    "GMSK",
    "32APSK",
    "OQPSK",
    "8ASK",
    "BPSK",
    "8PSK",
    "AM-SSB-SC",
    "4ASK",
    "16PSK",
    "64APSK",
    "128QAM",
    "128APSK",
    "AM-DSB-SC",
    "AM-SSB-WC",
    "64QAM",
    "QPSK",
    "256QAM",
    "AM-DSB-WC",
    "OOK",
    "16QAM",
]


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    """Class name -> complex windows (n, 1024) at the best SNR."""
    path = tmp_path_factory.mktemp("rml2018") / "set.hdf5"
    assert not synth(["rml2018", str(path), "--windows", "24", "--snrs", "30", "30", "2"])
    dataset = open_dataset("rml2018.01a", path)
    rows = dataset.rows()
    return {
        name: rows[dataset.label == i, 0] + 1j * rows[dataset.label == i, 1]
        for i, name in enumerate(dataset.classes)
    }


def envelope_spread(signal):
    envelope = np.abs(signal)
    return float(np.median(envelope.std(1) / envelope.mean(1)))


def line(signal, power):
    """Strongest line in the spectrum of a power of the signal, over its mean level, in dB."""
    density = np.abs(np.fft.fft(signal**power * np.hanning(signal.shape[1]), axis=1)) ** 2
    return float(10 * np.log10(np.median(density.max(1) / density.mean(1))))


def faults(windows):
    """What does not fit the names: empty when the order is right."""
    spread = {name: envelope_spread(signal) for name, signal in windows.items()}
    squared = {name: line(signal, 2) for name, signal in windows.items()}
    found = []
    if not max(spread["FM"], spread["GMSK"]) < 0.22:  # echoes alone move a constant envelope
        found.append("FM or GMSK: the envelope moves")
    shifted = min(spread["QPSK"], spread["8PSK"], spread["16PSK"], spread["32PSK"])
    if not 0.22 < shifted < min(spread["16QAM"], spread["64QAM"], spread["16APSK"]):
        found.append("PSK: not between constant envelopes and rings")
    if not spread["OOK"] > spread["4ASK"] > spread["8ASK"] > spread["BPSK"]:
        found.append("ASK: off times are missing")
    for name in ("AM-DSB", "AM-SSB"):
        if not spread[f"{name}-WC"] < 0.22 < spread[f"{name}-SC"]:
            found.append(f"{name}: no carrier, or one too many")
    if not squared["BPSK"] > 6 + max(squared["QPSK"], squared["8PSK"], squared["16QAM"]):
        found.append("BPSK: no line in its square")
    fourth = {name: line(windows[name], 4) for name in ("QPSK", "OQPSK", "8PSK", "16PSK")}
    if not min(fourth["QPSK"], fourth["OQPSK"]) > 3 + max(fourth["8PSK"], fourth["16PSK"]):
        found.append("QPSK or OQPSK: no line in the fourth power")
    return found


def test_each_class_is_what_it_is_called(windows):
    assert faults(windows) == []


def test_the_circulated_order_does_not_fit(windows):
    wrong = dict(zip(CIRCULATED, windows.values(), strict=True))
    assert len(faults(wrong)) >= 3
