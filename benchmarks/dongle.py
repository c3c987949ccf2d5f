# SPDX-License-Identifier: GPL-3.0-or-later
"""Serve a recording as a dongle, in a process of its own.

The constructor of the osmosdr source waits for the server's first bytes and holds Python's lock
meanwhile, so that the server cannot be a thread of the same process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path


class Dongle:
    """`tsddae rtl_tcp RECORDING --repeat`, inside `with`.

    Args:
        recording: The recording to play, over and over.
        options: Further options of the command, by their names with underscores; None: not given.

    Attributes:
        port: The port it listens on.
        device: Device arguments for the osmosdr source.
    """

    def __init__(self, recording: Path, **options: object):
        command = [sys.executable, "-m", "gr_tsddae.rtl_tcp", str(recording), "--repeat"]
        for name, value in ({"port": 0, "status": 0.25} | options).items():
            if value is not None:
                command += [f"--{name.replace('_', '-')}", str(value)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        ready = self._process.stdout.readline()
        if not ready:
            raise RuntimeError(f"{' '.join(command)} ended with {self._process.wait()}")
        self.port = int(ready.rsplit(":", 1)[1])
        self._said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.device = f"rtl_tcp=127.0.0.1:{self.port},psize=1048576"

    def _read(self) -> None:
        """Keep the last line: a pipe that nobody reads fills up, and holds up the server."""
        for line in self._process.stdout:
            self._said = line

    def next_status(self) -> dict:
        """Wait for the next line about the client."""
        now_s = time.monotonic()
        while True:
            line = json.loads(self._said or '{"now_s": 0}')
            if line["now_s"] > now_s:
                return line
            if not self._reader.is_alive():
                raise RuntimeError("the server has ended")
            time.sleep(0.01)

    def __enter__(self) -> Dongle:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server, whoever listens; a second call does nothing."""
        self._process.terminate()  # a process in the background of a shell does not hear of SIGINT
        self._process.wait(timeout=30)
        self._reader.join()
        self._process.stdout.close()
