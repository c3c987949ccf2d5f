# SPDX-License-Identifier: GPL-3.0-or-later
"""How a network learns: steps, schedule, adaptation, calibration."""
