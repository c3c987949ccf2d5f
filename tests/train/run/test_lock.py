# SPDX-License-Identifier: GPL-3.0-or-later
"""Two runs never write to one folder, and a run that died keeps nobody out."""

import fcntl
import sys

import numpy as np
import pytest

from gr_tsddae import zoo
from gr_tsddae.train import __main__ as command
from gr_tsddae.train.config import FewshotConfig, FinetuneConfig, PretrainConfig, ProbeConfig
from gr_tsddae.train.fewshot import fewshot
from gr_tsddae.train.finetune import finetune
from gr_tsddae.train.pretrain import pretrain
from gr_tsddae.train.probe import probe
from gr_tsddae.train.run.lock import LOCK_FILE, alone_in, claimed
from gr_tsddae.train.run.run import Run
from gr_tsddae.train.teach import TeachConfig, teach

ONCE = {"epochs": 1}


@pytest.fixture
def base(settings, tmp_path):
    pretrain(settings(PretrainConfig, tmp_path / "base", trainer=ONCE))
    return tmp_path / "base"


@pytest.fixture
def runs(settings, base, tmp_path):
    """Command -> what starts it, writing to `out`."""
    random = np.random.default_rng(1)
    for name, cycles in (("a", 0.05), ("b", 0.2)):
        iq = np.exp(2j * np.pi * cycles * np.arange(32 * 40)) + 0.1 * random.standard_normal(1280)
        (tmp_path / "mine" / name).mkdir(parents=True)
        iq.astype(np.complex64).tofile(tmp_path / "mine" / name / "1.cf32")
    taught = TeachConfig(
        captures=tmp_path / "mine", base=str(base), out=tmp_path / "out", shots=5, epochs=0,
        device="cpu",
    )  # fmt: skip
    return {
        "pretrain": lambda: pretrain(settings(PretrainConfig, trainer=ONCE)),
        "finetune": lambda: finetune(settings(FinetuneConfig, trainer=ONCE)),
        "probe": lambda: probe(settings(ProbeConfig, trainer=ONCE, init=base)),
        "fewshot": lambda: fewshot(settings(FewshotConfig, trainer=ONCE, shots=(2,))),
        "teach": lambda: teach(taught),
    }


def free(folder):
    """Whether another process could take the lock: it belongs to an open file, not to a process."""
    with (folder / LOCK_FILE).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


COMMANDS = ["pretrain", "finetune", "probe", "fewshot", "teach"]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_someone_writes_to_is_refused(name, runs, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with (out / LOCK_FILE).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match=r"out is .*out, where another process is writing"):
            runs[name]()
    assert [path.name for path in out.iterdir()] == [LOCK_FILE]
    runs[name]()  # the file is still there, and means nothing
    assert free(out)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_lock_is_held_until_the_model_is_written(name, runs, tmp_path, monkeypatch):
    save, seen = zoo.save, []

    def watched(folder, *arguments, **options):
        card = save(folder, *arguments, **options)
        seen.extend((free(folder), free(tmp_path / "out")))
        return card

    monkeypatch.setattr(zoo, "save", watched)
    runs[name]()
    assert seen == [False, False]


def test_who_has_the_lock_may_train(settings):
    """As the jobs of an experiment do."""
    config = settings(FinetuneConfig, trainer=ONCE)
    with claimed(config.out) as mine:
        assert mine
        finetune(config)
        assert not free(config.out)
        with alone_in(config.out):
            pass
        assert not free(config.out)
    assert free(config.out)


def test_only_the_first_process_of_a_run_locks(settings, monkeypatch):
    first = Run(settings(FinetuneConfig), validated=True)
    second = Run(settings(FinetuneConfig), validated=True)
    monkeypatch.setattr(type(second.trainer.strategy), "is_global_zero", False)
    assert not second.leads
    with second.alone():
        assert not (second.config.out / LOCK_FILE).exists()
    monkeypatch.undo()
    with first.alone():
        assert not free(first.config.out)


def test_it_is_said_in_one_line(settings, npz, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    out.mkdir()
    words = ["--name=x", f"--out={out}", "--data.kind=npz", f"--data.path={npz}"]
    more = ["--network.name=tsnet-nano", "--trainer.device=cpu"]
    monkeypatch.setattr(sys, "argv", ["train", "finetune", *words, *more])
    with (out / LOCK_FILE).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert command.main() == 1
    found = capsys.readouterr().err
    assert found.startswith("error: --out is") and found.count("\n") == 1
