# SPDX-License-Identifier: GPL-3.0-or-later
"""The TS-DDAE Decision Publisher block: decisions as JSON, to a file and to the network.

For stations that nobody sits at: a file of lines that survives a power cut, and a ZMQ PUB socket
whose topic and payload are what MQTT would carry.
"""

from __future__ import annotations

import datetime
import json
import logging
import threading
from pathlib import Path
from typing import Any

import pmt
from gnuradio import gr

log = logging.getLogger(__name__)

LINGER_MS = 1000  # for what is still on its way when the process ends
MEGABYTE = 1e6


class json_publisher(gr.basic_block):
    """Writes decisions to a JSON lines file and publishes decisions and status by ZMQ.

    Message ports in: `decisions`, `status`. What is written and sent is described in the block's
    documentation (grc/tsddae_json_publisher.block.yml).

    Args:
        file: JSON lines of decisions; lines are added to a file that exists. Empty: none.
        rotate_daily: whether a new file is begun at midnight UTC.
        rotate_mb: begin a new file before this size is passed; 0: never.
        address: where the PUB socket listens, like "tcp://*:5557". Empty: none.
        topic: decisions go out as topic/decisions, status as topic/status.

    Raises:
        ImportError: when `address` is given and pyzmq is missing.
        OSError: when the file's folder is missing or must not be written to.
        ValueError: when an argument is out of its range, or the address cannot be listened at.
    """

    def __init__(
        self,
        file: str = "",
        rotate_daily: bool = False,
        rotate_mb: float = 0.0,
        address: str = "",
        topic: str = "tsddae",
    ):
        if not 0 <= rotate_mb < float("inf"):
            raise ValueError(f"rotate_mb is {rotate_mb}: give megabytes, or 0 for one file")
        if not (file or address):
            log.warning("the Decision Publisher has neither a file nor an address: it does nothing")
        gr.basic_block.__init__(self, name="TS-DDAE Decision Publisher", in_sig=None, out_sig=None)
        self._lines = _LineFile(Path(file), rotate_daily, rotate_mb * MEGABYTE) if file else None
        self._socket = _listening(address) if address else None
        self.set_topic(topic)
        self._counts = {"messages": 0, "refused": 0, "lines_lost": 0}
        self._last_complaint = ""
        for port in ("decisions", "status"):
            self.message_port_register_in(pmt.intern(port))
            self.set_msg_handler(pmt.intern(port), getattr(self, f"_on_{port}"))

    def set_topic(self, topic: str) -> None:
        """Change the beginning of the topics, from the next message on."""
        self._topic = str(topic)

    def counters(self) -> dict[str, int]:
        """Messages so far, those that were no dictionaries, and lines that could not be written."""
        return dict(self._counts)

    def stop(self) -> bool:
        if self._lines is not None:
            self._lines.close()
        return True

    # --- handlers: they never raise, which would end the block's thread ----------------------

    def _on_decisions(self, message: pmt.pmt_base) -> None:
        self._publish("decisions", message, self._lines)

    def _on_status(self, message: pmt.pmt_base) -> None:
        self._publish("status", message, None)

    def _publish(self, port: str, message: pmt.pmt_base, lines: _LineFile | None) -> None:
        self._counts["messages"] += 1
        now = datetime.datetime.now(datetime.timezone.utc)
        try:
            payload = _as_json(message, now)
        except Exception as error:
            self._counts["refused"] += 1
            self._complain(f"a message at {port} was not published: {error}")
            return
        if self._socket is not None:
            try:
                self._socket.send_multipart([f"{self._topic}/{port}".encode(), payload])
            except Exception as error:
                self._complain(f"not published: {error}")
        if lines is not None:
            try:
                lines.add(payload, now)
            except Exception as error:  # a full disk may have room again for the next line
                self._counts["lines_lost"] += 1
                self._complain(f"{lines.path} lacks lines: {error}")

    def _complain(self, complaint: str) -> None:
        if complaint != self._last_complaint:  # the same on every message is said once
            log.error("%s", complaint)
        self._last_complaint = complaint


class _LineFile:
    """A file that lines are added to, whole, and that is renamed when its time has come."""

    def __init__(self, path: Path, daily: bool, size_limit_bytes: float):
        self.path = path
        self._daily, self._size_limit_bytes = daily, size_limit_bytes
        self._file: Any = None
        self._lock = threading.Lock()  # stop() and handlers are on different threads
        path.open("ab").close()  # says now that it cannot be written

    def add(self, line: bytes, now: datetime.datetime) -> None:
        with self._lock:
            if self._file is None:
                self._open(now)
            size = self._file.tell()
            too_big = self._size_limit_bytes and size + len(line) + 1 > self._size_limit_bytes
            if size and (too_big or (self._daily and now.date() != self._began.date())):
                self._close()
                self.path.rename(self._unused_name())
                self._open(now)
            line += b"\n"
            if self._file.write(line) != len(line):
                self._file.truncate(size)
                raise OSError("there was no room for a whole line")

    def _open(self, now: datetime.datetime) -> None:
        self._file = self.path.open("ab", buffering=0)  # a line is one write
        self._began = now
        if self._file.tell():  # of a run before
            written_s = self.path.stat().st_mtime
            self._began = datetime.datetime.fromtimestamp(written_s, datetime.timezone.utc)
            with self.path.open("rb") as file:
                file.seek(-1, 2)
                if file.read() != b"\n":  # it ended in the middle of a line
                    self._file.write(b"\n")

    def _unused_name(self) -> Path:
        """NAME-20260131T235959Z.jsonl: when the file was begun; with a number if that exists."""
        stem = f"{self.path.stem}-{self._began:%Y%m%dT%H%M%SZ}"
        path, number = self.path.with_name(stem + self.path.suffix), 1
        while path.exists():
            number += 1
            path = self.path.with_name(f"{stem}-{number}{self.path.suffix}")
        return path

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def close(self) -> None:
        with self._lock:
            self._close()


def _as_json(message: pmt.pmt_base, now: datetime.datetime) -> bytes:
    content = pmt.to_python(message)
    if not isinstance(content, dict):
        raise ValueError(f"it must be a dictionary, not {type(content).__name__}")
    stamp = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"published": stamp, **content}, allow_nan=False).encode()


def _listening(address: str) -> Any:
    try:
        import zmq
    except ImportError as error:
        raise ImportError(
            f"publishing at {address} needs pyzmq, which this Python cannot import ({error}); "
            "install it (Debian, Ubuntu: apt install python3-zmq), or leave the address empty"
        ) from error
    made = zmq.Context.instance().socket(zmq.PUB)
    made.linger = LINGER_MS
    try:
        made.bind(address)
    except zmq.ZMQError as error:
        made.close()
        raise ValueError(
            f"cannot listen at address {address!r} ({error}): give one like tcp://*:5557 "
            "that is free, or none"
        ) from error
    return made
