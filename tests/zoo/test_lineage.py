# SPDX-License-Identifier: GPL-3.0-or-later
"""The licence of weights that several works went into."""

import pytest

from gr_tsddae.zoo.lineage import joint_licence

GPL, CC = "GPL-3.0-or-later", "CC-BY-NC-SA-4.0"


@pytest.mark.parametrize(
    ("licences", "joint"),
    [
        ((GPL, CC), f"{GPL} AND {CC}"),
        ((GPL, GPL), GPL),
        ((f"{GPL} AND {CC}", CC), f"{GPL} AND {CC}"),
        ((GPL, f"{CC} AND {GPL}"), f"{GPL} AND {CC}"),
        (("MIT OR Apache-2.0", GPL), f"(MIT OR Apache-2.0) AND {GPL}"),
        (("unknown", GPL), f"unknown AND {GPL}"),
        (("", GPL), GPL),
        (("", ""), "unknown"),
    ],
)
def test_all_licences_hold(licences, joint):
    assert joint_licence(*licences) == joint
