# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a model: a network on a device, its engines, and what is made of its output."""
