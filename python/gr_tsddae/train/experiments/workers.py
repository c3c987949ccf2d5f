# SPDX-License-Identifier: GPL-3.0-or-later
"""Several processes run the jobs of one command; each takes a job whose lock no other one holds."""

import logging
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch

from gr_tsddae.train.config import at_least
from gr_tsddae.train.experiments.jobs import Job
from gr_tsddae.train.run.memory import keep_freed_memory

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class WorkersConfig:
    """A command whose jobs several processes share.

    Attributes:
        out: Folder to write to.
        jobs: Processes at once on this machine; with several GPUs, spread over them.
        minutes: Begin no run after so many minutes, and write what is finished; null for no limit.
    """

    out: Path
    jobs: int = 1
    minutes: float | None = None

    def __post_init__(self) -> None:
        at_least(1, self, "jobs")
        if self.minutes is not None and not self.minutes > 0:
            raise ValueError(f"minutes is {self.minutes}: it must be over 0, or null")

    def until(self, began: float) -> float:
        """Give the time of `time.time` after which no run begins."""
        return math.inf if self.minutes is None else began + 60 * self.minutes


def share(
    work: Callable[..., None], config: WorkersConfig, *arguments: Any, jobs: Sequence[Job]
) -> None:
    """Call `work(config, *arguments)` in as many processes as asked for, and wait for them.

    Raises:
        ValueError: A folder of the jobs holds another configuration.
    """
    for job in jobs:
        job.finished()  # raises now what a worker would raise
    config.out.mkdir(parents=True, exist_ok=True)
    if config.jobs == 1:
        work(config, *arguments)
    else:
        run_workers(work, config, *arguments, count=config.jobs)


def tell_unfinished(config: WorkersConfig, jobs: Sequence[Job], noun: str) -> None:
    """Say how many jobs are not finished.

    Raises:
        RuntimeError: No limit of time explains it.
    """
    missing = sum(not job.finished() for job in jobs)
    told = f"{missing} of {len(jobs)} {noun} are not finished"
    if missing and config.minutes is None:
        raise RuntimeError(
            f"{told}, as processes ended early: their messages are above. Where memory was short, "
            "try fewer jobs. The same command goes on"
        )
    if missing:
        log.info("%s; the same command goes on", told)


def run_workers(work: Callable[..., None], *arguments: Any, count: int) -> list[int]:
    """Run the same function in some processes, and wait for all.

    Where torch sees GPUs, process i sees GPU i mod their number alone. The processes end when this
    one does, however it ends.

    Args:
        work: A function of a module, which shares its work by `jobs.run_all`.
        *arguments: Of the function; they can be pickled.
        count: Number of processes.

    Returns:
        Their exit statuses. The job of a killed process is left to others, or to the next command.
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
    """List the GPUs as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name]
    return [str(number) for number in range(torch.cuda.device_count())]


def _worker(
    gpu: str | None, count: int, work: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # CUDA reads it when it is first used
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
    """Stop a worker whose command was killed as if a user asked for it: with a checkpoint."""
    wait([multiprocessing.parent_process().sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
