# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain Python values to GNU Radio messages, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pmt


def to_message(value: Any) -> pmt.pmt_base:
    """A message of plain values; None becomes the empty PMT.

    Args:
        value: dict, list, tuple, str, bool, int, float, None, numpy scalars, or numpy arrays of
            float32 or uint64 (which become uniform vectors).
    """
    if isinstance(value, dict):
        message = pmt.make_dict()
        for key, item in value.items():
            message = pmt.dict_add(message, pmt.intern(str(key)), to_message(item))
        return message
    if isinstance(value, np.ndarray):
        if value.dtype == np.float32:
            return pmt.init_f32vector(value.size, value.ravel().tolist())
        if value.dtype == np.uint64:
            return pmt.init_u64vector(value.size, value.ravel().tolist())
        raise TypeError(f"arrays of {value.dtype} do not go into messages")
    if isinstance(value, list | tuple):
        return pmt.to_pmt([to_message(item) for item in value])
    if isinstance(value, np.generic):
        value = value.item()  # pmt.to_pmt refuses numpy scalars
    return pmt.PMT_NIL if value is None else pmt.to_pmt(value)


def pdu(metadata: dict[str, Any], vector: np.ndarray) -> pmt.pmt_base:
    """A PDU: metadata and a uniform vector."""
    return pmt.cons(to_message(metadata), to_message(vector))
