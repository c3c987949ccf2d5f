# SPDX-License-Identifier: GPL-3.0-or-later
"""The TS-DDAE Survey Display block: a survey's spectra and emissions in, a widget to look at.

The block only passes messages to an inbox; the widget (`survey_view/widget.py`) reads it by a
timer on the GUI's thread. Qt and pyqtgraph are imported when a block is made, not before.
"""

import functools
from typing import Any

import numpy as np
import pmt

from gr_tsddae.blocks.display.application import require_gui
from gr_tsddae.blocks.display.choices import Display
from gr_tsddae.blocks.display.state import Inbox
from gr_tsddae.blocks.listening.content import content_of
from gr_tsddae.blocks.listening.message_block import MessageBlock

OUT = ("tune", "record")


class survey_display(Display, MessageBlock):
    """Messages `spectrum`, `emissions`, `status` in; a widget; messages `tune`, `record` out.

    The block's documentation (grc/tsddae_survey_display.block.yml) gives the messages' formats.

    Args:
        history_s: seconds of the past that the waterfall keeps; another value begins it anew.
        palette: "dark", "light", or "auto": as the application.
        update_rate_hz: most paintings per second.

    Raises:
        ValueError: when an argument is out of its range.
        ImportError: without Qt, qtpy or pyqtgraph.
        RuntimeError: without a QApplication, or not on its thread.
    """

    HISTORY_S = (5.0, 3600.0)

    def __init__(
        self, history_s: float = 60.0, palette: str = "auto", update_rate_hz: float = 20.0
    ):
        require_gui("survey_display", "pyqtgraph")
        from gr_tsddae.blocks.survey_view.widget import Settings, SurveyWidget

        super().__init__(
            "TS-DDAE Survey Display",
            hears={
                "spectrum": self._on_spectrum,
                "emissions": self._on_emissions,
                "status": self._on_status,
            },
        )
        self._settings = Settings(**self._checked(history_s, palette, update_rate_hz))
        self._inbox = Inbox()
        self._widget = SurveyWidget(self._settings, self._inbox)
        for port in OUT:
            self.message_port_register_out(pmt.intern(port))
            signal = getattr(self._widget, port)
            signal.connect(functools.partial(self._publish, pmt.intern(port)))

    # --- called by the scheduler ----------------------------------------------------------------

    def start(self) -> bool:
        self._settings.heard = frozenset(
            port for port in OUT if not pmt.is_null(self.message_subscribers(pmt.intern(port)))
        )
        return super().start()

    def _on_spectrum(self, message: pmt.pmt_base) -> None:
        self._inbox.put("spectrum", functools.partial(_spectrum_of, message))

    def _on_emissions(self, message: pmt.pmt_base) -> None:
        self._inbox.put("emissions", functools.partial(content_of, message))

    def _on_status(self, message: pmt.pmt_base) -> None:
        self._inbox.put("status", functools.partial(content_of, message))

    def _publish(self, port: pmt.pmt_base, message: dict[str, Any]) -> None:
        self.message_port_pub(port, pmt.to_pmt(message))


def _spectrum_of(message: pmt.pmt_base) -> tuple[dict[str, Any], np.ndarray]:
    """Decode a pair of metadata and a row of dB."""
    if not pmt.is_pair(message) or not pmt.is_f32vector(pmt.cdr(message)):
        raise ValueError("a pair of a dictionary and an f32vector is wanted")
    about = content_of(pmt.car(message))
    if not isinstance(about, dict):
        raise ValueError(f"the first of the pair is a {type(about).__name__}, not a dictionary")
    return about, np.array(pmt.f32vector_elements(pmt.cdr(message)), np.float32)
