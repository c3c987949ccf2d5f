# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen can be kept: as text on the clipboard, or as a picture in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QAction, QApplication, QFileDialog, QMessageBox, QWidget


def offer_to_keep(widget: QWidget, text: Callable[[], str]) -> None:
    """Add "Copy text" (Ctrl+C) and "Save picture…" (Ctrl+S) to a widget and its context menu."""
    for name, keys, action in (
        ("Copy text", QKeySequence.Copy, lambda: QApplication.clipboard().setText(text())),
        ("Save picture…", QKeySequence.Save, lambda: ask_and_save(widget)),
    ):
        made = QAction(name, widget)
        made.setShortcut(QKeySequence(keys))
        made.setShortcutContext(Qt.WidgetWithChildrenShortcut)
        made.triggered.connect(action)
        widget.addAction(made)
    widget.setContextMenuPolicy(Qt.ActionsContextMenu)


def ask_and_save(widget: QWidget) -> None:
    """Ask where to, and save a picture of a widget there."""
    picture = widget.grab()  # as it is now, before the dialog is over it
    path, _ = QFileDialog.getSaveFileName(widget, "Save picture", "picture.png", "PNG (*.png)")
    if not path:
        return
    target = Path(path) if Path(path).suffix else Path(f"{path}.png")
    if not picture.save(str(target)):
        QMessageBox.warning(
            widget, "Save picture", f"{target} cannot be written: choose another folder"
        )
