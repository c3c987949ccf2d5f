# SPDX-License-Identifier: GPL-3.0-or-later
"""An example that says when it runs and, at its end, what became of every sample.

The program is the one that Companion makes. A few lines around it close the window, or print the
counters of a block at the end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

from radio_example import PATIENCE_S, Example

AROUND = """
import importlib, json, sys, threading, time

module, watched, closes_at = importlib.import_module(sys.argv[1]), sys.argv[2], int(sys.argv[3])

class Watched(getattr(module, sys.argv[1])):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        Watched.top = self
        threading.Thread(target=self.look, daemon=True).start()

    def look(self):
        said = False
        while True:
            time.sleep(0.05)
            counters = getattr(self, watched).counters()
            looked_at = sum(counters.get(f"samples_{how}", 0) for how in ("classified", "surveyed"))
            if looked_at >= 1024 and not said:
                said = True
                print("runs", flush=True)
            if closes_at and looked_at and counters["samples_in"] >= closes_at:
                from PyQt5.QtCore import QMetaObject, Qt
                QMetaObject.invokeMethod(self, "close", Qt.QueuedConnection)
                return

sys.argv = [sys.argv[0], *sys.argv[4:]]
options = [module.argument_parser().parse_args()] if hasattr(module, "argument_parser") else []
module.main(Watched, *options)
print(json.dumps(getattr(Watched.top, watched).counters()), flush=True)
"""


class Ends(Example):
    """An example with a few lines around it."""

    def run(self, watched: str, closes_at: int = 0, **options: object) -> None:
        self.compile()
        arguments = [f"--{k.replace('_', '-')}={v}" for k, v in options.items()]
        command = [sys.executable, "-u", "-c", AROUND, self.name, watched, str(closes_at)]
        # Where pytest runs in the background of a shell, its children would not hear of Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with (self.folder / "output").open("w") as output:
            self.process = subprocess.Popen(
                [*command, *arguments], cwd=self.folder, stdout=output, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
            )  # fmt: skip

    def wait_until_it_runs(self) -> None:
        deadline_s = time.monotonic() + 3 * PATIENCE_S
        while "runs\n" not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline_s, self.output
            time.sleep(0.05)

    def end_by(self, number: signal.Signals) -> None:
        """Send a signal; every sample must be accounted for when it has ended."""
        self.process.send_signal(number)
        assert_exact(self.counters())

    def counters(self) -> dict[str, int]:
        """When it has ended, and nothing has gone wrong."""
        assert self.process.wait(timeout=3 * PATIENCE_S) == 0, self.output
        assert "Traceback" not in self.output
        return json.loads(self.output.splitlines()[-1])


def assert_exact(counters: dict[str, int]) -> None:
    fates = ("classified", "surveyed", "gated", "dropped", "flushed", "pending")
    assert counters["samples_in"] == sum(counters.get(f"samples_{fate}", 0) for fate in fates)
    assert counters["samples_pending"] == 0
