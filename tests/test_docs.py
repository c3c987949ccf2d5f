# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages in docs/: their code runs, their links lead somewhere, the index has them all."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
IMAGES_BYTES = 2_750_000


def programs(page: str) -> dict[str, str]:
    """Code blocks of a page whose first line is the comment with their file's name."""
    code = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    found = {}
    for text in code:
        name = re.match(r"# (\w+\.py)\n", text)
        if name:
            found[name[1]] = text
    return found


def test_read_the_results(tmp_path):
    """The page's program says of the shipped recording what the page says it says."""
    pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
    pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
    for name, text in programs("read-the-results.md").items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "watch.py"], cwd=tmp_path, env=dict(os.environ), capture_output=True,
        text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = re.findall(r"^([\d.]+) s: BPSK (came|went)", done.stdout, re.MULTILINE)
    page = (DOCS / "read-the-results.md").read_text()
    assert said
    assert said == re.findall(r"^ +([\d.]+) s: BPSK (came|went)", page, re.MULTILINE)


def test_results_are_read_as_the_page_says(tmp_path):
    pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
    pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
    import pmt
    from gnuradio import blocks, gr

    from gr_tsddae import Recognizer
    from gr_tsddae.blocks import classifier

    namespace: dict = {}
    exec(programs("read-the-results.md")["results.py"], namespace)
    random = np.random.default_rng(3)
    parts = random.standard_normal((2, 40, 128))
    windows = (parts[0] + 1j * parts[1]).astype(np.complex64)

    heard = []

    class Listener(gr.basic_block):
        def __init__(self):
            gr.basic_block.__init__(self, name="listener", in_sig=None, out_sig=None)
            self.message_port_register_in(pmt.intern("results"))
            self.set_msg_handler(pmt.intern("results"), self.on_results)

        def on_results(self, message):
            heard.append(namespace["window_probabilities"](message))

    flowgraph = gr.top_block()
    source, listener = blocks.vector_source_c(windows.reshape(-1).tolist()), Listener()
    block = classifier(overflow="block", device="cpu", precision="float32")
    flowgraph.connect(source, block)
    flowgraph.msg_connect(block, "results", listener, "results")
    flowgraph.run()
    recognizer = Recognizer("amc-nano", device="cpu", precision="float32")
    assert {tuple(classes) for classes, *_ in heard} == {recognizer.classes}
    assert np.concatenate([first for _, first, _ in heard]).tolist() == [*range(0, 40 * 128, 128)]
    probabilities = np.concatenate([values for *_, values in heard])
    assert np.allclose(probabilities, recognizer.window_probabilities(windows), atol=1e-5)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda p: p.stem)
def test_names_that_pages_import_are_there(page):
    for code in re.findall(r"^```python$(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("gr_tsddae"):
                module = importlib.import_module(node.module)
                for name in node.names:
                    assert hasattr(module, name.name) or importlib.util.find_spec(
                        f"{node.module}.{name.name}"
                    ), f"{page.name} imports {name.name} from {node.module}"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda p: p.stem)
def test_links_lead_somewhere(page):
    for target, _, anchor in re.findall(r"\]\(([^)#\s]*)(#([^)]*))?\)", page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        file = page.parent / target if target else page
        assert file.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """The names that headings of a page have in links, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_tests_that_the_page_of_formats_names_are_there():
    """`FILE.py` is below tests/iq/ or tests/; `FILE.py::NAME` is a test in it."""
    named = re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", (DOCS / "opens.md").read_text())
    assert len(named) > 40
    for file, test in named:
        found = [path for top in ("tests/iq", "tests", ".") if (path := ROOT / top / file).exists()]
        assert found, f"opens.md names {file}"
        assert not test or f"def {test}(" in found[0].read_text(), f"opens.md names {file}::{test}"


def test_the_index_names_every_page():
    index = (DOCS / "README.md").read_text()
    for page in PAGES:
        if page.name != "README.md":
            assert f"({page.name})" in index, f"{page.name} is not in docs/README.md"


def test_pictures_are_small():
    sizes = {path: path.stat().st_size for path in (DOCS / "images").glob("*")}
    assert all(size <= 120_000 for size in sizes.values()), sizes
    assert sum(sizes.values()) < IMAGES_BYTES


def test_the_architecture_names_files_that_exist():
    """Every path on the page in code is a file or folder, below the root or the package."""
    text = (DOCS / "ARCHITECTURE.md").read_text()
    named = re.findall(r"`([\w./*]+(?:/|\.py|\.cc))`", text)
    assert len(named) > 40
    for path in named:
        found = [*ROOT.glob(path), *(ROOT / "python" / "gr_tsddae").glob(path)]
        assert found, f"ARCHITECTURE.md names {path}"


def test_figures_of_the_models_are_those_of_the_pages_they_link_to():
    """Numbers on which.md that lead to a page stand on that page, and every model has a row."""
    rows = re.findall(r"^\| `([\w-]+)` \|(.*)", (DOCS / "which.md").read_text(), re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(
        path.parent.name for path in ROOT.glob("models/*/card.yaml")
    )
    for name, cells in rows:
        for text, page in re.findall(r"\[([^\]]*\d[^\]]*)\]\(([\w-]+\.md)#?[^)]*\)", cells):
            said = re.findall(r"\d+(?:\.\d+)?", text)
            assert said and all(
                re.search(rf"(?<![\d.]){figure}(?![\d.]*\d)", (DOCS / page).read_text())
                for figure in said
            ), (name, text)
