# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings that hold the same samples count once, wherever they lie."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from copy import copy

from gr_tsddae.iq.captures import Capture
from gr_tsddae.iq.sigmf.opinion import is_annotated_copy

_BLOCKS, _BLOCK_SAMPLES = 64, 4096  # of a fingerprint


def by_samples(captures: Iterable[Capture], notes: Counter[str]) -> list[list[Capture]]:
    """Group recordings that share their samples, the source first; note those behind it.

    When this program annotates a recording, it links the samples, so both may lie in one folder.
    People copy recordings, and export them in other formats. Samples that count twice would be in
    training and in test. The source has the true labels.

    Returns:
        Groups in the order of their sources' paths.
    """

    def rank(capture: Capture) -> tuple[bool, bool]:
        return is_annotated_copy(capture.metadata), not capture.annotations

    groups: dict[tuple[int, str], list[Capture]] = {}
    for capture in sorted(captures, key=rank):
        groups.setdefault(fingerprint(capture), []).append(capture)
    if extra := sum(map(len, groups.values())) - len(groups):
        notes["recording whose samples are another's"] += extra
    return sorted(groups.values(), key=lambda group: group[0].path)


def without_copies(captures: Iterable[Capture], notes: Counter[str]) -> list[Capture]:
    """Keep the source of each group of recordings that share their samples."""
    return [source for source, *_ in by_samples(captures, notes)]


def fingerprint(capture: Capture) -> tuple[int, str]:
    """Return what recordings of the same samples share, in whatever file they lie.

    That is the number of samples, and a hash of those in up to 64 blocks spread over the recording.
    """
    digest, block = hashlib.sha256(), min(_BLOCK_SAMPLES, capture.sample_count)
    with copy(capture) as opened:  # closed again, for there may be very many
        for number in range(_BLOCKS):
            first = (capture.sample_count - block) * number // (_BLOCKS - 1)
            digest.update(opened.read(first, block).tobytes())
    return capture.sample_count, digest.hexdigest()
