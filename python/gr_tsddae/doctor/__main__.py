# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m gr_tsddae.doctor`."""

import sys

from gr_tsddae.doctor import main

sys.exit(main())
