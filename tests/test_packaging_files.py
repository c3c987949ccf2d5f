# SPDX-License-Identifier: GPL-3.0-or-later
"""What packagers read: conda's recipe, the Dockerfile, PyBOMBS's recipe, CI, the citation."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
import yaml

import gr_tsddae

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 reads no TOML")
ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / ".conda" / "recipe"
VERSION = gr_tsddae.__version__
# Name on PyPI -> name in conda-forge.
CONDA_NAMES = {"torch": "pytorch", "PyYAML": "pyyaml"}


@pytest.fixture(scope="module")
def recipe():
    """The recipe without its Jinja, which conda-build replaces by compilers."""
    text = re.sub(r"\{\{.*?\}\}", "compiler", (RECIPE / "meta.yaml").read_text())
    return yaml.safe_load(text)


@pytest.fixture(scope="module")
def workflow():
    return yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())


def test_one_version_everywhere(recipe):
    assert recipe["package"]["version"] == VERSION
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == VERSION
    assert yaml.safe_load((ROOT / "MANIFEST.yml").read_text())["version"] == VERSION
    cmake = (ROOT / "CMakeLists.txt").read_text()
    assert "python/gr_tsddae/__init__.py TSDDAE_VERSION" in cmake, "CMake reads it there"
    debian = ROOT / "debian" / "changelog"
    assert debian.read_text().startswith(f"gr-tsddae ({VERSION}-")


def test_conda_installs_what_pip_would(recipe):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.match(r"[\w-]+", entry)[0]: entry for entry in project["dependencies"]}
    runs = {entry.split()[0]: entry for entry in recipe["requirements"]["run"]}
    for name, entry in needed.items():
        least = re.search(r">=[\d.]+", entry)
        there = runs[CONDA_NAMES.get(name, name)]
        assert least is None or least[0] in there, f"{there} is older than {entry}"


def test_conda_tests_with_every_module_that_an_example_needs(recipe):
    """grcc refuses a flowgraph with an unknown block."""
    requires = {
        "osmosdr_": "gnuradio-osmosdr", "soapy_": "gnuradio-soapy", "uhd_": "gnuradio-uhd",
        "zeromq_": "gnuradio-zeromq", "qtgui_": "gnuradio-qtgui",
    }  # fmt: skip
    kinds = {
        kind
        for file in (ROOT / "examples").glob("*.grc")
        for kind in re.findall(r"^  id: (\w+)$", file.read_text(), re.M)
    }
    used = {name for start, name in requires.items() for kind in kinds if kind.startswith(start)}
    assert "gnuradio-qtgui" in used and used <= set(recipe["test"]["requires"])


@pytest.mark.skipif(shutil.which("c++") is None, reason="needs a compiler")
def test_the_definitions_make_the_mark_that_gnuradio_has():
    """Compiled with them, pybind11 shares classes with GNU Radio, whatever the compiler is."""
    gr = pytest.importorskip("gnuradio.gr.gr_python", reason="GNU Radio is not installed")
    said = subprocess.run(
        ["bash", RECIPE / "pybind11_abi", "/nowhere", Path(gr.__file__).parents[2]],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    definitions = shlex.split(said.stdout)
    assert len(definitions) == 2
    other = ["-DPYBIND11_COMPILER_TYPE=\"_other\"", "-DPYBIND11_BUILD_ABI=\"_abi\""]  # fmt: skip
    assert mark(definitions).encode() in Path(gr.__file__).read_bytes()
    assert mark(other).encode() not in Path(gr.__file__).read_bytes()


def mark(definitions: list[str]) -> str:
    """The text by which pybind11's modules know each other."""
    source = "#include <pybind11/detail/internals.h>\n>>> PYBIND11_INTERNALS_ID\n"
    done = subprocess.run(
        ["c++", "-std=c++17", "-E", "-P", "-x", "c++", "-", *definitions,
         f"-I{sysconfig.get_path('include')}"],
        input=source, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        pytest.skip("pybind11's or Python's headers are not installed")
    return "".join(re.findall(r'"([^"]*)"', done.stdout.rpartition(">>>")[2]))


def test_a_prefix_without_gnuradio_is_refused(tmp_path):
    done = subprocess.run(
        ["bash", RECIPE / "pybind11_abi", tmp_path, tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 1 and "no GNU Radio" in done.stderr


def test_scripts_of_the_recipe_are_shell(tmp_path):
    for script in (*RECIPE.glob("*.sh"), RECIPE / "pybind11_abi", ROOT / "tools/install_torch"):
        subprocess.run(["bash", "-n", script], check=True)


def test_ci_runs_the_targets_of_make_on_the_supported_systems(workflow):
    jobs = workflow["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["image"] == [
        "debian:bookworm", "debian:trixie", "ubuntu:24.04", "ubuntu:26.04",
    ]  # fmt: skip
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.M)[1].split()
    runs = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    called = {words[1] for run in runs if (words := run.split())[0] == "make"}
    assert {"lint", "test", "demo"} <= called <= set(targets)


def test_the_image_copies_nothing_that_was_built_here():
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".venv", "build", ".git"} <= set(ignored)
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    steps = [line.split()[0] for line in lines if re.match(r"[A-Z]+ ", line)]
    assert steps[0] == "FROM" and steps[-1] == "CMD" and "USER" in steps


def test_the_recipe_of_pybombs():
    recipe = yaml.safe_load((ROOT / "gr-tsddae.lwr").read_text())
    assert recipe["inherit"] == "cmake" and "gnuradio" in recipe["depends"]


def test_the_citation_is_valid():
    content = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(content)
    for reference in content["references"]:
        assert reference["title"] and reference["authors"], "as CFF 1.2 demands"
    if shutil.which("cffconvert"):
        subprocess.run(["cffconvert", "--validate"], cwd=ROOT, check=True)
