# SPDX-License-Identifier: GPL-3.0-or-later
"""What was found in a recording: a table, JSON, SigMF, recordings of each emission, a picture."""
