# SPDX-License-Identifier: GPL-3.0-or-later
"""TechRec: LTE, Wi-Fi and DVB-T over the air in Ghent, with noise added to every window.

The published folder holds `.bin` files of interleaved float32 I and Q named
TECHNOLOGY[RATE]_gGAIN_PLACE_fFREQUENCYMHz_rRUN.bin, such as `lte10Msps_g20_igent_f806MHz_r1.bin`,
`wf10Msps_g76_rabot_f5240MHz_r1.bin`, `dvbt_g30_igent_f482MHz_r1.bin`. Its description says that a
name without a rate means 1 Msps; the pilots of that DVB-T file say 10. Nothing here uses the rate.

The paper cuts 1024 samples and adds Gaussian noise at -15 to 20 dB. Here, noise is drawn when a
window is read, by a counter-based generator: the same window has the same noise in every run, and
no noisy copy is ever stored. SNR is the mean power of this window, receiver noise included, over
the mean power of what is added.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gr_tsddae.data.dataset import Dataset, DatasetError, WindowStore
from gr_tsddae.data.readers.cutting import Stretch
from gr_tsddae.data.readers.recording_store import usable_windows
from gr_tsddae.iq.captures import CaptureError, open_capture

PAPER_SNRS_DB = tuple(range(-15, 21, 5))

_NAME = re.compile(r"(?P<technology>lte|wifi|wf|dvb-?t)(?:[\d.]+msps)?_.+\.bin", re.IGNORECASE)
_CLASS_OF_PREFIX = {"lte": "lte", "wf": "wifi", "wifi": "wifi", "dvbt": "dvbt", "dvb-t": "dvbt"}


class NoisyStore:
    """Every window of a store at every SNR. The noise depends on seed and window number alone.

    Window `w` at `snrs_db[k]` has the number `w * len(snrs_db) + k`.

    Args:
        store: the windows as they were recorded.
        snrs_db: dB.
        seed: 0 or more; another one gives other noise.
    """

    def __init__(self, store: WindowStore, snrs_db: Sequence[float], seed: int):
        self.store = store
        self.snrs_db = np.asarray(snrs_db, np.float64)
        self.seed = seed
        count, *rows = store.shape
        self.shape = (count * len(self.snrs_db), *rows)

    def read(self, index: np.ndarray) -> np.ndarray:
        """See `WindowStore.read`."""
        window, snr = np.divmod(np.asarray(index), len(self.snrs_db))
        rows = self.store.read(window)  # (n, 2, L)
        power = np.einsum("ncl,ncl->n", rows, rows, dtype=np.float64) / self.shape[2]
        sigma = np.sqrt(power / (2 * 10 ** (self.snrs_db[snr] / 10)))  # of I and of Q
        for row, scale, number in zip(rows, sigma, index, strict=True):
            # SeedSequence would take longer than the noise itself: the key is given as it is.
            generator = np.random.Generator(np.random.Philox(key=[self.seed, int(number)]))
            row += np.float32(scale) * generator.standard_normal(row.shape, np.float32)
        return rows


def read(
    kind: str,
    path: str,
    *,
    window_samples: int = 1024,
    snrs_db: Sequence[int] = PAPER_SNRS_DB,
    seed: int = 0,
    group_by: str | None = "block",
    blocks: int = 10,
    max_windows_per_class: int | None = None,
) -> Dataset:
    """Open a TechRec folder: N windows at M levels are N * M windows.

    What a split must not tear apart is `group_by`:

    * "block" (of time) or "recording": a test on signals that were recorded at another moment;
    * "window": neighbours in time, with the same channel and maybe within one OFDM symbol, are on
      both sides of a split, but never two noisy copies of one window;
    * None, the split of the paper (each class and SNR by itself): of nearly every test window,
      noisy copies at other SNRs are trained on, so that the result says little about signals that
      were never recorded.

    Args:
        kind: name of this format.
        path: the folder; deeper ones are searched too.
        window_samples: L.
        snrs_db: levels in whole decibels.
        seed: of the noise, 0 or more.
        group_by: see above.
        blocks: into how many blocks of time a recording is cut.
        max_windows_per_class: keep at most so many recorded windows (each then comes at M levels).

    Raises:
        DatasetError: if no file name gives a technology, or a file cannot be read.
    """
    if not len(snrs_db):
        raise DatasetError("snrs_db is empty; give at least one level in whole decibels")
    if seed < 0:
        raise DatasetError(f"seed is {seed}; give 0 or more")
    files, other_names = _files(Path(path))
    classes = tuple(sorted(set(files.values())))
    try:
        captures = [open_capture(file, dtype="cf32") for file in files]
    except CaptureError as error:
        raise DatasetError(f"{path} cannot be used: {error}") from error
    store, left, skipped = usable_windows(
        captures,
        [
            Stretch(number, 0, capture.sample_count, classes.index(name))
            for number, (capture, name) in enumerate(zip(captures, files.values(), strict=True))
        ],
        path=path,
        classes=classes,
        window_samples=window_samples,
        blocks=blocks,
        group_by="window" if group_by is None else group_by,
        max_per_class=max_windows_per_class,
    )
    levels = len(snrs_db)
    noisy = NoisyStore(store, snrs_db, seed)
    if other_names:
        skipped["file whose name gives no technology"] = other_names
    return Dataset(
        kind=kind,
        path=path,
        store=noisy,
        index=np.arange(noisy.shape[0]),
        label=np.repeat(left.label, levels),
        level_db=np.tile(np.asarray(snrs_db, np.int64), store.shape[0]),
        classes=classes,
        level_name="SNR",
        group=None if group_by is None else np.repeat(left.group, levels),
        task="wtc",
        skipped=skipped,
    )


def _files(folder: Path) -> tuple[dict[Path, str], int]:
    """Find each `.bin` file and its class, and count the names that say none."""
    if not folder.is_dir():
        raise DatasetError(f"{folder} is no folder; give the one with TechRec's .bin files")
    found = sorted(file for file in folder.rglob("*.bin") if file.is_file())
    files = {}
    for file in found:
        if match := _NAME.fullmatch(file.name):
            files[file] = _CLASS_OF_PREFIX[match["technology"].lower()]
    if not files:
        raise DatasetError(
            f"{folder} has no TechRec file among {len(found)} .bin files; their names begin with "
            "the technology, as in lte10Msps_g20_igent_f806MHz_r1.bin (lte, wf or dvbt)"
        )
    return files, len(found) - len(files)
