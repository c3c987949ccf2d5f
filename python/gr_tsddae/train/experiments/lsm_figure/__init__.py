# SPDX-License-Identifier: GPL-3.0-or-later
"""Figure 4 of the LSM paper: few-shot accuracy over SNR."""
