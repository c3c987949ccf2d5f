# SPDX-License-Identifier: GPL-3.0-or-later
"""The rooms of the package: how large they are, and which room may import which."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import gr_tsddae

PACKAGE = Path(gr_tsddae.__file__).parent
MOST_FILES = 16

# Room -> rooms it may import. A room is a folder or a module directly below gr_tsddae.
ALLOWED = {
    "files": set(),
    "labels": set(),
    "progress": set(),
    "missing": set(),
    "command": {"iq", "files", "missing"},
    "__main__": {"command", ""},
    "plugins": set(),
    "iq": {"files", "missing"},
    "nets": {"command", "iq", "plugins"},
    "zoo": {"command", "nets", "iq", "files", "labels", "missing"},
    "inference": {"zoo", "nets", "iq", "labels", "missing"},
    "synth": {"command", "progress", "iq", "files", "labels"},
    "data": {"command", "progress", "iq", "files", "plugins"},
    "report": {"inference", "iq", "files", "labels"},
    "rtl_tcp": {"command", "iq", "files"},
    "bindings": set(),
    "blocks": {
        "inference", "survey", "data", "zoo", "iq", "bindings", "files", "labels", "missing",
    },
    "condition": {"command", "zoo", "iq", "blocks", "files"},
    "classify_live": {"command", "condition", "inference", "iq", "files", "zoo"},
    "classify": {
        "classify_live", "command", "condition", "inference", "survey", "zoo", "report", "iq",
        "files", "progress",
    },
    "survey": {"command", "inference", "iq", "files", "labels", "progress", "synth", "zoo"},
    "doctor": {"command", "zoo", "files", "missing"},
    "bench": {"command", "inference", "nets", "iq", "blocks", "report", "files"},
    "train": {
        "bench", "command", "data", "files", "inference", "iq", "labels", "nets", "progress",
        "report", "survey", "synth", "zoo",
    },
}  # fmt: skip
NEEDS_GNURADIO = {"blocks", "bindings", "condition", "doctor", "bench"}  # doctor looks for it

# What can be read and tested without a flowgraph.
NO_GNURADIO_IN_BLOCKS = (
    "accuracy/judge", "accuracy/page", "accuracy/truth", "display/*",
    "network/fit_check", "network/model_loader", "network/pace", "network/shared_recognizer",
    "network/status",
    "surveying/known", "surveying/model", "surveying/recognition", "surveying/rows",
    "surveying/stretch",
    "survey_view/*",
)  # fmt: skip


@functools.cache
def sources() -> dict[str, Path]:
    """Dotted name -> file of every module of the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    assert len(found) > 150
    return found


@functools.cache
def imported(module: str) -> list[str]:
    """Dotted names that a file imports, anywhere in it but below TYPE_CHECKING."""
    tree = ast.parse(sources()[module].read_text("utf-8"))
    hidden = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    names = []
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports relative to itself; name the whole module"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def module_of(name: str) -> str:
    """The module of ours that holds an imported name; empty when it is somebody else's."""
    while name and name not in sources():
        name = name.rpartition(".")[0]
    return name


@functools.cache
def arrows() -> dict[str, set[str]]:
    """Module -> modules of ours that it imports."""
    # A package that imports its own compiled module imports nothing of ours.
    return {
        module: {module_of(name) for name in imported(module)} - {"", module}
        for module in sources()
    }


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def below(module: str, package: str) -> bool:
    return f"{module}.".startswith(f"{package}.")


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_imports_point_one_way(room):
    rooms = {room_of(module) for module in sources()}
    assert room in rooms, "this rule is about a room that does not exist"
    for module, others in arrows().items():
        if room_of(module) == room:
            wrong = {other for other in others if room_of(other) not in {"", room, *ALLOWED[room]}}
            assert not wrong, f"{module} imports {', '.join(sorted(wrong))}"


def test_there_is_no_import_circle():
    try:
        TopologicalSorter(arrows()).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_every_folder_can_be_overlooked():
    python = Path(__file__).resolve().parents[1] / "python"
    folders = [python, *(path for path in python.rglob("*") if path.is_dir())]
    assert len(folders) > 20
    for folder in folders:
        files = [p for p in folder.iterdir() if p.is_file() and p.suffix not in (".pyc", ".so")]
        assert len(files) <= MOST_FILES, f"{folder} holds {len(files)} files: give them rooms"


def test_blocks_holds_blocks():
    names = {path.name for path in (PACKAGE / "blocks").glob("*.py")} - {"__init__.py"}
    assert not {name for name in names if not name.endswith("_block.py")}


def test_nothing_imports_the_experiments():
    experiments = "gr_tsddae.train.experiments"
    for module, others in arrows().items():
        if not below(module, experiments):
            assert not {other for other in others if below(other, experiments)}, module


def test_a_batch_goes_through_training_one_way():
    """No room of train/ imports a later one; the commands are its own files."""
    way = ("config", "windows", "learn", "objectives", "run", "measure", "commands", "experiments")

    def step(module):
        names = module.split(".")[2:] or ["commands"]
        return way.index(names[0] if names[0] in way else "commands")

    for module, others in arrows().items():
        if below(module, "gr_tsddae.train"):
            later = {o for o in others if below(o, "gr_tsddae.train") and step(o) > step(module)}
            assert not later, f"{module} imports {', '.join(sorted(later))}"


def test_only_what_runs_flowgraphs_imports_gnuradio():
    for module, path in sources().items():
        tops = {name.split(".")[0] for name in imported(module)}
        assert not tops & {"gnuradio", "pmt"} or room_of(module) in NEEDS_GNURADIO, path


def test_blocks_do_not_print():
    """Standard output may be closed, or be read by another program."""
    for path in (PACKAGE / "blocks").rglob("*.py"):
        names = {
            n.id for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Name)
        }
        assert "print" not in names, path


@pytest.mark.parametrize("pattern", NO_GNURADIO_IN_BLOCKS)
def test_logic_behind_the_blocks_needs_no_gnuradio(pattern):
    paths = sorted((PACKAGE / "blocks").glob(f"{pattern}.py"))
    assert paths
    for path in paths:
        waiting = [module for module, file in sources().items() if file == path]
        seen: set[str] = set()
        while waiting:
            module = waiting.pop()
            if module in seen:
                continue
            seen.add(module)
            waiting += arrows()[module]
            tops = {name.split(".")[0] for name in imported(module)}
            assert not tops & {"gnuradio", "pmt"}, f"{path} needs GNU Radio by way of {module}"


@pytest.mark.parametrize(
    "module",
    ["", ".iq", ".iq.captures", ".inference.decision", ".zoo", ".blocks", ".data", ".nets"],
)
def test_light_modules_do_not_import_torch(module):
    """GRC lists blocks, and zoo lists models, without the seconds that torch takes."""
    code = (
        f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r}); import gr_tsddae{module}; "
        "sys.exit('torch' in sys.modules or 'gnuradio' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_package_offers_what_it_says():
    for name in gr_tsddae.__all__:
        assert getattr(gr_tsddae, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Recogniser'"):
        _ = gr_tsddae.Recogniser
