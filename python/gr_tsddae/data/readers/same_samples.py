# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings that hold the same samples count once, wherever they lie."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from copy import copy
from itertools import groupby

import numpy as np

from gr_tsddae.iq.captures import Capture
from gr_tsddae.iq.sigmf.opinion import is_annotated_copy

_BLOCKS, _BLOCK_SAMPLES = 64, 4096  # of a fingerprint
_PROBE_SAMPLES = 16  # of each block of a probe
_FEWEST_SAMPLES = 100  # that tell two recordings apart
_ALIKE = 0.99  # correlation from which two probes are compared closely
_COARSEST = 0.25  # step of the stored numbers over the level: what is coarser is not compared
_ROUNDING = 0.6  # of a step: largest error that rounding I and Q leaves (0.41 when all is even)


def by_samples(captures: Iterable[Capture], notes: Counter[str]) -> list[list[Capture]]:
    """Group recordings that share their samples, the source first; note those behind it.

    When this program annotates a recording, it links the samples, so both may lie in one folder.
    People copy recordings, and export them in other formats. Samples that count twice would be in
    training and in test. The source has the true labels.

    Returns:
        Groups in the order of their sources' paths.
    """

    def rank(capture: Capture) -> tuple[bool, bool, bool]:
        says_no_rate = capture.sample_rate_hz is None
        return is_annotated_copy(capture.metadata), not capture.annotations, says_no_rate

    exact: dict[tuple[int, str], list[Capture]] = {}
    for capture in sorted(captures, key=rank):
        exact.setdefault(fingerprint(capture), []).append(capture)
    groups = []
    by_length = sorted(exact.values(), key=lambda group: group[0].sample_count)
    for _, same_length in groupby(by_length, key=lambda group: group[0].sample_count):
        groups += _joined(list(same_length))
    groups = [sorted(group, key=rank) for group in groups]
    if extra := sum(map(len, groups)) - len(groups):
        notes["recording whose samples are another's"] += extra
    return sorted(groups, key=lambda group: group[0].path)


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


def _joined(groups: list[list[Capture]]) -> list[list[Capture]]:
    """Join groups of one length whose samples are the same but for level and rounding."""
    if len(groups) == 1 or groups[0][0].sample_count < _FEWEST_SAMPLES:
        return groups
    probes, steps = zip(*(_probe(group[0]) for group in groups), strict=True)
    rows, step = np.stack(probes), np.array(steps)
    joined: dict[int, list[Capture]] = {}
    for number, group in enumerate(groups):
        earlier = np.array(list(joined), int)
        likeness = (rows[earlier] @ rows[number].conj()).real
        for other in earlier[likeness > _ALIKE]:
            error = np.linalg.norm(
                rows[number] - (rows[other].conj() @ rows[number]).real * rows[other]
            )
            allowed = 1e-4 + _ROUNDING * (step[number] + step[other])
            as_fine = step[number] == step[other] > 0  # then rounding changes nothing
            if error <= allowed and max(step[number], step[other]) < _COARSEST and not as_fine:
                joined[int(other)] += group
                break
        else:
            joined[number] = list(group)
    return list(joined.values())


def _probe(capture: Capture) -> tuple[np.ndarray, float]:
    """Return samples from all over a recording without mean and level, and their step.

    Returns:
        complex64 (n,) of norm 1 (0 where all are equal), and the distance of stored numbers over
        the level of the samples: 0 for floating point.
    """
    count = min(_PROBE_SAMPLES, capture.sample_count)
    with copy(capture) as opened:
        parts = [
            opened.read((capture.sample_count - count) * number // (_BLOCKS - 1), count)
            for number in range(_BLOCKS)
        ]
    iq = np.concatenate(parts)
    iq = np.where(np.isfinite(iq), iq, 0).astype(np.complex128)
    iq -= iq.mean()
    norm, form = np.linalg.norm(iq), capture.sample_format
    if norm == 0:
        return iq.astype(np.complex64), 1.0
    step = 0.0 if form.component.kind == "f" else 2 ** (1.0 - 8 * form.component.itemsize)
    return (iq / norm).astype(np.complex64), step * len(iq) ** 0.5 / norm
