# SPDX-License-Identifier: GPL-3.0-or-later
"""The TS-DDAE Qt Waterfall block: a stream in, its waterfall to look at, a Conditioner to tune.

GNU Radio's own blocks make the spectra. Qt and pyqtgraph are imported when a block is made.
"""

import math
from typing import Any

from gnuradio import gr
from gnuradio.fft import logpwrfft

from gr_tsddae.blocks.display.application import require_gui
from gr_tsddae.blocks.display.choices import Display
from gr_tsddae.blocks.display.state import Inbox
from gr_tsddae.blocks.tuning.spectrum_sink import SpectrumSink

ROWS_PER_S = 40.0
MOST_BINS, LEAST_BINS = 1024, 64


class waterfall(Display, gr.hier_block2):
    """Complex stream in, a widget; with `tuning` also messages `tuned` in and `tune` out.

    The block's documentation (grc/tsddae_waterfall.block.yml) gives the messages' formats.

    Args:
        sample_rate_hz: of the stream.
        center_frequency_hz: the receiver's centre; 0: unknown.
        tuning: whether the signal's place is shown and can be changed.
        offset_hz: distance of the signal from the centre, at first.
        symbol_rate_hz: symbols per second of the signal, at first.
        highest_symbol_rate_hz: that the Conditioner behind can follow; 0: four times the first.
        bandwidth_hz: of the Conditioner's filter, at first; 0: the widest.
        history_s: seconds of the past that are kept.
        palette: "dark", "light", or "auto": as the application.
        update_rate_hz: most paintings per second.

    Raises:
        ValueError: when an argument is out of its range.
        ImportError: without Qt, qtpy or pyqtgraph.
        RuntimeError: without a QApplication, or not on its thread.
    """

    HISTORY_S = (5.0, 3600.0)

    def __init__(
        self,
        sample_rate_hz: float = 2.4e6,
        center_frequency_hz: float = 0.0,
        tuning: bool = False,
        offset_hz: float = 0.0,
        symbol_rate_hz: float = 25e3,
        highest_symbol_rate_hz: float = 0.0,
        bandwidth_hz: float = 0.0,
        history_s: float = 60.0,
        palette: str = "auto",
        update_rate_hz: float = 20.0,
    ):
        if not 0 < sample_rate_hz < math.inf:
            raise ValueError(f"sample_rate_hz is {sample_rate_hz}: it must be above 0")
        first = None
        if tuning:
            first = _first_tuning(
                sample_rate_hz, offset_hz, symbol_rate_hz, highest_symbol_rate_hz, bandwidth_hz
            )
        require_gui("waterfall", "pyqtgraph")
        from gr_tsddae.blocks.tuning.widget import Settings, WaterfallWidget

        gr.hier_block2.__init__(
            self,
            "TS-DDAE Qt Waterfall",
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
            gr.io_signature(0, 0, 0),
        )
        self._settings = Settings(
            **self._checked(history_s, palette, update_rate_hz),
            sample_rate_hz=float(sample_rate_hz),
            tuning=first,
        )
        inbox = Inbox()
        self._about = {"center_frequency_hz": float(center_frequency_hz)}
        self._widget = WaterfallWidget(self._settings, inbox)
        self._widget.state.band_center_hz = self._about["center_frequency_hz"] or None
        wanted = 2 ** math.floor(math.log2(max(sample_rate_hz / ROWS_PER_S, LEAST_BINS)))
        bins = min(wanted, MOST_BINS)
        decimation = max(1, round(sample_rate_hz / bins / ROWS_PER_S))
        self.spectra = logpwrfft.logpwrfft_c(
            sample_rate=sample_rate_hz, fft_size=bins, ref_scale=2, shift=True,
            frame_rate=sample_rate_hz / bins / decimation, avg_alpha=0.5, average=True,
        )  # fmt: skip
        self.sink = SpectrumSink(
            inbox,
            bins=bins,
            row_s=bins * decimation / sample_rate_hz,
            sample_rate_hz=float(sample_rate_hz),
            about=self._about,
            first=self._widget.tuning() if tuning else None,
        )
        self.connect(self, self.spectra, self.sink)
        if tuning:
            self.message_port_register_hier_out("tune")
            self.message_port_register_hier_in("tuned")
            self.msg_connect(self.sink, "tune", self, "tune")
            self.msg_connect(self, "tuned", self.sink, "tuned")
            self._widget.tune.connect(self.sink.publish)

    def set_center_frequency_hz(self, center_frequency_hz: float) -> None:
        """Give the receiver's centre, where the axis begins anew; 0: unknown."""
        self._about["center_frequency_hz"] = float(center_frequency_hz)


def _first_tuning(
    sample_rate_hz: float, offset_hz: Any, symbol_rate_hz: Any, highest_hz: Any, bandwidth_hz: Any
) -> dict[str, float]:
    if not symbol_rate_hz > 0:
        raise ValueError(f"symbol_rate_hz is {symbol_rate_hz:g}: it must be above 0")
    highest_hz = highest_hz or min(4 * symbol_rate_hz, sample_rate_hz)
    for name, value, low, high in (
        ("highest_symbol_rate_hz", highest_hz, 0, sample_rate_hz),
        ("symbol_rate_hz", symbol_rate_hz, highest_hz / 100, highest_hz),
        ("offset_hz", offset_hz, -sample_rate_hz / 2, sample_rate_hz / 2),
        ("bandwidth_hz", bandwidth_hz, 0, sample_rate_hz),
    ):
        if not low <= value <= high:
            raise ValueError(f"{name} is {value:g}: give from {low:g} to {high:g}")
    return {
        "offset_hz": float(offset_hz),
        "symbol_rate_hz": float(symbol_rate_hz),
        "highest_symbol_rate_hz": float(highest_hz),
        "bandwidth_hz": float(bandwidth_hz),
    }
