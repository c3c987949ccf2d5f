"""`tsddae synth air`: a file that the reader of archives takes."""

import numpy as np
import pytest

from gr_tsddae.data import open_dataset
from gr_tsddae.synth import air
from gr_tsddae.synth.__main__ import main


def test_the_file_holds_every_class_at_every_level(tmp_path):
    out = tmp_path / "air.npz"
    assert main(["air", str(out), "--windows", "2", "--snrs", "5", "15", "10"]) == 0
    dataset = open_dataset("npz", out)
    assert len(dataset) == 19 * 2 * 2 and dataset.window_samples == 1024
    assert sorted(dataset.classes) == sorted(air.CLASSES)
    assert sorted(set(np.asarray(dataset.level_db).tolist())) == [5, 15]
    assert np.isfinite(dataset.rows(np.arange(len(dataset)))).all()


def test_the_same_seed_gives_the_same_file(tmp_path):
    def written(name, seed):
        words = ["air", str(tmp_path / name), "--windows", "1", "--snrs", "9", "9", "1"]
        assert main([*words, "--seed", seed]) == 0
        return np.load(tmp_path / name)["X"]

    assert np.array_equal(written("a.npz", "3"), written("b.npz", "3"))
    assert not np.array_equal(written("c.npz", "4"), np.load(tmp_path / "a.npz")["X"])


def test_nothing_is_overwritten(tmp_path, capsys):
    out = tmp_path / "there.npz"
    out.write_text("mine")
    assert main(["air", str(out), "--windows", "1", "--snrs", "9", "9", "1"]) == 1
    assert "there.npz" in capsys.readouterr().err
    assert out.read_text() == "mine"


@pytest.mark.parametrize("snrs", [("10", "0", "5"), ("0", "10", "0")])
def test_levels_out_of_order_are_refused(tmp_path, snrs, capsys):
    assert main(["air", str(tmp_path / "x.npz"), "--snrs", *snrs]) == 1
    assert "--snrs" in capsys.readouterr().err
