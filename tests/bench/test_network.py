# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark measures what it says, on toy configurations; how fast that is, is no test's."""

import json

import pytest
import torch

from gr_tsddae.bench import ceilings, network
from gr_tsddae.bench.__main__ import main
from gr_tsddae.inference.engines.engine import openvino_is_there

TOY = ["--device=cpu", "--seconds=0.01", "--sizes", "nano", "--batches", "1", "3"]


@pytest.fixture(autouse=True)
def small_products(monkeypatch):
    monkeypatch.setattr(ceilings, "_sides", lambda device: (64,))
    monkeypatch.setattr(ceilings, "bandwidth_bytes_per_s", lambda *_: 1e9)


def test_a_run_writes_a_table_and_a_picture(tmp_path, capsys):
    assert main(["network", *TOY, "--engines", "trained", "eager", "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "network.json").read_text())
    rows = result["measured"]
    assert [(r["precision"], r["engine"], r["batch"]) for r in rows] == [
        ("bfloat16", "eager", 1), ("bfloat16", "eager", 3), ("float32", "trained", 1),
        ("float32", "trained", 3), ("float32", "eager", 1), ("float32", "eager", 3),
    ]  # fmt: skip
    ceiling = max(result["ceilings_flop_per_s"][name] for name in ("float32", "bfloat16"))
    for row in rows:
        assert row["windows_per_s"] == pytest.approx(row["batch"] / row["p50_ms"] * 1e3)
        assert row["msamples_per_s"] == pytest.approx(row["windows_per_s"] * 128 / 1e6)
        work = row["windows_per_s"] * result["flop_per_window"]["nano 128"]
        assert row["share"] == pytest.approx(work / ceiling)
        assert row["p99_ms"] >= row["p50_ms"] > 0
        assert row["first_s"] > 0
    assert set(result["machine"]) >= {"processor", "torch", "commit", "device"}
    assert not result["failed"]
    best = result["best"]["nano 128"]
    plain = max(r["windows_per_s"] for r in rows if r["engine"] == "trained")
    assert best["times_trained_float32"] == pytest.approx(best["windows_per_s"] / plain)
    assert (tmp_path / "network.png").stat().st_size > 10_000
    assert len([x for x in capsys.readouterr().out.splitlines() if x.startswith("nano ")]) == 6


def test_what_was_measured_is_kept_when_it_is_stopped(tmp_path, monkeypatch):
    measure, asked = network.Bench.measure, []

    def stops(self, *configuration):
        asked.append(configuration)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return measure(self, *configuration)

    monkeypatch.setattr(network.Bench, "measure", stops)
    assert main(["network", *TOY, "--engines", "eager", "--out", str(tmp_path)]) == 130
    assert len(json.loads((tmp_path / "network.json").read_text())["measured"]) == 1


def test_a_length_that_a_size_does_not_take_is_said_first(tmp_path, capsys):
    assert main(["network", *TOY, "--lengths", "128", "1000", "--out", str(tmp_path)]) == 2
    assert "window of 1000 samples" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not openvino_is_there(), reason="openvino is not installed")
def test_openvino_is_measured_in_the_precision_it_has(tmp_path, monkeypatch):
    monkeypatch.setattr(network, "multiplies_bfloat16_fast", lambda _: False)
    assert main(["network", *TOY, "--engines", "openvino", "--out", str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "network.json").read_text())["measured"]
    assert [(r["precision"], r["engine"], r["batch"]) for r in rows] == [
        ("float32", "openvino", 1), ("float32", "openvino", 3),
    ]  # fmt: skip


def test_one_that_fails_does_not_stop_the_rest(tmp_path, monkeypatch):
    def broken(self, precision, batch):
        raise RuntimeError("no compiler\nhere")

    monkeypatch.setattr(network.Bench, "_compile", broken)
    words = [*TOY, "--engines", "compiled", "trained", "--compile-batches", "3"]
    assert main(["network", *words, "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "network.json").read_text())
    assert len(result["measured"]) == 2
    assert [(f["engine"], f["batch"], f["error"]) for f in result["failed"]] == [
        ("compiled", 3, "no compiler")
    ]


def test_time_that_is_over_ends_the_run(tmp_path, capsys):
    words = [*TOY, "--engines", "eager", "--total-seconds", "0", "--out", str(tmp_path)]
    assert main(["network", *words]) == 1
    assert "4 configurations left out" in capsys.readouterr().out
    assert json.loads((tmp_path / "network.json").read_text())["measured"] == []


def test_windows_are_never_zeros_or_alike():
    windows = network.random_windows(5, 128)
    assert (windows.shape, windows.dtype) == ((5, 128), "complex64")
    assert (abs(windows) > 0).all()
    assert len({window.tobytes() for window in windows}) == 5


@pytest.mark.parametrize(("words", "code"), [([], 2), (["--help"], 0), (["nothing"], 2)])
def test_modes(capsys, words, code):
    assert main(words) == code
    said = capsys.readouterr()
    assert "network" in said.out + said.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    ("words", "message"),
    [(["--device=cuda"], "torch sees 0 CUDA"), ([*TOY, "--engines", "graphs"], "need a CUDA")],
)
def test_a_gpu_that_is_not_there_is_said(capsys, words, message):
    assert main(["network", *words]) == 2
    assert message in capsys.readouterr().err
