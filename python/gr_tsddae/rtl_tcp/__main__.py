# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae rtl_tcp RECORDING`: see `server.main`."""

import sys

from gr_tsddae.rtl_tcp.server import main

sys.exit(main())
