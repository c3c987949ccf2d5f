# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of training runs that several processes share; none is run twice.

A job has its own folder. The process that runs it holds the folder's lock, which dies with the
process; another process then takes the job over and goes on from its checkpoint. `job.json` is
written last, and makes a job finished.
"""

from __future__ import annotations

import json
import logging
import math
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gr_tsddae.files import write_json, write_text
from gr_tsddae.train.config import RunConfig, differences, plain
from gr_tsddae.train.evaluate import EvaluateConfig, evaluate
from gr_tsddae.train.run.lock import claimed

log = logging.getLogger(__name__)

RECORD_FILE = "job.json"
FAILED_FILE = "failed.txt"
METRICS_FILE = "metrics.json"
POLL_S = 5.0  # between looks at what other processes have finished


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training run.

    Attributes:
        train: A command; it writes metrics.json, and resumes where it was stopped.
        config: Of the command; its `out` is the job's folder.
        needs: The job that must be finished first.
        evaluation: A further measurement after the training.
    """

    train: Callable[[Any], Any]
    config: RunConfig
    needs: Job | None = None
    evaluation: EvaluateConfig | None = None

    @property
    def folder(self) -> Path:
        return self.config.out

    @property
    def metrics_file(self) -> Path:
        """The file with the job's scores."""
        return (self.evaluation.out if self.evaluation else self.folder) / METRICS_FILE

    def metrics(self) -> dict[str, Any]:
        """Read the scores of a finished job."""
        return json.loads(self.metrics_file.read_text(encoding="utf-8"))

    def finished(self) -> bool:
        """Tell whether the folder holds the scores of this very configuration.

        Raises:
            ValueError: The folder holds those of another configuration.
        """
        path = self.folder / RECORD_FILE
        try:
            made_with = json.loads(path.read_text(encoding="utf-8"))["config"]
        except FileNotFoundError:
            return False
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(f"{path} is damaged; delete it to run the job again") from error
        # `init` follows from the job, and the folders may have been moved together.
        if changed := [k for k in differences(made_with, plain(self.config)) if k != "init"]:
            raise ValueError(
                f"{self.folder} was made with another configuration ({', '.join(changed)}); "
                "choose another --out folder, or delete that one"
            )
        return self.metrics_file.exists()

    def given_up(self, since: float) -> bool:
        """Tell whether the job, or the one it needs, has failed since a time of `time.time`."""
        if self.needs and self.needs.given_up(since):
            return True
        try:
            return (self.folder / FAILED_FILE).stat().st_mtime >= since
        except FileNotFoundError:
            return False

    def run(self) -> None:
        """Train and measure; the caller holds the lock."""
        began_s = time.monotonic()
        try:
            self.train(self.config)
            if self.evaluation:
                evaluate(self.evaluation)
        except Exception:
            log.error("job %s failed", self.folder)
            raise
        seconds = round(time.monotonic() - began_s, 1)
        write_json(
            self.folder / RECORD_FILE,
            {"config": plain(self.config), "seconds_since_resumed": seconds},
        )


def run_all(
    jobs: Sequence[Job],
    *,
    report: Callable[[], None] = lambda: None,
    forgive_since: float | None = None,
    until: float = math.inf,
) -> None:
    """Run the jobs that are not finished, in this order, and wait for those of other processes.

    Args:
        jobs: In distinct folders, each with the job it needs among them.
        report: Called after each job this process has run.
        forgive_since: None raises the error of a job. With a time of `time.time`, when the command
            began, the other jobs go on; jobs that have failed since then are not tried again by
            any process that began earlier.
        until: Time of `time.time` after which no job is begun or waited for.

    Raises:
        ValueError: A folder holds another configuration. And whatever the commands raise.
    """
    waiting, told = list(jobs), False
    began_s, ran = time.monotonic(), 0
    since = math.inf if forgive_since is None else forgive_since
    while waiting := [job for job in waiting if not job.finished() and not job.given_up(since)]:
        if time.time() >= until:
            return
        for job in waiting:
            if job.needs and not job.needs.finished():
                continue
            with claimed(job.folder) as mine:
                if not mine:
                    continue
                # Another process may have finished it, or failed, since the last look.
                if not job.finished() and not job.given_up(since):
                    number, ran = len(jobs) - len(waiting) + 1, ran + 1
                    left = ""
                    if ran > 1:
                        minutes = (time.monotonic() - began_s) / 60 / (ran - 1) * len(waiting)
                        left = f", about {minutes:.0f} min left"
                    log.info("job %d of %d: %s%s", number, len(jobs), job.folder, left)
                    try:
                        job.run()
                    except Exception as error:
                        if forgive_since is None:
                            raise
                        text = "".join(traceback.format_exception(error))
                        write_text(job.folder / FAILED_FILE, text)
                        log.error("%s", error)
                    else:
                        (job.folder / FAILED_FILE).unlink(missing_ok=True)
                        report()
            break  # a job that could not start before may start now
        else:
            if not told:
                names = ", ".join(str(job.folder) for job in waiting)
                log.info("waiting for other processes to finish %s", names)
                told = True
            time.sleep(POLL_S)


def distinct(jobs: Iterable[Job]) -> list[Job]:
    """List jobs and the jobs they need, each folder once, needed ones first."""
    found: dict[Path, Job] = {}
    for job in jobs:
        for each in (job.needs, job):
            if each:
                found.setdefault(each.folder, each)
    return list(found.values())
