# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage of complex samples, and their conversion to complex64 with a full scale of 1.0."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from gr_tsddae.iq.formats.capture_errors import CaptureFormatError

_NAME = re.compile(r"c(?P<kind>[fiu])(?P<bits>8|16|32|64)(?:_(?P<order>le|be))?")
_BITS_OF_KIND = {"f": (32, 64), "i": (8, 16, 32), "u": (8, 16, 32)}

NAMES = tuple(f"c{kind}{bits}" for kind, widths in _BITS_OF_KIND.items() for bits in widths)
"""Every format by name; `_le` (the default) or `_be` may follow where a component has two bytes."""

ALIASES = {
    "fc32": "cf32",
    "fc64": "cf64",
    "complex64": "cf32",
    "complex128": "cf64",
    **{f"{prefix}{bits}": f"ci{bits}" for prefix in ("cs", "sc") for bits in (8, 16, 32)},
}

# An RTL-SDR at rest reads 127.4 on average, not 127.5: its converter sits a little low.
RTL_SDR_ZERO = 127.4


@dataclass(frozen=True)
class SampleFormat:
    """Interleaved I and Q of one component type.

    Attributes:
        component: numpy type of I and of Q, with its byte order.
        zero: The stored number that means 0.
        full_scale: Distance from `zero` that means 1.0.
    """

    component: np.dtype
    zero: float
    full_scale: float

    @classmethod
    def parse(cls, name: str) -> SampleFormat:
        """Look up a format by name: `cf32`, `ci16_be`, `cs8`, `cu8`, `fc32`, ...

        Args:
            name: A name of `NAMES` or `ALIASES`, or a SigMF datatype.

        Raises:
            CaptureFormatError: If no complex format has this name.
        """
        base, separator, order = str(name).lower().partition("_")
        match = _NAME.fullmatch(ALIASES.get(base, base) + separator + order)
        if match is None or int(match["bits"]) not in _BITS_OF_KIND[match["kind"]]:
            raise CaptureFormatError(
                f"{name!r} is not a known format of complex samples; use one of "
                f"{', '.join(NAMES)} (_be at the end for big-endian)"
            )
        kind, bits = match["kind"], int(match["bits"])
        component = np.dtype(f"{'>' if match['order'] == 'be' else '<'}{kind}{bits // 8}")
        if kind == "f":
            return cls(component, zero=0.0, full_scale=1.0)
        full_scale = 2.0 ** (bits - 1)
        if kind == "i":
            return cls(component, zero=0.0, full_scale=full_scale)
        return cls(component, RTL_SDR_ZERO if bits == 8 else full_scale, full_scale)

    @property
    def name(self) -> str:
        """Short name: `cf32`, `ci16`, `cu8`, `cf32_be`; little-endian is not mentioned."""
        big_endian = self.component.byteorder == ">"
        return f"c{self.component.kind}{8 * self.component.itemsize}{'_be' if big_endian else ''}"

    @property
    def sigmf_datatype(self) -> str:
        """SigMF's name of the format, with the byte order where there is one."""
        has_order = self.component.itemsize > 1 and not self.name.endswith("_be")
        return self.name + ("_le" if has_order else "")

    @property
    def bytes_per_sample(self) -> int:
        return 2 * self.component.itemsize

    def to_complex64(self, components: np.ndarray) -> np.ndarray:
        """Convert stored numbers to samples.

        Args:
            components: (count, 2) array of `component`, I then Q.

        Returns:
            (count,) complex64; 1.0 is full scale. NaN and infinity stay as they are. Samples that
            are complex64 already share the memory of `components`.
        """
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinity
            iq = components.astype(np.float32, order="C", copy=False)  # (count, 2)
        if self.zero:
            iq -= np.float32(self.zero)
        if self.full_scale != 1.0:
            iq *= np.float32(1.0 / self.full_scale)
        return iq.view(np.complex64)[:, 0]
