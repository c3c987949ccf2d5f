# SPDX-License-Identifier: GPL-3.0-or-later
"""Where boxes and their labels lie on the screen, and which box lies under the pointer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qtpy.QtCore import QMarginsF, QPointF, QRectF

LEAST_PX = 4.0  # of a box one can see
REACH_PX = 6.0  # beside a box, where the pointer still means it
AIR_PX = 2.0  # between a box and its label


@dataclass(frozen=True)
class View:
    """What a waterfall shows, and on how many pixels: frequency to the right, the newest on top."""

    low_hz: float
    high_hz: float
    oldest_s: float
    newest_s: float
    width_px: float
    height_px: float

    def x_px(self, frequency_hz: float) -> float:
        return (frequency_hz - self.low_hz) / (self.high_hz - self.low_hz) * self.width_px

    def y_px(self, time_s: float) -> float:
        return (self.newest_s - time_s) / (self.newest_s - self.oldest_s) * self.height_px


def box(view: View, low_hz: float, high_hz: float, start_s: float, stop_s: float) -> QRectF | None:
    """The rectangle of an emission, wide and high enough to be seen; None outside the view.

    It is in pixels, from the upper left corner of the waterfall.
    """
    left, right = _at_least(view.x_px(low_hz), view.x_px(high_hz))
    top, bottom = _at_least(view.y_px(stop_s), view.y_px(start_s))
    if right < 0 or left > view.width_px or bottom < 0 or top > view.height_px:
        return None
    # Far outside, an edge is not seen, and Qt's coordinates end somewhere.
    far = 50.0
    return QRectF(
        QPointF(max(left, -far), max(top, -far)),
        QPointF(min(right, view.width_px + far), min(bottom, view.height_px + far)),
    )


def hit(boxes: Sequence[tuple[int, QRectF]], place: QPointF) -> int | None:
    """The number of the smallest box at a place, or just beside it; None where there is none."""
    reach = QMarginsF(REACH_PX, REACH_PX, REACH_PX, REACH_PX)
    near = [
        (one.width() * one.height(), number)
        for number, one in boxes
        if one.marginsAdded(reach).contains(place)
    ]
    return min(near)[1] if near else None


def place_labels(
    boxes: Sequence[QRectF],
    widths_px: Sequence[Sequence[float]],
    height_px: float,
    view: View,
) -> list[tuple[int, QRectF] | None]:
    """Find places for labels so that none covers another.

    A label lies in the top of its box where the box is large enough, else above it or beside it.

    Args:
        boxes: of the emissions, the most important first.
        widths_px: for each box the widths of its texts, the best text first.
        height_px: of a line of text.
        view: what is shown.

    Returns:
        For each box the index of its text and the place, or None where no text has room.
    """
    whole = QRectF(0, 0, view.width_px, view.height_px)
    taken: list[QRectF] = []
    places: list[tuple[int, QRectF] | None] = []
    for one, widths in zip(boxes, widths_px, strict=True):
        wanted = (
            (text, QRectF(left, top, width_px, height_px))
            for text, width_px in enumerate(widths)
            for left, top in _corners(one, width_px, height_px, view)
        )
        found = next(
            (
                (text, place)
                for text, place in wanted
                if whole.contains(place) and not any(map(place.intersects, taken))
            ),
            None,
        )
        if found is not None:
            taken.append(found[1])
        places.append(found)
    return places


def _corners(
    one: QRectF, width_px: float, height_px: float, view: View
) -> list[tuple[float, float]]:
    """Upper left corners where a label may lie, the best first."""
    top = max(one.top(), 0.0) + AIR_PX
    corners = []
    if one.width() >= width_px + 2 * AIR_PX and one.height() >= height_px + 2 * AIR_PX:
        left = max(one.left(), 0.0) + AIR_PX
        corners += [(left, top), (left, top + height_px)]
    middle = min(max(one.center().x() - width_px / 2, 0.0), view.width_px - width_px)
    corners += [(middle, one.top() - height_px - AIR_PX), (middle, one.bottom() + AIR_PX)]
    for down in range(3):
        corners += [
            (one.right() + AIR_PX, top + down * height_px),
            (one.left() - AIR_PX - width_px, top + down * height_px),
        ]
    return corners


def _at_least(first: float, last: float) -> tuple[float, float]:
    missing = max(0.0, LEAST_PX - (last - first)) / 2
    return first - missing, last + missing
