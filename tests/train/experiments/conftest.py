# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that take no time."""

import pytest

from gr_tsddae.files import write_json
from gr_tsddae.train.config import FinetuneConfig, ProbeConfig
from gr_tsddae.train.experiments.jobs import Job


@pytest.fixture
def job(settings, tmp_path):
    """Makes jobs that write scores and note that they ran: (name, needs, accuracy, seed)."""

    def make(name, needs=None, accuracy=0.5, seed=1):
        kind = ProbeConfig if needs else FinetuneConfig
        init = {"init": needs.folder} if needs else {}

        def train(config):
            assert not needs or needs.finished()
            with (tmp_path / "ran").open("a") as file:
                file.write(f"{name}\n")
            per_snr = {"average_over_snr": accuracy, "best": accuracy + 0.1}
            write_json(config.out / "metrics.json", {"accuracy": 0.0, **per_snr})

        config = settings(kind, tmp_path / name, trainer={"seed": seed}, **init)
        return Job(train=train, config=config, needs=needs)

    return make


@pytest.fixture
def ran(tmp_path):
    path = tmp_path / "ran"
    return lambda: path.read_text().split() if path.exists() else []
