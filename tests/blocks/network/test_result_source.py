# SPDX-License-Identifier: GPL-3.0-or-later
"""A bounded queue from a thread to a stream: nothing is lost, nobody waits for one who left."""

import threading

import numpy as np
import pytest
from waiting import PATIENCE_S

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
import pmt
from gnuradio import blocks

from gr_tsddae.blocks.network.result_source import (
    CAPACITY_CHUNKS,
    ENDED,
    Chunk,
    ResultQueue,
    ResultSource,
    Tag,
)


def chunk(*items, tags=()):
    return Chunk(np.array(items, np.float32), tags)


def opened():
    queue = ResultQueue()
    queue.begin()
    queue.open()
    return queue


def test_without_a_reader_nothing_is_kept_and_nobody_waits():
    queue = ResultQueue()
    queue.begin()
    for _ in range(3 * CAPACITY_CHUNKS):
        assert not queue.put(chunk(1))
    queue.open()
    queue.end()
    assert queue.read_into(np.empty(1, np.float32)) == (ENDED, [])


def test_items_come_in_order_and_tags_stay_at_their_items():
    queue, key = opened(), pmt.from_long(1)
    queue.put(chunk(1, 2, 3, tags=(Tag(0, "a", key), Tag(2, "b", key))))
    queue.put(chunk(4, tags=(Tag(0, "c", key),)))
    out = np.empty(2, np.float32)
    count, tags = queue.read_into(out)
    assert count == 2 and out.tolist() == [1, 2]
    assert [(tag.item, tag.key) for tag in tags] == [(0, "a")]
    count, tags = queue.read_into(out)
    assert count == 2 and out.tolist() == [3, 4]
    assert [(tag.item, tag.key) for tag in tags] == [(0, "b"), (1, "c")]


def test_the_end_comes_after_what_lies_in_the_queue():
    queue = opened()
    queue.put(chunk(1))
    queue.end()
    out = np.empty(5, np.float32)
    assert queue.read_into(out)[0] == 1
    assert queue.read_into(out)[0] == ENDED


@pytest.mark.parametrize("leave", ["read_into", "close", "abandon"])
def test_a_writer_waits_until_there_is_room_or_nobody_reads(leave):
    queue, done = opened(), threading.Event()
    for _ in range(CAPACITY_CHUNKS):
        assert queue.put(chunk(1))
    put = []
    thread = threading.Thread(target=lambda: (put.append(queue.put(chunk(2))), done.set()))
    thread.start()
    assert not done.wait(0.1), "the queue is full"
    getattr(queue, leave)(*([np.empty(1, np.float32)] if leave == "read_into" else []))
    assert done.wait(PATIENCE_S)
    thread.join()
    assert put == [leave == "read_into"]
    assert queue.reader_left == (leave == "close")


def test_another_run_begins_empty():
    queue = opened()
    queue.put(chunk(1))
    queue.end()
    queue.begin()
    assert queue.read_into(np.empty(1, np.float32)) == (0, [])


def test_a_stream_of_vectors_with_tags_in_a_flowgraph():
    queue = ResultQueue()
    queue.begin()
    source, sink = ResultSource("test", (np.float32, 2), queue), blocks.vector_sink_f(2)

    def write():
        for n in range(10):
            tags = (Tag(0, "number", pmt.from_long(n)),)
            while not queue.put(Chunk(np.full((3, 2), n, np.float32), tags)):
                pass  # the reader has not come yet
        queue.end()

    flowgraph, thread = gr.top_block("test"), threading.Thread(target=write)
    flowgraph.connect(source, sink)
    thread.start()
    flowgraph.run()
    thread.join()
    assert list(sink.data()) == np.repeat(np.arange(10.0), 6).tolist()
    assert [(tag.offset, pmt.to_python(tag.value)) for tag in sink.tags()] == [
        (3 * n, n) for n in range(10)
    ]
