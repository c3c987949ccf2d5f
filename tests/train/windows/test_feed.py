# SPDX-License-Identifier: GPL-3.0-or-later
"""Which windows are learned from when: each once an epoch, shared out, and never by accident."""

from itertools import chain

import numpy as np
import pytest
import torch

from gr_tsddae.data import Dataset, MemoryStore
from gr_tsddae.iq.windows import to_complex, unit_power
from gr_tsddae.synth import draw_random
from gr_tsddae.train.windows.feed import (
    BLOCK_WINDOWS,
    Loader,
    Place,
    ResidentFeed,
    StreamedFeed,
    SyntheticFeed,
    Validation,
    augment,
)

CPU = torch.device("cpu")


def numbered(count):
    """Windows whose label is their number, and which are told apart by their phase."""
    phase = 2 * np.pi * np.arange(count) / count
    rows = np.stack((np.cos(phase), np.sin(phase)), 1)[:, :, None].repeat(4, 2).astype(np.float32)
    return Dataset(
        kind="npz",
        path="numbers",
        store=MemoryStore(rows),
        index=np.arange(count),
        label=np.arange(count),
        level_db=np.zeros(count, np.int64),
        classes=tuple(map(str, range(count))),
    )


def resident_feed(count=50, batch=12, seed=1, rank=0, world=1):
    dataset = numbered(count)
    rows, label = unit_power(torch.from_numpy(dataset.rows())), torch.from_numpy(dataset.label)
    return ResidentFeed(rows, label, batch=batch, seed=seed, place=Place(CPU, rank, world))


def streamed_feed(count=2600, batch=12, seed=1, rank=0, world=1, shuffle_windows=500):
    return StreamedFeed(
        numbered(count), scaling="unit_power", batch=batch, shuffle_windows=shuffle_windows,
        seed=seed, place=Place(CPU, rank, world),
    )  # fmt: skip


FEEDS = pytest.mark.parametrize("make", [resident_feed, streamed_feed])


def labels(feed, steps):
    return [feed.batch(step)[1].tolist() for step in steps]


@FEEDS
def test_an_epoch_shows_each_window_once_in_an_order_of_its_own(make):
    feed = make()
    count, epoch = feed.steps_per_epoch * 12, feed.steps_per_epoch
    assert epoch == {"resident_feed": 4, "streamed_feed": 216}[make.__name__]
    orders = []
    for start in (0, epoch):
        seen = list(chain(*labels(feed, range(start, start + epoch))))
        assert len(set(seen)) == len(seen) == count
        orders.append(seen)
    assert orders[0] != orders[1]
    assert labels(make(seed=2), range(epoch)) != labels(make(), range(epoch))


@FEEDS
def test_rows_are_those_of_their_labels_and_scaled(make):
    feed = make()
    rows, label = feed.batch(3)
    count = len(feed.dataset) if make is streamed_feed else len(feed.rows)
    windows = to_complex(rows)
    torch.testing.assert_close(windows.abs(), torch.ones(12, 4))
    phase = torch.remainder(windows[:, 0].angle(), 2 * torch.pi)
    wanted = 2 * torch.pi * label / count
    torch.testing.assert_close(torch.remainder(phase, 6.2831), wanted, rtol=0, atol=1e-3)


@FEEDS
def test_a_batch_depends_on_its_step_only(make):
    feed = make()
    late = feed.steps_per_epoch + 1
    forward = labels(feed, [0, 1, late])
    assert labels(make(), [late, 1, 0]) == forward[::-1]


@FEEDS
def test_processes_share_the_batches_of_one(make):
    single, shared = make(), [make(rank=rank, world=3) for rank in range(3)]
    for step in (0, 1, single.steps_per_epoch - 1, single.steps_per_epoch):
        whole = single.batch(step)[1].tolist()
        for rank, feed in enumerate(shared):
            assert feed.batch(step)[1].tolist() == whole[rank::3]


def test_a_process_reads_only_its_share():
    feed = streamed_feed(rank=1, world=3)
    asked = []
    read = feed.dataset.store.read
    feed.dataset.store.read = lambda index: (asked.append(index), read(index))[1]
    seen = set(chain(*labels(feed, range(40))))  # one chunk: 500 // 12 = 41 batches
    feed._reader.shutdown()
    first = set(asked[0].tolist())
    assert seen <= first
    assert len(first) == 41 * 12 // 3
    assert all((np.diff(index) > 0).all() for index in asked), "files are read forwards"


def test_streaming_mixes_far_windows_but_reads_neighbours():
    feed = streamed_feed(count=8 * BLOCK_WINDOWS, shuffle_windows=2 * BLOCK_WINDOWS)
    batch = np.array(labels(feed, [0])[0])
    assert 1 < len(np.unique(batch // BLOCK_WINDOWS)) <= 3
    assert len(np.unique(np.diff(batch))) > 6


def test_few_windows_make_a_smaller_batch():
    assert resident_feed(count=7, batch=12).steps_per_epoch == 1
    assert len(resident_feed(count=7, batch=12).batch(0)[1]) == 7
    assert len(resident_feed(count=7, batch=12, world=2).batch(0)[1]) == 3
    with pytest.raises(ValueError, match="too few for 2 processes"):
        resident_feed(count=1, batch=12, world=2)
    with pytest.raises(ValueError, match="batch is 12: 5 processes need a multiple"):
        resident_feed(batch=12, world=5)


def synthetic_feed(**changes):
    settings = {
        "window_samples": 32, "scaling": "unit_power", "batch": 6, "steps": 10, "seed": 3,
        "place": Place(CPU), "draw_windows": 0,
    }  # fmt: skip
    return SyntheticFeed("clean", **settings | changes)


def test_synthetic_windows_depend_on_seed_and_step_only():
    rows, label = synthetic_feed().batch(7)
    generator = torch.Generator().manual_seed(3 * 1_000_003 + 7)
    wanted, same, _ = draw_random("clean", 6, window_samples=32, generator=generator)
    assert torch.equal(label, same)
    assert torch.equal(rows, unit_power(wanted))
    seen = [
        synthetic_feed(place=Place(CPU, rank, 2)).batch(step)[0]
        for step in (0, 1)
        for rank in (0, 1)
    ]
    assert [len(rows) for rows in seen] == [3] * 4
    assert not any(torch.equal(a, b) for i, a in enumerate(seen) for b in seen[:i])


def test_synthetic_windows_of_several_steps_are_drawn_at_once():
    """Each step has windows of its own, also when a run begins in the middle."""
    feed = synthetic_feed(draw_windows=20)  # three steps of 6
    batches = [feed.batch(step) for step in range(7)]
    generator = torch.Generator().manual_seed(3 * 1_000_003 + 1)
    wanted, label, _ = draw_random("clean", 18, window_samples=32, generator=generator)
    assert torch.equal(torch.cat([rows for rows, _ in batches[3:6]]), unit_power(wanted))
    assert torch.equal(torch.cat([of for _, of in batches[3:6]]), label)
    assert feed.batch(0)[0].shape == synthetic_feed(draw_windows=None).batch(0)[0].shape
    for step in (6, 4):
        assert torch.equal(synthetic_feed(draw_windows=20).batch(step)[0], batches[step][0])
    assert not any(torch.equal(a[0], b[0]) for i, a in enumerate(batches) for b in batches[:i])


@pytest.mark.parametrize(("count", "batch", "world"), [(50, 12, 1), (50, 12, 3), (13, 12, 3)])
def test_validation_shows_each_window_once(count, batch, world):
    parts = [
        Validation(lambda index: (index, index), count, batch, Place(CPU, rank, world))
        for rank in range(world)
    ]
    assert len({len(part) for part in parts}) == 1, "or a process would wait for ever"
    batches = [index for part in parts for index, _ in part]
    assert min(map(len, batches)) > 0
    assert sorted(np.concatenate(batches)) == list(range(count))


@pytest.mark.parametrize(("first", "wanted"), [(0, [0, 1, 2, 3]), (2, [2, 3]), (5, [5, 6, 7])])
def test_an_epoch_goes_on_where_the_run_stands(first, wanted):
    feed = resident_feed()
    found = [label.tolist() for _, label in Loader(feed, lambda: first)]
    assert found == labels(feed, wanted)


def test_augmentation_turns_and_mirrors():
    generator = torch.Generator().manual_seed(1)
    time = torch.arange(16)
    window = torch.exp(2j * torch.pi * 0.125 * time) * (1 + 0.1 * time)
    rows = torch.stack((window.real, window.imag)).repeat(400, 1, 1)
    turned = to_complex(augment(rows, generator))
    torch.testing.assert_close(turned.abs(), window.abs().expand(400, -1))
    step = (turned[:, 1] / turned[:, 0]).angle() / (2 * torch.pi)
    torch.testing.assert_close(step.abs(), torch.full((400,), 0.125))
    assert 160 < int((step < 0).sum()) < 240
    phase = torch.exp(1j * turned[:, 0].angle())
    assert phase.mean().abs() < 0.15
    assert not torch.equal(augment(rows, generator), augment(rows, generator))
