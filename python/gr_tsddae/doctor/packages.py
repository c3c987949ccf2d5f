# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of what comes from elsewhere: torch, OpenVINO, windows, receivers."""

import importlib
import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Iterator

from gr_tsddae.doctor.finding import Finding, reason, version_of
from gr_tsddae.missing import OLDEST_TORCH, pip_line, torch_line

DRIVER = "/proc/driver/nvidia/version"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
WINDOW_PACKAGES = {
    "qtpy": "python3-qtpy",
    "qtpy.QtWidgets": "python3-pyqt5",
    "pyqtgraph": "python3-pyqtgraph",
    "PyQt5.sip": "python3-pyqt5",  # GNU Radio's own windows take no other Qt
}
# Module -> what it is, Debian's package of it.
RADIOS = {
    "osmosdr": ("gr-osmosdr (RTL-SDR, HackRF, Airspy)", "gr-osmosdr"),
    "gnuradio.soapy": ("SoapySDR", "gnuradio soapysdr-module-all"),
    "gnuradio.uhd": ("UHD (USRP)", "gnuradio uhd-host"),
}


def check_torch() -> Iterator[Finding]:
    """Check torch, and the device it would compute on."""
    try:
        torch = importlib.import_module("torch")
    except Exception as error:
        text = f"it cannot be imported: {reason(error)}"
        yield Finding("torch", False, text, torch_line())
        return
    major, minor = (int(part) for part in torch.__version__.split(".")[:2])
    if (major, minor) < OLDEST_TORCH:
        text = f"{torch.__version__} is older than {'.'.join(map(str, OLDEST_TORCH))}"
        yield Finding("torch", False, text, torch_line())
        return
    yield Finding("torch", True, torch.__version__)
    yield _check_gpu(torch)
    yield check_openvino()


def _check_gpu(torch) -> Finding:
    has_driver, built_for = os.path.exists(DRIVER), torch.version.cuda or torch.version.hip
    if torch.cuda.is_available():
        return Finding("GPU", True, torch.cuda.get_device_name(0))
    if has_driver and built_for:
        text = f"an NVIDIA driver is loaded, but torch for CUDA {built_for} cannot use it"
        return Finding("GPU", False, text, "nvidia-smi")
    if has_driver:
        text = "an NVIDIA driver is loaded, but this torch is built for the CPU alone"
        return Finding("GPU", False, text, pip_line("--force-reinstall", "torch"))
    if built_for:
        smaller = pip_line("--force-reinstall", "torch", "--index-url", CPU_INDEX)
        text = "none, and this torch brought gigabytes of CUDA with it; the CPU does the work"
        return Finding("GPU", None, text, smaller)
    return Finding("GPU", None, "none that torch can use; the CPU does the work")


def check_openvino() -> Finding:
    """Check OpenVINO, the faster engine of a CPU."""
    try:
        version = importlib.metadata.version("openvino")
    except importlib.metadata.PackageNotFoundError:
        text = "it is not installed, and makes networks faster on a CPU"
        return Finding("OpenVINO", None, text, pip_line("openvino"))
    return Finding("OpenVINO", True, version)


def _debian(*packages: str) -> str:
    """Return the command that installs Debian's packages, or what the same is elsewhere."""
    if os.path.exists(os.path.join(sys.prefix, "conda-meta")):
        return f"conda install -c conda-forge {' '.join(packages).replace('python3-', '')}"
    return f"sudo apt-get install {' '.join(packages)}"


def check_windows() -> Iterator[Finding]:
    """Check what the displays of flowgraphs need."""
    missing = {}
    for module, package in WINDOW_PACKAGES.items():
        try:
            importlib.import_module(module)
        except Exception as error:  # qtpy has an error of its own for a missing Qt
            missing.setdefault(package, reason(error))
    if not missing:
        text = f"qtpy {version_of('qtpy')}, pyqtgraph {version_of('pyqtgraph')}"
        yield Finding("windows", True, text)
        return
    text = f"displays cannot be shown: {next(iter(missing.values()))}"
    yield Finding("windows", None, text, _debian(*missing))


def check_radios() -> Iterator[Finding]:
    """Check the drivers of receivers that the flowgraphs in examples use."""
    found = []
    for module, (name, package) in RADIOS.items():
        # Elsewhere, for some of them print what the processor can.
        done = subprocess.run(
            [sys.executable, "-c", f"import {module}"],
            capture_output=True, encoding="utf-8", errors="replace", check=False,
        )  # fmt: skip
        if done.returncode:
            said = (done.stderr.splitlines() or [f"exit status {done.returncode}"])[-1]
            text = f"{name} cannot be used: {said}"
            yield Finding("receivers", None, text, _debian(*package.split()))
        else:
            found.append(name)
    if found:
        yield Finding("receivers", True, ", ".join(found))
