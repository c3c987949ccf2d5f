# SPDX-License-Identifier: GPL-3.0-or-later
"""A TS-Net by OpenVINO gives what the folded one gives, and fails without harm."""

import copy
import logging
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from gr_tsddae import nets
from gr_tsddae.inference.device import PRECISIONS
from gr_tsddae.inference.engines import openvino as openvino_module
from gr_tsddae.inference.engines.engine import openvino_is_there
from gr_tsddae.inference.engines.openvino import OpenVino
from gr_tsddae.iq.windows import to_rows, unit_power
from gr_tsddae.nets.tsnet.folded import FoldedTSNet

pytestmark = pytest.mark.skipif(not openvino_is_there(), reason="openvino is not installed")


ROWS = {"derived": True, "lags": True}


@pytest.mark.parametrize(("length", "options"), [(128, {}), (128, ROWS), (512, ROWS)])
def test_openvino_gives_the_same(fill, length, options):
    """For both ways to a spectrum and all rows; from rows that lie apart in memory, too."""
    folded = FoldedTSNet(fill(nets.create("tsnet-nano", class_count=4, **options)), length)
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


@pytest.mark.parametrize("count", [1, 2, 7, 31, 40, 600])
@pytest.mark.parametrize("largest", [40, 200])
def test_every_window_is_computed_once_in_its_place(folded, one_by_one, count, largest):
    """However the windows are shared between cores."""
    fast = one_by_one(largest)
    windows = np.exp(1j * np.outer(np.linspace(-3, 3, count), np.arange(128)))
    found = np.full((count, 4), np.nan, np.float32)
    fast.fill(found, windows.astype(np.complex64))
    with torch.inference_mode():
        scaled = unit_power(to_rows(torch.from_numpy(windows.astype(np.complex64))))
        np.testing.assert_allclose(found, folded(scaled).softmax(1).numpy(), atol=1e-5)


@pytest.fixture(scope="module")
def one_by_one(folded):
    """Gives an OpenVino for so many windows at most, each made once."""
    made = {}

    def get(largest):
        if largest not in made:
            made[largest] = OpenVino(folded, unit_power, threads=2, largest=largest)
        return made[largest]

    return get


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


def test_conversions_take_turns(folded, monkeypatch):
    """Two at once could leave the root logger at ERROR, and the receiver's warnings unheard."""
    import openvino

    level, inside, failed = logging.root.level, threading.Lock(), []
    convert = openvino.convert_model

    def alone(*arguments, **options):
        if not inside.acquire(blocking=False):
            failed.append("two conversions at once")
        try:
            return convert(*arguments, **options)
        finally:
            inside.release()

    monkeypatch.setattr(openvino, "convert_model", alone)
    made = threading.Barrier(2)

    def make():
        made.wait(60)
        OpenVino(folded, unit_power, threads=1, largest=1)

    threads = [threading.Thread(target=make, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failed
    assert logging.root.level == level


def test_two_threads_may_ask_at_once(one_by_one, windows):
    fast = one_by_one(200)
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


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_else_is_in_a_batch_changes_nothing(folded, windows, precision):
    fast = OpenVino(folded, unit_power, PRECISIONS[precision], threads=2, largest=600)
    many = np.concatenate([windows * np.exp(0.1j * turn) for turn in range(15)])  # (600, L)
    many = many.astype(np.complex64)
    together, alone = (np.empty((600, 4), np.float32) for _ in range(2))
    fast.fill(together, many)
    for number in range(0, 600, 7):
        fast.fill(alone[number : number + 1], many[number : number + 1])
        if precision == "float32":
            assert np.array_equal(alone[number], together[number])
    np.testing.assert_allclose(alone[::7], together[::7], atol=0.02)


def test_openvino_on_a_processor_without_bfloat16(folded, one_by_one, windows, monkeypatch):
    """float32 then, as building for bfloat16 might fail there."""
    monkeypatch.setattr(openvino_module, "_has_bfloat16", lambda: False)
    found, wanted = (np.empty((40, 4), np.float32) for _ in range(2))
    OpenVino(folded, unit_power, torch.bfloat16, threads=2, largest=200).fill(found, windows)
    one_by_one(200).fill(wanted, windows)
    assert np.array_equal(found, wanted)


def test_nan_is_an_error(folded, windows):
    broken = copy.deepcopy(folded)
    with torch.no_grad():
        broken.head[0].weight[0] = np.nan
    fast = OpenVino(broken, unit_power, threads=1, largest=1)
    with pytest.raises(RuntimeError, match="it computed NaN or infinity"):
        fast.fill(np.empty((40, 4), np.float32), windows)


def test_nothing_of_a_failed_batch_comes_later(folded, windows, monkeypatch):
    import openvino

    fast = OpenVino(folded, unit_power, threads=1, largest=16)
    start_async, begun = openvino.AsyncInferQueue.start_async, []

    def failing(queue, *arguments):
        if begun:
            raise RuntimeError("no memory")
        begun.append(start_async(queue, *arguments))

    monkeypatch.setattr(openvino.AsyncInferQueue, "start_async", failing)
    found = np.zeros((40, 4), np.float32)
    with pytest.raises(RuntimeError, match="no memory"):
        fast.fill(found, windows)
    assert begun and found.any(), "what was begun is there when the error comes"
