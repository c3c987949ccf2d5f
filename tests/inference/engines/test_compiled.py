# SPDX-License-Identifier: GPL-3.0-or-later
"""A compiled TS-Net gives what the folded one gives."""

import os

import pytest
import torch

from gr_tsddae.inference.engines.compiled import CACHE_VARIABLE, CompiledTSNet, keep_compiled_code
from gr_tsddae.iq.windows import unit_power


def test_compiled_gives_the_same(folded, rows, tmp_path, monkeypatch):
    """By the compiler that is installed; where it fails, the engine's fall-back has a test."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    try:
        compiled = CompiledTSNet(folded, (16,)).compile()
    except Exception as error:
        told = str(error).lower()
        if "compiler" not in told and "fatal error: aten/" not in told:  # as Debian's torch is
            raise
        pytest.skip(f"no C++ compiler, or a torch without its headers: {error}")
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
