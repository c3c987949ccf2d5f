# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a stream to a recording, and decisions into its annotations."""
