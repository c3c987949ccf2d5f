# SPDX-License-Identifier: GPL-3.0-or-later
"""Rebuild the tables and figures of both papers. No other room imports this one."""
