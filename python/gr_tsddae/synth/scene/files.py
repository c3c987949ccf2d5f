# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene as a SigMF recording whose annotations are the truth, and back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from gr_tsddae.iq.sigmf.annotations import EXTENSION, SIGMF_VERSION, generator, meta_path
from gr_tsddae.synth.scene.render import Scene, Truth
from gr_tsddae.synth.whole_file import whole_file

DATATYPES = {"cu8": "cu8", "cf32": "cf32_le"}


def write_scene(scene: Scene, path: Path, datatype: str = "cu8") -> Path:
    """Write OUT.sigmf-data and OUT.sigmf-meta.

    Each annotation has the occupied bandwidth as its frequency edges, the label, and under
    `tsddae:` snr_db, bursts and what the class has (symbol_rate_hz, deviation_hz, ...).

    Returns:
        The path of the .sigmf-meta file.

    Raises:
        FileExistsError: when one of the two files exists.
        OSError: when they cannot be written.
    """
    meta = meta_path(path)
    data = meta.with_suffix(".sigmf-data")
    if meta.exists():
        raise FileExistsError(f"{meta} exists and is not overwritten: choose another name")
    components = np.ascontiguousarray(scene.iq, "<c8").view("<f4")
    if datatype == "cu8":
        components = np.clip(np.rint(components * 127.5 + 127.5), 0, 255).astype(np.uint8)
    with whole_file(data, components.nbytes) as partial:
        partial.write_bytes(components.tobytes())
    metadata = {
        "global": {
            "core:version": SIGMF_VERSION,
            "core:datatype": DATATYPES[datatype],
            "core:sample_rate": scene.rate_hz,
            "core:description": "synthetic scene; the annotations are the truth",
            "core:extensions": [EXTENSION],
        },
        "captures": [{"core:sample_start": 0}],
        "annotations": [_annotation(truth, scene) for truth in scene.truths],
    }
    metadata["annotations"].sort(key=lambda note: note["core:sample_start"])
    with whole_file(meta) as partial:
        partial.write_text(json.dumps(metadata, indent=1) + "\n")
    return meta


def _annotation(truth: Truth, scene: Scene) -> dict:
    first = min(round(truth.start_s * scene.rate_hz), len(scene.iq) - 1)
    last = min(round(truth.stop_s * scene.rate_hz), len(scene.iq))
    return {
        "core:sample_start": first,
        "core:sample_count": max(1, last - first),
        "core:freq_lower_edge": truth.low_hz,
        "core:freq_upper_edge": truth.high_hz,
        "core:label": truth.label,
        "core:generator": generator(),
        "tsddae:snr_db": truth.snr_db,
        "tsddae:bursts_s": [list(burst) for burst in truth.bursts],
        **{f"tsddae:{key}": value for key, value in truth.details.items() if value is not None},
    }


def read_truth(meta: Path) -> list[Truth]:
    """The truth of a recording that `write_scene` wrote.

    Raises:
        ValueError: when the annotations are not those of a scene.
        OSError: when the file cannot be read.
    """
    try:
        content = json.loads(meta.read_text())
        rate_hz = content["global"]["core:sample_rate"]
        center_hz = content["captures"][0].get("core:frequency", 0.0)
        return [_truth(note, rate_hz, center_hz) for note in content["annotations"]]
    except (KeyError, IndexError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{meta} holds no truth ({type(error).__name__}: {error}); "
            "write a scene with `python -m gr_tsddae.synth scene`"
        ) from error


def _truth(note: dict, rate_hz: float, center_hz: float) -> Truth:
    start_s = note["core:sample_start"] / rate_hz
    stop_s = start_s + note["core:sample_count"] / rate_hz
    known = ("tsddae:snr_db", "tsddae:bursts_s")
    return Truth(
        note["core:label"],
        start_s,
        stop_s,
        note["core:freq_lower_edge"] - center_hz,
        note["core:freq_upper_edge"] - center_hz,
        note["tsddae:snr_db"],
        tuple((start, stop) for start, stop in note.get("tsddae:bursts_s", [(start_s, stop_s)])),
        {
            key.removeprefix("tsddae:"): value
            for key, value in note.items()
            if key.startswith("tsddae:") and key not in known
        },
    )
