# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae rtl_tcp RECORDING`: a recording as if it came from an RTL-SDR dongle.

The server speaks the protocol of `rtl_tcp`. osmosdr, SDR++, gqrx and others take it for a dongle on
the network: they tune, choose a rate, and get 8-bit samples at that rate. Where the recording has
no signal, they get receiver noise. The server waits for a client that is too slow and counts the
time; a dongle would lose samples.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import select
import socket
import struct
import sys
import threading
import time
from dataclasses import asdict, dataclass, field

import numpy as np

from gr_tsddae.command import Parser, number, sentence, tell, whole
from gr_tsddae.files import print_any_text
from gr_tsddae.iq.captures import Capture, CaptureError, open_capture
from gr_tsddae.rtl_tcp.tuner import Tuner

log = logging.getLogger(__name__)

HEADER = struct.pack(">4sII", b"RTL0", 5, 29)  # an R820T tuner, which has 29 gains
COMMANDS = {
    0x01: "frequency_hz",
    0x02: "sample_rate_hz",
    0x03: "gain_mode",
    0x04: "gain_tenth_db",
    0x05: "correction_ppm",
    0x06: "if_gain",
    0x07: "test_mode",
    0x08: "agc_mode",
    0x09: "direct_sampling",
    0x0A: "offset_tuning",
    0x0B: "rtl_clock_hz",
    0x0C: "tuner_clock_hz",
    0x0D: "gain_index",
    0x0E: "bias_tee",
}
COMMAND = struct.Struct(">BI")
RATE_LIMITS_HZ = (1e3, 20e6)  # a dongle ends at 3.2 MS/s; a test may want more
SEND_BUFFER_BYTES = 1 << 18  # small: a client that is too slow shows within a tenth of a second
BACKLOG_S = 2.0  # a client that holds the stream up for longer has lost samples
POLL_S = 0.2


@dataclass
class Session:
    """The statistics of one client.

    Attributes:
        client: its address.
        bytes_sent: taken by the operating system for the client; two per sample.
        waited_s: time in which the client took nothing although something was due: a stall.
        behind_s: how late the last block was, be it the client's fault or that of a busy machine.
        worst_s: how late the latest block was.
        samples_lost: left out because the client held the stream up for more than `BACKLOG_S`.
        settings: last value of each command, by the names in `COMMANDS`.
        started_s, ended_s: `time.monotonic()`; `ended_s` is None while the client is there.
    """

    client: str
    bytes_sent: int = 0
    waited_s: float = 0.0
    behind_s: float = 0.0
    worst_s: float = 0.0
    samples_lost: int = 0
    settings: dict[str, int] = field(default_factory=dict)
    started_s: float = field(default_factory=time.monotonic)
    ended_s: float | None = None

    def __str__(self) -> str:
        seconds = (self.ended_s or time.monotonic()) - self.started_s
        return (
            f"{self.client}: {self.bytes_sent} bytes in {seconds:.1f} s "
            f"({self.bytes_sent / 2e6 / max(seconds, 1e-9):.4f} MS/s), waited for the client "
            f"{self.waited_s:.2f} s, at most {self.worst_s:.2f} s late, "
            f"{self.samples_lost} samples lost"
        )


class RtlTcpServer:
    """Serve one client after the other from a thread of its own, inside `with`.

    Gain and correction are noted but change nothing: the level always fits eight bits. A recording
    without a centre frequency is heard at every frequency.

    Args:
        capture: the recording; it must know its sample rate, and stays open while this serves.
        host: address to listen at.
        port: 0 takes a free one; see `port`.
        rate_hz: samples per second until the client asks for another rate.
        repeat: start again at the end of the recording; else receiver noise follows.
        paced: False sends as fast as the client takes it.

    Attributes:
        port: the port at which the server listens.
        sessions: one for each client so far.

    Raises:
        ValueError: If the recording's rate is not known, or `rate_hz` or `port` is out of range.
        OSError: If the port is taken.
    """

    def __init__(
        self,
        capture: Capture,
        *,
        host: str = "127.0.0.1",
        port: int = 1234,
        rate_hz: float = 2.4e6,
        repeat: bool = False,
        paced: bool = True,
    ):
        if not _rate_fits(rate_hz):
            low, high = RATE_LIMITS_HZ
            raise ValueError(f"rate is {rate_hz} Hz: give one from {low:g} to {high:g} Hz")
        if not 0 <= port <= 65535:
            raise ValueError(f"port is {port}: give one from 1 to 65535, or 0 for any that is free")
        self._rate_hz, self._paced = float(rate_hz), paced
        self._tuner = Tuner(capture, rate_hz, repeat=repeat)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.sessions: list[Session] = []
        self._listener = socket.create_server((host, port))
        self._listener.settimeout(POLL_S)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> RtlTcpServer:
        self._thread = threading.Thread(target=self.serve, name="rtl_tcp server", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the client and stop listening."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._listener.close()

    def serve(self) -> None:
        """Wait for clients and serve them until `close` is called."""
        while not self._stop.is_set():
            try:
                connection, address = self._listener.accept()
            except TimeoutError:
                continue
            except OSError as error:  # too many open files, say: it may pass
                log.warning("no client can be taken (%s); trying again", error)
                self._stop.wait(1.0)
                continue
            session = Session(f"{address[0]}:{address[1]}")
            self.sessions.append(session)
            with connection:
                try:
                    self._play(connection, session)
                except OSError:
                    pass  # the client left, as every client does
                except Exception:  # the server stays for the next client
                    log.exception("%s: not served any more", session.client)
                finally:
                    session.ended_s = time.monotonic()
            print(session, file=sys.stderr, flush=True)

    def _play(self, connection: socket.socket, session: Session) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(HEADER)
        connection.setblocking(False)
        self._tuner.set_rate(self._rate_hz)
        commands = b""
        due_s = time.monotonic()  # when the next block's last sample has been "received"
        held_up_s = 0.0  # by the client, since the stream was last on time
        while not self._stop.is_set():
            block = self._tuner.block()  # cu8 (2 * N,)
            due_s += len(block) / 2 / self._tuner.rate_hz
            while True:  # until it is due, listen
                left_s = due_s - time.monotonic() if self._paced else 0.0
                if select.select([connection], [], [], min(max(left_s, 0.0), POLL_S))[0]:
                    received = connection.recv(4096)
                    if not received:
                        return
                    commands = self._obey(commands + received, session)
                elif left_s <= POLL_S or self._stop.is_set():
                    break
            waited_s = session.waited_s
            self._send(connection, block, session)
            session.behind_s = max(0.0, time.monotonic() - due_s)
            session.worst_s = max(session.worst_s, session.behind_s)
            held_up_s = min(held_up_s + session.waited_s - waited_s, session.behind_s)
            if held_up_s > BACKLOG_S and self._paced:
                session.samples_lost += self._tuner.skip(held_up_s)
                due_s += held_up_s

    def _send(self, connection: socket.socket, block: np.ndarray, session: Session) -> None:
        rest = memoryview(block)
        while rest and not self._stop.is_set():
            began_s = time.monotonic()
            writable = select.select([], [connection], [], POLL_S)[1]
            session.waited_s += time.monotonic() - began_s
            if writable:
                sent = connection.send(rest)
                session.bytes_sent += sent
                rest = rest[sent:]

    def _obey(self, received: bytes, session: Session) -> bytes:
        """Carry out the whole commands in `received`; return the bytes left over."""
        whole = len(received) - len(received) % COMMAND.size
        for code, value in COMMAND.iter_unpack(received[:whole]):
            name = COMMANDS.get(code)
            if name == "sample_rate_hz" and not _rate_fits(value):
                print(f"{session.client}: no rate of {value} Hz", file=sys.stderr, flush=True)
                continue
            if name is not None:  # a dongle ignores what it does not know
                session.settings[name] = value
            if name == "frequency_hz":
                self._tuner.set_frequency(value)
            elif name == "sample_rate_hz":
                self._tuner.set_rate(value)
        return received[whole:]


def _rate_fits(rate_hz: float) -> bool:
    return RATE_LIMITS_HZ[0] <= rate_hz <= RATE_LIMITS_HZ[1]


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    print_any_text()
    parser = Parser(
        prog="tsddae rtl_tcp",
        description="Serve a recording as rtl_tcp serves a dongle, until Ctrl-C.",
    )
    parser.add_argument(
        "recording", help="recording in SigMF, IQ WAV, raw IQ or GNU Radio file-meta"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at; 0.0.0.0 also serves other computers",
    )
    parser.add_argument("--port", type=whole, default=1234)
    parser.add_argument(
        "--rate", type=number, default=2.4e6, help="sample rate in Hz until the client sets one"
    )
    parser.add_argument(
        "--repeat", action="store_true", help="start again at the end; otherwise noise follows"
    )
    parser.add_argument("--paced", action=argparse.BooleanOptionalAction, default=True,
                        help="keep the nominal rate, or send as fast as possible")  # fmt: skip
    parser.add_argument("--dtype", help="sample format of a raw recording: cf32, ci16, cu8, ...")
    parser.add_argument(
        "--recording-rate", type=number, help="sample rate in Hz of a file that states none"
    )
    parser.add_argument(
        "--recording-frequency",
        type=number,
        help="centre frequency in Hz of a file that states none",
    )
    parser.add_argument(
        "--strict", action="store_true", help="refuse a recording that has a fault of any kind"
    )
    parser.add_argument("--status", type=number, metavar="SECONDS",
                        help="print a line of JSON about the client at this interval")  # fmt: skip
    given = parser.parse_args(argv)
    if given.status is not None and not given.status > 0:
        parser.error(f"--status is {given.status}: give seconds above 0")
    try:
        capture = open_capture(
            given.recording, dtype=given.dtype, sample_rate_hz=given.recording_rate,
            center_frequency_hz=given.recording_frequency, strict=given.strict,
        )  # fmt: skip
        tell(capture)
        server = RtlTcpServer(
            capture, host=given.host, port=given.port, rate_hz=given.rate, repeat=given.repeat,
            paced=given.paced,
        )  # fmt: skip
    except (CaptureError, ValueError) as error:
        parser.error(sentence(error))
    except OSError as error:
        parser.error(f"cannot listen at {given.host}:{given.port}: {error}; give another --port")
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError), capture, server:
        print(f"{given.recording} at rtl_tcp={given.host}:{server.port}", flush=True)
        while True:
            time.sleep(given.status or 3600)
            if given.status and server.sessions:
                status = {"now_s": time.monotonic(), **asdict(server.sessions[-1])}
                print(json.dumps(status), flush=True)
    return 0
