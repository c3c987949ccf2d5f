# SPDX-License-Identifier: GPL-3.0-or-later
"""Results for people: pictures of what was recognised where."""
