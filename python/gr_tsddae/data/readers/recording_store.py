# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows that stay in their recordings: file and first sample are known, samples read later."""

import mmap
from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np

from gr_tsddae.data.dataset import UNLABELLED, DatasetError, WindowStore
from gr_tsddae.data.readers.cutting import Cut, Stretch, cut_into_windows, thin_out
from gr_tsddae.iq.captures import Capture

_CHUNK_SAMPLES = 1 << 20  # samples in flight at once: 8 MiB as complex64


class RecordingStore:
    """Windows that lie in recordings and are read slice by slice.

    A file is mapped when a window of it is first read; a pickled store takes no samples along.

    Args:
        captures: the recordings.
        file: int32 (N,), number of each window's recording in `captures`.
        first_sample: int64 (N,), where the window starts in it.
        window_samples: L.
    """

    def __init__(
        self,
        captures: Sequence[Capture],
        file: np.ndarray,
        first_sample: np.ndarray,
        window_samples: int,
    ):
        self.captures = tuple(captures)
        self.file = file
        self.first_sample = first_sample
        self.shape = (len(file), 2, window_samples)
        self._mapped: dict[int, mmap.mmap] = {}

    def read(self, index: np.ndarray) -> np.ndarray:
        """See `WindowStore.read`; a full scale of 1.0."""
        index = np.asarray(index)
        rows = np.empty((len(index), *self.shape[1:]), np.float32)
        file = self.file[index]
        for number in np.unique(file):
            here = np.flatnonzero(file == number)
            for part in _parts(len(here), self.shape[2]):
                rows[here[part]] = self._gather(int(number), self.first_sample[index[here[part]]])
        return rows

    def release(self) -> None:
        """Unmap the files, so that samples read before do not count as this process's memory."""
        self._mapped.clear()

    def _gather(self, number: int, first_sample: np.ndarray) -> np.ndarray:
        capture, samples = self.captures[number], self.shape[2]
        if not capture.is_contiguous:
            with copy(capture) as opened:  # closed again, for there may be very many
                rows = [opened.read(first, samples) for first in first_sample.tolist()]
            return np.stack(rows).view(np.float32).reshape(-1, samples, 2).transpose(0, 2, 1)
        window_bytes = samples * capture.sample_format.bytes_per_sample
        file_bytes = self._bytes(number)
        views = np.lib.stride_tricks.sliding_window_view(file_bytes, window_bytes)
        stored = views[capture.sample_byte(first_sample)]  # (n, window_bytes)
        components = stored.view(capture.sample_format.component).reshape(-1, 2)
        iq = capture.sample_format.to_complex64(components)  # (n * L,)
        return iq.view(np.float32).reshape(-1, samples, 2).transpose(0, 2, 1)

    def _bytes(self, number: int) -> np.ndarray:
        path = self.captures[number].data_path
        if number not in self._mapped:
            try:
                with path.open("rb") as file:
                    self._mapped[number] = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
            except (OSError, ValueError) as error:
                raise DatasetError(
                    f"{path} cannot be read any more ({error}); was it moved or cut?"
                ) from error
        mapped = self._mapped[number]
        if (there_bytes := mapped.size()) < len(mapped):  # touching what is gone ends the process
            raise DatasetError(
                f"{path} was cut to {there_bytes} bytes while it was being read; "
                "let its writer finish, or read a copy"
            )
        return np.frombuffer(mapped, np.uint8)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_mapped": {}}


def usable_windows(
    captures: Sequence[Capture],
    stretches: Sequence[Stretch],
    *,
    path: str,
    classes: Sequence[str],
    window_samples: int,
    hop_samples: int | None = None,
    blocks: int,
    group_by: str,
    scan: bool = True,
    min_power_db: float | None = None,
    max_per_class: int | None = None,
) -> tuple[RecordingStore, Cut, dict[str, int]]:
    """Cut stretches of recordings into windows; leave out those that nothing can be learnt from.

    Args:
        captures: the recordings that `Stretch.file` counts.
        stretches: of the recordings, with their labels.
        path: of the dataset, for messages.
        classes: names of the labels.
        window_samples: L.
        hop_samples: distance between windows; None is L.
        blocks: see `cut_into_windows`.
        group_by: see `cut_into_windows`.
        scan: whether to look at the samples; without it, no window is left out for its samples.
        min_power_db: least mean power of a window in dB under full scale, or None.
        max_per_class: most windows of each label, evenly spread over time, or None.

    Returns:
        The windows that are left as a store, and as a cut; reason -> number of those left out.

    Raises:
        DatasetError: a number is out of range, or a label has no window.
    """
    if min_power_db is not None and not scan:
        raise DatasetError("min_power_db needs to look at the samples; leave out scan=False")
    cut = everything = cut_into_windows(
        stretches,
        window_samples=window_samples,
        hop_samples=window_samples if hop_samples is None else hop_samples,
        blocks=blocks,
        group_by=group_by,
    )
    skipped = {"lies in two blocks": cut.straddling}
    if scan:
        power = window_power(RecordingStore(captures, cut.file, cut.first_sample, window_samples))
        finite, sounding = np.isfinite(power), power > 0
        skipped["not finite"] = int((~finite).sum())
        skipped["all zero"] = int((finite & ~sounding).sum())
        keep = finite & sounding
        if min_power_db is not None:
            loud = keep & (power >= 10 ** (min_power_db / 10))
            skipped[f"under {min_power_db:g} dB"] = int((keep & ~loud).sum())
            keep = loud
        cut = cut.only(keep)
    if max_per_class is not None:
        kept = thin_out(cut.label, max_per_class)
        skipped["over max_windows_per_class"] = len(cut.label) - len(kept)
        cut = cut.only(kept)
    skipped = {reason: count for reason, count in skipped.items() if count}
    for number in sorted({stretch.label for stretch in stretches} - set(cut.label.tolist())):
        named = "what has no label" if number == UNLABELLED else f"class {classes[number]!r}"
        if (everything.label == number).any():
            reasons = ", ".join(f"{reason}: {count}" for reason, count in skipped.items())
            why = f"left out in all classes: {reasons}; record it again"
        else:
            longest = max(each.sample_count for each in stretches if each.label == number)
            why = f"its longest stretch has {longest}; record more, or give fewer window_samples"
        raise DatasetError(
            f"{path}: {named} has no usable window of {window_samples} samples; {why}"
        )
    return RecordingStore(captures, cut.file, cut.first_sample, window_samples), cut, skipped


def window_power(store: WindowStore) -> np.ndarray:
    """Measure the mean |x|^2 of every window, float64 (N,); NaN or infinite where a sample is.

    Goes once through the files, holding a few megabytes at a time.
    """
    power = np.empty(store.shape[0], np.float64)
    for part in _parts(store.shape[0], store.shape[2]):
        rows = store.read(np.arange(part.start, part.stop))
        power[part] = np.einsum("ncl,ncl->n", rows, rows) / store.shape[2]
        # Beyond single precision? In double, no finite float32 has a square that is infinite or 0.
        odd = np.flatnonzero(~np.isfinite(power[part]) | (power[part] == 0))
        again = np.einsum("ncl,ncl->n", rows[odd], rows[odd], dtype=np.float64) / store.shape[2]
        power[part.start + odd] = again
        if isinstance(store, RecordingStore):
            store.release()
    return power


def _parts(count: int, window_samples: int) -> list[slice]:
    step = max(1, _CHUNK_SAMPLES // window_samples)
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]
