# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks TS-Net is compared with, each built from its own paper's description.

Where a file says "the survey", its figures were taken from later work that quotes it.
"""
