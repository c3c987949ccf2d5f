# SPDX-License-Identifier: GPL-3.0-or-later
"""The offline command: every form of its answer, and one clear line for every mistake."""

import json
import os
import runpy
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import sigmf

import gr_tsddae
from gr_tsddae import classify
from gr_tsddae.inference.recognizer import Recognizer
from gr_tsddae.iq.captures import open_capture
from gr_tsddae.labels import UNKNOWN
from gr_tsddae.synth import CLASSES
from gr_tsddae.synth.emission import make
from gr_tsddae.synth.emission.parts import at_rate

RATE_HZ = 100_000.0
WINDOW = 128


def signal(count, seed=0):
    """(count,) complex64: noise, then a tone with noise."""
    random = np.random.default_rng(seed)
    iq = random.standard_normal((count, 2)) @ np.array([0.1, 0.1j])
    iq[count // 2 :] += np.exp(0.3j * np.arange(count - count // 2))
    return iq.astype(np.complex64)


@pytest.fixture
def raw(tmp_path):
    """A raw capture of 20 000 samples."""
    signal(20_000).tofile(tmp_path / "raw.cf32")
    return tmp_path / "raw.cf32"


@pytest.fixture
def recording(tmp_path):
    """A SigMF recording of two tunings, 12 000 and 8 000 samples."""
    signal(20_000).tofile(tmp_path / "pass.sigmf-data")
    meta = {
        "global": {
            "core:datatype": "cf32_le", "core:version": "1.2.0", "core:sample_rate": RATE_HZ
        },
        "captures": [
            {
                "core:sample_start": 0,
                "core:frequency": 145.8e6,
                "core:datetime": "2024-05-01T12:00:00.123456789Z",
            },
            {"core:sample_start": 12_000, "core:frequency": 437.5e6},
        ],
        "annotations": [],
    }  # fmt: skip
    (tmp_path / "pass.sigmf-meta").write_text(json.dumps(meta))
    return tmp_path / "pass.sigmf-meta"


@pytest.fixture
def run(model_folder, monkeypatch, capsys):
    """Runs the command: (*arguments) -> (exit code, stdout, stderr)."""

    def command(*arguments, model=model_folder.name):
        given = ["classify", *map(str, arguments), "--model", str(model), "--quiet"]
        monkeypatch.setattr(sys, "argv", given)
        code = classify.main()
        return code, *capsys.readouterr()

    return command


def decisions_of(out):
    """Decisions as --json writes them; anything but plain JSON is an error."""
    return json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


# The answer


def test_table_without_a_rate_counts_samples(run, raw):
    code, out, err = run(raw)
    assert (code, err) == (0, "")
    head, *lines = out.splitlines()
    assert head.split() == ["from", "sample", "to", "sample", "label", "confidence"]
    assert lines[0].split()[0] == "0"
    assert int(lines[-1].split()[1]) == 20_000 // WINDOW * WINDOW
    for line in lines:
        first, end, label, confidence = line.split()
        assert int(first) < int(end)
        assert label in CLASSES
        assert 0 < float(confidence) <= 1


def test_table_with_a_rate_counts_seconds(run, raw):
    code, out, _ = run(raw, "--rate", RATE_HZ)
    assert code == 0
    head, *lines = out.splitlines()
    assert head.split()[:2] == ["from", "s"]
    assert float(lines[-1].split()[1]) == pytest.approx(19_968 / RATE_HZ, abs=1e-4)


def test_json_holds_every_decision(run, recording):
    code, out, err = run(recording, "--json")
    assert (code, err) == (0, "")
    decisions = decisions_of(out)
    assert len(decisions) > 10
    for decision in decisions:
        assert decision["model"] == "amc-untrained"
        assert sum(decision["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert decision["probabilities"][decision["best"]] == decision["confidence"]
        assert decision["sample_rate_hz"] == RATE_HZ


def test_no_window_spans_a_retune(run, recording):
    decisions = decisions_of(run(recording, "--json")[1])
    early = [d for d in decisions if d["first_sample"] < 12_000]
    late = decisions[len(early) :]
    assert {d["center_frequency_hz"] for d in early} == {145.8e6}
    assert {d["center_frequency_hz"] for d in late} == {437.5e6}
    assert max(d["first_sample"] + d["sample_count"] for d in early) == 12_000 // 128 * 128
    assert late[0]["first_sample"] == 12_000
    assert sum(d["windows"] for d in decisions) == 12_000 // 128 + 8_000 // 128


def test_times_follow_the_recordings_clock(run, recording):
    decisions = decisions_of(run(recording, "--json")[1])
    start = 1714564800.123456  # 2024-05-01T12:00:00.123456Z
    assert decisions[0]["time_s"] == pytest.approx(start, abs=1e-6)
    assert decisions[1]["time_s"] == pytest.approx(
        start + decisions[1]["first_sample"] / RATE_HZ, abs=1e-6
    )
    assert decisions[-1]["time_s"] is None  # the second tuning has no time


@pytest.mark.parametrize(("hop", "windows"), [(128, 156), (64, 311), (1000, 20), (50_000, 1)])
def test_hop(run, raw, hop, windows):
    decisions = decisions_of(run(raw, "--json", "--hop", hop)[1])
    assert sum(d["windows"] for d in decisions) == windows


def test_interval(run, raw):
    out = run(raw, "--json", "--rate", RATE_HZ, "--interval", 0.0256)[1]
    assert [d["first_sample"] for d in decisions_of(out)] == list(range(0, 19_968, 2560))


@pytest.mark.parametrize("interval_s", ["10", "1e306", "inf"])
def test_an_interval_longer_than_the_file_is_all_of_it(run, raw, interval_s):
    decisions = decisions_of(run(raw, "--json", "--rate", RATE_HZ, "--interval", interval_s)[1])
    assert [d["windows"] for d in decisions] == [156]


def test_default_interval_is_a_sixtieth_but_eight_windows_at_least(model_folder, tmp_path):
    signal(400_000).tofile(tmp_path / "long.cf32")
    signal(5_000).tofile(tmp_path / "short.cf32")
    recognizer = Recognizer(model_folder, device="cpu")
    for name, count in (("long", 59), ("short", 5)):
        with open_capture(tmp_path / f"{name}.cf32") as capture:
            decisions, left_out = classify.recognise_capture(capture, recognizer)
        assert (len(decisions), left_out) == (count, 0)


def test_the_same_windows_as_predict(model_folder, raw):
    """The file is read in pieces; what is decided is what one look at all of it decides."""
    recognizer = Recognizer(model_folder, device="cpu", batch_windows=8)
    with open_capture(raw) as capture:
        decisions, _ = classify.recognise_capture(
            capture, recognizer, hop_samples=100, interval_samples=20_000
        )
    wanted = recognizer.predict(signal(20_000), hop_samples=100).decision
    assert len(decisions) == 1
    assert decisions[0].windows == wanted.windows
    assert decisions[0].probabilities == pytest.approx(wanted.probabilities, abs=1e-6)


def test_threshold(run, raw):
    decisions = decisions_of(run(raw, "--json", "--threshold", 1)[1])
    assert {d["label"] for d in decisions} == {UNKNOWN}
    assert UNKNOWN not in {d["best"] for d in decisions}


def test_other_sample_formats(run, tmp_path, raw):
    """The same signal, stored coarsely, is called the same."""
    components = signal(20_000).view(np.float32)
    coarse = np.clip(np.rint(components / 2 * 32_000), -32_768, 32_767).astype("<i2")
    coarse.tofile(tmp_path / "raw.bin")
    wanted = decisions_of(run(raw, "--json")[1])
    found = decisions_of(run(tmp_path / "raw.bin", "--dtype", "ci16", "--json")[1])
    assert [d["label"] for d in found] == [d["label"] for d in wanted]


def test_png(run, recording, tmp_path):
    pytest.importorskip("matplotlib")
    code, _, err = run(recording, "--png", tmp_path / "line.png")
    assert code == 0
    assert err == f"wrote {tmp_path / 'line.png'}\n"
    assert (tmp_path / "line.png").read_bytes().startswith(b"\x89PNG")


def test_annotations_are_a_valid_recording(run, recording, tmp_path):
    target = tmp_path / "out" / "named.sigmf-meta"
    code, out, err = run(recording, "--json", "--annotations", target)
    assert code == 0
    assert err == f"wrote {target}\n"
    written = sigmf.fromfile(str(target))
    written.validate()
    assert np.array_equal(written.read_samples(), signal(20_000))
    annotations = written.get_annotations()
    decisions = decisions_of(out)
    assert {a["core:label"] for a in annotations} == {d["label"] for d in decisions}
    assert annotations[0]["core:sample_start"] == 0
    assert all("core:freq_lower_edge" in a for a in annotations)
    with open_capture(target) as capture:
        assert capture.sample_count == 20_000


def test_silence_works(run, tmp_path):
    np.zeros(5_000, np.complex64).tofile(tmp_path / "silence.cf32")
    code, out, err = run(tmp_path / "silence.cf32", "--json", "--png", tmp_path / "silence.png")
    assert code == 0
    assert "warning" not in err
    assert all(np.isfinite(d["confidence"]) for d in decisions_of(out))


def test_some_nan_are_left_out_with_a_warning(run, tmp_path):
    iq = signal(5_000)
    iq[[300, 301, 1_000]] = np.nan
    iq.tofile(tmp_path / "holes.cf32")
    code, out, err = run(tmp_path / "holes.cf32", "--json")
    assert code == 0
    assert err == "warning: 2 windows with NaN or infinite samples were left out\n"
    assert sum(d["windows"] for d in decisions_of(out)) == 5_000 // 128 - 2


def test_a_short_burst_in_a_long_recording_is_a_decision_of_its_own(model_folder, tmp_path):
    """At 100 kS/s, 10 ms are 1000 samples; 8 windows of 128 are 1024."""
    signal(400_000).tofile(tmp_path / "long.cf32")
    recognizer = Recognizer(model_folder, device="cpu")
    with open_capture(tmp_path / "long.cf32", sample_rate_hz=RATE_HZ) as capture:
        decisions, _ = classify.recognise_capture(capture, recognizer)
    assert {decision.windows for decision in decisions[:-1]} == {8}


def test_a_short_burst_is_not_averaged_away(run, tmp_path):
    """20 ms of QPSK in 4 s of noise, as `tsddae classify` answers without an option."""
    sent = make("QPSK", np.random.default_rng(5), 0.02, 12.5e3)
    burst = at_rate(sent.iq, sent.rate_hz, RATE_HZ, 2_000)
    iq = np.random.default_rng(6).standard_normal((400_000, 2)) @ np.array([0.02, 0.02j])
    iq[200_000:202_000] += burst / np.sqrt(np.mean(np.abs(burst) ** 2))
    iq.astype(np.complex64).tofile(tmp_path / "burst.cf32")
    code, out, err = run(tmp_path / "burst.cf32", "--rate", RATE_HZ, "--json", model="amc-nano")
    assert code == 0, err
    told = [d for d in decisions_of(out) if d["label"] != "noise"]
    assert told and all(190_000 < d["first_sample"] < 202_000 for d in told)
    assert "QPSK" in {decision["label"] for decision in told}


def test_samples_in_short_tunings_are_counted(run, recording):
    metadata = json.loads(recording.read_text())
    metadata["captures"].append({"core:sample_start": 19_900, "core:frequency": 1e6})
    recording.write_text(json.dumps(metadata))
    code, _, err = run(recording)
    assert code == 0
    assert "100 of 20000 samples (0.001 s) were left out" in err


def test_strict_refuses_what_is_else_a_warning(run, tmp_path):
    path = tmp_path / "killed.cf32"
    path.write_bytes(signal(2_000).tobytes()[:-3])
    code, _, err = run(path)
    assert code == 0 and err.startswith("warning: ") and "5 bytes are left out" in err
    check_error(run(path, "--strict"), "killed.cf32", "is --dtype right?")


def test_an_annotation_is_cut_out_in_time_and_band(run, recording):
    metadata = json.loads(recording.read_text())
    metadata["annotations"] = [
        {
            "core:sample_start": 1_000, "core:sample_count": 8_000, "core:label": "x",
            "core:freq_lower_edge": 145.81e6, "core:freq_upper_edge": 145.815e6,
        }
    ]  # fmt: skip
    recording.write_text(json.dumps(metadata))
    code, out, err = run(recording, "--json", "--annotation", 0)
    assert code == 0, err
    assert "annotation 0 (x) is cut out at 20000 samples/s" in err
    decisions = decisions_of(out)
    assert decisions[0]["center_frequency_hz"] == pytest.approx(145.8125e6)
    assert sum(d["windows"] for d in decisions) == 1_600 // 128
    check_error(run(recording, "--annotation", 1), "has 1 labelled annotations")


@pytest.mark.parametrize("more", [(), ("--symbol-rate", "15k")])
def test_an_annotation_is_cut_out_as_the_model_wants_it(run, tmp_path, more):
    """30 kBd beside the centre; amc-nano wants 8 samples per symbol."""
    sent = make("QPSK", np.random.default_rng(2), 1.0, 30e3)
    iq = at_rate(sent.iq, sent.rate_hz, 500e3, 250_000)
    iq *= np.exp(0.4j * np.pi * np.arange(len(iq)))  # at +100 kHz
    noise = np.random.default_rng(3).standard_normal((len(iq), 2)) @ np.array([0.02, 0.02j])
    (iq + noise).astype(np.complex64).tofile(tmp_path / "wide.sigmf-data")
    box = {"core:freq_lower_edge": 80e3, "core:freq_upper_edge": 120e3, "core:label": "mine"}
    box |= {"core:sample_start": 5_000, "core:sample_count": 200_000}
    head = {"core:datatype": "cf32_le", "core:version": "1.2.0", "core:sample_rate": 500e3}
    content = {"global": head, "captures": [{"core:sample_start": 0}], "annotations": [box]}
    (tmp_path / "wide.sigmf-meta").write_text(json.dumps(content))
    code, out, err = run(
        tmp_path / "wide.sigmf-meta", "--annotation", 0, "--json", *more, model="amc-nano"
    )
    assert code == 0, err
    told_hz = float(err.split(" is cut out at ")[1].split()[0])
    if more:
        assert told_hz == pytest.approx(8 * 15e3, rel=0.01)
        return
    assert told_hz == pytest.approx(8 * sent.truth["symbol_rate_hz"], rel=0.01)  # measured
    labels = [decision["label"] for decision in decisions_of(out)]
    assert labels.count("QPSK") > 0.9 * len(labels)


def test_a_stream_is_named_while_it_comes(run, monkeypatch, tmp_path):
    """What is decided of a pipe is what is decided of a file."""
    iq = signal(20_000)
    iq.tofile(tmp_path / "same.cf32")
    receiving, sending = os.pipe()

    def send():
        with os.fdopen(sending, "wb") as pipe:
            for start in range(0, iq.nbytes, 1_003):  # samples come in parts
                pipe.write(iq.tobytes()[start : start + 1_003])
                pipe.flush()

    thread = threading.Thread(target=send)
    thread.start()
    with os.fdopen(receiving, "rb") as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        given = ("--dtype", "cf32", "--rate", RATE_HZ, "--interval", 0.01, "--json")
        code, out, err = run("-", *given)
    thread.join()
    assert (code, err) == (0, "")
    live = [decisions_of(line) for line in out.splitlines()]
    filed = decisions_of(run(tmp_path / "same.cf32", *given[2:])[1])
    assert [d["first_sample"] for d in live] == [d["first_sample"] for d in filed]
    assert [d["label"] for d in live] == [d["label"] for d in filed]


@pytest.fixture
def piped(run, monkeypatch, tmp_path):
    """Run the command with these bytes in its standard input."""

    def run_piped(content, *arguments):
        (tmp_path / "sent").write_bytes(content)
        with (tmp_path / "sent").open("rb") as file:
            monkeypatch.setattr(sys, "stdin", file)
            return run("-", "--dtype", "cf32", "--rate", RATE_HZ, *arguments)

    return run_piped


def test_what_is_wrong_with_a_stream_is_told_at_its_end(piped):
    iq = signal(4_000)
    code, _, err = piped(iq.tobytes()[:-3])
    assert code == 0 and "ends inside a sample: 5 bytes are left out, where a cf32" in err
    code, _, err = piped(iq.tobytes()[:-3], "--strict")
    assert code == 1 and "error: the stream ends inside a sample: 5 bytes" in err
    for content in (b"", b"\0" * 7):
        code, _, err = piped(content)
        assert code == 0 and ("held no sample" in err or "7 bytes are left out" in err)
    iq[1000] = np.nan
    code, _, err = piped(iq.tobytes())
    assert code == 0 and "1 windows with NaN or infinite samples were left out" in err


@pytest.mark.parametrize("head", [b"RIFF", b"RF64", b"\x93NUMPY"])
def test_a_file_with_a_header_is_no_stream_of_samples(piped, head):
    check_error(piped(head + bytes(8_000), "--json"), "begins like a file with a header", "name of")


def test_windows_of_a_stream_may_be_far_apart(piped, raw, run):
    iq = np.tile(signal(20_000), 8)
    asked = ("--hop", 70_000, "--interval", 0.001, "--json")
    live = [decisions_of(line) for line in piped(iq.tobytes(), *asked)[1].splitlines()]
    assert [decision["first_sample"] for decision in live] == [0, 70_000, 140_000]
    check_error(piped(iq.tobytes(), "--hop", 0), "--hop is 0: windows must advance")


def test_a_stream_needs_its_sample_format(run):
    check_error(run("-"), "give --dtype one of cf32")
    check_error(
        run("-", "--dtype", "cf32", "--png", "x.png"), "need a recording, and - is a stream"
    )


# Mistakes


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.cf32", b"", "holds no samples"),
        ("odd.cf32", b"\0" * 3, "holds no samples"),
        ("nan.cf32", np.full(500, np.nan, np.complex64).tobytes(), "all 3 windows"),
        ("short.cf32", np.ones(127, np.complex64).tobytes(), "shorter than a window of 128"),
        ("what.xyz", b"\0" * 8_000, "does not say how its samples are stored"),
        ("broken.sigmf-meta", b"{", ""),
        ("broken.wav", b"RIFF", ""),
    ],
)
def test_a_capture_that_cannot_be_recognised(run, tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    check_error(run(tmp_path / name), name, words)


def test_a_missing_capture(run, tmp_path):
    check_error(run(tmp_path / "nothing.cf32"), "nothing.cf32", "does not exist")
    check_error(run(tmp_path), str(tmp_path), "directory")


def test_a_missing_model(run, raw, model_folder):
    check_error(run(raw, model="amc-missing"), "amc-missing", model_folder.name)
    check_error(run(raw, model=""), "no model given")


def test_a_model_that_is_a_text_file(run, raw, model_folder, tmp_path):
    folder = tmp_path / "fake"
    folder.mkdir()
    (folder / "card.yaml").write_bytes((model_folder / "card.yaml").read_bytes())
    (folder / "model.safetensors").write_text("weights, honestly\n")
    check_error(run(raw, model=folder), "model.safetensors", "copy it again")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--hop", "0"], "--hop is 0: "),
        (["--hop", "-5"], "--hop is -5: "),
        (["--interval", "1"], "add --rate"),
        (["--interval", "0", "--rate", "1e5"], "--interval is 0"),
        (["--interval", "nan", "--rate", "1e5"], "--interval is nan"),
        (["--threshold", "2"], "--threshold is 2"),
        (["--threshold", "nan"], "--threshold is nan"),
        (["--rate", "0"], "sample rate of 0"),
        (["--rate", "nan"], "sample rate of nan"),
        (["--center", "inf"], "centre frequency of inf"),
        (["--dtype", "cf31"], "cf31"),
        (["--device", "gpu"], "device 'gpu' is not known"),
        (["--device", "cuda:99"], "device 'cuda:99'"),
        (["--annotations", "/proc/nowhere/x"], "/proc/nowhere"),
        (["--png", "/proc/nowhere/x.png"], "/proc/nowhere"),
    ],
)
def test_an_argument_that_cannot_be(run, raw, arguments, words):
    code, _, err = run(raw, *arguments)
    check_error((code, "", err), words)


def check_error(result, *words):
    """Exit code 1, nothing on stdout, and one line on stderr that says what it is about."""
    code, out, err = result
    assert code == 1
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1, err
    assert all(word in err for word in words), err


@pytest.mark.parametrize(("hop", "interval"), [(0, None), (None, 0), (-1, None)])
def test_zero_is_not_the_default(model_folder, raw, hop, interval):
    recognizer = Recognizer(model_folder, device="cpu", batch_windows=8)
    with open_capture(raw) as capture, pytest.raises(ValueError, match="at least 1 sample"):
        classify.recognise_capture(capture, recognizer, hop_samples=hop, interval_samples=interval)


def test_the_command_itself(model_folder, raw):
    """As people call it: in a process of its own, stdout into a pipe, no progress bar in it."""
    environment = os.environ | {"PYTHONPATH": str(Path(gr_tsddae.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-m", "gr_tsddae.classify", raw, "--model", model_folder, "--json"],
        capture_output=True, text=True, env=environment, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert decisions_of(done.stdout)


def test_an_error_is_the_programs_exit_code(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["classify", str(tmp_path / "nothing.cf32")])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(classify.__file__, run_name="__main__")
    check_error((left.value.code, *capsys.readouterr()))


@pytest.mark.parametrize(("rate_hz", "offset_hz"), [(400e3, 30e3), (40e3, -7e3), (100e3, 5e3)])
def test_a_recording_is_resampled_for_a_model_of_one_rate(
    tmp_path, run, one_rate_model, rate_hz, offset_hz
):
    count = round(0.05 * rate_hz)
    iq = np.exp(2j * np.pi * (offset_hz + 1e3) / rate_hz * np.arange(count))
    iq.astype(np.complex64).tofile(tmp_path / "tone.cf32")
    told = (tmp_path / "tone.cf32", "--rate", rate_hz, "--offset", offset_hz)
    code, out, error = run(*told, "--json", model=one_rate_model.name)
    assert code == 0, error
    decisions = decisions_of(out)
    rates_hz = [d["sample_rate_hz"] for d in decisions]
    assert rates_hz == pytest.approx([100e3] * len(decisions), rel=0.01)
    assert sum(d["windows"] for d in decisions) == pytest.approx(0.05 * 100e3 / 128, abs=2)
    arguments = classify.parser().parse_args([*map(str, told), "--model", one_rate_model.name])
    with open_capture(told[0], sample_rate_hz=rate_hz) as capture:
        cut = classify._at_one_rate(capture, 100e3, arguments)
        found = cut.read(500, 2000)
    step = np.angle(found[1:] * found[:-1].conj()).mean() / (2 * np.pi) * cut.sample_rate_hz
    assert step == pytest.approx(1e3, abs=20)
    assert np.abs(found).mean() == pytest.approx(1, abs=0.05)


def test_a_recording_at_the_one_rate_of_a_model_is_taken_as_it_is(raw, run, one_rate_model):
    code, out, _ = run(raw, "--rate", 102e3, "--json", model=one_rate_model.name)
    assert code == 0
    assert {d["sample_rate_hz"] for d in decisions_of(out)} == {102e3}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            ("--symbol-rate", 1e3),
            "samples per second of every signal: leave --symbol-rate out",
        ),
        (("--samples-per-symbol", 8), "leave --samples-per-symbol out"),
        (("--offset", 3e5), "--offset is 300000: a recording of 400000 samples per second ends"),
        (("--bandwidth", 5e5), "--bandwidth is 500000: it must be above 0 and at most"),
        (("--bandwidth", 0), "--bandwidth is 0: it must be above 0"),
    ],
)
def test_what_a_model_of_one_rate_cannot_use_is_refused(raw, run, one_rate_model, wrong, message):
    code, _, error = run(raw, "--rate", 400e3, *wrong, model=one_rate_model.name)
    assert code == 1 and message in error
    code, _, error = run(raw, "--offset", 10, model=one_rate_model.name)
    assert code == 1 and "need the sample rate: add --rate" in error


def test_a_stream_is_resampled_for_a_model_of_one_rate(tmp_path, run, one_rate_model, monkeypatch):
    pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
    pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
    signal(40_000).tofile(tmp_path / "same.cf32")
    with (tmp_path / "same.cf32").open("rb") as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        given = ("--dtype", "cf32", "--rate", 400e3, "--interval", 0.01, "--json")
        code, out, error = run("-", *given, model=one_rate_model.name)
    assert code == 0, error
    live = [decisions_of(line) for line in out.splitlines()]
    assert {d["sample_rate_hz"] for d in live} == {100e3}
    assert sum(d["windows"] for d in live) == pytest.approx(10_000 / 128, abs=3)
