# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae doctor`: faults of an installation, each with the line that mends it."""

import importlib
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gr_tsddae.command import Parser
from gr_tsddae.files import print_any_text

BLOCK_FILE = "tsddae_classifier.block.yml"
WINDOW_PACKAGES = "python3-pyqt5 python3-qtpy python3-pyqtgraph"


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        what: The thing checked.
        ok: True, False, or None when it is fine but worth knowing.
        text: What was found.
        remedy: The one line that mends it, when `ok` is False.
    """

    what: str
    ok: bool | None
    text: str
    remedy: str = ""


def _version(module_name: str) -> str:
    return str(getattr(importlib.import_module(module_name), "__version__", "installed"))


def check_interpreter() -> Iterator[Finding]:
    """Check the version of Python."""
    version = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= (3, 10)
    yield Finding(
        "Python", ok, f"{version} at {sys.executable}", "" if ok else "use Python 3.10 or newer"
    )


def _imports_gnuradio(python: str) -> bool:
    try:
        done = subprocess.run(
            [python, "-c", "import gnuradio.gr"], capture_output=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def check_gnuradio() -> Iterator[Finding]:
    """Check GNU Radio, and numpy's major version, which must be the one it was built with."""
    try:
        gr = importlib.import_module("gnuradio.gr")
    except Exception as error:  # numpy 2 under a numpy 1 build raises more than ImportError
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if "numpy" in reason.lower() or "_ARRAY_API" in reason:
            yield Finding(
                "numpy",
                False,
                "GNU Radio here was built for another major version",
                "make setup (it holds numpy to the version GNU Radio was built with)",
            )
        owner = "/usr/bin/python3"
        if _imports_gnuradio(owner):
            remedy = "make setup PYTHON=/usr/bin/python3 (that interpreter owns GNU Radio)"
        else:
            remedy = "sudo apt-get install gnuradio gnuradio-dev && make setup"
        yield Finding("GNU Radio", False, f"cannot be imported: {reason}", remedy)
        return
    version = gr.version()
    ok = version.startswith(("3.10", "v3.10"))
    yield Finding(
        "GNU Radio", ok, version, "" if ok else "install GNU Radio 3.10; blocks are built for it"
    )
    import numpy

    yield Finding("numpy", True, f"{numpy.__version__}, works with this GNU Radio")


def check_torch() -> Iterator[Finding]:
    """Check torch, and the device it would compute on."""
    try:
        torch = importlib.import_module("torch")
    except Exception as error:
        yield Finding(
            "torch", False, f"cannot be imported: {error}", f"{sys.executable} -m pip install torch"
        )
        return
    yield Finding("torch", True, torch.__version__)
    if torch.cuda.is_available():
        yield Finding("GPU", True, torch.cuda.get_device_name(0))
        return
    text = "none that torch can use; the CPU does the work"
    if os.path.exists("/proc/driver/nvidia/version"):
        yield Finding(
            "GPU",
            False,
            "an NVIDIA driver is loaded, but this torch cannot use it",
            f"{sys.executable} -m pip install --force-reinstall torch (a CUDA build)",
        )
    else:
        yield Finding("GPU", None, text)
    yield check_openvino()


def check_openvino() -> Finding:
    """Check OpenVINO, the faster engine of a CPU."""
    try:
        version = importlib.metadata.version("openvino")
    except importlib.metadata.PackageNotFoundError:
        text = f"not installed; {sys.executable} -m pip install openvino makes networks faster"
        return Finding("OpenVINO", None, text)
    return Finding("OpenVINO", True, version)


def check_core() -> Iterator[Finding]:
    """Check the compiled module, and the alias package."""
    try:
        importlib.import_module("gr_tsddae.bindings")
    except Exception as error:  # as of GNU Radio itself, which it loads
        reason = (str(error) or type(error).__name__).splitlines()[0]
        yield Finding("C++ core", False, reason, "make setup")
        return
    yield Finding("C++ core", True, "loads")
    try:
        importlib.import_module("gnuradio.tsddae")
    except Exception as error:
        yield Finding("gnuradio.tsddae", False, str(error), "make setup")
    else:
        yield Finding("gnuradio.tsddae", True, "`from gnuradio import tsddae` works")


def check_windows() -> Iterator[Finding]:
    """Check what the displays of flowgraphs need."""
    try:
        for module in ("qtpy.QtWidgets", "pyqtgraph"):
            importlib.import_module(module)
    except Exception as error:  # qtpy has an error of its own for a missing Qt
        reason = (str(error) or type(error).__name__).splitlines()[0]
        text = f"none: {reason}; sudo apt-get install {WINDOW_PACKAGES} brings the displays"
        yield Finding("windows", None, text)
        return
    text = f"qtpy {_version('qtpy')}, pyqtgraph {_version('pyqtgraph')}"
    yield Finding("windows", True, text)


def block_folders() -> list[Path]:
    """List the folders that GNU Radio Companion reads blocks from."""
    from gnuradio import gr

    preferences = gr.prefs()
    joined = os.pathsep.join(
        [
            os.environ.get("GRC_BLOCKS_PATH", ""),
            preferences.get_string("grc", "local_blocks_path", ""),
            preferences.get_string("grc", "global_blocks_path", ""),
        ]
    )
    own = Path.home() / ".grc_gnuradio"
    return [*(Path(p).expanduser() for p in joined.split(os.pathsep) if p), own]


def check_companion() -> Iterator[Finding]:
    """Check that GNU Radio Companion will show the blocks."""
    try:
        folders = block_folders()
    except Exception:
        return  # said already
    for folder in folders:
        if (folder / BLOCK_FILE).exists():
            yield Finding("GRC blocks", True, f"seen in {folder}")
            return
    here = Path(sys.prefix) / "share" / "gnuradio" / "grc" / "blocks"
    if (here / BLOCK_FILE).exists():
        yield Finding(
            "GRC blocks",
            None,
            f"in {here}; start Companion with `make companion`, or: export GRC_BLOCKS_PATH={here}",
        )
    else:
        yield Finding("GRC blocks", False, "not installed", "make setup")


def check_models() -> Iterator[Finding]:
    """Open every model that can be found."""
    try:
        from gr_tsddae import zoo
    except ImportError as error:
        yield Finding("models", False, str(error), f"{sys.executable} -m pip install PyYAML")
        return
    found = zoo.names()
    if not found:
        yield Finding(
            "models", False, "none found", f"make setup, or set {zoo.PATH_VARIABLE} to a folder"
        )
    for name in found:
        try:
            card = zoo.load(name).card
        except ImportError as error:
            yield Finding("models", False, f"{name}: {error}", "make setup")
        except zoo.ModelError as error:
            yield Finding("models", False, str(error), "git checkout models && make setup")
        else:
            text = f"{name}: {card.network}, {len(card.classes)} classes, "
            yield Finding("models", True, f"{text}windows of {card.window_samples}")


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_interpreter,
    check_gnuradio,
    check_torch,
    check_core,
    check_windows,
    check_companion,
    check_models,
)


def main(arguments: list[str] | None = None) -> int:
    """Print all findings; return 0 when nothing is wrong."""
    print_any_text()
    Parser(prog="tsddae doctor", description=__doc__).parse_args(arguments)
    marks = {True: "ok      ", False: "PROBLEM ", None: "note    "}
    problems = 0
    for check in CHECKS:
        for finding in check():
            print(f"{marks[finding.ok]}{finding.what}: {finding.text}")
            if finding.ok is False:
                problems += 1
                print(f"        mend it with: {finding.remedy}")
    print("all is well" if not problems else f"{problems} problem(s)")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
