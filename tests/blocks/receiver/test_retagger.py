# SPDX-License-Identifier: GPL-3.0-or-later
"""The retagger rewrites the receiver's tags, and loses none whatever a tag says."""

from __future__ import annotations

import math

import pytest

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
import pmt
from gnuradio import blocks

from gr_tsddae.blocks.receiver.retagger import Retagger

RATE_HZ = 2.4e6


def tag(offset: int, key: str, value) -> gr.tag_t:
    made = gr.tag_t()
    made.offset, made.key, made.value = offset, pmt.intern(key), value
    return made


def retagger(**settings) -> Retagger:
    fixed = {
        "input_rate_hz": RATE_HZ, "output_rate_hz": RATE_HZ / 3, "center_frequency_hz": 0.0,
        "offset_hz": 1e5,
    }  # fmt: skip
    return Retagger(**fixed | settings)


def retagged(made: Retagger, *tags, count: int = 1000) -> list[tuple]:
    """Offset, key and value of all tags that leave, in stream order."""
    flowgraph, sink = gr.top_block("test"), blocks.vector_sink_c()
    source = blocks.vector_source_c([0j] * count, False, 1, list(tags))
    flowgraph.connect(source, made, sink)
    flowgraph.run()
    assert len(sink.data()) == count
    return [(t.offset, pmt.symbol_to_string(t.key), pmt.to_python(t.value)) for t in sink.tags()]


MALFORMED = [
    ("rx_time", pmt.make_tuple(pmt.intern("now"), pmt.from_double(0.5))),
    ("rx_time", pmt.make_tuple(pmt.from_uint64(5))),
    ("rx_time", pmt.make_tuple()),
    ("rx_time", pmt.make_tuple(pmt.from_uint64(5), pmt.PMT_NIL)),
    ("rx_time", pmt.make_tuple(pmt.from_long(-5), pmt.from_double(0.0))),
    ("rx_time", pmt.make_tuple(pmt.from_uint64(5), pmt.from_double(math.inf))),
    ("rx_time", pmt.intern("noon")),
    ("rx_freq", pmt.from_complex(1j)),
    ("rx_freq", pmt.PMT_NIL),
    ("rx_rate", pmt.from_complex(1j)),
    ("rx_rate", pmt.from_double(math.nan)),
    ("rot_phase_inc", pmt.intern("fast")),
]


@pytest.mark.parametrize(("key", "value"), MALFORMED)
def test_a_malformed_tag_costs_no_other(key, value, caplog):
    """It passes as it is: whoever reads it judges it."""
    good = [tag(200, "rx_freq", pmt.from_double(1e8)), tag(300, "burst", pmt.from_long(7))]
    out = retagged(retagger(), tag(100, key, value), *good)
    assert [entry for entry in out if entry[0] >= 200] == [
        (200, "rx_freq", 1.001e8),
        (300, "burst", 7),
    ]
    assert [entry[:2] for entry in out if entry[0] == 100] == [(100, key)]
    assert f"tag {key} at sample 100 passes unchanged" in caplog.text
    assert pmt.write_string(value) in caplog.text


@pytest.mark.parametrize("whole", [pmt.from_uint64, pmt.from_long, pmt.from_double])
def test_a_time_of_every_numeric_type_is_moved_by_the_delay(whole):
    made = retagger()
    made.delay_s = 0.75
    value = pmt.make_tuple(whole(100), pmt.from_double(0.5))
    out = retagged(made, tag(0, "rx_time", value))
    assert (0, "rx_time", (99, 0.75)) in out


def test_a_time_before_the_clock_began_stays():
    made = retagger()
    made.delay_s = 0.75
    value = pmt.make_tuple(pmt.from_uint64(0), pmt.from_double(0.5))
    assert (0, "rx_time", (0, 0.5)) in retagged(made, tag(0, "rx_time", value))


@pytest.mark.parametrize("number", [pmt.from_uint64, pmt.from_long, pmt.from_double])
def test_rates_and_frequencies_of_every_numeric_type(number):
    tags = tag(0, "rx_freq", number(10**8)), tag(0, "rx_rate", number(2_400_000))
    out = retagged(retagger(), *tags)
    assert (0, "rx_freq", 1.001e8) in out
    assert [value for _, key, value in out if key == "rx_rate"] == [pytest.approx(8e5)]


def test_a_centre_that_changes_while_the_last_is_said_is_said_too(monkeypatch):
    made = retagger(center_frequency_hz=1e8, offset_hz=0.0)
    say = made._say_frequency

    def say_and_hear(offset):
        say(offset)
        if offset == 0:
            made.set_center_frequency_hz(2e8)  # from the GUI's thread

    monkeypatch.setattr(made, "_say_frequency", say_and_hear)
    out = retagged(made, count=100_000)
    assert [value for _, key, value in out if key == "rx_freq"] == [1e8, 2e8]


def test_the_nominal_rate_is_tagged_once_and_a_wrong_one_is_noticed(caplog):
    assert (0, "rx_rate", pytest.approx(8e5)) in retagged(retagger())
    out = retagged(retagger(), tag(0, "rx_rate", pmt.from_double(1.2e6)))
    assert [value for _, key, value in out if key == "rx_rate"] == [pytest.approx(4e5)]
    assert "set sample_rate_hz to 1.2e+06" in caplog.text


def test_a_retune_before_it_moves_the_frequency():
    increment = -2 * math.pi * 2e5 / RATE_HZ
    tags = [tag(0, "rx_freq", pmt.from_double(1e8))]
    tags += [tag(500, "rot_phase_inc", pmt.from_double(increment))]
    out = retagged(retagger(), *tags)
    told = [(at, value) for at, key, value in out if key == "rx_freq"]
    assert told == [(0, 1.001e8), (500, pytest.approx(1.002e8))]
    assert "rot_phase_inc" not in {key for _, key, _ in out}
