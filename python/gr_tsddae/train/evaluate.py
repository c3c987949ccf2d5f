# SPDX-License-Identifier: GPL-3.0-or-later
"""How right a classifier is: per SNR, per class, and how well its confidence means what it says."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gr_tsddae import zoo
from gr_tsddae.iq.windows import SCALINGS
from gr_tsddae.synth import CLASSES, RECIPES, draw

SNRS_DB = tuple(range(-20, 31, 2))


@torch.inference_mode()
def probabilities(
    network: nn.Module, rows: torch.Tensor, *, scaling: str, batch: int = 512
) -> torch.Tensor:
    """Class probabilities of unscaled windows: (B, 2, L) -> float32 (B, K) on the CPU."""
    device = next(network.parameters()).device
    scale = SCALINGS[scaling]
    parts = [network(scale(part.to(device))).float().softmax(1).cpu() for part in rows.split(batch)]
    return torch.cat(parts)


def metrics(
    probability: torch.Tensor, label: torch.Tensor, snr_db: torch.Tensor, classes: tuple[str, ...]
) -> dict[str, Any]:
    """Accuracy overall and per SNR, macro-F1, calibration error and confusion matrix.

    Args:
        probability: (B, K).
        label: true class indices, (B,).
        snr_db: whole decibels, (B,).
        classes: K names.

    Returns:
        Plain numbers, lists and dicts, ready for JSON or YAML. `confusion[i][j]` counts windows
        of class i called class j. `ece` is the expected calibration error over 15 bins.
    """
    confidence, called = probability.max(1)
    right = called == label
    count = len(classes)
    confusion = torch.bincount(label * count + called, minlength=count**2).view(count, count)
    hits = confusion.diagonal().double()
    present = confusion.sum(1) > 0
    f1 = 2 * hits / (confusion.sum(1) + confusion.sum(0)).clamp(min=1)
    bins = (confidence * 15).long().clamp(max=14)
    ece = sum(
        (right[rows].double().mean() - confidence[rows].double().mean()).abs().item()
        * rows.sum().item()
        for rows in (bins == b for b in bins.unique())
    ) / len(label)
    per_snr = {int(s): round(right[snr_db == s].double().mean().item(), 4) for s in snr_db.unique()}
    return {
        "accuracy": round(right.double().mean().item(), 4),
        "best": max(per_snr.values()),
        "accuracy_per_snr": dict(sorted(per_snr.items())),
        "macro_f1": round(f1[present].mean().item(), 4),
        "ece": round(ece, 4),
        "classes": list(classes),
        "confusion": confusion.tolist(),
    }


def evaluate_synthetic(
    network: nn.Module,
    *,
    recipe: str,
    scaling: str,
    window_samples: int,
    windows_per_class: int,
    seed: int,
    device: str = "cpu",
    snrs_db: tuple[int, ...] = SNRS_DB,
) -> dict[str, Any]:
    """Metrics on fresh windows of a recipe, the same number of each class at each SNR.

    Raises:
        ValueError: when `windows_per_class` is under 1.
    """
    if windows_per_class < 1:
        raise ValueError(f"windows_per_class is {windows_per_class}: it must be at least 1")
    generator = torch.Generator(device).manual_seed(seed)
    label = torch.arange(len(CLASSES), device=device).repeat_interleave(windows_per_class)
    found, truth, snr = [], [], []
    for snr_db in snrs_db:
        level = torch.full((len(label),), float(snr_db), device=device)
        rows = draw(
            RECIPES[recipe], label, level, window_samples=window_samples, generator=generator
        )
        found.append(probabilities(network, rows, scaling=scaling))
        truth.append(label.cpu())
        snr.append(torch.full((len(label),), snr_db))
    result = metrics(torch.cat(found), torch.cat(truth), torch.cat(snr), CLASSES)
    return {"recipe": recipe, "windows_per_class_and_snr": windows_per_class, **result}


def evaluate_windows(model: zoo.Model, path: Path) -> dict[str, Any]:
    """Metrics on an .npz of labelled windows: X float32 (B, 2, L), y names (B,), snr dB (B,).

    Decisions are taken among the classes the file holds, as in a closed-set benchmark; the share
    of windows where the model's first choice was another class is given as `outside_share`.

    Raises:
        ValueError: when arrays are missing or do not fit together or the model's windows, or a
            label is not one of its classes.
    """
    classes, window_samples = model.card.classes, model.card.window_samples
    try:
        with zipfile.ZipFile(path):  # np.load would take other files for arrays or pickles
            file = np.load(path, allow_pickle=False)
        with file:
            rows, names, snr_db = (file[key] for key in ("X", "y", "snr"))
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no .npz with arrays X, y and snr: {error}") from error
    if rows.ndim != 3 or rows.shape[1] != 2 or not len(rows) == names.size == snr_db.size > 0:
        raise ValueError(
            f"{path} has X {rows.shape}, y {names.shape} and snr {snr_db.shape}; "
            "needed are (B, 2, L), (B,) and (B,)"
        )
    if rows.shape[2] != window_samples:
        raise ValueError(
            f"{path} has windows of {rows.shape[2]} samples; the model takes {window_samples}"
        )
    if rows.dtype.kind != "f" or not np.isfinite(rows).all():
        raise ValueError(f"{path}: X must hold finite floating-point numbers")
    held = sorted(set(names.tolist()))
    if unknown := [name for name in held if name not in classes]:
        raise ValueError(f"{path} has classes the model does not know: {', '.join(unknown)}")
    rows = torch.from_numpy(rows.astype(np.float32, copy=False))
    probability = probabilities(model.network, rows, scaling=model.card.scaling)
    columns = [classes.index(name) for name in held]
    outside = ~torch.isin(probability.argmax(1), torch.tensor(columns))
    label = torch.tensor([held.index(name) for name in names])
    result = metrics(
        torch.nn.functional.normalize(probability[:, columns], p=1, dim=1),
        label,
        torch.from_numpy(np.rint(snr_db).astype(np.int64)),
        tuple(held),
    )
    return {**result, "outside_share": round(outside.double().mean().item(), 4)}
