# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage of complex and real samples, and their conversion to numbers with a full scale of 1.0."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from gr_tsddae.iq.formats.capture_errors import CaptureFormatError

_NAME = re.compile(r"(?P<of>[cr])(?P<kind>[fiu])(?P<bits>8|16|32|64)(?:_(?P<order>le|be))?")
_BITS_OF_KIND = {"f": (32, 64), "i": (8, 16, 32), "u": (8, 16, 32)}

NAMES = tuple(f"c{kind}{bits}" for kind, widths in _BITS_OF_KIND.items() for bits in widths)
"""Every complex format by name, with r in place of c for real samples; `_le` (the default) or `_be`
may follow where a component has two bytes."""

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
    """Interleaved I and Q of one component type, or real samples.

    Attributes:
        component: numpy type of I and of Q, with its byte order; `V3` for 24-bit integers.
        zero: The stored number that means 0.
        full_scale: Distance from `zero` that means 1.0.
        is_real: Whether a sample is one number.
        upper_byte_first: Whether a 24-bit integer is big-endian; other types say it themselves.
    """

    component: np.dtype
    zero: float
    full_scale: float
    is_real: bool = False
    upper_byte_first: bool = False

    @classmethod
    def parse(cls, name: str) -> SampleFormat:
        """Look up a format by name: `cf32`, `ci16_be`, `cs8`, `cu8`, `fc32`, ...

        Args:
            name: A name of `NAMES` or `ALIASES`, or a SigMF datatype.

        Raises:
            CaptureFormatError: If no complex format has this name.
        """
        base, separator, order = str(name).strip().lower().partition("_")
        match = _NAME.fullmatch(ALIASES.get(base, base) + separator + order)
        if match is None or int(match["bits"]) not in _BITS_OF_KIND[match["kind"]]:
            raise CaptureFormatError(
                f"{name!r} is not a known format of samples; use one of {', '.join(NAMES)} "
                "(_be at the end for big-endian, r in place of c for real samples)"
            )
        kind, bits, real = match["kind"], int(match["bits"]), match["of"] == "r"
        component = np.dtype(f"{'>' if match['order'] == 'be' else '<'}{kind}{bits // 8}")
        if kind == "f":
            return cls(component, 0.0, 1.0, real)
        full_scale = 2.0 ** (bits - 1)
        if kind == "i":
            return cls(component, 0.0, full_scale, real)
        return cls(component, RTL_SDR_ZERO if bits == 8 else full_scale, full_scale, real)

    def big_endian(self) -> SampleFormat:
        """Return this format with the upper byte of each number first."""
        big = self.component.newbyteorder(">")
        return replace(self, component=big, upper_byte_first=big.kind == "V")

    @property
    def name(self) -> str:
        """Short name: `cf32`, `ci16`, `cu8`, `cf32_be`; little-endian is not mentioned."""
        kind = "i" if self.component.kind == "V" else self.component.kind
        order = "_be" if self.component.byteorder == ">" or self.upper_byte_first else ""
        return f"{'r' if self.is_real else 'c'}{kind}{8 * self.component.itemsize}{order}"

    @property
    def sigmf_datatype(self) -> str:
        """SigMF's name of the format, with the byte order where there is one."""
        has_order = self.component.itemsize > 1 and not self.name.endswith("_be")
        return self.name + ("_le" if has_order else "")

    @property
    def components(self) -> int:
        """Numbers in a sample."""
        return 1 if self.is_real else 2

    @property
    def bytes_per_sample(self) -> int:
        return self.components * self.component.itemsize

    def to_complex64(self, components: np.ndarray) -> np.ndarray:
        """Convert stored numbers to samples.

        Args:
            components: (count, 2) array of `component`, I then Q.

        Returns:
            (count,) complex64; 1.0 is full scale. NaN and infinity stay as they are. Samples that
            are complex64 already share the memory of `components`.
        """
        return self.to_float32(components).view(np.complex64)[:, 0]

    def to_float32(self, components: np.ndarray) -> np.ndarray:
        """Convert stored numbers: (count, n) array of `component` -> (count, n) float32."""
        if self.component.kind == "V":  # 24 bits become the upper ones of 32
            wide = np.zeros((*components.shape, 4), np.uint8)
            three = components.view(np.uint8).reshape(*components.shape, 3)
            wide[..., 1:] = three[..., ::-1] if self.upper_byte_first else three
            components = wide.view("<i4")[..., 0]
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinity
            numbers = components.astype(np.float32, order="C", copy=False)
        if self.zero:
            numbers -= np.float32(self.zero)
        if self.full_scale != 1.0:
            numbers *= np.float32(1.0 / self.full_scale)
        return numbers
