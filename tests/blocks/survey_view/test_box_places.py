# SPDX-License-Identifier: GPL-3.0-or-later
"""Boxes lie where the axes say, the pointer finds them, and labels never cover each other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("qtpy.QtCore", reason="Qt is not installed")
from qtpy.QtCore import QPointF, QRectF

from gr_tsddae.blocks.survey_view.places import (
    LEAST_PX,
    REACH_PX,
    View,
    box,
    hit,
    place_labels,
)

VIEW = View(100e6, 102e6, 10.0, 20.0, 1000.0, 500.0)


def test_a_box_lies_where_the_axes_say():
    one = box(VIEW, 100.5e6, 101e6, 12.0, 18.0)
    assert one is not None
    assert (one.left(), one.right()) == pytest.approx((250, 500))
    assert (one.top(), one.bottom()) == pytest.approx((100, 400)), "the newest is on top"


def test_a_tiny_box_can_be_seen_and_one_outside_is_none():
    tiny = box(VIEW, 101e6, 101.0001e6, 15.0, 15.001)
    assert tiny is not None and tiny.width() == tiny.height() == LEAST_PX
    assert (tiny.left() + tiny.right()) / 2 == pytest.approx(500.025)
    assert box(VIEW, 103e6, 104e6, 12, 13) is None
    assert box(VIEW, 101e6, 101.5e6, 1, 2) is None
    assert box(VIEW, 101e6, 101.5e6, 21, 22) is None
    huge = box(VIEW, -1e15, 1e15, -1e9, 1e9)
    assert huge is not None and huge.width() < 2000 and huge.height() < 1000


def test_the_pointer_finds_the_smallest_box():
    boxes = [(1, QRectF(100, 100, 400, 300)), (2, QRectF(200, 200, 10, 10))]
    assert hit(boxes, QPointF(205, 205)) == 2
    assert hit(boxes, QPointF(300, 300)) == 1
    assert hit(boxes, QPointF(100 - REACH_PX + 1, 300)) == 1
    assert hit(boxes, QPointF(50, 50)) is None
    assert hit([], QPointF(50, 50)) is None


def test_labels_stay_apart_and_inside():
    rng = np.random.default_rng(2)
    left, top = rng.uniform(0, 950, 60), rng.uniform(-20, 480, 60)
    sizes = rng.uniform(5, 200, (60, 2))
    boxes = [QRectF(x, y, w, h) for x, y, (w, h) in zip(left, top, sizes, strict=True)]
    places = place_labels(boxes, [(90.0, 40.0)] * 60, 15.0, VIEW)
    shown = [place[1] for place in places if place is not None]
    assert len(shown) > 40
    for one, other in itertools.combinations(shown, 2):
        assert not one.intersects(other)
    for one in shown:
        assert one.left() >= 0 and one.right() <= 1000 and one.top() >= 0 and one.bottom() <= 500
    assert {place[0] for place in places if place is not None} == {0, 1}


def test_a_label_lies_in_a_large_box_and_beside_a_small_one():
    large, small = QRectF(100, -30, 300, 330), QRectF(600, 100, 4, 4)
    places = place_labels([large, small], [(90.0,)] * 2, 15.0, VIEW)
    inside, beside = (place[1] for place in places if place is not None)
    assert large.left() <= inside.left() and inside.right() <= large.right()
    assert inside.top() >= 0, "the box's top is out of sight, its label is not"
    assert beside.bottom() <= small.top()
    (nowhere,) = place_labels([small], [(1200.0,)], 15.0, VIEW)
    assert nowhere is None
