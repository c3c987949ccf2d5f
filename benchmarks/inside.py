# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether windows of recordings lie inside what the recipe of the air makes of their class.

A survey finds the strongest emission of each recording and cuts windows of it, as `air-small` wants
them. The recipe draws windows of the same classes at the same SNR. A window is described by its
spectrum, its envelope and its frequency over time. It is inside if some synthetic window is as near
to it as that window's third neighbour among its like is (Kynkaanniemi et al., "Improved precision
and recall metric for assessing generative models", NeurIPS 2019). Other synthetic windows show the
share that the measure itself gives.

    python benchmarks/inside.py --root DIR --json benchmarks/results/inside.json
"""

from pathlib import Path

import numpy as np
import torch
from scipy.spatial import KDTree

from gr_tsddae import zoo
from gr_tsddae.bench.machine import describe
from gr_tsddae.files import write_json
from gr_tsddae.iq.captures import open_capture
from gr_tsddae.progress import Progress
from gr_tsddae.survey import DEFAULT_MODEL
from gr_tsddae.survey.recognition import cut_windows, isolator, wanted_of
from gr_tsddae.survey.recording import survey_recording
from gr_tsddae.survey.truth.recordings import Row, read_table
from gr_tsddae.synth.air.recipe import SENDERS, draw_windows
from listed import parser_of, rows_there

TABLE = Path(__file__).with_name("recordings.csv")
MOST_WINDOWS = 64  # of a recording
DRAWN = 1500  # synthetic windows of a recording's classes; a third of them is judged like it
SNR_DB = 3.0  # they are within so many dB of the recording
NEIGHBOUR = 3
BANDS = 32  # of the spectrum
QUANTILES = np.linspace(0.02, 0.98, 16)  # of envelope and frequency


def descriptions(windows: np.ndarray) -> np.ndarray:
    """Describe windows, complex (n, L), by their spectrum, envelope and frequency: (n, 64)."""
    windows = windows / np.sqrt(np.mean(np.abs(windows) ** 2, axis=1, keepdims=True) + 1e-12)
    power = np.abs(np.fft.fftshift(np.fft.fft(windows), axes=1)) ** 2 / windows.shape[1]
    bands = np.log10(power.reshape(len(windows), BANDS, -1).mean(2) + 1e-4)
    envelope = np.quantile(np.abs(windows), QUANTILES, axis=1).T
    turns = np.angle(windows[:, 1:] * windows[:, :-1].conj()) / np.pi
    return np.concatenate([bands, envelope, np.quantile(turns, QUANTILES, axis=1).T], axis=1)


def share_inside(judged: np.ndarray, made: np.ndarray) -> float:
    """Tell the share of `judged`, (n, D), that lies inside what was `made`, (m, D)."""
    radius = KDTree(made).query(made, NEIGHBOUR + 1)[0][:, -1]
    distance = np.linalg.norm(judged[:, None] - made, axis=2)
    return float((distance <= radius).any(1).mean())


def windows_of(row: Row, root: Path, card: zoo.Card) -> tuple[np.ndarray, float] | None:
    """Cut windows, complex (n, L), of a recording's strongest emission; give its SNR too."""
    with open_capture(
        root / row.path, dtype=row.dtype, sample_rate_hz=row.sample_rate_hz,
        center_frequency_hz=row.center_frequency_hz,
    ) as capture:  # fmt: skip
        emissions = survey_recording(capture, None, (), threshold=1.0).emissions
        if not emissions:
            return None
        best = max(emissions, key=lambda emission: emission.energy)
        wanted = wanted_of(best, card, capture.sample_rate_hz)
        windows = cut_windows(
            best, best.bursts, card.window_samples, wanted, isolator(capture), MOST_WINDOWS
        )
        return windows, best.snr_db


def drawn(labels: tuple[str, ...], snr_db: float, card: zoo.Card) -> np.ndarray:
    """Draw synthetic windows of the classes, complex (DRAWN, L)."""
    generator = torch.Generator().manual_seed(5_200_000_000)
    which = torch.randint(len(labels), (DRAWN,), generator=generator)
    snr = snr_db + SNR_DB * (2 * torch.rand(DRAWN, generator=generator) - 1)
    senders = [SENDERS[label] for label in labels]
    rows = draw_windows(
        senders, which, snr, window_samples=card.window_samples, generator=generator
    ).numpy()
    return rows[:, 0] + 1j * rows[:, 1]


def main() -> None:
    """Judge the recordings, print a line for each, and write all."""
    parser = parser_of(__doc__, TABLE)
    parser.add_argument("--json", type=Path, help="where to write the result")
    arguments = parser.parse_args()
    card = zoo.load(DEFAULT_MODEL).card
    there = {row["path"] for row in rows_there(arguments)}
    found = []
    for row in Progress("comparing", "recording", over=read_table(arguments.table)):
        if row.path not in there or not row.labels or not set(row.labels) <= set(SENDERS):
            continue
        cut = windows_of(row, arguments.root, card)
        if cut is None or not len(cut[0]):
            continue
        real = descriptions(cut[0])
        synthetic = descriptions(drawn(row.labels, cut[1], card))
        scale = synthetic.std(0) + 1e-9
        made, others = np.split(synthetic / scale, [2 * DRAWN // 3])
        found.append(
            {
                "recording": row.path,
                "labels": row.labels,
                "snr_db": round(cut[1], 1),
                "windows": len(real),
                "inside": round(share_inside(real / scale, made), 3),
                "synthetic_inside": round(share_inside(others, made), 3),
            }
        )
        last = found[-1]
        print(
            f"{Path(row.path).name:60} {'|'.join(row.labels):12} {last['windows']:3} windows: "
            f"{100 * last['inside']:5.1f} % inside; {100 * last['synthetic_inside']:5.1f} % of "
            "synthetic ones",
            flush=True,
        )
    if arguments.json:
        write_json(arguments.json, {"machine": describe("cpu"), "recordings": found})


if __name__ == "__main__":
    main()
