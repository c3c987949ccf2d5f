# SPDX-License-Identifier: GPL-3.0-or-later
"""The TS-DDAE Survey Display block: a survey's spectra and emissions in, a widget to look at.

The block only passes messages to an inbox; the widget (`survey_view/widget.py`) reads it by a
timer on the GUI's thread. Qt and pyqtgraph are imported when a block is made, not before.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pmt

from gr_tsddae.blocks.display.application import require_gui
from gr_tsddae.blocks.display.state import Inbox
from gr_tsddae.blocks.listening.message_block import MessageBlock

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

log = logging.getLogger(__name__)

PALETTES = ("auto", "dark", "light")
MOST_HISTORY_S = 3600.0


class survey_display(MessageBlock):
    """Messages `spectrum`, `emissions`, `status` in; a widget; messages `tune`, `record` out.

    The block's documentation (grc/tsddae_survey_display.block.yml) gives the messages' formats.

    Args:
        history_s: seconds of the past that the waterfall keeps.
        palette: "dark", "light", or "auto": as the application.
        update_rate_hz: most paintings per second.

    Raises:
        ValueError: when an argument is out of its range.
        ImportError: without Qt, qtpy or pyqtgraph.
        RuntimeError: without a QApplication, or not on its thread.
    """

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
        self._settings = Settings(
            history_s=_history_s(history_s),
            palette=_palette(palette),
            update_rate_hz=_update_rate_hz(update_rate_hz),
        )
        self._inbox = Inbox()
        self._widget = SurveyWidget(self._settings, self._inbox)
        for port, signal in (("tune", self._widget.tune), ("record", self._widget.record)):
            self.message_port_register_out(pmt.intern(port))
            signal.connect(functools.partial(self._publish, pmt.intern(port)))

    def qwidget(self) -> QWidget:
        """The widget, for a layout. It may be closed and deleted at any time."""
        return self._widget

    # --- called by the scheduler ----------------------------------------------------------------

    def _on_spectrum(self, message: pmt.pmt_base) -> None:
        self._inbox.put("spectrum", functools.partial(_spectrum_of, message))

    def _on_emissions(self, message: pmt.pmt_base) -> None:
        self._inbox.put("emissions", functools.partial(pmt.to_python, message))

    def _on_status(self, message: pmt.pmt_base) -> None:
        self._inbox.put("status", functools.partial(pmt.to_python, message))

    def _publish(self, port: pmt.pmt_base, message: dict[str, Any]) -> None:
        self.message_port_pub(port, pmt.to_pmt(message))

    # --- parameters. A bad value is shown, and the old one stays. ---------------------------------

    def set_history_s(self, history_s: float) -> None:
        """Change how much of the past is kept; the waterfall begins anew."""
        self._set("history_s", _history_s, history_s)

    def set_palette(self, palette: str) -> None:
        """Change to "dark", "light" or "auto"."""
        self._set("palette", _palette, palette)

    def set_update_rate_hz(self, update_rate_hz: float) -> None:
        """Change how often it is painted at most."""
        self._set("update_rate_hz", _update_rate_hz, update_rate_hz)

    def _set(self, name: str, checked: Callable[[Any], Any], value: Any) -> None:
        try:
            setattr(self._settings, name, checked(value))
            self._settings.complaint = ""
        except (ValueError, TypeError, OverflowError) as error:
            self._settings.complaint = f"{name} not changed: {error}"
            log.error("%s", self._settings.complaint)


def _spectrum_of(message: pmt.pmt_base) -> tuple[dict[str, Any], np.ndarray]:
    """Decode a pair of metadata and a row of dB."""
    if not pmt.is_pair(message) or not pmt.is_f32vector(pmt.cdr(message)):
        raise ValueError("a pair of a dictionary and an f32vector is wanted")
    about = pmt.to_python(pmt.car(message))
    if not isinstance(about, dict):
        raise ValueError(f"the first of the pair is a {type(about).__name__}, not a dictionary")
    return about, np.array(pmt.f32vector_elements(pmt.cdr(message)), np.float32)


def _history_s(value: Any) -> float:
    if not 5 <= value <= MOST_HISTORY_S:
        raise ValueError(f"history_s is {value}: give from 5 to {MOST_HISTORY_S:g} seconds")
    return float(value)


def _palette(value: Any) -> str:
    if value not in PALETTES:
        raise ValueError(f"palette is {value!r}: choose one of {', '.join(PALETTES)}")
    return str(value)


def _update_rate_hz(value: Any) -> float:
    if not 2 <= value <= 60:
        raise ValueError(f"update_rate_hz is {value}: give from 2 to 60 per second")
    return float(value)
