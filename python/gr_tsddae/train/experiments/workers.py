# SPDX-License-Identifier: GPL-3.0-or-later
"""Several processes at the jobs of one command: each takes what no other one holds the lock of."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import wait
from typing import Any

import torch

from gr_tsddae.train.run.memory import keep_freed_memory

log = logging.getLogger(__name__)


def run_workers(work: Callable[..., None], *arguments: Any, count: int) -> list[int]:
    """Run the same function in some processes, and wait for all.

    Where torch sees GPUs, process i has GPU i mod their number and sees no other one. The processes
    end when this one does, however it ends.

    Args:
        work: of a module; shares its work by `jobs.run_all`.
        *arguments: of it, which can be pickled.
        count: processes.

    Returns:
        Their exit statuses; what a killed one was at is for others, or for the next command.
    """
    visible = _visible_gpus()
    context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
    processes = []
    for number in range(count):
        gpu = visible[number % len(visible)] if visible else None
        process = context.Process(
            target=_worker, args=(gpu, count, work, arguments), name=f"worker-{number}"
        )
        process.start()
        processes.append(process)
    try:
        for process in processes:
            process.join()
    except BaseException:
        # A terminal sends Ctrl-C to all; others send it to this process alone.
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
        raise
    return [process.exitcode for process in processes]


def _visible_gpus() -> list[str]:
    """As CUDA_VISIBLE_DEVICES writes them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name]
    return [str(number) for number in range(torch.cuda.device_count())]


def _worker(
    gpu: str | None, count: int, work: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # CUDA looks when it is first used
    keep_freed_memory()
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // count))
    name = multiprocessing.current_process().name
    logging.basicConfig(level=logging.INFO, format=f"{name}: %(message)s")
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work(*arguments)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _end_with_parent() -> None:
    """A worker whose command was killed stops as if asked to: with a checkpoint."""
    wait([multiprocessing.parent_process().sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
