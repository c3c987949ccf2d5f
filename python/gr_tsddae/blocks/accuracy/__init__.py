# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge a running model against the truth. No GNU Radio but in `worker`."""
