# SPDX-License-Identifier: GPL-3.0-or-later
"""MANIFEST.yml, which lists of GNU Radio modules read: one YAML document, true and installed."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

import gr_tsddae

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 reads no TOML")
ROOT = Path(__file__).resolve().parents[1]
# The fields of the template that gr_modtool makes, and the dependencies and release of CGRAN.
TEXTS = {"title", "version", "brief", "license", "stable_release", "description"}
LISTS = {"tags", "author", "copyright_owner", "gr_supported_version", "dependencies"}
ADDRESSES = {"repo", "website", "icon"}


@pytest.fixture(scope="module")
def manifest():
    return yaml.safe_load((ROOT / "MANIFEST.yml").read_text())


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_every_field_is_there(manifest):
    assert set(manifest) == TEXTS | LISTS | ADDRESSES | {"file_format"}
    assert manifest["file_format"] == 1
    for name in TEXTS:
        assert isinstance(manifest[name], str), name
        assert manifest[name].strip(), name
    for name in LISTS:
        assert manifest[name], name
        assert all(isinstance(entry, str) and entry for entry in manifest[name]), name
    for name in ADDRESSES:  # empty, or an address that everybody can open
        assert re.fullmatch(r"https://\S+", manifest[name] or "https://unknown"), name


def test_it_agrees_with_the_package(manifest, project):
    assert manifest["title"] == project["name"]
    assert manifest["version"] == gr_tsddae.__version__
    assert manifest["license"] == project["license"]["text"]
    needed = {re.match(r"[\w-]+", entry)[0] for entry in project["dependencies"]}
    assert needed <= {re.match(r"[\w-]+", entry)[0] for entry in manifest["dependencies"]}


def test_the_supported_versions_are_those_cmake_takes(manifest):
    wanted = re.search(r'find_package\(Gnuradio "([\d.]+)"', (ROOT / "CMakeLists.txt").read_text())
    assert manifest["gr_supported_version"] == [wanted[1]]


def test_it_is_installed():
    share = Path(sys.prefix) / "share" / "gnuradio"
    if not (share / "grc" / "blocks" / "tsddae_classifier.block.yml").exists():
        pytest.skip("gr-tsddae is not installed beside this Python")
    installed = share / "manifests" / "tsddae" / f"MANIFEST-{gr_tsddae.__version__}.yml"
    assert installed.read_text() == (ROOT / "MANIFEST.yml").read_text()
