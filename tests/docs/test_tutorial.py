# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/tutorial.md, followed by a user with an empty home. `rtl_tcp` is in the dongle's place."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import sys

import pages
import pytest

pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")

ROW = re.compile(r"^ +\d+ .* (\S+) [01]\.\d\d$", re.MULTILINE)  # of an emission; its label


@pytest.mark.timeout(1500)  # a minute of processor time, on a busy machine
def test_every_command_as_it_stands(tmp_path, monkeypatch):
    """Only the port differs, which must be free. The page shows the labels that are printed."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", "")
    monkeypatch.setenv("GR_TSDDAE_MODELS", "")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    pages.write_files("tutorial.md", tmp_path)
    check, dongle, *rest = pages.commands("tutorial.md")
    synth, serve = dongle.splitlines()
    said = pages.run(f"{check}\n{synth}", tmp_path)
    assert "all is well" in said
    arguments = shlex.split(serve.replace("~", str(tmp_path)))[1:]
    command = [sys.executable, "-m", "gr_tsddae", *arguments, "--port", port]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert "rtl_tcp=" in server.stdout.readline()
            said = pages.run("".join(rest).replace("1234", port), tmp_path)
            shown = ROW.findall((pages.DOCS / "tutorial.md").read_text())
            for _ in range(4):  # a busy machine loses samples: the live step is taken again
                if heard_live(tmp_path) >= set(shown[3:]):
                    break
                pages.run((rest[0] + rest[-1]).replace("1234", port), tmp_path)
        finally:
            server.terminate()
    assert len(shown) == 6
    assert ROW.findall(said) == shown, said
    assert heard_live(tmp_path) >= set(shown[3:])


def heard_live(home) -> set[str]:
    """The labels that the live step wrote."""
    return {json.loads(line)["label"] for line in (home / "first" / "live.jsonl").open()}
