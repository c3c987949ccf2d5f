# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw how close networks come to the limits of their device."""

from pathlib import Path
from typing import Any

from gr_tsddae.report.drawing import draw_grid, new_figure, save_png


def draw(path: Path, result: dict[str, Any]) -> Path | None:
    """Draw FLOP/s against batch size, under the ceilings of the device.

    Args:
        path: Of the PNG.
        result: As `network.write` writes it.

    Returns:
        The path; None where matplotlib is not installed, or nothing was measured.
    """
    if not result["measured"]:
        return None
    try:
        figure, axes = new_figure(9, 5.5)
    except ImportError:
        return None
    rows: dict[tuple[str, ...], list[tuple[int, float]]] = {}
    for row in result["measured"]:
        key = (row["size"], str(row["window_samples"]), row["precision"], row["engine"])
        flop = result["flop_per_window"][f"{row['size']} {row['window_samples']}"]
        rows.setdefault(key, []).append((row["batch"], row["windows_per_s"] * flop))
    colours = {name: f"C{n}" for n, name in enumerate(dict.fromkeys(key[0] for key in rows))}
    styles = {"trained": ":", "eager": "--", "compiled": "-.", "graphs": "-"}
    for key, points in rows.items():
        axes.plot(
            *zip(*sorted(points), strict=True),
            styles.get(key[3], "-"),
            marker="o" if key[2] == "bfloat16" else "s",
            markersize=4,
            color=colours[key[0]],
            label=" ".join(key),
        )
    for name, flops in result["ceilings_flop_per_s"].items():
        axes.axhline(flops, color="0.4", linewidth=1)
        across = axes.get_yaxis_transform()  # x from 0 to 1, y in FLOP/s
        axes.text(
            0.01, flops, f"matrix products, {name}", va="bottom", fontsize=8, transform=across
        )
    axes.set(xscale="log", yscale="log", xlabel="windows per batch", ylabel="FLOP/s")
    axes.set_title(f"TS-Net on {result['machine']['device']}", loc="left")
    draw_grid(axes)
    axes.legend(fontsize=6, ncols=2)
    save_png(figure, path)
    return path
