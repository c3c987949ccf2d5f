# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines: which there are, when one takes over from another, and what happens when one fails."""

import copy
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from gr_tsddae import Recognizer, nets
from gr_tsddae.inference.device import PRECISIONS
from gr_tsddae.inference.engines import Engine, resolve_engine
from gr_tsddae.inference.engines import engine as engine_module
from gr_tsddae.inference.engines import graphs as graphs_module
from gr_tsddae.inference.engines import openvino as openvino_module
from gr_tsddae.inference.engines.compiled import CACHE_VARIABLE, CompiledTSNet, keep_compiled_code
from gr_tsddae.inference.engines.graphs import Graphs
from gr_tsddae.inference.engines.openvino import OpenVino
from gr_tsddae.iq.windows import to_rows, unit_power
from gr_tsddae.nets.tsnet.folded import FoldedTSNet

CPU = torch.device("cpu")
OPTIONS = {"device": "cpu", "precision": "float32", "batch_windows": 16}

needs_openvino = pytest.mark.skipif(
    not engine_module.openvino_is_there(), reason="openvino is not installed"
)


@pytest.fixture(scope="module")
def folded(fill):
    """A folded tsnet-nano of one layer: quick to compile."""
    return FoldedTSNet(fill(nets.create("tsnet-nano", class_count=4, layers=1)), 128)


@pytest.fixture
def quick(monkeypatch):
    """Stands for torch.compile: calls the function as it is, and counts the calls."""
    calls = []

    def compiler(function, **options):
        def compiled(*arguments):
            calls.append(len(arguments[0]))
            return function(*arguments)

        return compiled

    monkeypatch.setattr(torch, "compile", compiler)
    monkeypatch.setattr(Engine, "_fill_cache", lambda self, tune: None)
    return calls


@pytest.fixture
def windows():
    """(40, 128) complex64 windows, unlike each other."""
    random = np.random.default_rng(2)
    tones = np.exp(1j * np.outer(np.linspace(-3, 3, 40), np.arange(128)))
    return (tones + 0.2 * random.standard_normal((40, 128))).astype(np.complex64)


@pytest.fixture
def rows():
    return torch.sin(torch.arange(16 * 2 * 128.0) ** 1.3).view(16, 2, 128)


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


@pytest.mark.timeout(170)
def test_compiled_gives_the_same(folded, rows, tmp_path, monkeypatch):
    """By the compiler that is installed; where there is none, the engine's fall-back has a test."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    try:
        compiled = CompiledTSNet(folded, (16,)).compile()
    except Exception as error:
        if "compiler" not in str(error).lower():
            raise
        pytest.skip(f"no C++ compiler: {error}")
    assert list(tmp_path.rglob("*.so")), "the cache must be where it was asked for"
    scaled = unit_power(rows)
    with torch.inference_mode():
        torch.testing.assert_close(compiled(scaled), folded(scaled), atol=1e-5, rtol=0)
        torch.testing.assert_close(compiled(scaled[:3]), folded(scaled[:3]), atol=1e-5, rtol=0)
        torch.testing.assert_close(compiled.embed(scaled), folded.embed(scaled), atol=1e-4, rtol=0)


def test_the_cache_is_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.setenv(CACHE_VARIABLE, "")  # so that it is put back afterwards
    monkeypatch.delenv(CACHE_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    keep_compiled_code()
    assert os.environ[CACHE_VARIABLE] == str(tmp_path / "gr-tsddae" / "inductor")
    monkeypatch.setenv(CACHE_VARIABLE, "/elsewhere")
    keep_compiled_code()
    assert os.environ[CACHE_VARIABLE] == "/elsewhere"


def test_only_full_batches_are_compiled(folded, rows, quick):
    compiled = CompiledTSNet(folded, (16,)).compile()
    assert quick == [16]
    with torch.inference_mode():
        for count in (16, 5, 16):
            assert torch.equal(compiled(rows[:count]), folded(rows[:count]))
    assert quick == [16, 16, 16]


@pytest.mark.parametrize(("faster", "running"), [(True, "compiled"), (False, "eager")])
def test_what_is_compiled_takes_over_only_when_it_is_faster(
    model_folder, windows, quick, monkeypatch, faster, running
):
    times = {FoldedTSNet: 1.0, CompiledTSNet: 0.5 if faster else 2.0}
    monkeypatch.setattr(Engine, "_seconds", lambda self, network: times[type(network)])
    eager = Recognizer(model_folder, engine="eager", **OPTIONS)
    live = Recognizer(model_folder, engine="compiled", **OPTIONS)
    live._engine.wait()
    assert (live.engine, eager.engine) == (running, "eager")
    wanted = eager.window_probabilities(windows)
    quick.clear()
    np.testing.assert_allclose(live.window_probabilities(windows), wanted, atol=1e-6)
    np.testing.assert_allclose(live.embed(windows), eager.embed(windows), atol=1e-5)
    assert quick == ([16, 16, 16] * 2 if faster else [])  # the rest of 8 is padded to 16


@pytest.mark.parametrize(("batch", "sizes"), [(16, (16,)), (100, (16, 32, 112)), (1, (1,))])
def test_sizes_are_those_that_batches_are_padded_to(model_folder, batch, sizes):
    live = Recognizer(model_folder, **(OPTIONS | {"batch_windows": batch, "engine": "eager"}))
    seen = []
    network = live._network

    def spy(rows):
        seen.append(len(rows))
        return network(rows)

    live._network = spy
    for count in (1, batch // 4, batch):
        live.window_probabilities(np.ones((count, 128), np.complex64))
    assert live._engine._batches == tuple(sorted(set(seen))) == sizes


def test_openvino_that_is_not_installed(monkeypatch, model_folder, windows):
    monkeypatch.setattr(engine_module, "openvino_is_there", lambda: False)
    with pytest.raises(ValueError, match="needs the package of that name; use auto, or pip"):
        resolve_engine("openvino", CPU)


@needs_openvino
@pytest.mark.parametrize("length", [128, 512])
def test_openvino_gives_the_same(fill, length):
    """For both ways to a spectrum; from rows that lie apart in memory, too."""
    folded = FoldedTSNet(fill(nets.create("tsnet-nano", class_count=4)), length)
    fast = OpenVino(folded, unit_power, threads=2)
    for count in (1, 3, 16, 40, 600):
        check_openvino(fast, folded, length, count)


def check_openvino(fast, folded, length, count):
    iq = np.exp(1j * np.arange(2 * count * length) ** 1.3).astype(np.complex64)
    windows = iq.reshape(count, 2 * length)[:, :length]
    with torch.inference_mode():
        scaled = unit_power(to_rows(torch.from_numpy(windows)))
        features = folded.embed(scaled).numpy()
        probabilities = folded(scaled).softmax(1).numpy()
    for fill_in, wanted in ((fast.fill, probabilities), (fast.fill_features, features)):
        found = np.full(wanted.shape, np.nan, np.float32)
        fill_in(found, windows)
        np.testing.assert_allclose(found, wanted, atol=1e-5 * max(1, np.abs(wanted).max(initial=0)))


@needs_openvino
def test_openvino_tells_nobody(model_folder, tmp_path):
    """Its own package for telemetry is not loaded, and leaves nothing in the user's home."""
    program = (
        "import sys; from gr_tsddae import Recognizer;"
        f"r = Recognizer({str(model_folder)!r}, device='cpu', batch_windows=16, engine='openvino');"
        "told = [n for n in sys.modules if n.startswith('openvino_telemetry') and sys.modules[n]];"
        "print(r.engine, told)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"HOME": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "openvino []\n", done.stderr
    assert not (tmp_path / "intel").exists()


@needs_openvino
def test_a_signal_after_openvino_was_freed_by_another_thread():
    """Its plugin leaves no signal stack behind that is not there any more."""
    program = """
import gc, os, signal, threading
from gr_tsddae import nets
from gr_tsddae.inference.engines.openvino import OpenVino
from gr_tsddae.iq.windows import unit_power
from gr_tsddae.nets.tsnet.folded import FoldedTSNet

network = nets.create("tsnet-nano", class_count=4, layers=1).eval()
held = [OpenVino(FoldedTSNet(network, 128), unit_power, threads=1, largest=1)]
thread = threading.Thread(target=lambda: (held.clear(), gc.collect()))
thread.start()
thread.join()
signal.signal(signal.SIGINT, lambda *_: print("heard"))
os.kill(os.getpid(), signal.SIGINT)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


@needs_openvino
def test_openvino_asked_for_runs_from_the_first_window(model_folder, windows):
    live = Recognizer(model_folder, engine="openvino", **OPTIONS)
    assert live.engine == "openvino"
    wanted = Recognizer(model_folder, engine="eager", **OPTIONS).window_probabilities(windows)
    found = live.window_probabilities(windows)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert not np.array_equal(found, wanted), "another way of adding ends in other last digits"
    assert np.array_equal(live.window_probabilities(windows), found)
    assert live.window_probabilities(windows[:0]).shape == (0, len(live.classes))
    assert np.array_equal(live.window_probabilities(windows[7:8]), found[7:8])
    eager = Recognizer(model_folder, engine="eager", **OPTIONS)
    np.testing.assert_allclose(live.embed(windows), eager.embed(windows), atol=1e-4)
    with pytest.raises(ValueError, match=r"windows have shape \(2, 100\)"):
        live.embed(windows[:2, :100])


@needs_openvino
@pytest.mark.parametrize(("faster", "running"), [(True, "openvino"), (False, "eager")])
def test_auto_takes_openvino_once_there_has_been_work_and_if_it_is_faster(
    model_folder, windows, monkeypatch, faster, running
):
    monkeypatch.setattr(Engine, "_seconds", lambda *_: 1.0)
    monkeypatch.setattr(Engine, "_seconds_of", lambda *_: 0.5 if faster else 2.0)
    live = Recognizer(model_folder, engine="auto", **OPTIONS)
    wanted = live.window_probabilities(windows)
    assert live._engine._thread is None
    live._engine.worked(engine_module.BUSY_S["openvino"])
    live._engine.wait()
    assert live.engine == running
    np.testing.assert_allclose(live.window_probabilities(windows), wanted, atol=1e-5)


@needs_openvino
def test_two_threads_may_ask_at_once(folded, windows):
    fast = OpenVino(folded, unit_power, threads=2)
    many = np.tile(windows, (20, 1))
    asked = {"forwards": many, "backwards": many[::-1]}
    wanted = {name: np.empty((len(many), 4), np.float32) for name in asked}
    found = {name: np.empty((20, len(many), 4), np.float32) for name in asked}
    for name in asked:
        fast.fill(wanted[name], asked[name])

    def ask(name):
        for place in found[name]:
            fast.fill(place, asked[name])

    threads = [threading.Thread(target=ask, args=(name,), daemon=True) for name in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    for name in asked:
        assert (found[name] == wanted[name]).all()


@needs_openvino
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_else_is_in_a_batch_changes_nothing(folded, windows, precision):
    fast = OpenVino(folded, unit_power, PRECISIONS[precision], threads=2)
    many = np.concatenate([windows * np.exp(0.1j * turn) for turn in range(15)])  # (600, L)
    many = many.astype(np.complex64)
    together, alone = (np.empty((600, 4), np.float32) for _ in range(2))
    fast.fill(together, many)
    for number in range(0, 600, 7):
        fast.fill(alone[number : number + 1], many[number : number + 1])
        if precision == "float32":
            assert np.array_equal(alone[number], together[number])
    np.testing.assert_allclose(alone[::7], together[::7], atol=0.02)


@needs_openvino
def test_openvino_on_a_processor_without_bfloat16(folded, windows, monkeypatch):
    """float32 then, as building for bfloat16 might fail there."""
    monkeypatch.setattr(openvino_module, "_has_bfloat16", lambda: False)
    found, wanted = (np.empty((40, 4), np.float32) for _ in range(2))
    OpenVino(folded, unit_power, torch.bfloat16, threads=2).fill(found, windows)
    OpenVino(folded, unit_power, threads=2).fill(wanted, windows)
    assert np.array_equal(found, wanted)


@needs_openvino
@pytest.mark.parametrize("ask", ["window_probabilities", "embed"])
def test_an_openvino_that_fails_at_work_is_left(model_folder, windows, caplog, ask):
    """No window is lost, nothing of the failed batch comes later, and the stream goes on."""
    live = Recognizer(model_folder, engine="openvino", **OPTIONS | {"batch_windows": 1024})
    wanted = getattr(Recognizer(model_folder, engine="eager", **OPTIONS), ask)(windows)
    queues, begun = live._engine.openvino._queues, []

    class Failing:
        def __init__(self, queue):
            self.queue = queue

        def start_async(self, *arguments):
            if begun:
                raise RuntimeError("no memory\nat all")
            begun.append(self.queue.start_async(*arguments))

        def wait_all(self):
            self.queue.wait_all()

    for share, queue in queues.items():
        queues[share] = Failing(queue)
    with caplog.at_level(logging.WARNING):
        found = getattr(live, ask)(np.tile(windows, (20, 1)))
    assert [r.getMessage() for r in caplog.records] == [
        "OpenVINO failed (no memory); going on without"
    ]
    assert live.engine == "eager"
    np.testing.assert_allclose(found, np.tile(wanted, (20, 1)), atol=1e-5)


@needs_openvino
def test_an_openvino_that_computes_nan_is_left(model_folder, windows, caplog):
    live = Recognizer(model_folder, engine="openvino", **OPTIONS)
    wanted = Recognizer(model_folder, engine="eager", **OPTIONS).window_probabilities(windows)
    broken = copy.deepcopy(live._network)
    broken.head[0].weight[0] = np.nan
    live._engine.openvino = OpenVino(broken, live._scale, largest=16)
    with caplog.at_level(logging.WARNING):
        found = live.window_probabilities(windows)
    assert [r.getMessage() for r in caplog.records] == [
        "OpenVINO failed (it computed NaN or infinity); going on without"
    ]
    assert live.engine == "eager"
    np.testing.assert_array_equal(found, wanted)


@needs_openvino
def test_openvino_shares_windows_between_cores(folded):
    fast = OpenVino(folded, unit_power, threads=2, largest=200)
    assert list(fast._queues) == [64, 16, 4, 1]
    assert list(OpenVino(folded, unit_power, threads=2, largest=40)._queues) == [16, 4, 1]
    for count in (0, 1, 2, 7, 31, 40, 600):
        shares = list(fast._shares(count, fast._queues))
        reached = 0
        for start, share in shares:
            assert start == reached, "none twice, none left out"
            reached += share
        assert reached == count
    assert [share for _, share in fast._shares(40, fast._queues)] == [16, 16, 4, 4]
    assert [share for _, share in fast._shares(7, fast._queues)] == [4, 1, 1, 1]


@needs_openvino
def test_auto_compiles_when_openvino_is_no_help(model_folder, quick, monkeypatch):
    monkeypatch.setattr(Engine, "_seconds", lambda *_: 1.0)
    monkeypatch.setattr(Engine, "_seconds_of", lambda *_: 2.0)
    live = Recognizer(model_folder, engine="auto", **OPTIONS)
    live._engine.worked(engine_module.BUSY_S["openvino"] + 1)
    live._engine.wait()
    assert (live.engine, quick) == ("eager", [])
    live._engine.worked(engine_module.BUSY_S["compiled"] + 1)
    live._engine.wait()
    assert quick == [16]


@needs_openvino
def test_an_openvino_that_fails_leaves_the_eager_network(
    model_folder, windows, monkeypatch, caplog
):
    def broken(*arguments, **options):
        raise RuntimeError("no such operation\nand much more")

    monkeypatch.setattr(OpenVino, "__init__", broken)
    with caplog.at_level(logging.WARNING):
        live = Recognizer(model_folder, engine="openvino", **OPTIONS)
    assert [r.getMessage() for r in caplog.records] == [
        "OpenVINO failed (no such operation); going on without"
    ]
    assert live.engine == "eager"
    assert np.isfinite(live.window_probabilities(windows)).all()


def test_auto_compiles_once_there_has_been_much_work(model_folder, windows, quick, monkeypatch):
    monkeypatch.setattr(engine_module, "openvino_is_there", lambda: False)
    monkeypatch.setattr(Engine, "_seconds", lambda *_: 1.0)
    live = Recognizer(model_folder, engine="auto", **OPTIONS)
    live.window_probabilities(windows)
    assert live._engine._thread is None
    live._engine.worked(engine_module.BUSY_S["compiled"])
    live._engine.wait()
    assert quick == [16]
    live._engine.worked(engine_module.BUSY_S["compiled"])
    live._engine.wait()
    assert quick == [16], "once is enough"


def test_a_compiler_that_fails_leaves_the_eager_network(model_folder, windows, monkeypatch, caplog):
    def broken(*arguments, **options):
        raise RuntimeError("no C++ compiler\nand much more")

    monkeypatch.setattr(torch, "compile", broken)
    monkeypatch.setattr(Engine, "_fill_cache", lambda self, tune: None)
    with caplog.at_level(logging.WARNING):
        live = Recognizer(model_folder, engine="compiled", **OPTIONS)
        live._engine.wait()
    assert [r.getMessage() for r in caplog.records] == [
        "torch.compile failed (no C++ compiler); going on without"
    ]
    assert live.engine == "eager"
    wanted = Recognizer(model_folder, engine="eager", **OPTIONS).window_probabilities(windows)
    assert np.array_equal(live.window_probabilities(windows), wanted)


def test_a_compiling_process_that_fails_is_said(model_folder, monkeypatch, caplog):
    """And nothing is compiled here then, where it would hold up the radio."""
    monkeypatch.setattr(engine_module.sys, "executable", "/bin/false")
    monkeypatch.setattr(torch, "compile", None)
    with caplog.at_level(logging.WARNING):
        live = Recognizer(model_folder, engine="compiled", **OPTIONS)
        live._engine.wait()
    assert [r.getMessage() for r in caplog.records] == [
        "torch.compile failed (rc 1); going on without"
    ]
    assert live.engine == "eager"


def test_a_compiling_process_does_not_look_into_the_users_folder(
    model_folder, monkeypatch, tmp_path
):
    """Where a file of any name may lie, such as numpy.py."""
    spy = tmp_path / "python"
    spy.write_text(f'#!/bin/sh\npwd > {tmp_path}/folder\necho "$PYTHONPATH" > {tmp_path}/path\n')
    spy.chmod(0o755)
    monkeypatch.setattr(engine_module.sys, "executable", str(spy))
    monkeypatch.setattr(torch, "compile", None)
    Recognizer(model_folder, engine="compiled", **OPTIONS)._engine.wait()
    assert Path((tmp_path / "folder").read_text().strip()) != Path.cwd()
    assert all(Path(p).is_absolute() for p in (tmp_path / "path").read_text().split(os.pathsep))


@pytest.mark.timeout(120)
def test_a_program_may_end_while_it_compiles(model_folder, tmp_path):
    program = (
        "import time; from gr_tsddae import Recognizer;"
        f"r = Recognizer({str(model_folder)!r}, device='cpu', batch_windows=16, engine='compiled');"
        "time.sleep(1); print(r.engine, r._engine._thread.is_alive())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, CACHE_VARIABLE: str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("eager True\n", "", 0)


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
    assert live._engine not in (None, lost), "the CPU has an engine of its own"


class Slot:
    """Stands for `engines.graphs._Slot`: computes when it is launched."""

    def __init__(self, compute, window_samples, size, work, pool):
        self.size, self.compute = size, compute
        self.received = torch.zeros(size, 2)
        self.launched, self.done = 0, self
        self.busy = False

    def launch(self, windows, copies, work):
        assert not self.busy, "a slot is used again only when its result was fetched"
        assert len(windows) <= self.size
        self.busy, self.launched = True, self.launched + 1
        self.received[: len(windows)] = self.compute(torch.from_numpy(windows))

    def synchronize(self):
        self.busy = False


@pytest.mark.parametrize("count", [0, 1, 4, 5, 15, 16, 17, 33, 80])
def test_graphs_hand_out_batches_and_put_the_results_together(monkeypatch, count):
    """The order of things, without a GPU: slots in turn, padding, the smallest size that fits."""
    for name in ("Stream", "graph_pool_handle"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    monkeypatch.setattr(graphs_module, "_Slot", Slot)
    monkeypatch.setattr(torch.cuda, "device", lambda device: threading.Lock())
    graphs = Graphs(lambda windows: torch.view_as_real(windows[:, 0]), 3, (4, 16), CPU)
    windows = (np.arange(count * 3).reshape(count, 3) * (1 + 2j)).astype(np.complex64)
    found = np.full((count, 2), np.nan, np.float32)
    graphs.fill(found, windows)
    assert np.array_equal(found, np.stack([windows[:, 0].real, windows[:, 0].imag], 1))
    small = sum(slot.launched for slot in graphs._slots[4])
    large = sum(slot.launched for slot in graphs._slots[16])
    rest = count % 16
    assert (small, large) == (int(0 < rest <= 4), count // 16 + (rest > 4))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_graphs_agree_with_the_cpu(model_folder, windows):
    gpu = Recognizer(
        model_folder, device="cuda", precision="float32", batch_windows=16, engine="graphs"
    )
    wanted = Recognizer(model_folder, engine="eager", **OPTIONS).window_probabilities(windows)
    assert "graphs" in gpu.engine
    np.testing.assert_allclose(gpu.window_probabilities(windows), wanted, atol=1e-3)
    gpu._engine.wait()
    np.testing.assert_allclose(gpu.window_probabilities(windows), wanted, atol=1e-3)
