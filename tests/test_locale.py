# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands in a locale that knows ASCII alone, with names and labels that have more."""

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from gr_tsddae import nets, zoo
from gr_tsddae.iq.captures import open_capture

CLASSES = ("Türöffner", "шум")


def run(*command, folder):
    """Run `python -m gr_tsddae.COMMAND` in `folder`; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", f"gr_tsddae.{command[0]}", *command[1:]],
        cwd=folder,
        env=os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
    )
    said = done.stdout + done.stderr
    assert b"Traceback" not in said and not done.returncode, said.decode(errors="replace")
    return done.stdout.decode("ascii", "surrogateescape")


@pytest.fixture
def folder(tmp_path):
    """Recordings of two classes below `größe`; the first is named by a sidecar."""
    for number, name in enumerate(("größe/a/x.cf32", "größe/шум/é.cf32")):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        np.random.default_rng(number).normal(size=(4000, 2)).astype("<f4").tofile(path)
    (tmp_path / "größe/a/x.yaml").write_text(f"label: {CLASSES[0]}\n", encoding="utf-8")
    return tmp_path


def test_a_dataset_is_counted_and_written(folder):
    said = run("data", "summary", "captures", "größe", folder=folder)
    assert "T\\xfcr\\xf6ffner" in said  # readable, where the terminal cannot show it
    run("data", "to-file", "captures", "größe", "größe-alles", folder=folder)
    with open_capture(folder / "größe-alles.sigmf-meta") as capture:
        assert CLASSES[0] in {each.label for each in capture.annotations}


def test_a_recording_is_classified(folder, model_folder, fill):
    """By a model whose classes have names in other scripts."""
    card = dataclasses.replace(
        zoo.load(model_folder).card, classes=CLASSES, description="Türen und 雑音"
    )
    network = fill(nets.create("tsnet-nano", class_count=len(CLASSES)))
    zoo.save(folder / "modèle", card, network)
    for out in (["--json", "--annotations", "größe/résultat"], []):
        run("classify", "größe/a/x.cf32", "--model", "modèle", *out, folder=folder)
    metadata = json.loads((folder / "größe/résultat.sigmf-meta").read_text(encoding="utf-8"))
    assert {each["core:label"] for each in metadata["annotations"]} <= {*CLASSES, "unknown"}
