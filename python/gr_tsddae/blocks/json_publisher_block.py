# SPDX-License-Identifier: GPL-3.0-or-later
"""The TS-DDAE Decision Publisher block: what is received as JSON, to a file and to the network.

It is for stations without an operator. The file of lines survives a power cut. The ZMQ PUB socket
sends the topic and payload that MQTT would carry.
"""

import datetime
import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pmt

from gr_tsddae.blocks.listening.content import content_of
from gr_tsddae.blocks.listening.message_sink import MessageSink

log = logging.getLogger(__name__)

LINGER_MS = 1000  # how long a closed socket still sends what is on its way to slow subscribers
UNBIND_MS = 1000  # the address is free within milliseconds; this only bounds the wait
MEGABYTE = 1e6


class json_publisher(MessageSink):
    """Message ports in: `decisions`, `emissions`, `status`. Publish them as JSON.

    They go to a file of lines and to a ZMQ socket.

    The block's documentation (grc/tsddae_json_publisher.block.yml) has the formats.

    Args:
        file: JSON lines of decisions, and of emissions that have ended. An existing file gets more
            lines. Empty: no file. A leading ~ is the user's home.
        rotate_daily: whether to begin a new file at midnight UTC.
        rotate_mb: begin a new file before this size is passed; 0: never.
        address: where the PUB socket listens, like "tcp://127.0.0.1:5557"; empty: nowhere. The
            address is taken from now on until the flowgraph ends, and again when it is restarted.
        topic: messages go out as topic/decisions, topic/emissions and topic/status.

    Raises:
        ImportError: If `address` is given and pyzmq is missing.
        OSError: If the file cannot be written, because its folder is missing for example.
        ValueError: If an argument is out of its range, or the address cannot be listened at.
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
        super().__init__("TS-DDAE Decision Publisher", ("decisions", "emissions", "status"))
        self._lines = None
        if file:
            self._lines = _LineFile(_writable(file), rotate_daily, rotate_mb * MEGABYTE)
        self._socket = _Socket(address) if address else None
        if self._socket is not None:
            self._socket.open()
        self.set_topic(topic)
        self._counts = {"messages": 0, "refused": 0, "lines_lost": 0}
        self._last_complaint = ""

    def set_topic(self, topic: str) -> None:
        """Change the beginning of the topics, from the next message on."""
        self._topic = str(topic)

    def counters(self) -> dict[str, int]:
        """Count messages, those that were no dictionaries, and lines that could not be written."""
        return dict(self._counts)

    def start(self) -> bool:
        if self._socket is not None:
            try:
                self._socket.open()  # subscribers may connect before the first message
            except Exception as error:  # raised from here, it would hang the flowgraph
                self._complain(f"not published: {error}")
        return super().start()

    def stop(self) -> bool:
        super().stop()  # the last decisions come now
        for output in (self._lines, self._socket):
            if output is not None:
                try:
                    output.close()
                except Exception as error:
                    self._complain(f"not closed: {error}")
        return True

    def _hear(self, port: str, message: pmt.pmt_base) -> None:
        self._counts["messages"] += 1
        now = datetime.datetime.now(datetime.timezone.utc)
        try:
            content = _content(message)
            payload = _as_json(content, now)
        except Exception as error:
            self._counts["refused"] += 1
            self._complain(f"a message at {port} was not published: {error}")
            return
        if self._socket is not None:
            try:
                self._socket.send(f"{self._topic}/{port}".encode(), payload)
            except Exception as error:
                self._complain(f"not published: {error}")
        if self._lines is not None and _is_final(port, content):
            try:
                self._lines.add(payload, now)
            except Exception as error:  # a full disk may have room again for the next line
                self._counts["lines_lost"] += 1
                self._complain(f"{self._lines.path} lacks lines: {error}")

    def _complain(self, complaint: str) -> None:
        if complaint != self._last_complaint:  # the same on every message is said once
            log.error("%s", complaint)
        self._last_complaint = complaint


class _Socket:
    """A PUB socket that gives its address free when it is closed, and may be opened again."""

    def __init__(self, address: str):
        try:
            import zmq
        except ImportError as error:
            raise ImportError(
                f"publishing at {address} needs pyzmq, which this Python cannot import ({error}); "
                "install it (Debian, Ubuntu: apt install python3-zmq), or leave the address empty"
            ) from error
        self._zmq = zmq
        self._address = address
        self._socket: Any = None

    def open(self) -> None:
        """Listen at the address, unless it is done already.

        Raises:
            ValueError: If the address makes no sense or is taken.
        """
        if self._socket is not None:
            return
        made = self._zmq.Context.instance().socket(self._zmq.PUB)
        made.linger = LINGER_MS
        try:
            made.bind(self._address)
        except self._zmq.ZMQError as error:
            made.close()
            raise ValueError(
                f"cannot listen at address {self._address!r} ({error}): give one that is free, "
                "like tcp://127.0.0.1:5557, or none"
            ) from error
        self._socket = made

    def send(self, topic: bytes, payload: bytes) -> None:
        self.open()
        self._socket.send_multipart([topic, payload])

    def close(self) -> None:
        """Return when the address is free. ZMQ frees it on a thread of its own."""
        if self._socket is None:
            return
        made, self._socket = self._socket, None
        freed = made.get_monitor_socket(self._zmq.EVENT_CLOSED)
        made.unbind(made.last_endpoint)
        freed.poll(UNBIND_MS)
        made.disable_monitor()
        freed.close()
        made.close()


class _LineFile:
    """A file that lines are added to, whole, and that is renamed when its time has come."""

    def __init__(self, path: Path, daily: bool, size_limit_bytes: float):
        self.path = path
        self._daily, self._size_limit_bytes = daily, size_limit_bytes
        self._file: Any = None
        self._lock = threading.Lock()  # stop() and handlers are on different threads
        self._ends_whole = False  # False: nobody has looked

    def add(self, line: bytes, now: datetime.datetime) -> None:
        with self._lock:
            if self._file is None:
                self._open(now)
            if not self._ends_whole:
                self._end_last_line()
            size = self._size_bytes()
            too_big = self._size_limit_bytes and size + len(line) + 1 > self._size_limit_bytes
            if size and (too_big or (self._daily and now.date() != self._began.date())):
                self._close()
                self.path.rename(self._unused_name())
                self._open(now)
            line += b"\n"
            self._ends_whole = False
            if self._file.write(line) != len(line):
                self._file.truncate(size)
                raise OSError("there was no room for a whole line")
            self._ends_whole = True

    def _open(self, now: datetime.datetime) -> None:
        self._file = self.path.open("a+b", buffering=0)  # a line is one write
        self._ends_whole = False
        self._began = now
        if self._size_bytes():  # of a run before
            written_s = self.path.stat().st_mtime
            self._began = datetime.datetime.fromtimestamp(written_s, datetime.timezone.utc)

    def _size_bytes(self) -> int:
        return os.fstat(self._file.fileno()).st_size  # tell() does not know of truncate()

    def _end_last_line(self) -> None:
        """A run that was killed, or a full disk, may have left a part of a line."""
        size = self._size_bytes()
        if size and os.pread(self._file.fileno(), 1, size - 1) != b"\n":
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


def _writable(file: str) -> Path:
    """The file's path, after a try to open it.

    Raises:
        OSError: when it cannot be written.
    """
    try:
        path = Path(file).expanduser()
        path.open("ab").close()
    except (OSError, RuntimeError) as error:  # RuntimeError: a home that nobody has
        why = getattr(error, "strerror", None) or error
        raise OSError(
            f"file {file!r} cannot be written ({why}): give one in a folder that exists and that "
            "you may write to, or make that folder first"
        ) from error
    return path


def _content(message: pmt.pmt_base) -> dict[str, Any]:
    content = content_of(message)
    if not isinstance(content, dict):
        raise ValueError(f"it must be a dictionary, not {type(content).__name__}")
    return content


def _is_final(port: str, content: dict[str, Any]) -> bool:
    """Whether a message belongs in the file: what is said of an emission on the way does not."""
    if port == "emissions":
        return content.get("kind") == "ended" and not content.get("withdrawn")
    return port == "decisions"


def _as_json(content: dict[str, Any], now: datetime.datetime) -> bytes:
    stamp = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"published": stamp, **content}, allow_nan=False).encode()
