# SPDX-License-Identifier: GPL-3.0-or-later
"""Which blocks send messages to a block.

GNU Radio tells a sender who listens, but not a listener who sends. Only the flowgraph holds the
connections, and a block has no reference to its flowgraph. So the flowgraph is looked up among
Python's objects: about 20 ms, once for each start of a listener.
"""

import gc
from collections.abc import Iterable

from gnuradio import gr

UNKNOWN = "(unknown sender)"
CONTROL = "control"  # no block waits for those who send to this port of it


def senders_of(block: gr.basic_block) -> list[str]:
    """Name the sender of each message connection into a block of a running flowgraph.

    Returns:
        The sender's alias, once for each connection. A sender that itself listens to the block,
        even by way of others, is left out: each would wait for the other's end. A port `control`
        does not count, as nobody waits there. When no Python flowgraph holds the block, the list
        is `[UNKNOWN]`.
    """
    name = block.alias()
    for edges in map(_message_edges, _flowgraphs()):
        if any(name in edge[:2] for edge in edges):
            listeners = _downstream(name, edges)
            return [source for source, sink, _ in edges if sink == name and source not in listeners]
    return [UNKNOWN]


def _flowgraphs() -> Iterable[gr.top_block]:
    kinds = {gr.top_block}
    waiting = [gr.top_block]
    while waiting:
        found = set(waiting.pop().__subclasses__()) - kinds
        kinds |= found
        waiting += found
    numbers = set(map(id, kinds))  # not every class can be hashed
    return [made for made in gc.get_objects() if id(type(made)) in numbers]


def _message_edges(flowgraph: gr.top_block) -> list[tuple[str, str, str]]:
    """Aliases of source and sink, and the sink's port.

    They are read from lines like `classifier0:decisions->publisher0:decisions`.
    """
    try:
        lines = flowgraph.msg_edge_list().splitlines()
    except RuntimeError:  # its __init__ has not run yet
        return []
    ends = [line.rsplit("->", 1) for line in lines]
    return [(source.rsplit(":", 1)[0], *sink.rsplit(":", 1)) for source, sink in ends]


def _downstream(name: str, edges: list[tuple[str, str, str]]) -> set[str]:
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        source = waiting.pop()
        more = {sink for origin, sink, port in edges if origin == source and port != CONTROL}
        more -= reached
        reached |= more
        waiting += more
    return reached
