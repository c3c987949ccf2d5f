# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows to train on: from data sets, from recordings, from synthesis."""
