# SPDX-License-Identifier: GPL-3.0-or-later
"""Emissions as SigMF annotations of their recording, and as recordings of their own."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gr_tsddae.files import creating, json_text
from gr_tsddae.iq.formats.capture import Capture
from gr_tsddae.iq.sigmf.annotations import write_annotated_copy
from gr_tsddae.iq.sigmf.opinion import CUT_FROM, generator
from gr_tsddae.iq.sigmf.write import annotation_text, new_global, write_metadata
from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.isolation import Isolator
from gr_tsddae.survey.output.table import describe

CUT_OUT_RATE = 4.0  # sample rate of a cut-out over the bandwidth of its emission
CUT_OUT_MARGIN = 1.4  # and over the band that passes, which leaves room for the filter's edges


def write_annotations(
    capture: Capture, emissions: Sequence[Emission], path: Path, *, model_name: str
) -> Path:
    """Write a SigMF recording of the capture's samples, with an annotation per emission.

    Returns:
        The path of the .sigmf-meta file.

    Raises:
        CaptureError: when it is someone else's recording, or cannot be written.
    """
    entries = [_entry(emission, capture) for emission in emissions]
    entries.sort(key=lambda entry: entry["core:sample_start"])
    return write_annotated_copy(capture, entries, path, model_name=model_name)


def _entry(emission: Emission, capture: Capture) -> dict[str, Any]:
    rate_hz = capture.sample_rate_hz
    first = min(capture.sample_count - 1, math.floor(emission.start_s * rate_hz))
    stop = min(capture.sample_count, math.ceil(emission.stop_s * rate_hz))
    return annotation(emission, first, max(1, stop - first))


def annotation(emission: Emission, first_sample: int, sample_count: int) -> dict[str, Any]:
    """The SigMF annotation of an emission: a box in time and frequency, with label and comment."""
    values = emission.as_dict()
    entry = {
        "core:sample_start": first_sample,
        "core:sample_count": sample_count,
        "core:freq_lower_edge": values["low_hz"],
        "core:freq_upper_edge": values["high_hz"],
        "core:label": emission.label,
        "core:comment": describe(emission),
        "core:generator": generator(),
        "tsddae:snr_db": values["snr_db"],
    }
    if emission.symbol_rate_hz:
        entry["tsddae:symbol_rate_hz"] = values["symbol_rate_hz"]
    return entry


def write_cut_out(emission: Emission, cutter: Isolator, capture: Capture, folder: Path) -> Path:
    """Write an emission as a SigMF recording of its own: near 0 Hz, at 4 times its bandwidth.

    The noise on both sides stays in it, so that the emission can be found and measured again.

    Returns:
        The path of the .sigmf-meta file.

    Raises:
        FileExistsError: when there is one of that name.
        OSError: when it cannot be written.
    """
    rate_hz, middle_hz = capture.sample_rate_hz, emission.center_hz
    first, stop = (round(t * rate_hz) for t in (emission.start_s, emission.stop_s))
    reach_hz = CUT_OUT_RATE / CUT_OUT_MARGIN / 2 * max(emission.bandwidth_hz, 1e-3)
    low_hz, high_hz = middle_hz - reach_hz, middle_hz + reach_hz
    iq, out_hz = cutter.cut(
        low_hz, high_hz, first, max(stop, first + 1), oversampling=CUT_OUT_MARGIN
    )
    center_hz = cutter.center_hz(low_hz, high_hz)
    label = re.sub(r"[^A-Za-z0-9-]+", "-", emission.label)
    meta = folder / f"emission-{emission.id:04d}-{label}.sigmf-meta"
    data = meta.with_suffix(".sigmf-data")
    with creating(data, 8 * len(iq)) as partial:
        partial.write_bytes(np.ascontiguousarray(iq, "<c8").tobytes())
    info = new_global(out_hz, description=describe(emission))
    info[CUT_FROM] = capture.path.name
    segment: dict[str, Any] = {"core:sample_start": 0}
    if emission.band_center_hz is not None:
        segment["core:frequency"] = emission.band_center_hz + center_hz
    notes = [
        annotation_text(
            {
                "core:sample_start": max(0, round((a - emission.start_s) * out_hz)),
                "core:sample_count": max(1, round((b - a) * out_hz)),
                "core:label": emission.label,
                "core:generator": generator(),
            }
        )
        for a, b in emission.bursts
    ]
    write_metadata(meta, info, [segment], notes)
    return meta


def json_document(
    capture: Capture, emissions: Sequence[Emission], *, samples_not_finite: int = 0
) -> str:
    """What `--json` prints."""
    absolute = capture.center_frequency_hz is not None
    return json_text(
        {
            "recording": str(capture.path),
            "sample_rate_hz": capture.sample_rate_hz,
            "center_frequency_hz": capture.center_frequency_hz,
            "frequencies": "absolute" if absolute else "from the centre",
            "samples_not_finite": samples_not_finite,
            "emissions": [emission.as_dict() for emission in emissions],
        },
        indent=1,
    )
