# SPDX-License-Identifier: GPL-3.0-or-later
"""How often emissions of each class show what a survey measures of their keying.

Synthetic emissions of 8 to 28 dB are cut out and measured as a survey does it. The shares are those
of `SHOWN` in python/gr_tsddae/survey/evidence.py.

    python benchmarks/keying_evidence.py --count 40 --seed 7
"""

import argparse
from collections import Counter

import numpy as np

from gr_tsddae.progress import Progress
from gr_tsddae.survey.evidence import SHOWN, regularity
from gr_tsddae.survey.measurement import keying
from gr_tsddae.survey.recognition import isolator
from gr_tsddae.survey.stream import OVERSAMPLING
from gr_tsddae.survey.symbols.single_carrier import MOST_SAMPLES
from gr_tsddae.survey.truth.scenes import Samples
from gr_tsddae.synth.emission.make import LABELS, make

SECONDS = (0.05, 0.3, 1.0)
SNR_DB = (8.0, 28.0)
LEAST_SAMPLES = 128  # of an emission, cut out


def measured(label: str, random: np.random.Generator) -> str | None:
    """Measure one emission; None where it is too narrow or too short to be measured."""
    emission = make(label, random, float(random.choice(SECONDS)))
    snr_db, width_hz = random.uniform(*SNR_DB), emission.bandwidth_hz
    samples = round(len(emission.iq) * OVERSAMPLING * width_hz / emission.rate_hz)
    if samples < LEAST_SAMPLES:
        return None
    # Mean power 1 of the signal, over the noise in its occupied bandwidth.
    density = 10 ** (-snr_db / 10) * emission.rate_hz / width_hz
    noise = random.standard_normal((2, len(emission.iq))) * np.sqrt(density / 2)
    iq = (emission.iq + noise[0] + 1j * noise[1]).astype(np.complex64)
    cutter = isolator(Samples(iq, emission.rate_hz))
    piece, out_hz = cutter.cut(
        emission.low_hz, emission.high_hz, 0, len(iq), oversampling=OVERSAMPLING
    )
    return regularity(keying([piece[:MOST_SAMPLES]], out_hz, width_hz, snr_db)[1])


def main() -> None:
    top = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    top.add_argument("--count", type=int, default=40, help="emissions per class (default: 40)")
    top.add_argument("--seed", type=int, default=7)
    arguments = top.parse_args()
    random = np.random.default_rng(arguments.seed)
    found = {label: Counter[str]() for label in LABELS}
    for label in Progress("measuring", "label", over=LABELS):
        for _ in range(arguments.count):
            kind = measured(label, random)
            if kind is not None:
                found[label][kind] += 1
    print(f"{'percent':<12}", *(f"{kind:>9}" for kind in SHOWN))
    for label, kinds in found.items():
        total = max(1, kinds.total())
        print(f"{label:<12}", *(f"{100 * kinds[kind] / total:9.0f}" for kind in SHOWN))


if __name__ == "__main__":
    main()
