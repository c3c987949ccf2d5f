# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches as a function of the step, so that a resumed run, or one on more devices, sees the same.

A feed has `steps_per_epoch` and `batch(step)`, which gives scaled windows and labels on the device.
Of every global batch, rank r of R takes rows r, r + R, ...; so R processes with a batch of B/R see
the same as one with a batch of B. No Python runs per window.
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from gr_tsddae.data import Dataset
from gr_tsddae.iq.windows import SCALINGS, to_complex, to_rows
from gr_tsddae.synth import draw_random

Batch = tuple[torch.Tensor, torch.Tensor]  # rows (B, ...), label (B,)
BLOCK_WINDOWS = 1024  # neighbours that are read together when streaming
# Samples of synthetic windows to draw at once, for several steps: a draw of any size is some
# thousand small operations, whose launch takes even longer on a GPU than on a CPU.
DRAW_SAMPLES = {"cpu": 1 << 19, "cuda": 1 << 22}  # 4096 and 32 768 windows of 128


@dataclass(frozen=True)
class Place:
    """The device of this process, and its rank among the processes of a run."""

    device: torch.device
    rank: int = 0
    world: int = 1

    def share(self, batch: int) -> int:
        """Compute the windows per step of this process.

        Raises:
            ValueError: The batch cannot be divided.
        """
        if batch % self.world:
            raise ValueError(
                f"optimiser.batch is {batch}: {self.world} processes need a multiple of that"
            )
        return batch // self.world


class Feed(Protocol):
    """Training windows."""

    steps_per_epoch: int

    def batch(self, step: int) -> Batch:
        """Give this process's share of the global batch of an optimiser step, counted from 0."""
        ...


def seed_of(*parts: Any) -> int:
    """Make a seed of 32 bits, as many as torch's generators keep, from any values."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big")


class SyntheticFeed:
    """Endless windows of a recipe; every window is new.

    Args:
        steps: Length of an epoch, which is the whole run.
        draw_windows: Windows that this process draws at once, for several steps if one takes fewer.
            None takes `DRAW_SAMPLES`; 0 draws each step by itself.
    """

    def __init__(
        self,
        recipe: str,
        *,
        window_samples: int,
        scaling: str,
        batch: int,
        steps: int,
        seed: int,
        place: Place,
        draw_windows: int | None = None,
    ):
        self.recipe, self.window_samples = recipe, window_samples
        self.seed, self.place = seed, place
        self.steps_per_epoch = steps
        self._scale = SCALINGS[scaling]
        self._count = place.share(batch)
        if draw_windows is None:
            draw_windows = DRAW_SAMPLES[place.device.type] // window_samples
        self._turns = max(1, draw_windows // self._count)  # steps per draw
        self._kept: tuple[int, Batch] | None = None

    def batch(self, step: int) -> Batch:
        number, turn = divmod(step, self._turns)
        if self._kept is None or self._kept[0] != number:
            self._kept = None  # two draws may not fit into memory
            self._kept = number, self._draw(number)
        rows, label = self._kept[1]
        mine = slice(turn * self._count, (turn + 1) * self._count)
        return rows[mine], label[mine]

    def _draw(self, number: int) -> Batch:
        generator = torch.Generator(self.place.device)
        # Consecutive seeds, all of them far below those of windows a model is measured on.
        generator.manual_seed(self.seed * 1_000_003 + number * self.place.world + self.place.rank)
        rows, label, _ = draw_random(
            self.recipe,
            self._count * self._turns,
            window_samples=self.window_samples,
            generator=generator,
        )
        return self._scale(rows), label


class ResidentFeed:
    """Windows that lie on the device as one tensor, in a new random order every epoch.

    Args:
        rows: Scaled windows or their features, (N, ...), on the device.
        label: (N,), on the device.
        batch: Over all processes; at most N are taken.
    """

    def __init__(
        self, rows: torch.Tensor, label: torch.Tensor, *, batch: int, seed: int, place: Place
    ):
        self.rows, self.label, self.seed, self.place = rows, label, seed, place
        self._batch = _whole_batch(batch, len(rows), place)
        self.steps_per_epoch = len(rows) // self._batch
        self._kept: tuple[int, torch.Tensor] | None = None

    def batch(self, step: int) -> Batch:
        epoch, turn = divmod(step, self.steps_per_epoch)
        if self._kept is None or self._kept[0] != epoch:
            # Drawn on the CPU, so that the order is the same on every device.
            generator = torch.Generator().manual_seed(seed_of("order", self.seed, epoch))
            order = torch.randperm(len(self.rows), generator=generator)
            self._kept = epoch, order.to(self.place.device)
        mine = slice(turn * self._batch + self.place.rank, (turn + 1) * self._batch)
        index = self._kept[1][mine][:: self.place.world]
        return self.rows[index], self.label[index]


class StreamedFeed:
    """Windows that stay in their file; blocks of neighbours are read in random order and shuffled.

    A thread reads the next `shuffle_windows` while the network learns from the present ones. Every
    process reads only its own share.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        scaling: str,
        batch: int,
        shuffle_windows: int,
        seed: int,
        place: Place,
    ):
        self.dataset, self.seed, self.place = dataset, seed, place
        self._scale = SCALINGS[scaling]
        self._batch = _whole_batch(batch, len(dataset), place)
        self.steps_per_epoch = len(dataset) // self._batch
        self._turns = max(1, shuffle_windows // self._batch)  # batches per chunk
        self._chunks = -(-self.steps_per_epoch // self._turns)  # chunks per epoch
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="windows")
        self._read: dict[int, Future[Batch]] = {}

    def batch(self, step: int) -> Batch:
        epoch, turn = divmod(step, self.steps_per_epoch)
        number = epoch * self._chunks + turn // self._turns
        wanted = {
            n: self._read.get(n) or self._reader.submit(self._chunk, n)
            for n in (number, number + 1)
        }
        self._read = wanted  # frees the chunk before
        rows, label = wanted[number].result()
        size = self._batch // self.place.world
        mine = slice(turn % self._turns * size, (turn % self._turns + 1) * size)
        device = self.place.device
        return (
            self._scale(rows[mine].to(device, non_blocking=True)),
            label[mine].to(device, non_blocking=True),
        )

    def _chunk(self, number: int) -> Batch:
        epoch, chunk = divmod(number, self._chunks)
        random = np.random.default_rng(seed_of("blocks", self.seed, epoch))
        starts = np.arange(0, len(self.dataset), BLOCK_WINDOWS)
        random.shuffle(starts)
        order = np.concatenate([np.arange(s, s + BLOCK_WINDOWS) for s in starts])
        order = order[order < len(self.dataset)][: self.steps_per_epoch * self._batch]
        size = self._turns * self._batch
        order = order[chunk * size : (chunk + 1) * size]
        np.random.default_rng(seed_of("chunk", self.seed, number)).shuffle(order)
        mine = order[self.place.rank :: self.place.world]
        ascending = np.argsort(mine)
        rows = np.empty((len(mine), *self.dataset.store.shape[1:]), np.float32)
        rows[ascending] = self.dataset.rows(mine[ascending])
        return torch.from_numpy(rows), torch.from_numpy(self.dataset.label[mine])


class Validation:
    """All windows of a validation set, once and in order, in as many batches for every process.

    Processes take turns row by row; no row goes to two of them.
    """

    def __init__(self, rows: Callable[[np.ndarray], Batch], count: int, batch: int, place: Place):
        if count < place.world:
            raise ValueError(
                f"{count} windows to validate on are too few for {place.world} devices"
            )
        self._rows, self._place = rows, place
        self._chunks = np.array_split(np.arange(count), -(-count // max(batch, place.world)))

    def __len__(self) -> int:
        return len(self._chunks)

    def __iter__(self) -> Iterator[Batch]:
        for chunk in self._chunks:
            yield self._rows(chunk[self._place.rank :: self._place.world])


class Loader:
    """Iterates over the rest of an epoch, from the step at which the run is.

    Args:
        step: Gives the number of optimiser steps done so far.
        augment: Seed of `augment`, or None.
    """

    def __init__(
        self, feed: Feed, step: Callable[[], int], *, augment: int | None = None, rank: int = 0
    ):
        self.feed, self._step, self._augment, self._rank = feed, step, augment, rank

    def __len__(self) -> int:
        return self.feed.steps_per_epoch

    def __iter__(self) -> Iterator[Batch]:
        first = self._step()
        for step in range(first, first + len(self) - first % len(self)):
            rows, label = self.feed.batch(step)
            if self._augment is not None:
                generator = torch.Generator(rows.device)
                generator.manual_seed(seed_of("augment", self._augment, step, self._rank))
                rows = augment(rows, generator)
            yield rows, label

    # The run's checkpoint holds its step, which is all the state of a feed.
    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def augment(rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Rotate windows by a random phase and mirror every second spectrum: (B, 2, L) -> (B, 2, L)."""
    uniform = torch.rand(2, len(rows), 1, generator=generator, device=rows.device)
    windows = to_complex(rows) * torch.polar(torch.ones_like(uniform[0]), 2 * torch.pi * uniform[0])
    rows = to_rows(windows)
    mirror = torch.where(uniform[1] < 0.5, -1.0, 1.0)  # (B, 1)
    return torch.stack((rows[:, 0], rows[:, 1] * mirror), 1)


def resident(dataset: Dataset, *, scaling: str, device: torch.device) -> Batch:
    """Copy a whole data set to the device, piece by piece, as scaled windows and labels."""
    rows = torch.empty(len(dataset), *dataset.store.shape[1:], device=device)
    for start in range(0, len(dataset), 65_536):
        piece = torch.from_numpy(dataset.rows(slice(start, start + 65_536)))
        rows[start : start + 65_536] = SCALINGS[scaling](piece.to(device))
    return rows, torch.from_numpy(dataset.label).to(device)


def _whole_batch(batch: int, count: int, place: Place) -> int:
    """Limit the global batch to the windows there are, and to a multiple of the processes."""
    place.share(batch)
    if count < place.world:
        raise ValueError(f"{count} windows to learn from are too few for {place.world} processes")
    return min(batch, count - count % place.world)
