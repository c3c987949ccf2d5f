# SPDX-License-Identifier: GPL-3.0-or-later
"""The replaying rtl_tcp server, as a client on a socket sees it."""

from __future__ import annotations

import json
import signal
import socket
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
from waiting import PATIENCE_S

from gr_tsddae.iq.captures import open_capture
from gr_tsddae.rtl_tcp import server as rtl_tcp
from gr_tsddae.rtl_tcp.server import RtlTcpServer
from gr_tsddae.rtl_tcp.tuner import FLOOR, FULL_SCALE, Tuner

FREQUENCY, RATE = 0x01, 0x02


def tone_file(folder, *, rate_hz, tone_hz, seconds=0.5, amplitude=0.01, center_hz=100e6):
    """A recording of one tone, opened."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    iq = amplitude * np.exp(2j * np.pi * tone_hz * time_s)
    path = folder / "tone.cf32"
    iq.astype(np.complex64).tofile(path)
    return open_capture(path, sample_rate_hz=rate_hz, center_frequency_hz=center_hz)


def decoded(cu8) -> np.ndarray:
    """cu8 bytes -> (N,) complex."""
    parts = np.frombuffer(bytes(cu8), np.uint8).astype(float) - FULL_SCALE
    return (parts[::2] + 1j * parts[1::2]) / FULL_SCALE


def tone_in(iq: np.ndarray, rate_hz: float) -> tuple[float, float, float]:
    """Frequency in Hz, amplitude, and SNR in dB of the strongest tone."""
    size = 1 << 22
    spectrum = np.abs(np.fft.fft(iq * np.hanning(len(iq)), size))
    frequency_hz = np.fft.fftfreq(size, 1 / rate_hz)[spectrum.argmax()]
    samples = np.arange(len(iq))
    mixed = iq * np.exp(-2j * np.pi * frequency_hz / rate_hz * samples)
    slope = np.polyfit(samples, np.unwrap(np.angle(mixed)), 1)[0]
    mixed *= np.exp(-1j * slope * samples)
    amplitude = abs(mixed.mean())
    noise_power = np.mean(np.abs(mixed - mixed.mean()) ** 2)
    return frequency_hz, amplitude, 10 * np.log10(amplitude**2 / noise_power)


class Client:
    """What SDR programs do: header, commands of five bytes, samples."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.header = self.read(12)

    def read(self, count) -> bytes:
        received = bytearray()
        while len(received) < count:
            part = self.socket.recv(count - len(received))
            assert part, "the server went away"
            received += part
        return bytes(received)

    def send(self, code, value):
        self.socket.sendall(struct.pack(">BI", code, value))


@pytest.mark.parametrize(
    ("recording_rate_hz", "tone_hz", "rate_hz", "tuned_hz"),
    [
        (9_600, 1_000, 2.4e6, 100e6),
        (9_600, 1_000, 2.4e6, 100.5e6),
        (280_000, 30_000, 2.4e6, 99.3e6),
        (2.4e6, 500_000, 2.4e6, 100.2e6),
        (5e6, 1.5e6, 1e6, 101.2e6),
    ],
)
def test_a_tone_is_heard_where_it_is_and_as_clear_as_eight_bits_allow(
    tmp_path, recording_rate_hz, tone_hz, rate_hz, tuned_hz
):
    with tone_file(tmp_path, rate_hz=recording_rate_hz, tone_hz=tone_hz) as capture:
        tuner = Tuner(capture, rate_hz, repeat=True)
        tuner.set_frequency(tuned_hz)
        tuner.block()  # before the recording there is nothing to overlap with
        iq = decoded(np.concatenate([tuner.block() for _ in range(8)]))
        resolution_hz = recording_rate_hz / tuner._in
    frequency_hz, amplitude, snr_db = tone_in(iq, rate_hz)
    assert frequency_hz == pytest.approx(100e6 + tone_hz - tuned_hz, abs=resolution_hz / 2 + 1)
    assert amplitude == pytest.approx(0.7, rel=0.02)  # weak in the recording, but not in the air
    quantisation = 1 / 12 / FULL_SCALE**2
    expected_db = 10 * np.log10(amplitude**2 / (2 * (FLOOR**2 + quantisation)))
    assert snr_db == pytest.approx(expected_db, abs=0.5)


@pytest.mark.parametrize("rate_hz", [1000, 1999])
def test_a_rate_far_below_the_recording_s(tmp_path, rate_hz):
    with tone_file(tmp_path, rate_hz=2.4e6, tone_hz=200, seconds=1) as capture:
        tuner = Tuner(capture, rate_hz, repeat=True)
        blocks = [tuner.block() for _ in range(8)]
        iq = decoded(np.concatenate(blocks))
        resolution_hz = 2.4e6 / tuner._in
        assert len(iq) / tuner._position == pytest.approx(rate_hz / 2.4e6, rel=1e-4)
    assert tone_in(iq, rate_hz)[0] == pytest.approx(200, abs=resolution_hz)


def test_beyond_the_recording_is_noise_and_nothing_else(tmp_path):
    with tone_file(tmp_path, rate_hz=250_000, tone_hz=10e3, seconds=0.2) as capture:
        far = Tuner(capture, 2.4e6, repeat=True)
        far.set_frequency(95e6)
        over = Tuner(capture, 2.4e6, repeat=False)
        over.skip(0.3)
        for tuner in (far, over):
            iq = decoded(np.concatenate([tuner.block() for _ in range(4)]))
            assert np.std(iq.real) == pytest.approx(FLOOR, rel=0.15)
            spectrum = np.abs(np.fft.fft(iq)) ** 2
            assert spectrum.max() < 30 * spectrum.mean()


def test_blocks_join_and_a_repeated_recording_comes_round(tmp_path):
    """The samples at the rate of the recording are the recording's, whatever the blocks are."""
    rng = np.random.default_rng(3)
    iq = (rng.normal(size=30_011) + 1j * rng.normal(size=30_011)).astype(np.complex64)
    path = tmp_path / "noise.cf32"
    iq.tofile(path)
    with open_capture(path, sample_rate_hz=1e6) as capture:
        tuner = Tuner(capture, 1e6, repeat=True)
        got = decoded(np.concatenate([tuner.block() for _ in range(6)]))[: 3 * len(iq)]
    assert len(got) > 2 * len(iq)
    expected = np.tile(iq, 3)[: len(got)] * tuner._gain
    inside = (np.abs(expected.real) < 0.95) & (np.abs(expected.imag) < 0.95)  # not clipped
    error = np.abs(got - expected)[inside]
    added_power = 2 * (FLOOR**2 + 1 / 12 / FULL_SCALE**2)  # receiver noise, and rounding
    assert np.mean(error**2) == pytest.approx(added_power, rel=0.05)
    assert error.max() < 0.05


def test_samples_that_are_no_numbers_stay_out(tmp_path):
    iq = np.full(1000, np.nan, np.complex64)
    path = tmp_path / "bad.cf32"
    iq.tofile(path)
    with open_capture(path, sample_rate_hz=1e6) as capture:
        assert abs(decoded(Tuner(capture, 1e6, repeat=True).block()).mean()) < 0.01


def test_header_commands_and_pace(tmp_path):
    with (
        tone_file(tmp_path, rate_hz=250_000, tone_hz=0) as capture,
        RtlTcpServer(capture, port=0, rate_hz=1e6, repeat=True) as server,
    ):
        client = Client(server.port)
        assert client.header == b"RTL0\0\0\0\5\0\0\0\x1d"
        for code, value in [(RATE, 250_000), (FREQUENCY, 99_950_000), (0x04, 297), (0x7F, 1)]:
            client.send(code, value)
        client.send(RATE, 0)  # what a dongle cannot do it does not do
        client.read(400_000)  # what was sent before the commands is among this
        began_s = time.monotonic()
        iq = decoded(client.read(500_000))
        elapsed_s = time.monotonic() - began_s
        assert 0.6 < elapsed_s < 10  # 1 s at 250 kS/s, less what waited in buffers
        frequency_hz, _, snr_db = tone_in(iq, 250e3)
        assert frequency_hz == pytest.approx(50e3, abs=20)
        assert snr_db > 30
        (session,) = server.sessions
        assert session.settings == {
            "sample_rate_hz": 250_000, "frequency_hz": 99_950_000, "gain_tenth_db": 297,
        }  # fmt: skip
        client.socket.close()
        # the next client finds it listening again
        assert Client(server.port).header[:4] == b"RTL0"
        assert server.sessions[0].ended_s is not None
        assert session.bytes_sent >= 900_000


def test_one_client_s_failure_is_logged_and_the_next_is_served(tmp_path, monkeypatch, caplog):
    def fail(tuner, frequency_hz):
        raise ZeroDivisionError("no such frequency")

    monkeypatch.setattr(Tuner, "set_frequency", fail)
    with (
        tone_file(tmp_path, rate_hz=250_000, tone_hz=0) as capture,
        RtlTcpServer(capture, port=0, rate_hz=250e3, repeat=True) as server,
    ):
        Client(server.port).send(FREQUENCY, 99_900_000)
        assert Client(server.port).header[:4] == b"RTL0"
    assert "no such frequency" in caplog.text


def test_commands_that_come_in_pieces(tmp_path):
    with (
        tone_file(tmp_path, rate_hz=250_000, tone_hz=0) as capture,
        RtlTcpServer(capture, port=0, rate_hz=250e3, repeat=True) as server,
    ):
        client = Client(server.port)
        for byte in struct.pack(">BIBI", FREQUENCY, 99_900_000, RATE, 500_000):
            client.socket.sendall(bytes([byte]))
            time.sleep(0.01)
        client.read(300_000)
        assert server.sessions[0].settings == {
            "frequency_hz": 99_900_000,
            "sample_rate_hz": 500_000,
        }


def test_a_client_that_does_not_read_is_waited_for_and_that_is_counted(tmp_path):
    with (
        tone_file(tmp_path, rate_hz=250_000, tone_hz=0) as capture,
        RtlTcpServer(capture, port=0, rate_hz=20e6, repeat=True) as server,
    ):
        slow = Client(server.port)
        deadline_s = time.monotonic() + PATIENCE_S
        while not server.sessions[0].behind_s and time.monotonic() < deadline_s:
            slow.read(2)
            time.sleep(0.5)
            if server.sessions[0].waited_s > 0:
                break
        assert server.sessions[0].waited_s > 0
        server.close()  # a client that reads nothing does not keep it from ending


def test_unpaced_is_as_fast_as_it_is_taken(tmp_path):
    with (
        tone_file(tmp_path, rate_hz=250_000, tone_hz=0) as capture,
        RtlTcpServer(capture, port=0, rate_hz=250e3, repeat=True, paced=False) as server,
    ):
        client = Client(server.port)
        began_s = time.monotonic()
        client.read(2 * 250_000 * 20)
        assert time.monotonic() - began_s < 15  # 20 s of signal
        assert server.sessions[0].samples_lost == 0


def test_the_command_serves_until_it_is_told_to_stop(tmp_path):
    tone_file(tmp_path, rate_hz=250_000, tone_hz=0).close()
    process = subprocess.Popen(
        [sys.executable, "-m", "gr_tsddae.rtl_tcp", str(tmp_path / "tone.cf32"), "--port", "0",
         "--recording-rate", "250e3", "--rate", "250e3", "--status", "0.1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    port = int(process.stdout.readline().rsplit(":", 1)[1])
    client = Client(port)
    client.read(100_000)
    status = json.loads(process.stdout.readline())
    assert status["settings"] == {} and status["bytes_sent"] >= 0
    client.socket.close()
    deadline_s = time.monotonic() + PATIENCE_S
    while json.loads(process.stdout.readline())["ended_s"] is None:
        assert time.monotonic() < deadline_s
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert "samples lost" in errors and "Traceback" not in errors


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "--recording-rate"),
        (["--recording-rate", "1e6", "--rate", "5"], "rate is 5.0 Hz: give one from"),
        (["--recording-rate", "1e6", "--port", "70000"], "port is 70000"),
        (["--recording-rate", "1e6", "--status", "0"], "--status is 0.0"),
        (["--recording-rate", "-1"], "above 0"),
        (["--dtype", "cu8"], "cf32"),
    ],
)
def test_bad_arguments_are_one_clear_line(tmp_path, capsys, options, says):
    tone_file(tmp_path, rate_hz=250_000, tone_hz=0).close()
    with pytest.raises(SystemExit) as ended:
        rtl_tcp.main([str(tmp_path / "tone.cf32"), "--port", "0", *options])
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_a_port_in_use_is_said(tmp_path, capsys):
    tone_file(tmp_path, rate_hz=250_000, tone_hz=0).close()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(SystemExit):
            rtl_tcp.main([str(tmp_path / "tone.cf32"), "--recording-rate", "1e6", "--port", port])
    assert "give another --port" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        rtl_tcp.main([str(tmp_path / "no.cf32")])
    assert "does not exist" in capsys.readouterr().err
