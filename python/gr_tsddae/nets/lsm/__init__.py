# SPDX-License-Identifier: GPL-3.0-or-later
"""LSM: contrast between a patch's time signal and another patch's spectrum.

Wen, Ye, Su, Li, Wan, Zheng, Hong, He, Duan, Li, Huang and Zheng, 2024, "Unraveling Complexity: An
Exploration Into Large-Scale Multimodal Signal Processing", IEEE Intelligent Systems 39 (6).
"""

from gr_tsddae.nets.lsm.augment import crop, rotate
from gr_tsddae.nets.lsm.config import LSMConfig
from gr_tsddae.nets.lsm.network import LSM, LSMBackbone
from gr_tsddae.nets.lsm.nt_xent import TEMPERATURE, nt_xent
