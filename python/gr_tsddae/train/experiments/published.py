# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores of the paper (Liu, Wang, Wang, Shi: TS-DDAE), to be printed beside measured ones."""

# Table 1: dataset -> row -> (average over SNR, best SNR), per cent. And Table 2, likewise.
_TABLE_1_KINDS = ("rml2016.10a", "rml2016.10b", "rml2018.01a", "techrec")
_TABLE_1 = {
    "TS-DDAE": ((63.61, 93.82), (65.50, 94.72), (64.15, 96.80), (89.62, 99.47)),
    "TS-DDAE (probe)": ((54.40, 80.91), (56.15, 83.44), (33.41, 49.56), (86.00, 97.72)),
    "TS-DDAE (25-shot)": ((48.91, 73.91), (47.11, 71.37), (43.95, 67.43), (80.42, 94.56)),
    "TS-DDAE (100-shot)": ((55.47, 84.95), (57.73, 86.90), (56.07, 86.53), (84.00, 97.28)),
}
# The networks it is compared with, by their names in `nets`.
_BASELINES = {
    "resnet": ((48.25, 79.36), (63.87, 92.98), (43.42, 76.94), (66.29, 80.00)),
    "mcnet": ((60.37, 90.86), (57.18, 87.43), (52.70, 89.22), (67.12, 85.68)),
    "vgg": ((39.99, 62.18), (38.11, 56.63), (42.53, 66.73), (79.83, 94.07)),
    "cnn2": ((54.18, 80.68), (54.70, 79.24), (41.67, 61.16), (60.52, 71.38)),
    "gru2": ((60.39, 90.86), (63.93, 93.34), (52.57, 82.44), (37.80, 39.09)),
    "cgdnn": ((51.62, 76.59), (47.90, 70.68), (35.34, 52.56), (49.27, 58.15)),
    "transformer": ((54.77, 82.36), (61.17, 90.42), (58.22, 93.18), (71.77, 79.74)),
    "msnet": ((58.94, 88.59), (63.37, 93.34), (57.73, 91.92), (85.80, 97.71)),
    "amc-net": ((60.82, 90.68), (63.87, 92.98), (41.14, 60.54), (88.71, 98.66)),
    "spectrum-fm": ((60.01, 90.00), (53.12, 76.28), (59.86, 95.87), (62.22, 69.47)),
    "iqformer": ((64.05, 93.77), (65.00, 94.14), (40.22, 60.71), (77.74, 88.92)),
}
_TABLE_2_KINDS = ("rml2016.10a", "rml2016.10b", "techrec")
_TABLE_2 = {
    "TS-DDAE": ((63.61, 93.82), (65.50, 94.72), (89.62, 99.47)),
    "w/o temporal": ((48.81, 75.95), (50.94, 75.68), (87.28, 99.05)),
    "w/o spectral": ((62.97, 93.09), (64.79, 93.73), (37.48, 47.58)),
    "w/o interactive": ((62.92, 93.27), (65.09, 93.97), (87.87, 99.21)),
    "w/ single noise": ((63.01, 92.59), (65.12, 94.14), (89.27, 99.21)),
}
# Figure 5, for which the paper gives words and no numbers.
FIGURE_5 = {"AUC 0 dB": "nearly 1.0", "AUC 5 dB": "nearly 1.0", "AUC 10 dB": "over 0.9"}

RATIO_TEXT = "Fig. 4: best near 0.5 (its text; the paper uses 0.414)"
_LAYERS_TEXT = "Fig. 10: best with {} (its text; the paper uses 4)"


def table_1(kind: str, row: str) -> dict[str, float | str]:
    """Look up the paper's words or scores for a row; empty where it has none."""
    if kind == "icarus":
        return dict(FIGURE_5) if row == "TS-DDAE" else {}
    return _cell(_TABLE_1, _TABLE_1_KINDS, kind, row)


def compared(kind: str, network: str, protocol: str) -> dict[str, float | str]:
    """Look up Table 1 for a network under a protocol of `benchmark`.

    SpectrumFM was pre-trained as its paper says; the other networks that TS-DDAE is compared with
    were trained from nothing. Rows of TS-DDAE are of tsnet-base.
    """
    if network == "tsnet-base" and protocol != "scratch" and kind != "icarus":
        return table_1(kind, "TS-DDAE" if protocol == "finetuned" else f"TS-DDAE ({protocol})")
    if protocol == ("finetuned" if network == "spectrum-fm" else "scratch"):
        return _cell(_BASELINES, _TABLE_1_KINDS, kind, network)
    return {}


def table_2(kind: str, row: str) -> dict[str, float | str]:
    """Look up Table 2 for an ablation."""
    return _cell(_TABLE_2, _TABLE_2_KINDS, kind, row)


def sweep_text(over: str, kind: str) -> str:
    """Look up the paper's words on a sweep."""
    if kind not in _TABLE_2_KINDS:
        return ""
    return RATIO_TEXT if over == "ratio" else _LAYERS_TEXT.format(5 if kind == "techrec" else 4)


def _cell(
    table: dict[str, tuple[tuple[float, float], ...]], kinds: tuple[str, ...], kind: str, row: str
) -> dict[str, float | str]:
    if kind not in kinds or row not in table:
        return {}
    average, best = table[row][kinds.index(kind)]
    return {"average": average, "best": best}
