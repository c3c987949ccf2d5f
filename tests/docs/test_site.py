# SPDX-License-Identifier: GPL-3.0-or-later
"""`make docs`: the site has every page, its links lead somewhere, and it needs no network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = [path.stem for path in ROOT.glob("docs/*.md")]
EXAMPLES = sorted(path.stem for path in ROOT.glob("examples/*.grc"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build as `make docs` does: a broken link, or a page in no list of docs/README.md, fails."""
    for need in ("mkdocs", "material", "mkdocstrings_handlers.python"):
        pytest.importorskip(need, reason="pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
        timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_and_every_example_is_there(site):
    for page in PAGES:
        assert (site / "docs" / f"{'index' if page == 'README' else page}.html").exists()
    gallery = (site / "examples" / "index.html").read_text()
    pictures = re.findall(r'<img alt="[\w-]+" src="\.\./docs/images/([\w-]+)\.png"', gallery)
    for name in EXAMPLES:
        assert f'id="{name}"' in gallery
        assert (site / "examples" / f"{name}.grc").exists()
        for path in ROOT.glob(f"docs/images/{name}[.-]*png"):
            assert path.stem in pictures and (site / "docs" / "images" / path.name).exists()


def test_the_reference_has_arguments_from_docstrings(site):
    page = (site / "api" / "recognise.html").read_text()
    assert 'id="gr_tsddae.inference.recognizer.Recognizer.predict"' in page
    assert "bfloat16 where the hardware multiplies it fast" in page


def test_no_page_loads_anything_from_the_network(site):
    pages = [*site.rglob("*.html")]
    assert len(pages) > len(PAGES)
    for path in pages:
        loaded = re.findall(
            r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=\"?(http[^\" >]*)", path.read_text()
        )
        assert not loaded, f"{path.name}: {loaded}"


def test_the_gallery_says_of_each_example_what_it_says_of_itself():
    text = (ROOT / "examples" / "README.md").read_text()
    for name in EXAMPLES:
        head = (ROOT / "examples" / f"{name}.grc").read_text().partition("\nblocks:")[0]
        says = yaml.safe_load(head)["options"]["parameters"]["description"]
        assert f"* [{name}.grc]({name}.grc): {says}\n" in text
