# SPDX-License-Identifier: GPL-3.0-or-later
"""How well the survey does on recordings whose content is known."""
