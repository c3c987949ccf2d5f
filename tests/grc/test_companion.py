# SPDX-License-Identifier: GPL-3.0-or-later
"""What GNU Radio Companion sees: every block's `make` with its defaults, every example compiled.

Companion does not compile templates itself, so a typo in a YAML file shows up only here or on a
user's screen.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")

ROOT = Path(__file__).resolve().parents[2]
BLOCK_FILES = sorted((ROOT / "grc").glob("*.block.yml"))
# Those that need a radio or another program have tests of their own, like test_radio_examples.py.
EXAMPLES = [ROOT / "examples" / "file_replay.grc"]


def _make(block, namespace, request):
    """Runs `make` as a generated flowgraph does; a block with a widget puts it into a window."""
    make = block.templates.render("make")
    if "gui_hint" not in block.params:
        return eval(make, namespace)
    widgets = pytest.importorskip("PyQt5.QtWidgets", reason="PyQt5 is not installed")
    request.getfixturevalue("application")
    window = widgets.QWidget()
    window.top_layout = widgets.QVBoxLayout(window)
    _keep.append(window)
    exec("\n".join(line.strip() for line in make.splitlines()), namespace | {"self": window})
    assert window.top_layout.count() == 1
    return window.made


def test_a_dataset_of_another_package_is_a_name_typed_in(platform):
    flowgraph = platform.make_flow_graph()
    block = flowgraph.new_block("tsddae_rml_source")
    block.params["kind"].set_value("npy-folder")
    flowgraph.rewrite()
    flowgraph.validate()
    assert "kind='npy-folder'," in block.templates.render("make")


_keep: list = []  # Qt's objects must outlive the blocks


@pytest.mark.parametrize("path", BLOCK_FILES, ids=lambda p: p.stem)
def test_make_with_defaults(path, platform, request):
    description = yaml.safe_load(path.read_text())
    assert description["category"] == "[TS-DDAE]"
    assert description["documentation"].strip()
    flowgraph = platform.make_flow_graph()
    block = flowgraph.new_block(description["id"])
    block.params["id"].set_value("made")
    variable = flowgraph.new_block("variable")  # every new flowgraph has this one
    variable.params["id"].set_value("samp_rate")
    variable.params["value"].set_value("32000")
    flowgraph.rewrite()
    flowgraph.validate()
    wrong = [
        message
        for message in block.get_error_messages()
        if "not connected" not in message  # nothing is connected here
    ]
    assert not wrong
    namespace: dict = {"samp_rate": 32000}
    for line in block.templates.render("imports").splitlines():
        exec(line, namespace)
    made = _make(block, namespace, request)
    # every callback is a method that takes the value it gets
    for callback in block.get_callbacks():
        exec(callback.replace("self.made", "made"), namespace | {"made": made})


@pytest.mark.parametrize("path", BLOCK_FILES, ids=lambda p: p.stem)
def test_yaml_mirrors_the_module(path):
    """Parameters are those of the Python constructor, and each is documented."""
    import inspect

    from gr_tsddae import blocks

    description = yaml.safe_load(path.read_text())
    name = description["id"].removeprefix("tsddae_")
    parameters = inspect.signature(getattr(blocks, name).__init__).parameters
    given = {p["id"] for p in description["parameters"] if p["dtype"] != "gui_hint"}
    assert given == set(parameters) - {"self"}
    for parameter in description["parameters"]:
        words = parameter["label"].split(" (")[0]  # without its unit
        assert words in description["documentation"], f"{words} is not documented"


def _compile(path: Path, out: Path) -> Path:
    environment = os.environ | {"GRC_BLOCKS_PATH": str(ROOT / "grc")}
    grcc = subprocess.run(
        [sys.executable, shutil.which("grcc"), "-o", str(out), str(path)],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert grcc.returncode == 0, grcc.stdout + grcc.stderr
    (made,) = out.glob("*.py")
    return made


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples_compile_and_run(path, tmp_path):
    made = _compile(path, tmp_path)
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    if "DISPLAY" not in environment:
        environment["QT_QPA_PLATFORM"] = "offscreen"
    process = subprocess.Popen(
        [sys.executable, str(made)], env=environment, cwd=tmp_path, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    lines = []
    for line in process.stdout:  # to its end, or to the first label
        lines.append(line)
        if "BPSK" in line:
            process.terminate()
    output = "".join(lines)
    process.wait()
    assert "Traceback" not in output, output
    assert "BPSK" in output, output[-2000:]


@pytest.mark.parametrize("path", BLOCK_FILES, ids=lambda p: p.stem)
def test_models_to_choose_from_are_those_shipped(path):
    from gr_tsddae import zoo

    for parameter in yaml.safe_load(path.read_text())["parameters"]:
        if parameter["id"] == "model":
            cards = [zoo.read_card(folder.parent) for folder in ROOT.glob("models/*/card.yaml")]
            names = {card.name for card in cards}
            if "denoiser" in path.name:
                names = {card.name for card in cards if card.task == zoo.DENOISING}
            elif "classifier" in path.name or "survey" in path.name:
                names = {card.name for card in cards if card.classes}
            assert {*parameter["options"]} - {"none"} == names
            assert parameter["dtype"] == "string"  # one of the user's own can be typed


def test_a_wrong_model_turns_the_block_red(tmp_path):
    path = tmp_path / "wrong.grc"
    text = (ROOT / "examples" / "file_replay.grc").read_text()
    path.write_text(text.replace("model: amc-nano", "model: amc-nanno"))
    environment = os.environ | {"GRC_BLOCKS_PATH": str(ROOT / "grc")}
    done = subprocess.run(
        [sys.executable, shutil.which("grcc"), "-o", str(tmp_path), str(path)],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode != 0
    assert (
        "Model is a name that `tsddae models` lists, or a model folder" in done.stdout + done.stderr
    )
