# SPDX-License-Identifier: GPL-3.0-or-later
"""The conditioner against known physics: tones, symbol rates, tags, and what the model says."""

from __future__ import annotations

import logging
import math
import time

import numpy as np
import pytest

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
import pmt
from gnuradio import blocks
from message_flowgraph import Sender
from waiting import until

from gr_tsddae import Recognizer, zoo
from gr_tsddae.blocks import conditioner

RATE_HZ = 2.4e6
SYMBOL_RATES_HZ = (100e3, 12.5e3, 37e3, 9600.0)  # /3, /24, and two that are no integer ratio


def tag(offset: int, key: str, value) -> gr.tag_t:
    made = gr.tag_t()
    made.offset, made.key, made.value = offset, pmt.intern(key), value
    return made


def rx_time(whole_s: int, part_s: float):
    return pmt.make_tuple(pmt.from_uint64(whole_s), pmt.from_double(part_s))


def conditioned(iq: np.ndarray, tags=(), **arguments):
    """What comes out: (N,) complex64, its tags as (offset, key, value), and the block."""
    arguments = {"model": "", "samples_per_symbol": 8, "sample_rate_hz": RATE_HZ} | arguments
    flowgraph = gr.top_block()
    flowgraph.source = blocks.vector_source_c(
        iq.astype(np.complex64).tolist(), False, 1, list(tags)
    )
    flowgraph.block = conditioner(**arguments)
    flowgraph.sink = blocks.vector_sink_c()
    flowgraph.connect(flowgraph.source, flowgraph.block, flowgraph.sink)
    flowgraph.run()
    tags = [(t.offset, pmt.symbol_to_string(t.key), t.value) for t in flowgraph.sink.tags()]
    return np.array(flowgraph.sink.data(), np.complex64), tags, flowgraph.block


def tone(frequency_hz: float, count: int = 200_000, rate_hz: float = RATE_HZ) -> np.ndarray:
    return np.exp(2j * np.pi * frequency_hz / rate_hz * np.arange(count))


def spectrum_db(iq: np.ndarray) -> np.ndarray:
    """Power per bin of a full-scale tone, in dB; bin 0 is 0 Hz."""
    taper = np.blackman(len(iq))
    return 20 * np.log10(np.abs(np.fft.fft(iq * taper)) / taper.sum() + 1e-12)


def qpsk(symbol_rate_hz: float, count: int, seed: int = 0) -> np.ndarray:
    """(count,) complex128 at RATE_HZ, root-raised-cosine with roll-off 0.35, unit power."""
    rng = np.random.default_rng(seed)
    sps = round(RATE_HZ / symbol_rate_hz)
    iq = np.zeros(count, complex)
    iq[::sps] = rng.choice(np.exp(1j * np.pi / 4 * np.array([1, 3, 5, 7])), len(iq[::sps]))
    t, beta = np.arange(-8 * sps, 8 * sps + 1) / sps + 1e-9, 0.35
    pulse = np.sin(np.pi * t * (1 - beta)) + 4 * beta * t * np.cos(np.pi * t * (1 + beta))
    pulse /= np.pi * t * (1 - (4 * beta * t) ** 2)
    iq = np.convolve(iq, pulse, "same")
    return iq / np.sqrt(np.mean(np.abs(iq) ** 2))


# --- physics -----------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol_rate_hz", SYMBOL_RATES_HZ)
@pytest.mark.parametrize("offset_hz", [-700e3, 300e3])
def test_a_tone_at_the_offset_lands_at_zero_with_its_level(symbol_rate_hz, offset_hz):
    iq, _, block = conditioned(tone(offset_hz), symbol_rate_hz=symbol_rate_hz, offset_hz=offset_hz)
    assert block.output_rate_hz == 8 * symbol_rate_hz
    assert len(iq) == pytest.approx(200_000 * block.output_rate_hz / RATE_HZ, abs=2)
    power_db = spectrum_db(iq[100:])
    assert np.argmax(power_db) == 0
    assert power_db[0] == pytest.approx(0, abs=0.05)
    power_db[:4] = power_db[-3:] = -200  # the taper's own width
    assert power_db.max() < -60  # images of the resampler


@pytest.mark.parametrize("symbol_rate_hz", SYMBOL_RATES_HZ)
def test_what_lies_beside_the_band_does_not_fold_into_it(symbol_rate_hz):
    rate_hz = 8 * symbol_rate_hz
    frequencies_hz = np.linspace(0.55 * rate_hz, RATE_HZ / 2 - 1e3, 7)
    for frequency_hz in [*frequencies_hz, *-frequencies_hz[::2]]:
        iq, _, _ = conditioned(tone(frequency_hz, 40_000), symbol_rate_hz=symbol_rate_hz)
        power_db = spectrum_db(iq[150:-1])
        usable = np.abs(np.fft.fftfreq(len(power_db))) < 0.45
        assert power_db[usable].max() < -50, frequency_hz


@pytest.mark.parametrize("symbol_rate_hz", [100e3, 37e3])
def test_the_band_is_flat_and_ends_where_it_is_said_to(symbol_rate_hz):
    bandwidth_hz = 3 * symbol_rate_hz
    inside_hz, outside_hz = 0.49 * bandwidth_hz, 0.56 * bandwidth_hz
    for frequency_hz, low_db, high_db in [
        (inside_hz, -0.1, 0.1), (-inside_hz, -0.1, 0.1),
        (outside_hz, -300, -50), (-outside_hz, -300, -50),
    ]:  # fmt: skip
        iq, _, _ = conditioned(
            tone(frequency_hz), symbol_rate_hz=symbol_rate_hz, bandwidth_hz=bandwidth_hz
        )
        power_db = 10 * np.log10(np.mean(np.abs(iq[400:]) ** 2) + 1e-20)
        assert low_db < power_db < high_db, frequency_hz


def test_a_slow_stream_is_brought_up(caplog):
    """48 kS/s and 9600 Bd, a sound card's, need 76.8 kS/s."""
    iq, _, block = conditioned(
        tone(5e3, 48_000, 48e3), sample_rate_hz=48e3, symbol_rate_hz=9600, offset_hz=4e3
    )
    assert len(iq) == pytest.approx(76_800, abs=2)
    power_db = spectrum_db(iq[200:])
    bin_hz = block.output_rate_hz / len(power_db)
    peak = int(np.argmax(power_db))
    assert peak * bin_hz == pytest.approx(1e3, abs=bin_hz)
    power_db[peak - 4 : peak + 5] = -200
    assert power_db.max() < -60


def test_the_receivers_own_carrier_is_removed():
    iq = 0.5 + 0.1 * tone(20e3, 600_000)
    settled = {}
    for remove_dc in (False, True):
        out, _, _ = conditioned(iq, symbol_rate_hz=100e3, remove_dc=remove_dc)
        settled[remove_dc] = out[160_000:]
    assert abs(settled[False].mean()) == pytest.approx(0.5, abs=0.01)
    assert abs(settled[True].mean()) < 0.01
    assert settled[True].std() == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize("symbol_rate_hz", [100e3, 60e3])
def test_qpsk_has_its_samples_per_symbol(symbol_rate_hz):
    """|x|^2 of a linear modulation has a line at the symbol rate: 1/8 cycle per sample."""
    iq = qpsk(symbol_rate_hz, 400_000) * tone(300e3, 400_000)
    out, _, _ = conditioned(iq, symbol_rate_hz=symbol_rate_hz, offset_hz=300e3)
    assert len(out) == pytest.approx(400_000 * 8 * symbol_rate_hz / RATE_HZ, abs=2)
    power = np.abs(out[100:]) ** 2
    line_db = spectrum_db(power - power.mean())[1 : len(power) // 2]
    frequencies = np.arange(1, len(power) // 2) / len(power)
    assert frequencies[np.argmax(line_db)] == pytest.approx(1 / 8, abs=1 / len(power))


def test_the_model_knows_the_signal_at_its_rate_and_not_at_another():
    recognizer = Recognizer("amc-nano", device="cpu")
    rng = np.random.default_rng(3)
    count = 300_000
    white = rng.normal(size=count) + 1j * rng.normal(size=count)
    # 15 dB over the noise in the 800 kHz that the model will see
    iq = qpsk(100e3, count) * tone(300e3, count) + white * math.sqrt(3 * 10**-1.5 / 2)
    share = {}
    for symbol_rate_hz in (100e3, 400e3, 25e3):
        out, _, block = conditioned(
            0.1 * iq, model="amc-nano", samples_per_symbol=0, symbol_rate_hz=symbol_rate_hz,
            offset_hz=300e3,
        )  # fmt: skip
        assert block.output_rate_hz == 8 * symbol_rate_hz  # as amc-nano's card says
        probabilities = recognizer.predict(out[256:]).window_probabilities.mean(0)
        share[symbol_rate_hz] = probabilities[recognizer.classes.index("QPSK")]
    assert share[100e3] > 0.9
    assert share[400e3] < 0.2 and share[25e3] < 0.2


# --- tags --------------------------------------------------------------------------------------


def named(tags, key):
    return [(offset, value) for offset, name, value in tags if name == key]


def test_tags_of_the_source_become_those_of_the_output():
    tags = [
        tag(0, "rx_rate", pmt.from_double(RATE_HZ)),
        tag(0, "rx_freq", pmt.from_double(433e6)),
        tag(0, "rx_time", rx_time(1_700_000_000, 0.00001)),
        tag(120_000, "rx_time", rx_time(1_700_000_005, 0.5)),
        tag(120_000, "rx_freq", pmt.from_double(434e6)),
        tag(60_000, "burst", pmt.from_long(7)),
    ]
    for symbol_rate_hz in (100e3, 37e3):
        _, out, block = conditioned(
            tone(0), tags, symbol_rate_hz=symbol_rate_hz, offset_hz=250e3, center_frequency_hz=1e6
        )
        ratio = block.output_rate_hz / RATE_HZ
        rates, frequencies = named(out, "rx_rate"), named(out, "rx_freq")
        assert [(o, pmt.to_double(v)) for o, v in rates] == [(0, block.output_rate_hz)]
        assert [pmt.to_double(v) for _, v in frequencies] == [433.25e6, 434.25e6]
        offsets = [offset for offset, _ in frequencies]
        assert offsets == pytest.approx([0, 120_000 * ratio], abs=2)
        ((offset, value),) = named(out, "burst")
        assert offset == pytest.approx(60_000 * ratio, abs=2) and pmt.to_long(value) == 7
        first, second = (pmt.to_python(value) for _, value in named(out, "rx_time"))
        assert second[0] == 1_700_000_005
        assert second[1] == pytest.approx(0.5 - block.delay_s, abs=1e-9)
        assert first[0] + first[1] == pytest.approx(1_700_000_000.00001 - block.delay_s, abs=1e-6)
        assert 0 <= first[1] < 1


@pytest.mark.parametrize("symbol_rate_hz", [100e3, 37e3])
def test_the_time_of_a_pulse_is_true(symbol_rate_hz):
    """A pulse arrives at sample 90 000; the output's own tags say when that was."""
    iq = np.zeros(200_000, complex)
    iq[90_000] = 1000
    out, tags, block = conditioned(
        iq, [tag(0, "rx_time", rx_time(100, 0.25))], symbol_rate_hz=symbol_rate_hz
    )
    ((offset, value),) = named(tags, "rx_time")
    whole_s, part_s = pmt.to_python(value)
    # relative to the tagged second, to keep a double's digits
    told_s = whole_s - 100 + part_s + (np.argmax(np.abs(out)) - offset) / block.output_rate_hz
    assert told_s == pytest.approx(0.25 + 90_000 / RATE_HZ, abs=1.01 / block.output_rate_hz)


def test_a_source_without_tags_is_told_about():
    _, tags, _ = conditioned(tone(0), symbol_rate_hz=100e3, offset_hz=5e3)
    assert [(o, name, pmt.to_double(v)) for o, name, v in tags] == [(0, "rx_rate", 800e3)]
    _, tags, _ = conditioned(
        tone(0), symbol_rate_hz=100e3, offset_hz=5e3, center_frequency_hz=100e6
    )
    assert {(o, name, pmt.to_double(v)) for o, name, v in tags} == {
        (0, "rx_rate", 800e3),
        (0, "rx_freq", 100.005e6),
    }


def test_a_wrong_sample_rate_is_noticed(caplog):
    tags = [tag(0, "rx_rate", pmt.from_double(1.2e6))]
    with caplog.at_level(logging.WARNING):
        _, out, _ = conditioned(tone(0), tags, symbol_rate_hz=100e3)
    assert "set sample_rate_hz to 1.2e+06" in caplog.text
    assert [pmt.to_double(v) for _, v in named(out, "rx_rate")] == [400e3]  # what it truly is


# --- while running -----------------------------------------------------------------------------


class Retuned(gr.top_block):
    """Endless tone -> conditioner -> vector sink, throttled so that a test can interfere."""

    def __init__(self, frequency_hz: float, **arguments):
        gr.top_block.__init__(self)
        self.source = blocks.vector_source_c(tone(frequency_hz, 24_000).tolist(), True)
        self.throttle = blocks.throttle(gr.sizeof_gr_complex, RATE_HZ / 4)
        self.block = conditioner(
            model="", samples_per_symbol=8, sample_rate_hz=RATE_HZ, symbol_rate_hz=100e3,
            **arguments,
        )  # fmt: skip
        self.sink = blocks.vector_sink_c()
        self.connect(self.source, self.throttle, self.block, self.sink)

    def wait_for(self, more: int) -> None:
        wanted, deadline = len(self.sink.data()) + more, time.monotonic() + 30
        while len(self.sink.data()) < wanted:
            assert time.monotonic() < deadline, "no samples come"
            time.sleep(0.01)


def test_retuning_moves_the_signal_and_tags_the_sample():
    flowgraph = Retuned(300e3, offset_hz=300e3, center_frequency_hz=100e6)
    flowgraph.start()
    flowgraph.wait_for(20_000)
    flowgraph.block.set_offset_hz(250e3)
    flowgraph.wait_for(60_000)
    flowgraph.stop()
    flowgraph.wait()
    out = np.array(flowgraph.sink.data())
    tags = [t for t in flowgraph.sink.tags() if pmt.symbol_to_string(t.key) == "rx_freq"]
    assert [pmt.to_double(t.value) for t in tags] == pytest.approx([100.3e6, 100.25e6])
    at = tags[1].offset
    step = np.angle(out[1:] * out[:-1].conj()) / (2 * np.pi) * 800e3  # Hz, sample by sample
    np.testing.assert_allclose(step[200 : at - 1], 0, atol=100)
    settled = at + 2 * round(flowgraph.block.delay_s * 800e3) + 2
    np.testing.assert_allclose(step[settled:], 50e3, atol=100)
    assert not np.allclose(step[at : at + 100], 0, atol=100)  # the tag is not early either


def test_bandwidth_and_centre_change_while_running():
    flowgraph = Retuned(200e3, center_frequency_hz=100e6)
    flowgraph.start()
    flowgraph.wait_for(20_000)
    flowgraph.block.set_bandwidth_hz(150e3)
    flowgraph.block.set_center_frequency_hz(101e6)
    flowgraph.wait_for(80_000)
    flowgraph.stop()
    flowgraph.wait()
    level = np.abs(np.array(flowgraph.sink.data()))
    assert level[300:10_000] == pytest.approx(1, abs=0.01)
    assert level[-1000:].max() < 10 ** (-50 / 20)
    frequencies = [pmt.to_double(t.value) for t in flowgraph.sink.tags() if str(t.key) == "rx_freq"]
    assert frequencies == [100e6, 101e6]


def test_bad_values_from_a_gui_are_logged_not_raised(caplog):
    block = conditioner(sample_rate_hz=RATE_HZ, symbol_rate_hz=100e3)
    with caplog.at_level(logging.ERROR):
        block.set_offset_hz(1.3e6)
        block.set_offset_hz(float("nan"))
        block.set_bandwidth_hz(1e6)
        block.set_bandwidth_hz(None)
        block.set_center_frequency_hz(float("inf"))
    assert len(caplog.records) == 5
    assert "tune the receiver nearer" in caplog.text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sample_rate_hz": 0}, "sample_rate_hz is 0"),
        ({"symbol_rate_hz": -1}, "symbol_rate_hz is -1"),
        ({"symbol_rate_hz": 3e6}, "receive at a higher rate"),
        ({"symbol_rate_hz": 10}, "more than a factor of 4096"),
        ({"samples_per_symbol": 1e9}, "more than a factor of 64; give a lower"),
        ({"offset_hz": 1.21e6}, r"offset_hz is 1.21e\+06: .* ends at \+-1.2e\+06"),
        ({"offset_hz": math.nan}, "offset_hz is nan"),
        ({"bandwidth_hz": 790e3}, r"bandwidth_hz is 790000: .* can have 8000 to 720000"),
        ({"bandwidth_hz": 1}, "bandwidth_hz is 1"),
        ({"bandwidth_hz": -1}, "bandwidth_hz is -1"),
        ({"samples_per_symbol": -1}, "samples_per_symbol is -1"),
        ({"center_frequency_hz": math.inf}, "center_frequency_hz is inf"),
        ({"model": "no-such-model"}, "no model 'no-such-model'"),
    ],
)
def test_bad_arguments_say_what_is_wrong(wrong, message):
    with pytest.raises(ValueError, match=message):
        conditioner(**({"sample_rate_hz": RATE_HZ, "symbol_rate_hz": 100e3} | wrong))


def test_a_model_of_bandwidths_gets_a_multiple_of_them(bandwidth_model):
    arguments = {"model": bandwidth_model.name, "samples_per_symbol": 0, "bandwidth_hz": 100e3}
    for offset_hz, passes in ((0.0, True), (90e3, True), (130e3, False)):
        iq, _, block = conditioned(tone(300e3 + offset_hz), offset_hz=300e3, **arguments)
        assert block.output_rate_hz == 400e3
        level_db = spectrum_db(iq[2000:-2000])[round(offset_hz / 400e3 * (len(iq) - 4000))]
        assert (level_db > -1) if passes else (spectrum_db(iq[2000:-2000]).max() < -50)
    with pytest.raises(ValueError, match=r"bandwidth_hz is 0\.0: air-untrained wants a multiple"):
        conditioner(**arguments | {"bandwidth_hz": 0.0})
    wide = conditioner(**arguments | {"bandwidth_hz": 2e6, "sample_rate_hz": RATE_HZ})
    assert wide.output_rate_hz == 8e6  # the whole stream passes, at four times the bandwidth


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 40e3])
def test_a_model_of_one_rate_gets_it_whatever_the_signal_is(one_rate_model, rate_hz):
    arguments = {"model": one_rate_model.name, "samples_per_symbol": 0, "sample_rate_hz": rate_hz}
    count = round(rate_hz / 12)
    iq, _, block = conditioned(
        tone(14e3, count, rate_hz), offset_hz=10e3, symbol_rate_hz=0, **arguments
    )
    assert block.output_rate_hz == 100e3
    power_db = spectrum_db(iq[2000:-1000])
    found_hz = np.fft.fftfreq(len(power_db), 1e-5)[power_db.argmax()]
    assert found_hz == pytest.approx(4e3, abs=50)
    assert power_db.max() == pytest.approx(0, abs=1.5)


def test_messages_do_not_change_the_rate_of_a_model_of_one_rate(one_rate_model):
    block = conditioner(one_rate_model.name, RATE_HZ, retunable=True)
    block.tune({"offset_hz": 300e3, "symbol_rate_hz": 2e3, "bandwidth_hz": 50e3})
    assert block.output_rate_hz == 100e3


def test_a_card_without_samples_per_symbol(model_folder, tmp_path):
    card = (model_folder / zoo.CARD_FILE).read_text()
    (tmp_path / zoo.CARD_FILE).write_text(
        card.replace("samples_per_symbol: 8.0", "samples_per_symbol: null")
    )
    with pytest.raises(ValueError, match="names no samples_per_symbol: give them"):
        conditioner(model=str(tmp_path), sample_rate_hz=RATE_HZ, symbol_rate_hz=100e3)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"symbol_rate_hz": 2e3, "bandwidth_hz": math.nan}, "bandwidth_hz is nan: .* or more"),
        ({"symbol_rate_hz": 2e3, "bandwidth_hz": -5.0}, "bandwidth_hz is -5: .* can have 160 or"),
        ({"symbol_rate_hz": 2e3, "bandwidth_hz": 100.0}, "bandwidth_hz is 100: .* can have 160 or"),
        ({"symbol_rate_hz": 2e3, "offset_hz": 5e6}, r"offset_hz is 5e\+06"),
        ({"offset_hz": 1e3, "symbol_rate_hz": "2k"}, "symbol_rate_hz: it is '2k', which is no num"),
        ({"symbol_rate_hz": 2e3, "offset_hz": True}, "offset_hz: it is True, which is no number"),
        ({"symbol_rate_hz": 2e3, "offset_hz": (1e3,)}, "offset_hz: it is .*, which is no number"),
    ],
)
def test_a_message_with_one_wrong_entry_changes_nothing(wanted, message):
    block = conditioner(
        model="", samples_per_symbol=8, sample_rate_hz=RATE_HZ, symbol_rate_hz=100e3, retunable=True
    )
    with pytest.raises(ValueError, match=message):
        block.tune(wanted)
    assert block.output_rate_hz == 800e3 and block._offset_hz == 0
    block.tune({"symbol_rate_hz": "2e3", "offset_hz": np.array([5.0])})
    assert block.output_rate_hz == 16e3 and block._offset_hz == 5


def test_messages_tune_it_to_another_signal_and_rate():
    """A tone at 300 kHz, and 500 Hz beside the centre of where a message tunes to."""
    flowgraph = gr.top_block()
    iq = tone(303.5e3, 2_400_000)
    flowgraph.source = blocks.vector_source_c(iq.astype(np.complex64).tolist(), True)
    flowgraph.throttle = blocks.throttle(gr.sizeof_gr_complex, RATE_HZ)
    flowgraph.block = conditioner(
        model="", samples_per_symbol=8, sample_rate_hz=RATE_HZ, symbol_rate_hz=100e3,
        offset_hz=300e3, retunable=True,
    )  # fmt: skip
    flowgraph.sink = blocks.vector_sink_c()
    flowgraph.connect(flowgraph.source, flowgraph.throttle, flowgraph.block, flowgraph.sink)
    flowgraph.sender = Sender(ports=("tune",))
    flowgraph.msg_connect(flowgraph.sender, "tune", flowgraph.block, "control")
    flowgraph.start()
    try:
        until(lambda: len(flowgraph.sink.data()) > 20_000)
        for wrong in ({"symbol_rate_hz": 1e6}, {"symbol_rate_hz": 10.0}, {"offset_hz": 5e6}):
            flowgraph.sender.say(wrong, "tune")
        flowgraph.sender.say({"offset_hz": 303e3, "symbol_rate_hz": 2e3}, "tune")
        until(lambda: flowgraph.block.output_rate_hz == pytest.approx(16e3))
        before = len(flowgraph.sink.data())
        until(lambda: len(flowgraph.sink.data()) > before + 40_000)
    finally:
        flowgraph.stop()
        flowgraph.wait()
    out = np.array(flowgraph.sink.data(), np.complex64)
    first, last = out[4096:8192], out[-8192:]
    for piece, rate_hz, expected_hz in ((first, 800e3, 3.5e3), (last, 16e3, 500.0)):
        power_db = spectrum_db(piece)
        top = int(power_db.argmax())
        found_hz = np.fft.fftfreq(len(piece), 1 / rate_hz)[top]
        assert found_hz == pytest.approx(expected_hz, abs=1.5 * rate_hz / len(piece))
        assert power_db[top] == pytest.approx(0, abs=1.5)
    rates = [
        pmt.to_double(tag.value)
        for tag in flowgraph.sink.tags()
        if pmt.eq(tag.key, pmt.intern("rx_rate"))
    ]
    assert rates == pytest.approx([800e3, 16e3])
