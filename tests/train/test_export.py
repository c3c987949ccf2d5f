# SPDX-License-Identifier: GPL-3.0-or-later
"""Exported models say what the original says."""

import pytest
import torch
from safetensors.torch import load_file

from gr_tsddae import zoo
from gr_tsddae.train import export as exporting
from gr_tsddae.train.export import ExportConfig, export
from gr_tsddae.train.measure.predict import logits


def said(model, rows):
    return logits(model.network, rows, scaling=model.card.scaling).softmax(1)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("float16", torch.float16), ("float32", torch.float32)]
)
def test_a_folder_of_another_name_and_precision(model_folder, tmp_path, precision, dtype):
    before = zoo.load(model_folder)
    out = tmp_path / "new"
    difference = export(
        ExportConfig(
            model=str(model_folder), out=out, precision=precision, name="mine", licence="CC0-1.0",
        )
    )  # fmt: skip
    after = zoo.load(out)
    assert (after.card.name, after.card.licence) == ("mine", "CC0-1.0")
    assert after.card.classes == before.card.classes
    assert after.card.description == before.card.description
    stored = load_file(out / zoo.WEIGHTS_FILE)
    assert {t.dtype for t in stored.values() if t.is_floating_point()} == {dtype}
    rows = torch.randn(9, 2, 128)
    assert difference <= 1e-3
    torch.testing.assert_close(said(after, rows), said(before, rows), rtol=0, atol=2e-3)


def test_float32_weights_survive_unchanged(model_folder, tmp_path):
    model = zoo.load(model_folder)
    with torch.no_grad():
        model.network.head[-1].bias += 1e-5  # lost in float16
    fine = tmp_path / "fine"
    zoo.save(fine, model.card, model.network, half=False)
    assert export(ExportConfig(model=str(fine), out=tmp_path / "a", precision="float32")) == 0
    copied = zoo.load(tmp_path / "a").network.state_dict()
    assert all(torch.equal(copied[k], v) for k, v in model.network.state_dict().items())
    assert 0 < export(ExportConfig(model=str(fine), out=tmp_path / "b")) < 1e-3


def test_weights_that_float16_would_change_are_refused(model_folder, tmp_path, monkeypatch):
    model = zoo.load(model_folder)
    with torch.no_grad():
        model.network.head[-1].bias += 1e-4
    zoo.save(tmp_path / "fine", model.card, model.network, half=False)
    monkeypatch.setitem(exporting.TOLERANCE, "float16", 1e-9)
    with pytest.raises(ValueError, match="use --precision float32"):
        export(ExportConfig(model=str(tmp_path / "fine"), out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_program_runs_without_the_package_and_for_any_number_of_windows(model_folder, tmp_path):
    model = zoo.load(model_folder)
    out = tmp_path / "deep" / "model.pt2"
    assert export(ExportConfig(model=str(model_folder), out=out, format="pt2")) < 1e-5
    program = torch.export.load(out).module()
    for count in (1, 7):
        rows = 100 * torch.randn(count, 2, 128)  # unscaled
        torch.testing.assert_close(program(rows), said(model, rows), rtol=1e-4, atol=1e-5)
    assert [p.name for p in out.parent.iterdir()] == ["model.pt2"]


def test_what_cannot_be_exported(model_folder, tmp_path):
    with pytest.raises(ValueError, match="own folder"):
        export(ExportConfig(model=str(model_folder), out=model_folder))
    with pytest.raises(ValueError, match=r"ends in \.pt2"):
        ExportConfig(model="x", out=tmp_path / "a", format="pt2")
    with pytest.raises(ValueError, match="no card"):
        ExportConfig(model="x", out=tmp_path / "a.pt2", format="pt2", name="mine")
    with pytest.raises(ValueError, match="name is"):
        ExportConfig(model="x", out=tmp_path / "a", name="../x")
    with pytest.raises(zoo.ModelNotFoundError):
        export(ExportConfig(model="no-such-model", out=tmp_path / "a"))
