# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/add-a-block.md, followed to the letter: the block in a flowgraph, its test, Companion."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
from pages import commands, run, write_files

PAGE = "add-a-block.md"
MADE = """
import sys
from gnuradio import gr
from gnuradio.grc.core.platform import Platform

platform = Platform(
    version=gr.version(),
    version_parts=(gr.major_version(), gr.api_version(), gr.minor_version()),
    prefs=gr.prefs(),
)
platform.build_library()
flowgraph = platform.make_flow_graph()
block = flowgraph.new_block("my_class_share")
flowgraph.rewrite()
flowgraph.validate()
namespace = {}
exec(block.templates.render("imports"), namespace)
made = eval(block.templates.render("make"), namespace)
for callback in block.templates.render("callbacks"):
    eval(f"made.{callback}", {"made": made})
print(type(made).__name__, made.worker.errors)
"""


@pytest.mark.timeout(600)
def test_the_test_of_the_page_passes(tmp_path):
    files = write_files(PAGE, tmp_path)
    (command,) = commands(PAGE)
    assert "2 passed" in run(command, tmp_path)
    assert set(files) == {"class_share.py", "my_class_share.block.yml", "test_class_share.py"}


def test_companion_makes_the_block_of_the_page(tmp_path):
    pytest.importorskip("gnuradio.grc.core.platform", reason="GNU Radio Companion is missing")
    write_files(PAGE, tmp_path)
    paths = {"GRC_BLOCKS_PATH": str(tmp_path)}
    paths["PYTHONPATH"] = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    found = subprocess.run(
        [sys.executable, "-c", MADE], capture_output=True, text=True, env=os.environ | paths
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[-1] == "class_share 0"
