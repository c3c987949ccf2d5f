# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines: which there are, when one takes over from another, and what happens when one fails."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from gr_tsddae import Recognizer
from gr_tsddae.inference.engines import Engine, resolve_engine
from gr_tsddae.inference.engines import engine as engine_module
from gr_tsddae.inference.engines.compiled import CACHE_VARIABLE, CompiledTSNet
from gr_tsddae.inference.engines.openvino import OpenVino
from gr_tsddae.iq.windows import unit_power
from gr_tsddae.nets.tsnet.folded import FoldedTSNet

CPU = torch.device("cpu")
OPTIONS = {"device": "cpu", "precision": "float32", "batch_windows": 16}
BUSY_S = engine_module.BUSY_S

needs_openvino = pytest.mark.skipif(
    not engine_module.openvino_is_there(), reason="openvino is not installed"
)


@pytest.fixture
def eager(model_folder):
    return Recognizer(model_folder, engine="eager", **OPTIONS)


@pytest.fixture
def speed(monkeypatch):
    """Sets the seconds that an engine measures of each kind of network."""

    def set_to(**seconds):
        names = {FoldedTSNet: "eager", CompiledTSNet: "compiled", OpenVino: "openvino"}
        for measure in ("_seconds", "_seconds_of"):
            monkeypatch.setattr(Engine, measure, lambda _, way: seconds[names[type(way)]])

    return set_to


def engine(name, folded):
    return Engine(name, folded, unit_power, (16,))


def test_names():
    for name in ("auto", "eager", "compiled"):
        assert resolve_engine(name, CPU) == name
    with pytest.raises(
        ValueError, match="engine 'fast': choose auto, eager, openvino, compiled or graphs"
    ):
        resolve_engine("fast", CPU)
    with pytest.raises(ValueError, match="engine 'openvino' runs on a CPU, not on cuda"):
        resolve_engine("openvino", torch.device("cuda"))
    with pytest.raises(ValueError, match="engine 'graphs' needs a CUDA device"):
        resolve_engine("graphs", CPU)


def test_a_recognizer_refuses_what_there_is_not(model_folder):
    with pytest.raises(ValueError, match="engine 'graphs' needs a CUDA device"):
        Recognizer(model_folder, engine="graphs", **OPTIONS)


@pytest.mark.parametrize(("faster", "running"), [(True, "compiled"), (False, "eager")])
def test_what_is_compiled_takes_over_only_when_it_is_faster(folded, quick, speed, faster, running):
    speed(eager=1.0, compiled=0.5 if faster else 2.0)
    made = engine("compiled", folded)
    made.wait()
    assert made.running == running
    assert quick == [16]


def test_a_recognizer_changes_over_to_the_compiled_network(
    model_folder, eager, windows, quick, speed
):
    speed(eager=1.0, compiled=0.5)
    live = Recognizer(model_folder, engine="compiled", **OPTIONS)
    deadline = time.monotonic() + 60
    while live.engine != "compiled":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    quick.clear()
    wanted = eager.window_probabilities(windows)
    np.testing.assert_allclose(live.window_probabilities(windows), wanted, atol=1e-6)
    np.testing.assert_allclose(live.embed(windows), eager.embed(windows), atol=1e-5)
    assert quick == [16, 16, 16] * 2  # the rest of 8 is padded to 16


def test_openvino_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(engine_module, "openvino_is_there", lambda: False)
    with pytest.raises(
        ValueError,
        match=r"needs the package of that name; use auto, or run: .* -m pip install openvino",
    ):
        resolve_engine("openvino", CPU)


@needs_openvino
def test_openvino_asked_for_runs_from_the_first_window(model_folder, eager, windows):
    live = Recognizer(model_folder, engine="openvino", **OPTIONS)
    assert live.engine == "openvino"
    found = live.window_probabilities(windows)
    np.testing.assert_allclose(found, eager.window_probabilities(windows), atol=1e-5)
    assert np.array_equal(live.window_probabilities(windows), found)
    assert live.window_probabilities(windows[:0]).shape == (0, len(live.classes))
    assert np.array_equal(live.window_probabilities(windows[7:8]), found[7:8])
    np.testing.assert_allclose(live.embed(windows), eager.embed(windows), atol=1e-4)
    with pytest.raises(ValueError, match=r"windows have shape \(2, 100\)"):
        live.embed(windows[:2, :100])


@needs_openvino
@pytest.mark.parametrize(("faster", "running"), [(True, "openvino"), (False, "eager")])
def test_auto_takes_openvino_once_there_has_been_work_and_if_it_is_faster(
    folded, speed, faster, running
):
    speed(eager=1.0, openvino=0.5 if faster else 2.0)
    made = engine("auto", folded)
    made.worked(BUSY_S["openvino"])
    made.wait()
    assert made.running == "eager"
    made.worked(1e-3)
    made.wait()
    assert made.running == running


@needs_openvino
@pytest.mark.parametrize(
    ("ask", "fill"), [("window_probabilities", "fill"), ("embed", "fill_features")]
)
def test_an_openvino_that_fails_at_work_is_left(
    model_folder, eager, windows, caplog, monkeypatch, ask, fill
):
    """No window is lost, and the stream goes on."""

    def failing(openvino, found, windows):
        found[:3] = 7
        raise RuntimeError("no memory\nat all")

    live = Recognizer(model_folder, engine="openvino", **OPTIONS)
    monkeypatch.setattr(OpenVino, fill, failing)
    with caplog.at_level(logging.WARNING):
        found = getattr(live, ask)(windows)
    assert [r.getMessage() for r in caplog.records] == [
        "OpenVINO failed (no memory); going on without"
    ]
    assert live.engine == "eager"
    np.testing.assert_array_equal(found, getattr(eager, ask)(windows))


@needs_openvino
def test_auto_compiles_when_openvino_is_no_help(folded, quick, speed):
    speed(eager=1.0, openvino=2.0, compiled=0.5)
    made = engine("auto", folded)
    made.worked(BUSY_S["openvino"] + 1)
    made.wait()
    assert (made.running, quick) == ("eager", [])
    made.worked(BUSY_S["compiled"] + 1)
    made.wait()
    assert (made.running, quick) == ("compiled", [16])


def test_what_is_being_prepared_when_python_ends_is_no_failure(caplog):
    def late():
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    assert Engine._guarded("OpenVINO", late) is None
    assert not caplog.records


@needs_openvino
def test_an_openvino_that_cannot_be_made_leaves_the_eager_network(folded, monkeypatch, caplog):
    def broken(*arguments, **options):
        raise RuntimeError("no such operation\nand much more")

    monkeypatch.setattr(OpenVino, "__init__", broken)
    with caplog.at_level(logging.WARNING):
        made = engine("openvino", folded)
    assert [r.getMessage() for r in caplog.records] == [
        "OpenVINO failed (no such operation); going on without"
    ]
    assert made.running == "eager"


def test_auto_compiles_once_there_has_been_much_work(folded, quick, speed, monkeypatch):
    monkeypatch.setattr(engine_module, "openvino_is_there", lambda: False)
    speed(eager=1.0, compiled=2.0)
    made = engine("auto", folded)
    made.worked(BUSY_S["compiled"])
    made.wait()
    assert quick == []
    for _ in range(2):  # once is enough
        made.worked(BUSY_S["compiled"])
        made.wait()
        assert quick == [16]


def test_a_compiler_that_fails_leaves_the_eager_network(folded, monkeypatch, caplog):
    def broken(*arguments, **options):
        raise RuntimeError("no C++ compiler\nand much more")

    monkeypatch.setattr(torch, "compile", broken)
    monkeypatch.setattr(Engine, "_fill_cache", lambda self, tune: None)
    with caplog.at_level(logging.WARNING):
        made = engine("compiled", folded)
        made.wait()
    assert [r.getMessage() for r in caplog.records] == [
        "torch.compile failed (no C++ compiler); going on without"
    ]
    assert made.running == "eager"


def test_a_compiling_process_that_fails_is_said(folded, monkeypatch, caplog):
    """And nothing is compiled here then, where it would hold up the radio."""
    monkeypatch.setattr(engine_module.sys, "executable", "/bin/false")
    monkeypatch.setattr(torch, "compile", None)
    with caplog.at_level(logging.WARNING):
        made = engine("compiled", folded)
        made.wait()
    assert [r.getMessage() for r in caplog.records] == [
        "torch.compile failed (rc 1); going on without"
    ]
    assert made.running == "eager"


def test_a_compiling_process_does_not_look_into_the_users_folder(folded, monkeypatch, tmp_path):
    """Where a file of any name may lie, such as numpy.py."""
    spy = tmp_path / "python"
    spy.write_text(f'#!/bin/sh\npwd > {tmp_path}/folder\necho "$PYTHONPATH" > {tmp_path}/path\n')
    spy.chmod(0o755)
    monkeypatch.setattr(engine_module.sys, "executable", str(spy))
    monkeypatch.setattr(torch, "compile", None)
    engine("compiled", folded).wait()
    assert Path((tmp_path / "folder").read_text().strip()) != Path.cwd()
    assert all(Path(p).is_absolute() for p in (tmp_path / "path").read_text().split(os.pathsep))


@pytest.mark.timeout(120)
def test_a_program_may_end_while_it_compiles(model_folder, tmp_path):
    program = (
        "import time; from gr_tsddae import Recognizer;"
        f"r = Recognizer({str(model_folder)!r}, device='cpu', batch_windows=16, engine='compiled');"
        "time.sleep(1); print(r.engine)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, CACHE_VARIABLE: str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("eager\n", "", 0)


def test_a_gpu_that_dies_under_graphs_is_left_for_the_cpu(model_folder, windows, caplog):
    """The graphs are no more asked, and no window is lost."""

    class Dead:
        def fill(self, found, windows):
            raise RuntimeError("CUDA error: device lost\nCompile with ...")

    live = Recognizer(model_folder, engine="eager", **OPTIONS)
    wanted = live.window_probabilities(windows)
    lost = live._engine
    lost.graphs, live._device = Dead(), torch.device("meta")
    with caplog.at_level(logging.WARNING):
        found = live.window_probabilities(windows)
    assert np.array_equal(found, wanted)
    assert (live.device, live.device_failures, live.engine) == (CPU, 1, "eager")
    assert [r.getMessage() for r in caplog.records] == [
        "meta failed (CUDA error: device lost); going on with the CPU"
    ]
    assert np.array_equal(live.window_probabilities(windows), wanted)
