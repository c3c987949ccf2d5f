# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of captures. Each message is one sentence that names the fault and the remedy."""


class CaptureError(ValueError):
    """A capture cannot be opened, read or described; catch this one to catch them all."""


class CaptureMissingError(CaptureError):
    """The file, or a file that belongs to it, is not there or cannot be opened."""


class CaptureFormatError(CaptureError):
    """How the samples are stored is unknown, contradictory or not supported."""


class CaptureDamagedError(CaptureError):
    """The file contradicts itself: byte counts, checksums or metadata do not fit."""


class CaptureRangeError(CaptureError):
    """Samples were asked for that the capture does not hold."""
