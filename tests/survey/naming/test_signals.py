# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of known signals: what the package ships, what users add, and what is refused."""

from __future__ import annotations

import pytest

from gr_tsddae.survey.naming import SignalsError, load_signals
from gr_tsddae.survey.naming.signals import SHIPPED_FILE, read_signals

MINE = "- {name: gate, classes: [OOK], source: own, bandwidth_khz: [1, 2]}\n"


def test_the_package_knows_many_signals():
    signals = read_signals(SHIPPED_FILE)
    assert len(signals) >= 80
    for signal in signals:
        assert signal.bandwidth_khz and signal.source, signal.name
        assert not set(signal.classes) & set(signal.also), signal.name
        if signal.deviation_hz:
            frequency_keyed = {"2-FSK", "4-FSK", "GFSK"}
            assert frequency_keyed & {*signal.classes, *signal.also}, signal.name
            # Carson: the band holds the deviation on both sides, less what 99 % leaves out.
            assert signal.bandwidth_khz[1] * 1e3 > 1.2 * signal.deviation_hz[0], signal.name
        if signal.ofdm_useful_us:
            assert "OFDM" in signal.classes, signal.name


def test_files_of_the_user_add_and_replace(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    shipped = {signal.name for signal in load_signals()}
    folder = tmp_path / "gr-tsddae"
    folder.mkdir()
    (folder / "signals.yaml").write_text(MINE)
    assert {signal.name for signal in load_signals()} == shipped | {"gate"}
    assert {signal.name for signal in load_signals(user_file=False)} == shipped
    other = tmp_path / "other.yaml"
    other.write_text(MINE.replace("[1, 2]", "[3, 4]").replace("gate", "DMR"))
    found = {signal.name: signal for signal in load_signals([other])}
    assert found["DMR"].bandwidth_khz == (3, 4) and len(found) == len(shipped) + 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "nothing"),
        ("{}", "a dict"),
        ("- 5", "entry 1 is a int"),
        ("[unclosed", "no YAML"),
        ("- {name: x, classes: [OOK]}", "entry 1 (x) has no `source`"),
        (MINE + MINE, "names 'gate' twice"),
        (MINE.replace("bandwidth_khz", "bandwith_khz"), "did you mean `bandwidth_khz`?"),
        (MINE.replace("[1, 2]", "[2, 1]"), "`bandwidth_khz` is [2, 1]: the lowest value, 2"),
        (MINE.replace("[1, 2]", "[-1, 2]"), "above 0"),
        (MINE.replace("[1, 2]", "[1, .inf]"), "finite"),
        (MINE.replace("[1, 2]", "[1, .nan]"), "above 0"),
        (MINE.replace("[1, 2]", "12"), "[lowest, highest]"),
        (MINE.replace("OOK", "ASK"), "choose classes from noise"),
        (MINE.replace("source: own", "source: own, tones: 1"), "from 2 to 64"),
        (MINE.replace("source: own", "source: own, frequencies_mhz: [1, 2]"), "regions"),
        (MINE.replace("source: own", "source: ''"), "some text"),
        (MINE.replace("source: own", "source: own, rare: 1"), "true or false"),
    ],
)
def test_a_fault_names_file_entry_field_and_limit(text, words, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(SignalsError) as error:
        load_signals([path], user_file=False)
    assert str(path) in str(error.value) and words in str(error.value)
