# SPDX-License-Identifier: GPL-3.0-or-later
"""What other programs write opens: every sample, and rate and centre where they are said."""

import json

import numpy as np
import pytest
from iq_files import expect, stored, tone, write_sigmf, write_wav
from recordings_of_programs import (
    chunk,
    fmt,
    kiwi,
    npy,
    rf64,
    riff,
    sdr_console,
    sdriq,
    tar,
    w64,
    wav_24_bit,
)

from gr_tsddae.iq.captures import (
    CaptureDamagedError,
    CaptureError,
    CaptureFormatError,
    is_recording,
    open_capture,
)
from gr_tsddae.iq.cut_out import cut_out
from gr_tsddae.iq.sigmf.annotations import write_annotations


def opened(folder, name, content):
    (folder / name).write_bytes(content)
    return open_capture(folder / name)


def everything(capture):
    with capture:
        return capture.read(0, capture.sample_count)


def test_all_data_chunks_of_a_kiwi_are_joined(tmp_path):
    iq = tone(1000)
    capture = opened(tmp_path, "20200101T000000Z_77500_station_iq.wav", kiwi(iq))
    assert (capture.sample_count, capture.faults) == (1000, ())
    assert (capture.sample_rate_hz, capture.center_frequency_hz) == (12_001, 77_500)
    assert [end for _, end in capture.tunings()] == [1000]
    for first, count in ((0, 1000), (60, 10), (64, 64), (999, 1), (0, 0)):
        np.testing.assert_allclose(capture.read(first, count), iq[first : first + count], atol=1e-4)
    annotated = write_annotations(capture, [], tmp_path / "out", model_name="m")
    np.testing.assert_array_equal(everything(open_capture(annotated)), everything(capture))


@pytest.mark.parametrize(
    ("name", "make", "error"),
    [
        ("deep.wav", wav_24_bit, 2**-23),
        ("bw64.wav", rf64, 2**-15),
        ("rf64.rf64", lambda iq: rf64(iq, b"RF64"), 2**-15),
        ("capture.w64", w64, 2**-15),
        ("pass.sdriq", sdriq, 2**-15),
        ("pass.SDRIQ", lambda iq: sdriq(iq, 24), 2**-23),
        ("iq.npy", npy, 0),
        ("pairs.npy", lambda iq: npy(iq.view("f4").reshape(-1, 2)), 0),
        ("short.npy", lambda iq: npy(np.frombuffer(stored(iq, "ci16"), "2<i2")), 2**-15),
        ("x.uc8", lambda iq: stored(iq, "cu8"), 2**-7),
        ("x.c32", lambda iq: stored(0.99 * iq, "ci32"), 0.01),
        ("BBD_0001.C16", lambda iq: stored(iq, "ci16"), 2**-15),
        ("BBD_0002.C8", lambda iq: stored(iq, "ci8"), 2**-7),
        ("x.complex32s", lambda iq: stored(iq, "ci16"), 2**-15),
    ],
)  # fmt: skip
def test_every_sample_is_read(tmp_path, name, make, error):
    iq = tone(500)
    capture = opened(tmp_path, name, make(iq))
    assert (capture.sample_count, capture.faults) == (500, ())
    np.testing.assert_allclose(everything(capture), iq, atol=1.5 * error + 1e-7)
    assert is_recording(tmp_path / name)


def test_sdrangel_says_rate_centre_and_time(tmp_path):
    content = sdriq(tone(), center_hz=10_489_550_000)
    capture = opened(tmp_path, "a.sdriq", content)
    assert (capture.sample_rate_hz, capture.center_frequency_hz) == (200e3, 10_489_550_000)
    assert capture.start_time == "2020-01-01T12:00:00.000Z"
    (fault,) = opened(tmp_path, "b.sdriq", b"\x41" + content[1:]).faults
    assert "wrong checksum" in fault
    capture = opened(tmp_path, "d.sdriq", sdriq(tone(), center_hz=2**63))
    assert capture.center_frequency_hz is None
    assert "centre frequency of 9223372036854775808 Hz, which is ignored" in capture.faults[0]
    (tmp_path / "c.sdriq").write_bytes(tone().tobytes())
    expect(CaptureDamagedError, "no header of SDRangel", tmp_path / "c.sdriq")


def test_only_a_known_auxi_chunk_is_believed(tmp_path):
    capture = opened(tmp_path, "console.wav", sdr_console(tone()))
    assert capture.center_frequency_hz == 145.8e6
    assert capture.start_time == "2020-01-01T12:00:00.000Z"
    foreign = chunk(b"auxi", bytes(range(1, 101)))
    data = chunk(b"data", stored(tone(), "ci16"))
    capture = opened(tmp_path, "foreign.wav", riff(fmt(), foreign, data))
    assert (capture.center_frequency_hz, capture.start_time) == (None, None)


def test_a_size_that_overflowed_loses_no_sample(tmp_path):
    """Of a file over 4 GiB, whose header says the size modulo 4 GiB."""
    payload = stored(tone(1000), "ci16")
    capture = opened(
        tmp_path, "a.wav", write_wav(tmp_path / "b.wav", payload, size=400).read_bytes()
    )
    assert capture.sample_count == 1000
    assert "names 400 bytes of samples, and 4000 are there" in capture.faults[0]
    with_list = write_wav(tmp_path / "c.wav", payload, after=chunk(b"LIST", b"INFO"))
    with open_capture(with_list) as capture:
        assert (capture.sample_count, capture.trailing_bytes, capture.faults) == (1000, 12, ())


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda iq: riff(fmt(), chunk(b"data", stored(iq, "ci16"))), "killed.wav"),
        (lambda iq: iq.tobytes(), "killed.cf32"),
        (lambda iq: stored(iq, "cu8"), "killed.cu8"),
        (sdriq, "killed.sdriq"),
        (npy, "killed.npy"),
        (w64, "killed.w64"),
        (rf64, "killed.wav"),
    ],
)
def test_a_recorder_killed_inside_a_sample_leaves_a_usable_file(tmp_path, make, name):
    capture = opened(tmp_path, name, make(tone(500))[:-1])
    assert capture.sample_count == 499 and capture.faults
    np.testing.assert_allclose(everything(capture), tone(499), atol=0.02)
    expect(CaptureDamagedError, "read it without strict", tmp_path / name, strict=True)


@pytest.mark.parametrize(("bits", "tag"), [(16, 1), (8, 1), (24, 1), (32, 3)])
def test_one_channel_becomes_its_analytic_signal(tmp_path, bits, tag):
    hz, count = 12_000, 4000
    wave = 0.5 * np.cos(2 * np.pi * hz / 48_000 * np.arange(count) + 0.3)
    numbers = {
        16: np.rint(wave * 2**15).astype("<i2").tobytes(),
        8: np.rint(wave * 128 + 128).astype("u1").tobytes(),
        24: np.rint(wave * 2**23).astype("<i4").view("u1").reshape(-1, 4)[:, :3].tobytes(),
        32: wave.astype("<f4").tobytes(),
    }[bits]
    content = riff(fmt(48_000, bits, 1, tag), chunk(b"data", numbers))
    capture = opened(tmp_path, "if.wav", content)
    assert capture.sample_count == count and "analytic signal" in capture.notes[0]
    expected = 0.5 * np.exp(1j * (2 * np.pi * hz / 48_000 * np.arange(count) + 0.3))
    inner = slice(200, -200)  # the tone begins and ends suddenly
    np.testing.assert_allclose(capture.read(0, count)[inner], expected[inner], atol=0.02)
    np.testing.assert_array_equal(capture.read(700, 50), capture.read(0, count)[700:750])


@pytest.mark.parametrize(
    ("name", "rate_hz", "center_hz", "time"),
    [
        ("gqrx_20200101_120000_145800000_200000_fc.raw", 200e3, 145.8e6, "2020-01-01T12:00:00Z"),
        ("g001_433.92M_250k.cu8", 250e3, 433.92e6, None),
        ("g001_868.3M_1000k.cu8", 1e6, 868.3e6, None),
        ("fm-f1.001000e+08-s2.400000e+06-t20200101120000.cfile", 2.4e6, 100.1e6, None),
        ("HDSDR_20200101_120000Z_7100kHz_RF.cu8", None, 7.1e6, "2020-01-01T12:00:00Z"),
        ("SDRSharp_20200101_120000Z_145800000Hz_IQ.cu8", None, 145.8e6, "2020-01-01T12:00:00Z"),
        ("baseband_137100000Hz_12-00-00_01-01-2020.cu8", None, 137.1e6, None),
        ("01-Jan-2020 120000.000 145.800MHz 000.cu8", None, 145.8e6, None),
        ("2020-01-01_12-00-00_2400000SPS_137100000Hz.cu8", 2.4e6, 137.1e6, None),
        ("2020-01-01_12-00-00-123_2400000SPS_137100000Hz.cu8", 2.4e6, 137.1e6, None),
        ("sat_50000SPS_436888000Hz_2026_10_04_T22-48-12.cu8", 50e3, 436.888e6, None),
        ("sat_50000SPS_436888000.cu8", 50e3, None, None),
        ("15-29-07_92783258Hz.cu8", None, 92783258.0, None),
        ("SAMPLE_20120219_174346Z_14048kHz_RF.cu8", None, 14.048e6, "2012-02-19T17:43:46Z"),
        ("net_7255_HDSDR_20180225_174354Z_7255kHz_RF.cu8", None, 7.255e6, "2018-02-25T17:43:54Z"),
        ("RTL-SDR-20200101_120000-433_92MHz-1MSps-1MHz.complex16u", 1e6, 433.92e6, None),
        ("x-f1.0e+999-s1.0e+999-t20200101.cfile", None, None, None),
        ("f4.339200e+08-s2.400000e+06-t20200101.cfile", 2.4e6, 433.92e6, None),
        ("gqrx_20200101_120000_145800000_200000.raw", 200e3, 145.8e6, "2020-01-01T12:00:00Z"),
        (
            "copy of GQRX_20200101_120000_145800000_200000_fc.raw",
            200e3,
            145.8e6,
            "2020-01-01T12:00:00Z",
        ),
        ("SDRuno_20200101_120000_145800000HZ.cu8", None, 145.8e6, "2020-01-01T12:00:00Z"),
        ("433.92M_250k.cu8", 250e3, 433.92e6, None),
        ("g001_433.92M_250k (2).cu8", 250e3, 433.92e6, None),
        ("g001_433.92M_250k_door.cu8", 250e3, 433.92e6, None),
        ("keyfob_433.92MHz_2.4Msps.cu8", 2.4e6, 433.92e6, None),
        ("keyfob_2400ksps_433.92MHz.cu8", 2.4e6, 433.92e6, None),
        ("keyfob_1msps.cu8", 1e6, None, None),
        ("lte_20MHz_30.72Msps.cu8", 30.72e6, None, None),  # a bandwidth
        ("lora_125kHz_1Msps_868MHz.cu8", 1e6, None, None),
        ("doorbell_315_1MSps.cu8", 1e6, None, None),
        ("lora_125kHz.cu8", None, None, None),
        ("doorbell_433M.cu8", None, None, None),
        ("x_433.92M_2.4M.cu8", 2.4e6, 433.92e6, None),
        ("433.92M_2.4M.cu8", 2.4e6, 433.92e6, None),
        ("keyfob-868.3M-1M-door.cu8", 1e6, 868.3e6, None),
        ("keyfob 433.92MHz 2.4M (2).cu8", 2.4e6, 433.92e6, None),
        ("keyfob_433.92MHz_250k.cu8", 250e3, 433.92e6, None),
        ("wifi_2.437G_20M_a.cu8", 20e6, 2.437e9, None),
        ("x_0M_2.4M.cu8", None, None, None),
        ("lte_20M_30.72M.cu8", None, None, None),
        ("doorbells_868M_433M.cu8", None, None, None),
        ("walk_20m_10m.cu8", None, None, None),
        ("lora_868M_125kHz.cu8", None, None, None),
        ("x_433.92M_2.4Msps.cu8", 2.4e6, 433.92e6, None),
        ("x_2.4Msps_433.92M.cu8", 2.4e6, 433.92e6, None),
        ("keyfob 2.4 MSps 433.92 MHz.cu8", 2.4e6, 433.92e6, None),
        ("keyfob 433920 kHz 2400 ksps.cu8", 2.4e6, 433.92e6, None),
        ("lte_20M_30.72Msps.cu8", 30.72e6, None, None),  # a bandwidth
        ("run_20200101_2400000.cu8", None, None, None),
    ],
)
def test_what_names_say(tmp_path, name, rate_hz, center_hz, time):
    capture = opened(tmp_path, name, tone().tobytes())
    told = (capture.sample_rate_hz, capture.center_frequency_hz, capture.start_time)
    assert told == (rate_hz, center_hz, time)
    assert any("the name of" in note for note in capture.notes) == (told != (None, None, None))
    with open_capture(tmp_path / name, sample_rate_hz=1.0, center_frequency_hz=2.0) as asked:
        assert (asked.sample_rate_hz, asked.center_frequency_hz) == (1.0, 2.0)


def test_a_type_at_the_end_of_a_name(tmp_path):
    capture = opened(tmp_path, "gps_10ms_ci16.iq", stored(tone(), "ci16"))
    assert (capture.format, capture.sample_rate_hz) == ("ci16", None)
    assert "is taken for ci16 by the end of its name" in capture.notes[0]


def test_a_satdump_baseband_is_complex_in_spite_of_its_extension(tmp_path):
    name = "2020-01-01_12-00-00_2400000SPS_137100000Hz"
    capture = opened(tmp_path, f"{name}.s16", stored(tone(), "ci16"))
    assert (capture.sample_count, capture.format) == (100, "ci16")


def test_the_text_of_a_portapack(tmp_path):
    (tmp_path / "BBD_0001.TXT").write_text("sample_rate=500000\r\ncenter_frequency=433920000\r\n")
    (tmp_path / "notes.TXT").write_text("sample_rate is something\n")
    capture = opened(tmp_path, "BBD_0001.C16", stored(tone(), "ci16"))
    assert (capture.sample_rate_hz, capture.center_frequency_hz) == (500e3, 433.92e6)
    assert "BBD_0001.TXT says 500000 samples/s at 433920000 Hz" in capture.notes[0]
    assert opened(tmp_path, "notes.c16", stored(tone(), "ci16")).sample_rate_hz is None
    (tmp_path / "bbd_0002.Txt").write_text("sample_rate=500000\n", encoding="utf-8-sig")
    capture = opened(tmp_path, "bbd_0002.C16", stored(tone(), "ci16"))
    assert (capture.sample_rate_hz, capture.center_frequency_hz) == (500e3, None)
    assert capture.notes[0].endswith("says 500000 samples/s")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("a.flac", "save it as WAV"), ("a.aiff", "save it as WAV"), ("iq.csv", "save .* as .npy"),
     ("A.TXT", "save .* as .npy")],
)  # fmt: skip
def test_files_whose_bytes_are_no_samples_are_not_read_as_such(tmp_path, name, remedy):
    (tmp_path / name).write_bytes(b"0.5,0.5\n" * 100)
    expect(CaptureFormatError, remedy, tmp_path / name)
    with open_capture(tmp_path / name, dtype="cu8") as capture:  # whoever insists
        assert capture.sample_count == 400


def test_a_compressed_recording_of_urh_is_named(tmp_path):
    (tmp_path / "live.coco").write_bytes(b"BZh9")
    expect(
        CaptureFormatError, "Universal Radio Hacker compressed; unpack it", tmp_path / "live.coco"
    )


@pytest.mark.parametrize("shape", [(300, 3), (10, 30)])
def test_an_array_that_is_no_stream_of_samples(tmp_path, shape):
    kind = complex if shape == (10, 30) else "f4"
    (tmp_path / "a.npy").write_bytes(npy(np.zeros(shape, kind)))
    expect(CaptureFormatError, "save i . 1j . q", tmp_path / "a.npy")


def test_an_archive_made_on_a_mac(tmp_path):
    meta = write_sigmf(tmp_path, tone())
    pair = [(p.name, p.read_bytes()) for p in (meta, meta.with_suffix(".sigmf-data"))]
    side = b"\0\5\x16\7" * 40
    content = tar([("._rec.sigmf-meta", side), pair[0], ("._rec.sigmf-data", side), pair[1]])
    np.testing.assert_array_equal(everything(opened(tmp_path, "mac.sigmf", content)), tone())


def test_upper_case_suffixes(tmp_path):
    meta = write_sigmf(tmp_path, tone())
    for path in (meta, meta.with_suffix(".sigmf-data")):
        path.rename(path.with_suffix(path.suffix.upper()))
    for suffix in (".SIGMF-META", ".SIGMF-DATA"):
        np.testing.assert_array_equal(everything(open_capture(tmp_path / f"rec{suffix}")), tone())
    assert not is_recording(tmp_path / "rec.SIGMF-DATA") and is_recording(
        tmp_path / "rec.SIGMF-META"
    )


def test_short_captures_of_one_tuning_are_one_stretch(tmp_path):
    def tunings(*captures):
        entries = [
            {"core:sample_start": first}
            | ({"core:frequency": hz} if hz else {})
            | ({"core:datetime": f"2020-01-01T00:00:{time}Z"} if time else {})
            for first, hz, time in captures
        ]
        meta = write_sigmf(tmp_path, tone(), captures=entries, sample_rate=10.0)
        with open_capture(meta) as capture:
            return [(segment.first_sample, end) for segment, end in capture.tunings()]

    assert tunings((0, 0, ""), (10, 0, ""), (20, 0, "")) == [(0, 100)]
    assert tunings((0, 1e6, ""), (10, 1e6, ""), (20, 2e6, "")) == [(0, 20), (20, 100)]
    assert tunings((0, 1e6, "00.000"), (10, 1e6, "01.000")) == [(0, 100)]
    assert tunings((0, 1e6, "00.000"), (10, 1e6, "01.500")) == [(0, 10), (10, 100)]


def test_blue_files_are_read_by_sigmf(tmp_path):
    head = bytearray(512)
    iq = tone(256)
    head[0:12] = b"BLUEEEEIEEEI"
    head[32:56] = np.array([512.0, iq.nbytes], "<f8").tobytes() + bytes(8)
    head[48:52] = (1000).to_bytes(4, "little")
    head[52:54] = b"CF"
    head[256:272] = np.array([0.0, 1 / 200e3], "<f8").tobytes()
    try:
        capture = opened(tmp_path, "a.blue", bytes(head) + iq.tobytes())
    except CaptureError as error:
        pytest.skip(f"this version of sigmf reads other BLUE files: {error}")
    assert capture.sample_rate_hz == pytest.approx(200e3)
    np.testing.assert_array_equal(everything(capture), iq)


def test_a_cut_out_is_the_signal_at_0_hz_whatever_slice_is_read(tmp_path):
    rate_hz, count = 1e6, 20_000
    time = np.arange(count) / rate_hz
    wide = np.exp(2j * np.pi * 200e3 * time) + 3 * np.exp(-2j * np.pi * 100e3 * time)
    wide.astype(np.complex64).tofile(tmp_path / "wide.cf32")
    source = open_capture(tmp_path / "wide.cf32", sample_rate_hz=rate_hz, center_frequency_hz=1e8)
    with cut_out(source, 1000, 15_000, (190e3, 210e3), 80e3) as part:
        assert part.sample_rate_hz == pytest.approx(80e3, rel=0.05)
        assert part.center_frequency_hz == pytest.approx(1e8 + 200e3)
        whole = part.read(0, part.sample_count)
        np.testing.assert_allclose(np.abs(whole), 1, atol=0.01)
        np.testing.assert_allclose(whole, whole[0], atol=0.01)
        for first, n in ((0, 1), (100, 77), (part.sample_count - 5, 5), (3, 0)):
            np.testing.assert_allclose(part.read(first, n), whole[first : first + n], atol=1e-6)


def test_annotations_have_their_band(tmp_path):
    note = {
        "core:sample_start": 5, "core:sample_count": 9, "core:label": "x",
        "core:freq_lower_edge": 1e6, "core:freq_upper_edge": 2e6,
    }  # fmt: skip
    meta = write_sigmf(tmp_path, tone(), annotations=[note])
    with open_capture(meta) as capture:
        assert capture.annotations[0].band_hz == (1e6, 2e6)
    text = json.loads(meta.read_text())
    del text["annotations"][0]["core:freq_upper_edge"]
    del text["annotations"][0]["core:freq_lower_edge"]
    meta.write_text(json.dumps(text))
    with open_capture(meta) as capture:
        assert capture.annotations[0].band_hz is None
