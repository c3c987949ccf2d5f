# SPDX-License-Identifier: GPL-3.0-or-later
"""The size of a flowgraph's window at its first start."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QScrollArea, QWidget

SCREEN_SHARE = 0.95  # of the screen, at most
LEAST = QSize(1216, 684)  # that share of the smallest screen that all examples are made for


def fit_window(widget: QWidget) -> None:
    """Enlarge the window of a widget until everything in it can be read.

    GNU Radio's windows hold a scroll area, which asks for little, whatever it holds. A window whose
    size was restored, or chosen by a program, stays as it is.
    """
    window = widget.window()
    if window.testAttribute(Qt.WA_Resized) or window is widget:
        return
    area = widget.parentWidget()
    while area is not None and not isinstance(area, QScrollArea):
        area = area.parentWidget()
    if area is None:
        return
    content = area.widget()
    around = window.size() - area.viewport().size()
    wanted = content.sizeHint().expandedTo(content.minimumSizeHint()) + around
    wanted = wanted.expandedTo(LEAST)
    screen = widget.screen().availableGeometry().size() * SCREEN_SHARE
    window.resize(wanted.expandedTo(window.size()).boundedTo(QSize(screen)))
