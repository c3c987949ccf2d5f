# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands behind the Survey block: stretches of stream, their spectra, and what is told."""
