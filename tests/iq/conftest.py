# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts this folder on the path: tests of its rooms share `iq_files`."""
