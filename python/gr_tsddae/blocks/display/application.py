# SPDX-License-Identifier: GPL-3.0-or-later
"""What a block with a widget needs: Qt, a QApplication, and the GUI's thread."""

from __future__ import annotations

import importlib


def require_gui(block: str, *packages: str) -> None:
    """Check that a block may make its widget here and now.

    Args:
        block: its name, for the messages.
        packages: Python packages that the widget needs beside qtpy, named as Debian names them
            after "python3-".

    Raises:
        ImportError: If one of them, or Qt itself, cannot be imported.
        RuntimeError: Without a QApplication, or on another thread than its own.
    """
    try:
        from qtpy.QtCore import QThread
        from qtpy.QtWidgets import QApplication

        for package in packages:
            importlib.import_module(package)
    except Exception as error:  # qtpy has an error of its own for a missing Qt
        names = " ".join(f"python3-{name}" for name in ("pyqt5", "qtpy", *packages))
        raise ImportError(
            f"{block} needs {names}, and this Python cannot import one of them ({error}); install "
            f"them (Debian, Ubuntu: apt install {names})"
        ) from error
    application = QApplication.instance()
    if not isinstance(application, QApplication):
        raise RuntimeError(
            f"{block} needs a QApplication, and there is none: make one first, or in GNU "
            "Radio Companion choose 'QT GUI' as the Generate Options of the flowgraph"
        )
    if application.thread() != QThread.currentThread():
        raise RuntimeError(f"{block} must be made on the thread of the QApplication")
