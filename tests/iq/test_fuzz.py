# SPDX-License-Identifier: GPL-3.0-or-later
"""Damaged recordings of every format: an error of one line, or samples, and never anything else.

`GR_TSDDAE_FUZZ=10000` tries that many files of each format; a short budget is the default.
"""

import os
import random
import time

import numpy as np
import pytest
from iq_files import tone, write_sigmf
from recordings_of_programs import every_format, tar

from gr_tsddae.iq.captures import CaptureError, open_capture

FILES = int(os.environ.get("GR_TSDDAE_FUZZ", "60"))
SLOWEST_S = 10.0  # of the processor, for one file
NUMBERS = (0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63, 2**64 - 1)


def damaged(content, choose):
    """Change, insert, remove or repeat some bytes, mostly near the start, where headers are."""
    spoilt = bytearray(content)
    for _ in range(choose.randint(1, 6)):
        if not spoilt:
            break
        reach = len(spoilt) if choose.random() < 0.3 else min(len(spoilt), 128)
        at = choose.randrange(reach)
        kind = choose.randrange(6)
        if kind == 0:
            spoilt[at] = choose.randrange(256)
        elif kind == 1:
            width = choose.choice((2, 4, 8))
            number = choose.choice(NUMBERS) % (1 << 8 * width)
            spoilt[at : at + width] = number.to_bytes(width, "little")
        elif kind == 2:
            del spoilt[at : at + choose.randint(1, 40)]
        elif kind == 3:
            spoilt[at:at] = choose.randbytes(choose.randint(1, 40))
        elif kind == 4:
            spoilt[at:at] = spoilt[at : at + choose.randint(1, 60)]
        else:
            del spoilt[at:]
    return bytes(spoilt)


def check(path):
    """Read a file whole; what was not all there must have been said."""
    began = time.process_time()
    try:
        with open_capture(path) as capture:
            iq = capture.read(0, capture.sample_count)
            assert iq.dtype == np.complex64 and len(iq) == capture.sample_count
            rate_hz, center_hz = capture.sample_rate_hz, capture.center_frequency_hz
            assert rate_hz is None or (np.isfinite(rate_hz) and rate_hz > 0)
            assert center_hz is None or np.isfinite(center_hz)
            capture.time_at(capture.sample_count - 1)
            assert [end for _, end in capture.tunings()][-1] == capture.sample_count
            for note in capture.annotations:
                capture.read(note.first_sample, note.sample_count)
            bytes_read = capture.sample_count * capture.sample_format.bytes_per_sample
            assert bytes_read <= capture.data_path.stat().st_size
            assert all("\n" not in said for said in (*capture.notes, *capture.faults))
    except CaptureError as error:
        assert "\n" not in str(error)
    assert time.process_time() - began < SLOWEST_S


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", every_format())
def test_no_damage_is_a_crash(tmp_path, name):
    content = every_format()[name]
    for number in range(FILES):
        choose = random.Random(f"{name} {number}")
        path = tmp_path / f"{number}-{name}"
        path.write_bytes(damaged(content, choose))
        check(path)
        path.unlink()


@pytest.mark.timeout(0)
@pytest.mark.parametrize("spoil", ["meta", "data", "archive"])
def test_no_damage_of_sigmf_is_a_crash(tmp_path, spoil):
    captures = [
        {"core:sample_start": 0, "core:frequency": 1e8, "core:header_bytes": 8},
        {"core:sample_start": 50, "core:frequency": 2e8, "core:header_bytes": 8},
    ]
    note = {
        "core:sample_start": 5, "core:sample_count": 9, "core:label": "x",
        "core:freq_lower_edge": 1e6, "core:freq_upper_edge": 2e6,
    }  # fmt: skip
    meta = write_sigmf(tmp_path, tone(), captures=captures, annotations=[note], sample_rate=1e6)
    data = meta.with_suffix(".sigmf-data")
    pair = [(p.name, p.read_bytes()) for p in (meta, data)]
    archive = tmp_path / "archive.sigmf"
    for number in range(FILES):
        choose = random.Random(f"{spoil} {number}")
        if spoil == "archive":
            archive.write_bytes(damaged(tar(pair), choose))
        else:
            path, content = (meta, pair[0][1]) if spoil == "meta" else (data, pair[1][1])
            path.write_bytes(damaged(content, choose))
        check(archive if spoil == "archive" else meta)
