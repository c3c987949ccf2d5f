# SPDX-License-Identifier: GPL-3.0-or-later
"""TS-Net, the network of the TS-DDAE paper (Section 3.3, Eq. 8-12)."""

from gr_tsddae.nets.tsnet.config import SIZES, TSNetConfig
from gr_tsddae.nets.tsnet.network import TSNet
