# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae survey`: the contract, and every form of what was found."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from gr_tsddae.iq.captures import open_capture
from gr_tsddae.survey.__main__ import main
from gr_tsddae.synth.emission import make
from gr_tsddae.synth.emission.parts import at_rate
from gr_tsddae.synth.scene import SCENES, make_scene
from gr_tsddae.synth.scene.files import write_scene

FIELDS = {
    "reasons",
    *("id", "start_s", "stop_s", "low_hz", "high_hz", "center_hz", "bandwidth_hz", "snr_db"),
    *("label", "confidence", "probabilities", "symbol_rate_hz", "candidates", "measured"),
}


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    scene = make_scene(SCENES["clean"], seconds=0.6, rate_hz=500e3, emitters=3, seed=11)
    return write_scene(scene, tmp_path_factory.mktemp("scene") / "wide")


def found(capsys, *arguments) -> dict:
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_json_is_the_contract(recording, capsys):
    document = found(capsys, recording, "--model", "none", "--center", "100e6")
    assert document["recording"] == str(recording)
    assert document["sample_rate_hz"] == 500e3
    assert document["center_frequency_hz"] == 100e6
    assert document["emissions"]
    for number, emission in enumerate(document["emissions"], 1):
        assert set(emission) >= FIELDS
        assert emission["id"] == number
        assert 99.75e6 < emission["low_hz"] < emission["high_hz"] < 100.25e6
        assert 0 <= emission["start_s"] < emission["stop_s"] <= 0.61
        assert emission["label"] == "unknown"


def test_a_model_is_asked_only_where_there_is_a_symbol_rate(recording, capsys):
    for emission in found(capsys, recording, "--model", "amc-nano")["emissions"]:
        if emission["symbol_rate_hz"] is None:
            assert emission["label"] == "unknown" and emission["probabilities"] == {}
        elif emission["probabilities"]:
            assert sum(emission["probabilities"].values()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("label", "noise"), [("BPSK", 0.05), ("QPSK", 0.6), ("8PSK", 0.6)])
def test_a_known_signal_gets_its_name(label, noise, tmp_path, capsys):
    rng = np.random.default_rng(2)
    emission = make(label, rng, 1.0, 30e3)
    iq = at_rate(emission.iq, emission.rate_hz, 500e3, 500_000)
    iq = iq * np.exp(2j * np.pi * 0.2 * np.arange(len(iq)))
    iq = iq + noise * (rng.standard_normal(len(iq)) + 1j * rng.standard_normal(len(iq)))
    path = tmp_path / "signal.cf32"
    (iq * 0.2).astype(np.complex64).tofile(path)
    emissions = found(capsys, path, "--rate", "500e3", "--model", "amc-nano")["emissions"]
    assert [e["label"] for e in emissions] == [label]
    rate_hz = emission.truth["symbol_rate_hz"]
    assert emissions[0]["symbol_rate_hz"] == pytest.approx(rate_hz, rel=1e-3)


def test_what_is_kept(recording, capsys):
    every = found(capsys, recording, "--model", "none")["emissions"]
    strongest = max(e["snr_db"] for e in every)
    strong = found(capsys, recording, "--model", "none", "--min-snr", strongest)["emissions"]
    assert len(strong) == 1
    assert main([str(recording), "--model", "none", "--min-snr", "nan"]) == 1
    assert "--min-snr is nan: give a number" in capsys.readouterr().err
    low, high = every[0]["low_hz"] - 1, every[0]["high_hz"] + 1
    assert every[0] in found(capsys, recording, "--model", "none", "--band", low, high)["emissions"]
    assert not found(capsys, recording, "--model", "none", "--band", "-240e3", "-239e3")[
        "emissions"
    ]
    assert not found(capsys, recording, "--model", "none", "--only", "BPSK")["emissions"]


def test_a_band_is_absolute_or_from_the_centre(recording, capsys):
    options = ["--model", "none", "--center", "100e6"]
    for edges in (["99.75e6", "100e6"], ["-250e3", "0"]):
        for emission in found(capsys, recording, *options, "--band", *edges)["emissions"]:
            assert 99.75e6 <= emission["low_hz"] < emission["high_hz"] <= 100e6


def test_signals_of_the_user_become_candidates(recording, tmp_path, capsys):
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "- {name: ours, classes: [unknown], source: own, bandwidth_khz: [0.1, 400],"
        " frequencies_mhz: {here: [[99.9, 100.1]]}}"
    )
    options = ["--model", "none", "--center", "100e6", "--signals", mine]
    emissions = found(capsys, recording, *options)["emissions"]
    own = [e for e in emissions if "ours" in e["candidates"]]
    assert own and all("(here): consistent with ours" in " ".join(e["reasons"]) for e in own)
    assert found(capsys, recording, *options, "--only", "Ours")["emissions"] == own


def test_nothing_found_and_samples_that_are_no_numbers(tmp_path, capsys):
    rng = np.random.default_rng(5)
    iq = rng.standard_normal(100_000) + 1j * rng.standard_normal(100_000)
    iq[500:507] = np.nan
    path = tmp_path / "noise.cf32"
    iq.astype(np.complex64).tofile(path)
    assert main([str(path), "--rate", "1e6", "--model", "none"]) == 0
    said = capsys.readouterr()
    assert said.out == "no emission found\n"
    assert "7 of 100000 samples are not finite" in said.err
    assert found(capsys, path, "--rate", "1e6", "--model", "none")["samples_not_finite"] == 7


def test_picture_annotations_and_recordings_of_each(recording, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    out, cut = tmp_path / "notes" / "wide", tmp_path / "cut"
    arguments = ["--png", tmp_path / "x.png", "--annotations", out, "--cut-out", cut]
    emissions = found(capsys, recording, "--model", "none", *arguments)["emissions"]
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    notes = json.loads(out.with_suffix(".sigmf-meta").read_text())["annotations"]
    edges = {(note["core:freq_lower_edge"], note["core:freq_upper_edge"]) for note in notes}
    assert edges == {(e["low_hz"], e["high_hz"]) for e in emissions}
    assert all(note["core:label"] == "unknown" and note["core:comment"] for note in notes)
    recordings = sorted(cut.glob("*.sigmf-meta"))
    assert len(recordings) == len(emissions)
    for emission, path in zip(emissions, recordings, strict=True):
        with open_capture(path) as capture:
            lasts_s = emission["stop_s"] - emission["start_s"]
            assert capture.duration_s == pytest.approx(lasts_s, rel=0.05, abs=2e-3)
            assert capture.sample_rate_hz > emission["bandwidth_hz"]
    sigmf = pytest.importorskip("sigmf")
    sigmf.sigmffile.fromfile(str(out.with_suffix(".sigmf-meta"))).validate()


def test_evaluate_scores_a_recording_with_truth(recording, capsys):
    assert main(["evaluate", str(recording), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["emitters"] == 3
    assert figures["found_percent"] in (None, 0, 50, 100) or 0 < figures["found_percent"] < 100
    assert main(["evaluate", "--count", "0"]) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.cf32", "--rate", "1e6"], "does not exist"),
        (["X", "--band", "5", "4"], "LO must be below HI"),
        (["X", "--threshold", "3"], "from 0 to 1"),
        (["X"], "add --rate"),
        (["X", "--rate", "1e5", "--model", "no-such-model"], "no-such-model"),
        (["X", "--rate", "1e5", "--only", "BPKS"], "did you mean 'BPSK'?"),
        (["X", "--rate", "1e5", "--band", "1e6", "2e6"], "reaches from -50000 to 50000 Hz"),
        (["X", "--rate", "1e5", "--signals", "none.yaml"], "none.yaml"),
    ],
)
def test_what_cannot_be_done_is_one_line(arguments, words, tmp_path, capsys):
    path = tmp_path / "x.cf32"
    np.ones(50_000, np.complex64).tofile(path)
    assert main([str(path) if a == "X" else a for a in arguments]) == 1
    error = capsys.readouterr().err
    assert words in error and error.startswith("error: ") and error.count("\n") == 1


def test_the_room_needs_neither_gnuradio_nor_torch():
    import subprocess

    code = (
        "import sys; import gr_tsddae.survey; "
        "heavy = {'torch', 'gnuradio', 'matplotlib'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
