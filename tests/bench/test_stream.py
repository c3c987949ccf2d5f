# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark of a stream, for a second: what it says must be so. How fast is no matter here."""

from __future__ import annotations

import json
import math

import pytest

pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")

from gr_tsddae.bench import stream
from gr_tsddae.bench.__main__ import COMMANDS, main


@pytest.fixture
def options(model_folder):
    return [
        "stream", "--model", str(model_folder), "--device", "cpu", "--precision", "float32",
        "--batch-windows", "64",
    ]  # fmt: skip


def test_an_overloaded_stream_with_two_classifiers(options, tmp_path, capsys):
    path = tmp_path / "result.json"
    assert main([*options, "--rate-msps", "5", "--seconds", "1.5", "--classifiers", "2",
                 "--max-latency-ms", "200", "--json", str(path)]) == 0  # fmt: skip
    said = capsys.readouterr().out
    assert "they add up" in said
    assert "classifier 2: cpu, float32" in said
    result = json.loads(path.read_text())
    assert result["setting"]["rate_msps"] == 5
    assert result["setting"]["gate_dbfs"] is None  # JSON has no infinity
    assert {"processor", "torch", "numpy", "gnuradio", "commit"} <= set(result["environment"])
    assert 0 < result["cpu"]["share"] <= 1.05
    assert result["memory"]["end_mib"] > 50
    for one in result["classifiers"]:
        running, ended = one["counters_at_the_end"], one["counters_after_stop"]
        assert one["taken_msps"] == pytest.approx(running["samples_in"] / result["seconds"] / 1e6)
        assert running["samples_classified"] > 0
        assert ended["samples_pending"] == 0
        assert ended["samples_in"] >= running["samples_in"]
        assert 0 < one["longest_stall_s"] < result["seconds"]
        assert 0 < one["first_decision_s"] < one["process_to_first_decision_s"]
        assert one["latency_p50_s"] <= one["latency_p99_s"]
        assert one["errors"] == 0


def test_a_gated_stream_has_no_decision(options, tmp_path):
    path = tmp_path / "result.json"
    assert main([*options, "--rate-msps", "1", "--seconds", "0.5", "--gate-dbfs", "0",
                 "--json", str(path)]) == 0  # fmt: skip
    (one,) = json.loads(path.read_text())["classifiers"]
    assert one["counters_after_stop"]["samples_gated"] > 0
    assert one["counters_after_stop"]["samples_classified"] == 0
    assert (one["decisions"], one["first_decision_s"]) == (0, None)


def test_without_a_throttle_nothing_is_lost_where_the_stream_waits(options, tmp_path):
    path = tmp_path / "result.json"
    assert main([*options, "--rate-msps", "0", "--seconds", "0.5", "--policy", "block",
                 "--json", str(path)]) == 0  # fmt: skip
    (one,) = json.loads(path.read_text())["classifiers"]
    assert one["counters_after_stop"]["samples_dropped"] == 0
    assert one["counters_after_stop"]["samples_classified"] > 0


def test_a_sum_that_is_wrong_is_seen():
    counters = {f"samples_{fate}": 1 for fate in stream.FATES} | {"samples_in": 5}
    counters |= {f"windows_{fate}": 1 for fate in stream.FATES} | {"windows_in": 4}
    assert stream.adds_up(counters)
    assert not stream.adds_up(counters | {"samples_in": 6})
    assert not stream.adds_up(counters | {"windows_in": 5})


def test_memory_that_grows_is_told_from_a_warm_up():
    grows = [(t, 100 + 0.01 * t) for t in range(100)]
    assert stream._memory(grows)["slope_mib_per_hour"] == pytest.approx(36)
    warms_up = [(t, 100 if t < 20 else 200) for t in range(100)]
    assert stream._memory(warms_up)["slope_mib_per_hour"] == pytest.approx(0, abs=1e-6)
    assert stream._memory(grows[:3])["slope_mib_per_hour"] is None


@pytest.mark.parametrize(
    "bad", [{"rate_msps": -1}, {"rate_msps": math.inf}, {"seconds": 0}, {"classifiers": 0}]
)
def test_what_makes_no_sense_is_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        stream.Setting(**bad)


def test_the_command_line_says_what_is_wrong(options, capsys):
    assert main([]) == 2
    usage = capsys.readouterr().out
    assert all(name in usage for name in COMMANDS)
    assert main(["strem"]) == 2
    assert "did you mean 'stream'?" in capsys.readouterr().err
    for wrong, said in (
        (["--model", "no-such-model"], "no model 'no-such-model'"),
        (["--rate-msps", "-1"], "error: --rate-msps is -1"),
        (["--json", "/no/such/folder/x.json"], "there is no folder"),
    ):
        with pytest.raises(SystemExit):
            main([*options, *wrong])
        assert said in capsys.readouterr().err
