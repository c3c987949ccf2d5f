# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene as a SigMF recording whose annotations are the truth, and back."""

import json
from pathlib import Path

import numpy as np

from gr_tsddae.files import creating
from gr_tsddae.iq.sigmf.write import annotation_text, meta_path, new_global, write_metadata
from gr_tsddae.synth.scene.render import CARRIER_BANDWIDTH_HZ, Scene, Truth

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
    components = np.ascontiguousarray(scene.iq, "<c8").view("<f4")
    if datatype == "cu8":
        components = np.clip(np.rint(components * 127.5 + 127.5), 0, 255).astype(np.uint8)
    notes = sorted(
        (_annotation(truth, scene) for truth in scene.truths),
        key=lambda note: note["core:sample_start"],
    )
    info = new_global(
        scene.rate_hz,
        datatype=DATATYPES[datatype],
        description="synthetic scene; the annotations are the truth",
    )
    with creating(meta) as new_meta, creating(data, components.nbytes) as new_data:
        new_data.write_bytes(components.tobytes())
        write_metadata(new_meta, info, [{"core:sample_start": 0}], map(annotation_text, notes))
    return meta


def _annotation(truth: Truth, scene: Scene) -> dict:
    first = min(round(truth.start_s * scene.rate_hz), len(scene.iq) - 1)
    last = min(round(truth.stop_s * scene.rate_hz), len(scene.iq))
    # No box is without width: a carrier gets the band in which its SNR is meant.
    beside_hz = 0.0 if truth.bandwidth_hz else CARRIER_BANDWIDTH_HZ / 2
    return {
        "core:sample_start": first,
        "core:sample_count": max(1, last - first),
        "core:freq_lower_edge": truth.low_hz - beside_hz,
        "core:freq_upper_edge": truth.high_hz + beside_hz,
        "core:label": truth.label,
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
        content = json.loads(meta.read_text(encoding="utf-8"))
        rate_hz = content["global"]["core:sample_rate"]
        center_hz = content["captures"][0].get("core:frequency", 0.0)
        return [_truth(note, rate_hz, center_hz) for note in content["annotations"]]
    except (KeyError, IndexError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{meta} holds no truth ({type(error).__name__}: {error}); "
            "write a scene with `tsddae synth scene`"
        ) from error


def _truth(note: dict, rate_hz: float, center_hz: float) -> Truth:
    start_s = note["core:sample_start"] / rate_hz
    stop_s = start_s + note["core:sample_count"] / rate_hz
    low_hz, high_hz = note["core:freq_lower_edge"], note["core:freq_upper_edge"]
    if note["core:label"] == "carrier":
        low_hz = high_hz = (low_hz + high_hz) / 2
    known = ("tsddae:snr_db", "tsddae:bursts_s")
    return Truth(
        note["core:label"],
        start_s,
        stop_s,
        low_hz - center_hz,
        high_hz - center_hz,
        note["tsddae:snr_db"],
        tuple((start, stop) for start, stop in note.get("tsddae:bursts_s", [(start_s, stop_s)])),
        {
            key.removeprefix("tsddae:"): value
            for key, value in note.items()
            if key.startswith("tsddae:") and key not in known
        },
    )
