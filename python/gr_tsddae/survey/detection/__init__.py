# SPDX-License-Identifier: GPL-3.0-or-later
"""From samples to boxes in time and frequency, followed from slab to slab."""
