# SPDX-License-Identifier: GPL-3.0-or-later
"""The RML Dataset Source block: windows of a labelled dataset, back to back, with truth tags."""

import dataclasses
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pmt
from gnuradio import gr

from gr_tsddae.data import Dataset, open_dataset
from gr_tsddae.data.selection import Selection, as_complex, truth_of

log = logging.getLogger(__name__)

READ_SAMPLES = 1 << 18  # that one read of the dataset gives


class rml_source(gr.sync_block):
    """Complex stream out, with tags `label`, `snr_db` and `window` at each window's first sample.

    Replay the windows of a dataset as one stream. The block's documentation
    (grc/tsddae_rml_source.block.yml) describes the tags.

    The arguments that are not listed here are those of `gr_tsddae.data.selection.Selection`.

    Args:
        kind: kind of the dataset, see `gr_tsddae.data.kinds`.
        path: file or folder of the dataset. Empty: the stream ends at once, and the log says why.
        options: options of the kind's reader.
        repeat: whether to begin again at the end.
        gain: factor for the samples.

    Raises:
        ValueError: If an argument is out of its range, or the dataset cannot be opened.
    """

    def __init__(
        self,
        kind: str = "rml2016.10a",
        path: str = "",
        options: Mapping[str, Any] | None = None,
        order: str = "file",
        seed: int = 1,
        classes: Sequence[str] = (),
        snr_min_db: float = -math.inf,
        snr_max_db: float = math.inf,
        snrs_db: Sequence[float] = (),
        part: str = "all",
        split_seed: int = 1,
        windows_per_key: int = 0,
        repeat: bool = False,
        gain: float = 1.0,
    ):
        gr.sync_block.__init__(self, name="RML Dataset Source", in_sig=None, out_sig=[np.complex64])
        self._selection = Selection(
            order=order,
            seed=seed,
            classes=classes,
            snr_min_db=snr_min_db,
            snr_max_db=snr_max_db,
            snrs_db=snrs_db,
            part=part,
            split_seed=split_seed,
            windows_per_key=windows_per_key,
        )
        # When one variable moves both limits, GRC sets them one after the other. The new lower
        # limit may lie above the old upper one: it is refused, and tried again with the second.
        self._refused_limits: dict[str, float] = {}
        self._repeat = bool(repeat)
        self._gain = _checked_gain(gain)
        self._dataset = open_dataset(kind, path, **(options or {})) if path else None
        # Setters replace this value as a whole, from other threads; work() reads it once per call.
        self._chosen = self._selection.of(self._dataset) if self._dataset else None
        self._playing: Dataset | None = None
        self._next = 0  # number of the next window of `_playing`
        self._rows = np.empty((0, 2, 1), np.float32)  # (n, 2, L), read ahead, from `_next` on
        self._keys = {name: pmt.intern(name) for name in ("label", "snr_db", "window")}
        self._symbols = {None: pmt.PMT_NIL}
        if self._dataset:
            self._symbols |= {name: pmt.intern(name) for name in self._dataset.classes}
            self.set_output_multiple(self._dataset.window_samples)

    # --- parameters, from any thread; a bad value is logged, the old one stays -------------------

    def set_repeat(self, repeat: bool) -> None:
        """Choose whether to begin again at the end."""
        self._repeat = bool(repeat)

    def set_gain(self, gain: float) -> None:
        """Change the gain, from the next windows on."""
        try:
            self._gain = _checked_gain(gain)
        except (ValueError, TypeError) as error:
            log.error("gain not changed: %s", error)

    def set_order(self, order: str) -> None:
        """Play the selected windows in another order, from the beginning."""
        self._select(order=order)

    def set_classes(self, classes: Sequence[str]) -> None:
        """Play other classes, from the beginning."""
        self._select(classes=classes)

    def set_snr_min_db(self, snr_min_db: float) -> None:
        """Change the lowest level, and play from the beginning."""
        self._select(snr_min_db=snr_min_db)

    def set_snr_max_db(self, snr_max_db: float) -> None:
        """Change the highest level, and play from the beginning."""
        self._select(snr_max_db=snr_max_db)

    def set_snrs_db(self, snrs_db: Sequence[float]) -> None:
        """Play other levels, from the beginning."""
        self._select(snrs_db=snrs_db)

    def _select(self, **change: Any) -> None:
        if limits := change.keys() & {"snr_min_db", "snr_max_db"}:
            change = self._refused_limits | change
        try:
            selection = dataclasses.replace(self._selection, **change)
            if self._dataset:
                self._chosen = selection.of(self._dataset)
            self._selection = selection
        except (ValueError, TypeError) as error:
            log.error("selection not changed: %s", error)
            if limits:
                self._refused_limits = change
        else:
            if limits:
                self._refused_limits = {}

    @property
    def window_samples(self) -> int:
        """Give the window length L of the dataset; 0 without a dataset."""
        return self._dataset.window_samples if self._dataset else 0

    @property
    def window_count(self) -> int:
        """Count the selected windows."""
        return len(self._chosen) if self._chosen else 0

    # --- called by the scheduler -----------------------------------------------------------------

    def start(self) -> bool:
        self._playing = None  # from the beginning
        return True

    def work(self, input_items: list, output_items: list) -> int:
        try:
            return self._play(output_items[0])
        except Exception:  # raised from here, it would hang the flowgraph
            log.exception("the dataset cannot be read on; the stream ends here")
            return -1

    def _play(self, out: np.ndarray) -> int:
        chosen = self._chosen
        if chosen is None:
            log.error("RML Dataset Source: path is empty: give the dataset's file or folder")
            return -1
        if chosen is not self._playing:
            self._rewind(chosen)
        if self._next == len(chosen):
            if not self._repeat:
                return -1
            self._next = 0
        samples = chosen.window_samples
        if not len(self._rows):
            step = max(1, READ_SAMPLES // samples)
            self._rows = chosen.rows(slice(self._next, self._next + step))
        count = min(len(out) // samples, len(self._rows))
        out[: count * samples] = as_complex(self._rows[:count], self._gain)
        self._rows = self._rows[count:]
        offset = self.nitems_written(0)
        for number in range(self._next, self._next + count):
            self._tag(offset, chosen, number)
            offset += samples
        self._next += count
        return count * samples

    def _rewind(self, chosen: Dataset) -> None:
        self._playing, self._next = chosen, 0
        self._rows = np.empty((0, 2, chosen.window_samples), np.float32)

    def _tag(self, offset: int, dataset: Dataset, number: int) -> None:
        label, level_db = truth_of(dataset, number)
        self.add_item_tag(0, offset, self._keys["label"], self._symbols[label])
        if level_db is not None:
            self.add_item_tag(0, offset, self._keys["snr_db"], pmt.from_double(level_db))
        window = pmt.from_uint64(int(dataset.index[number]))
        self.add_item_tag(0, offset, self._keys["window"], window)


def _checked_gain(gain: float) -> float:
    if not 0 < abs(gain) < math.inf:
        raise ValueError(f"gain is {gain}: it must be finite and not 0")
    return float(gain)
