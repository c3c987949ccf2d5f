# SPDX-License-Identifier: GPL-3.0-or-later
"""Read recordings: a file format per module, one `Capture` for all."""
