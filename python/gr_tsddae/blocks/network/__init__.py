# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a network beside a stream: a block, its worker thread, and its parts."""
