# SPDX-License-Identifier: GPL-3.0-or-later
"""What a trained network is worth: predictions, metrics, cost."""
