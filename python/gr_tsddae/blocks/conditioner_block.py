# SPDX-License-Identifier: GPL-3.0-or-later
"""The TS-DDAE Conditioner block: one signal of a wide stream, as the model's training had it.

It is a row of stock blocks. Each filters only the aliases that it makes itself:

    DC removal -> rotator -> decimating FIR -> arbitrary resampler -> band filter -> tags

The FIR decimates by the largest integer that leaves at least the output rate. Its number of taps
grows with the decimation, and it computes an output that much more rarely. So one stage costs the
same at any decimation, 4 % of a core at 2.4 MS/s with the rotator, and a second stage would save
little. The rotator is a block of its own because it tags the very sample of a retune. There is no
level control: the model scales each window itself, an AGC would disturb amplitude modulations, and
a gain of 1 keeps the meaning of the classifier's power gate.
"""

import logging
import math
from typing import Any

import pmt
from gnuradio import blocks, filter, gr
from gnuradio.fft import window
from gnuradio.filter import firdes

from gr_tsddae import zoo
from gr_tsddae.blocks.listening.content import as_number
from gr_tsddae.blocks.receiver.retagger import Retagger
from gr_tsddae.blocks.receiver.tune_control import TuneControl
from gr_tsddae.zoo.input_rate import PASSBAND, wanted_rate_hz, wants_one_rate

log = logging.getLogger(__name__)

USABLE_BAND = 0.9  # of the output rate; the rest is where the filters fall
ATTENUATION_DB = 60.0
LARGEST_DECIMATION = 4096
LARGEST_INTERPOLATION = 64
NARROWEST_BAND = 0.01  # of the output rate; it takes 2000 taps
RESAMPLER_FILTERS = 32
LARGEST_RATIO = 100  # of the resampler; its filter must fit into GNU Radio's buffers
DC_TIME_CONSTANT_S = 0.05  # a notch of 3 Hz


class conditioner(gr.hier_block2):
    """Complex stream in, complex stream out at the rate that a model needs.

    Tune to one signal, filter it, and resample it to a model's samples per symbol, or to its
    multiple of the signal's bandwidth. The block's documentation
    (grc/tsddae_conditioner.block.yml) describes parameters and tags.

    Args:
        model: name or folder of the model that comes next; its card has the samples per symbol, or
            the multiple of the bandwidth.
        sample_rate_hz: sample rate of the input.
        symbol_rate_hz: symbols per second of the signal; not used where the model wants a multiple
            of the bandwidth, or one sample rate.
        offset_hz: distance of the signal from the receiver's centre.
        bandwidth_hz: width of the band that passes, from its lower to its upper edge; 0: all that
            the output can hold, as in the models' training. Where the model wants a multiple of
            it, it is the occupied bandwidth of the signal, and twice as much passes.
        samples_per_symbol: samples per symbol of the output; 0: the number in the model's card.
        remove_dc: whether to take out the receiver's own carrier at its centre.
        center_frequency_hz: the receiver's centre while no rx_freq tag was seen; 0: unknown.
        retunable: whether to have a message port `control`, whose messages change the offset and
            the rate. `symbol_rate_hz`, or `bandwidth_hz`, is then the highest that may come.

    Raises:
        gr_tsddae.zoo.ModelError: If the card is needed and cannot be read.
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        model: str = "amc-nano",
        sample_rate_hz: float = 2.4e6,
        symbol_rate_hz: float = 25e3,
        offset_hz: float = 0.0,
        bandwidth_hz: float = 0.0,
        samples_per_symbol: float = 0.0,
        remove_dc: bool = False,
        center_frequency_hz: float = 0.0,
        retunable: bool = False,
    ):
        if not 0 < sample_rate_hz < math.inf:
            raise ValueError(f"sample_rate_hz is {sample_rate_hz}: it must be above 0")
        self._sample_rate_hz = float(sample_rate_hz)
        card = None if samples_per_symbol else zoo.read_card(zoo.find(model))
        self._one_rate = card is not None and wants_one_rate(card)
        self._output_rate_hz, self._by_bandwidth = self._wanted_rate(
            model, card, samples_per_symbol, symbol_rate_hz, bandwidth_hz
        )
        decimation = max(1, math.floor(self._sample_rate_hz / self._output_rate_hz * (1 + 1e-9)))
        if decimation > LARGEST_DECIMATION:
            raise ValueError(
                f"from {sample_rate_hz:g} to {self._output_rate_hz:g} samples per second is more "
                f"than a factor of {LARGEST_DECIMATION}; decimate before this block, or receive at "
                "a lower rate"
            )
        if self._output_rate_hz > LARGEST_INTERPOLATION * self._sample_rate_hz:
            raise ValueError(
                f"from {sample_rate_hz:g} to {self._output_rate_hz:g} samples per second is more "
                f"than a factor of {LARGEST_INTERPOLATION}; give a lower symbol rate or bandwidth, "
                "or fewer samples per symbol"
            )
        offset_hz = self._checked_offset(offset_hz)
        asked_bandwidth_hz = bandwidth_hz
        bandwidth_hz = self._checked_bandwidth(bandwidth_hz)
        center_frequency_hz = _checked_center(center_frequency_hz)
        gr.hier_block2.__init__(
            self,
            "TS-DDAE Conditioner",
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
        )
        # Children stay referenced here: GNU Radio does not keep Python blocks alive.
        self.rotator = blocks.rotator_cc(self._phase_increment(offset_hz), True)
        self.decimator = self._make_decimator(decimation)
        self.resampler = self._make_resampler(decimation, retunable)
        self.band = filter.fir_filter_ccf(1, self._band_taps(bandwidth_hz))
        self.retagger = Retagger(
            input_rate_hz=self._sample_rate_hz,
            output_rate_hz=self._output_rate_hz,
            center_frequency_hz=center_frequency_hz,
            offset_hz=offset_hz,
        )
        first = self
        if remove_dc:
            self.dc = filter.single_pole_iir_filter_cc(
                -math.expm1(-1 / (DC_TIME_CONSTANT_S * self._sample_rate_hz))
            )
            self.without_dc = blocks.sub_cc()
            self.connect(self, (self.without_dc, 0))
            self.connect(self, self.dc, (self.without_dc, 1))
            first = self.without_dc
        stages = [self.rotator, self.decimator, self.resampler, self.band, self.retagger]
        self.connect(first, *[stage for stage in stages if stage is not None], self)
        self._decimation, self._offset_hz, self._rate_changed = decimation, offset_hz, False
        self._note_delay()
        if retunable:
            self._multiple = self._output_rate_hz / (
                float(asked_bandwidth_hz) if self._by_bandwidth else float(symbol_rate_hz)
            )
            self.control = TuneControl(self.tune)
            self.message_port_register_hier_in("control")
            self.msg_connect(self, "control", self.control, "control")

    # Setters are called from GUI slots, where an exception ends the process. So a bad value is
    # logged, and the old value stays.

    def set_offset_hz(self, offset_hz: float) -> None:
        """Tune to another place in the band; the first sample from there has the tag rx_freq."""
        try:
            increment = self._phase_increment(self._checked_offset(offset_hz))
        except (ValueError, TypeError) as error:
            log.error("offset not changed: %s", error)
            return
        self._offset_hz = float(offset_hz)
        if self._rate_changed:
            self.retagger.set_offset_hz(self._offset_hz)
        command = pmt.dict_add(pmt.make_dict(), pmt.intern("inc"), pmt.from_double(increment))
        self.rotator.to_basic_block()._post(pmt.intern("cmd"), command)

    def set_bandwidth_hz(self, bandwidth_hz: float) -> None:
        """Let a wider or narrower band pass; 0: all that the output can hold."""
        try:
            taps = self._band_taps(self._checked_bandwidth(bandwidth_hz))
        except (ValueError, TypeError) as error:
            log.error("bandwidth not changed: %s", error)
            return
        self.band.set_taps(taps)
        self._note_delay()

    def set_center_frequency_hz(self, center_frequency_hz: float) -> None:
        """Give the receiver's centre, for sources that send no rx_freq tags."""
        try:
            self.retagger.set_center_frequency_hz(_checked_center(center_frequency_hz))
        except (ValueError, TypeError) as error:
            log.error("centre frequency not changed: %s", error)

    def tune(self, wanted: dict[str, Any]) -> None:
        """Tune to another signal, whose place and width another block has measured.

        Args:
            wanted: any of offset_hz, symbol_rate_hz, occupied_bandwidth_hz and bandwidth_hz, in Hz.
                What is absent, or what the model does not go by, changes nothing.

        Raises:
            ValueError: If an entry is out of its range; then nothing changes.
        """
        name = "occupied_bandwidth_hz" if self._by_bandwidth else "symbol_rate_hz"
        offset_hz, width_hz, bandwidth_hz = (
            _number_in(wanted, key) for key in ("offset_hz", name, "bandwidth_hz")
        )
        if self._one_rate:
            width_hz = None
        if self._by_bandwidth:
            width_hz, bandwidth_hz = width_hz or bandwidth_hz, None
        if offset_hz is not None:
            offset_hz = self._checked_offset(offset_hz)
        if bandwidth_hz is not None and bandwidth_hz != 0:  # before anything has changed
            rate_hz = self._output_rate_hz if width_hz is None else self._multiple * width_hz
            if not bandwidth_hz >= NARROWEST_BAND * rate_hz:
                raise ValueError(
                    f"bandwidth_hz is {bandwidth_hz:g}: an output of {rate_hz:g} samples per "
                    f"second can have {NARROWEST_BAND * rate_hz:g} or more; give 0 for the widest"
                )
        if width_hz is not None and self._multiple * width_hz != self._output_rate_hz:
            self._change_rate(name, float(width_hz))
        if bandwidth_hz is not None:
            widest_hz = self._checked_bandwidth(0.0)
            self.band.set_taps(
                self._band_taps(self._checked_bandwidth(min(bandwidth_hz, widest_hz)))
            )
            self._note_delay()
        if offset_hz is not None and offset_hz != self._offset_hz:
            self.set_offset_hz(offset_hz)

    def _change_rate(self, name: str, width_hz: float) -> None:
        most_hz = self._sample_rate_hz / self._decimation / self._multiple
        least_hz = most_hz / LARGEST_RATIO
        if not least_hz <= width_hz <= most_hz * (1 + 1e-9):
            raise ValueError(
                f"{name} is {width_hz:g}: this Conditioner, as it was started, can follow "
                f"{least_hz:g} to {most_hz:g}; start it with a "
                f"{'higher' if width_hz > most_hz else 'lower'} value"
            )
        self._output_rate_hz, self._rate_changed = self._multiple * width_hz, True
        rate_hz = self._sample_rate_hz / self._decimation
        self.resampler.set_rate(self._output_rate_hz / rate_hz)
        self.resampler.set_taps(self._resampler_taps(rate_hz))
        passed_hz = self._checked_bandwidth(width_hz if self._by_bandwidth else 0.0)
        self.band.set_taps(self._band_taps(passed_hz))
        self.retagger.set_output_rate_hz(self._output_rate_hz)
        self._note_delay()

    @property
    def output_rate_hz(self) -> float:
        """Give the output's samples per second, as the model wants them."""
        return self._output_rate_hz

    @property
    def delay_s(self) -> float:
        """Tell how long the filters delay a sample."""
        return self.retagger.delay_s

    # --- the stages ---------------------------------------------------------------------------

    def _make_decimator(self, decimation: int) -> filter.fir_filter_ccf | None:
        if decimation == 1:
            return None
        rate_hz, pass_hz = self._sample_rate_hz, USABLE_BAND / 2 * self._output_rate_hz
        stop_hz = rate_hz / decimation - pass_hz  # folds back onto the edge of the usable band
        return filter.fir_filter_ccf(decimation, _low_pass(1, rate_hz, pass_hz, stop_hz))

    def _make_resampler(
        self, decimation: int, retunable: bool
    ) -> filter.pfb_arb_resampler_ccf | None:
        rate_hz = self._sample_rate_hz / decimation
        ratio = self._output_rate_hz / rate_hz
        if abs(ratio - 1) < 1e-9 and not retunable:
            return None
        return filter.pfb_arb_resampler_ccf(ratio, self._resampler_taps(rate_hz), RESAMPLER_FILTERS)

    def _resampler_taps(self, rate_hz: float) -> list[float]:
        pass_hz = USABLE_BAND / 2 * min(rate_hz, self._output_rate_hz)
        stop_hz = min(rate_hz, self._output_rate_hz) - pass_hz  # images, or aliases
        return _low_pass(RESAMPLER_FILTERS, RESAMPLER_FILTERS * rate_hz, pass_hz, stop_hz)

    def _band_taps(self, bandwidth_hz: float) -> list[float]:
        pass_hz = bandwidth_hz / 2
        stop_hz = min(1.1 * pass_hz, self._output_rate_hz / 2)
        return _low_pass(1, self._output_rate_hz, pass_hz, stop_hz)

    def _note_delay(self) -> None:
        """Add up the filters' delays. Each filter is symmetric: it delays by half its length."""
        delay_s = (len(self.band.taps()) - 1) / 2 / self._output_rate_hz
        if self.decimator is not None:
            delay_s += (len(self.decimator.taps()) - 1) / 2 / self._sample_rate_hz
        if self.resampler is not None:
            length = self.resampler.taps_per_filter() - 1
            delay_s += length / 2 * self._decimation / self._sample_rate_hz
        self.retagger.delay_s = delay_s

    # --- checks -------------------------------------------------------------------------------

    def _wanted_rate(
        self,
        model: str,
        card: zoo.Card | None,
        samples_per_symbol: float,
        symbol_rate_hz: float,
        bandwidth_hz: float,
    ) -> tuple[float, bool]:
        """Compute the output's rate, and tell whether it follows from the signal's bandwidth."""
        if not 0 <= samples_per_symbol < math.inf:
            raise ValueError(
                f"samples_per_symbol is {samples_per_symbol}: give a number above 0, or 0 for the "
                "card"
            )
        if self._one_rate:
            return float(card.sample_rate_hz), False
        by_bandwidth = card is not None and card.bandwidth_multiple is not None
        name, value = "symbol_rate_hz", symbol_rate_hz
        if by_bandwidth:
            name, value = "bandwidth_hz", bandwidth_hz
        if not 0 < value < math.inf:
            why = f"{model} wants a multiple of it, and " if by_bandwidth else ""
            raise ValueError(f"{name} is {value}: {why}it must be above 0")
        if value > self._sample_rate_hz:
            raise ValueError(
                f"{name} is {value:g}, above the sample rate of {self._sample_rate_hz:g}: such a "
                "signal is not in the stream; receive at a higher rate"
            )
        if card is None:
            return float(samples_per_symbol * symbol_rate_hz), False
        wanted_hz = wanted_rate_hz(card, symbol_rate_hz=symbol_rate_hz, bandwidth_hz=bandwidth_hz)
        return float(wanted_hz), by_bandwidth

    def _phase_increment(self, offset_hz: float) -> float:
        return -2 * math.pi * offset_hz / self._sample_rate_hz

    def _checked_offset(self, offset_hz: float) -> float:
        limit_hz = self._sample_rate_hz / 2
        if not abs(offset_hz) <= limit_hz:
            raise ValueError(
                f"offset_hz is {offset_hz:g}: at {self._sample_rate_hz:g} samples per second the "
                f"stream ends at +-{limit_hz:g}; tune the receiver nearer to the signal"
            )
        return float(offset_hz)

    def _checked_bandwidth(self, bandwidth_hz: float) -> float:
        """Check a bandwidth, and give the width that passes; 0 gives the widest one."""
        widest_hz = USABLE_BAND * min(self._output_rate_hz, self._sample_rate_hz)
        if self._by_bandwidth and bandwidth_hz > 0:
            bandwidth_hz = min(PASSBAND * bandwidth_hz, widest_hz)
        if bandwidth_hz == 0:
            return widest_hz
        if not NARROWEST_BAND * self._output_rate_hz <= bandwidth_hz <= widest_hz * (1 + 1e-9):
            raise ValueError(
                f"bandwidth_hz is {bandwidth_hz:g}: an output of {self._output_rate_hz:g} samples "
                f"per second can have {NARROWEST_BAND * self._output_rate_hz:g} to {widest_hz:g}; "
                "give 0 for the widest, or another symbol rate"
            )
        return float(bandwidth_hz)


def _number_in(wanted: dict[str, Any], name: str) -> float | None:
    """Return an entry of a message as a number, None where it is absent."""
    if wanted.get(name) is None:
        return None
    try:
        return as_number(wanted[name])
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _checked_center(center_frequency_hz: float) -> float:
    if not math.isfinite(center_frequency_hz):
        raise ValueError(
            f"center_frequency_hz is {center_frequency_hz}: give hertz, or 0 when unknown"
        )
    return float(center_frequency_hz)


def _low_pass(gain: float, rate_hz: float, pass_hz: float, stop_hz: float) -> list[float]:
    """Design a filter by Kaiser's rules; firdes' own rule makes it a third too short."""
    length_db = 22 * (ATTENUATION_DB - 7.95) / 14.36
    beta = 0.1102 * (ATTENUATION_DB - 8.7)
    return firdes.low_pass_2(
        gain, rate_hz, (pass_hz + stop_hz) / 2, stop_hz - pass_hz, length_db,
        window.WIN_KAISER, beta,
    )  # fmt: skip
